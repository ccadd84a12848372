// SPDX-License-Identifier: Apache-2.0
//! Keeps the library loaded once it was: other copies of it in the process may serve with its
//! table, see `src/copies.rs`. Soong, which does not run this, says so itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let flags: &[&str] = match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux") => &["-Wl,-z,nodelete"],
        // There it is linked by the linker itself, for want of Android's compiler, and begins nowhere.
        Ok("android") => &["-znodelete", "-soname=mapper.dmaheap.so", "--entry=0"],
        _ => &[],
    };
    for flag in flags {
        println!("cargo:rustc-cdylib-link-arg={flag}");
    }
}
