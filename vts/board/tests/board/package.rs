// SPDX-License-Identifier: Apache-2.0
//! A device's package on the board, with nothing else on `/vendor`: the programs that a device gets.

use std::path::PathBuf;

use board::package::{self, Package};
use board::{Boot, Guest};
use board_channel::SDK;
use dmaheap_suite::program::{ALLOCATOR, HEAPS, MAPPER};
use libtest_mimic::Failed;

use crate::Outcome;
use crate::fixture::{boot, expect_contains, expect_eq, fail, scratch, succeed};
use crate::suite::SHORT;

/// Where the package's programs for tests are, on a device and here.
const TESTS: &str = "/data/local/tmp";

fn unpacked() -> Result<PathBuf, Failed> {
    let folder = scratch("package")?;
    Package::build(package::device("virt")?)?.write(&folder)?;
    Ok(folder)
}

fn boot_with(package: PathBuf, sdk: u32) -> Result<Guest, Failed> {
    boot(&Boot { package: Some(package), append: format!("{SDK}{sdk}"), ..Boot::default() })
}

/// The service, the mapper in its clients, and the clients: as they are for a device.
pub fn serves_all_conformance_cases_and_nothing_else_lies_on_vendor() -> Outcome {
    let mut guest = boot_with(unpacked()?, 36)?;
    let enforcing = succeed(&mut guest, "cat /sys/fs/selinux/enforce")?;
    expect_eq("enforcing", enforcing.as_str(), "1")?;
    let vendor =
        succeed(&mut guest, "cd /vendor && find . -type f | grep -v precompiled_sepolicy")?;
    if vendor.lines().count() != 7 {
        return fail(format!("not seven files on /vendor:\n{vendor}"));
    }
    for program in [ALLOCATOR, MAPPER, HEAPS] {
        let told = guest.shell(&format!("{SHORT} {TESTS}/{} 2>&1", program.name))?;
        expect_contains(&told.stdout, "test result: ok.")?;
    }
    Ok(())
}
