// SPDX-License-Identifier: Apache-2.0
//! What the host tool and the guest share: the control channel's frames, files over it, the kernel
//! arguments by which the host speaks to init, and the line by which a program speaks to it. Apart
//! from both, so that the host tool builds without the guest's programs.

pub mod files;
pub mod wire;

/// The kernel argument with which the host asks for a board without services.
pub const NO_SERVICES: &str = "board.services=off";

/// The line with which a program says that its picture is on the screen; it then waits for the end
/// of its input.
pub const ON_SCREEN: &str = "the screen shows it";
