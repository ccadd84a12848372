// SPDX-License-Identifier: Apache-2.0
//! The virtual board: a kernel with this project's heap driver, an image with its userland, and a
//! QEMU machine that runs both.
//!
//! One boot's way through the modules: [`boards`] says what a board is; [`packages`] makes the
//! host able to build it; [`kernel`] and [`userland`] build, and [`debian`] fetches what others have
//! built, all through [`cache`]; [`image`] packs, and has [`vintf`] say what the board declares;
//! [`devicetree`] merges the overlay into the machine's own tree, or [`stand_in`] those of a device
//! that QEMU has not; [`machine`] starts QEMU; [`guest`]
//! talks to the agent inside, [`screen`] takes pictures. [`source`] is for checks of the driver
//! without a boot;
//! [`instrumented`] counts what a boot and the host's tests run of `service/`.

pub mod android;
mod bionic;
pub mod boards;
pub mod cache;
pub mod debian;
pub mod devicetree;
pub mod error;
pub mod guest;
mod image;
pub mod instrumented;
mod kbuild;
mod kernel;
mod machine;
pub mod package;
mod packages;
mod place;
mod progress;
pub mod screen;
pub mod sepolicy;
pub mod skips;
pub mod source;
mod stand_in;
mod tool;
mod userland;
mod vintf;

pub use boards::Board;
pub use error::{Error, Result};
pub use guest::{Boot, Guest};
pub use packages::may_install;
pub use place::{repository, results};
pub use userland::{cargo, require_target};
