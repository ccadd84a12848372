// SPDX-License-Identifier: Apache-2.0
//! Clients that are not written in Rust: `vts/suite/c/client.c`, which the host compiles as C and
//! as C++.

use std::env;
use std::process::Command;

use dmaheap_aidl::allocator::BufferDescriptorInfo;

use super::ground::{Ground, Test, name};
use super::handover::become_client;
use crate::imapper::Mapper;
use crate::service::good;

/// The client's cases, one set for the whole table.
pub const CASES: &[&str] = &[
    "load",
    "import_free",
    "import_bad",
    "transport_size",
    "lock_unlock",
    "lock_bad",
    "flush_reread",
    "get",
    "set",
    "list",
    "dump",
    "reserved_region",
];

/// What this program does when a client needs it; `None` if the role is not of this module.
pub fn role(role: &str) -> Option<Test> {
    (role == "lend").then(lend)
}

/// Allocates a buffer and becomes the client: `suite-mapper CLIENT CASE`.
fn lend() -> Test {
    let [client, case] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("lend takes a client and its case".into());
    };
    let info = BufferDescriptorInfo { name: name("native"), reservedSize: 5000, ..good() };
    let buffer = Ground::new()?.allocate(info)?;
    let mut command = Command::new(client);
    command.arg(Mapper::path()?).arg(case);
    become_client(command, &buffer.raw)
}
