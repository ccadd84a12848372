// SPDX-License-Identifier: Apache-2.0
//! A device's package on the board, with nothing else on `/vendor`: the programs that a device gets.

use std::path::PathBuf;
use std::sync::Mutex;

use board::boards::ALLOCATOR as SERVICE;
use board::package::Package;
use board::{Boot, Guest, boards};
use board_channel::wire::Exit;
use dmaheap_suite::program::{ALLOCATOR, HEAPS, MAPPER};
use libtest_mimic::Failed;

use crate::Outcome;
use crate::fixture::{boot, expect_contains, expect_eq, fail, lock, scratch, succeed};
use crate::services::INTERFACE;
use crate::suite::SHORT;

/// Where the package's programs for tests are, on a device and here.
const TESTS: &str = "/data/local/tmp";

fn unpacked() -> Result<PathBuf, Failed> {
    let folder = scratch("package")?;
    Package::build(&boards::VIRT)?.write(&folder)?;
    Ok(folder)
}

static GUEST: Mutex<Option<Guest>> = Mutex::new(None);

/// Lends the guest with the package, as another test left it.
fn with_package(test: impl FnOnce(&mut Guest) -> Outcome) -> Outcome {
    let mut shared = lock(&GUEST);
    if shared.is_none() {
        *shared = Some(boot(&Boot { package: Some(unpacked()?), ..Boot::default() })?);
    }
    shared.as_mut().map_or_else(|| fail("no guest"), test)
}

/// Ends the guest: nobody drops what is static.
pub fn tidy_up() {
    lock(&GUEST).take();
}

/// The service, the mapper in its clients, and the clients: as they are for a device.
pub fn serves_all_conformance_cases_and_nothing_else_lies_on_vendor() -> Outcome {
    with_package(|guest| {
        let enforcing = succeed(guest, "cat /sys/fs/selinux/enforce")?;
        expect_eq("enforcing", enforcing.as_str(), "1")?;
        let vendor = succeed(guest, "cd /vendor && find . -type f | grep -v precompiled_sepolicy")?;
        if vendor.lines().count() != 7 {
            return fail(format!("not seven files on /vendor:\n{vendor}"));
        }
        for program in [ALLOCATOR, MAPPER, HEAPS] {
            let told = guest.shell(&format!("{SHORT} {TESTS}/{} 2>&1", program.name))?;
            expect_contains(&told.stdout, "test result: ok.")?;
        }
        Ok(())
    })
}

/// SDK levels, and how the calls of a service manager of that level are numbered; 35 has had two.
const PLATFORMS: [(u32, &str); 6] = [
    (33, "android13"),
    (34, "android13"),
    (35, "android13"),
    (35, "android15"),
    (36, "android16"),
    (37, "android16"),
];

/// By the property of the SDK level, and by asking where that does not say it.
pub fn registers_itself_with_the_service_manager_of_every_platform() -> Outcome {
    let ask = |guest: &mut Guest, sdk: u32, numbering: &str| {
        guest.shell(&format!("numbering {sdk} {numbering} /vendor/bin/hw/{SERVICE}"))
    };
    with_package(|guest| {
        for (sdk, numbering) in PLATFORMS {
            let told = ask(guest, sdk, numbering)?;
            let what = format!("on {sdk} with {numbering}: {}", told.stderr);
            expect_eq(&what, told.stdout.trim(), INTERFACE)?;
        }
        // Where the property says otherwise than the service manager is.
        let told = ask(guest, 33, "android16")?;
        expect_eq("exit", told.exit, Exit::Code(1))?;
        expect_contains(&told.stderr, "the service did not register itself")
    })
}
