// SPDX-License-Identifier: Apache-2.0
//! `clean`: gives the cache's disk space back.

use std::process::ExitCode;

use board::Result;
use board::cache::Cache;

/// Removes all that was built or fetched for the board, and says what that was.
pub fn run() -> Result<ExitCode> {
    let freed = Cache::open()?.clear()?;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    for (name, bytes) in &freed {
        println!("{:>6} MiB  {name}", mib(*bytes));
    }
    let total = freed.iter().map(|(_, bytes)| bytes).sum();
    println!("{:>6} MiB freed; cargo clean frees what is below target/", mib(total));
    Ok(ExitCode::SUCCESS)
}
