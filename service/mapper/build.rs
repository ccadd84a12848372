// SPDX-License-Identifier: Apache-2.0
//! Keeps the library loaded once it was: other copies of it in the process may serve with its
//! table, see `src/copies.rs`. What links it for Android says so itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
