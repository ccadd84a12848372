// SPDX-License-Identifier: Apache-2.0
//! What the two ends of the board's control channel share.

pub mod files;
pub mod wire;

/// The kernel argument with which the host asks for a board without services.
pub const NO_SERVICES: &str = "board.services=off";
