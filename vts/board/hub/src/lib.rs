// SPDX-License-Identifier: Apache-2.0
//! Empty: this package is there for its dependency, see its `Cargo.toml`.
