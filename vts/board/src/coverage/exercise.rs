// SPDX-License-Identifier: Apache-2.0
//! What the board does while its programs count: the demonstration, every test program, and a
//! policy with a reserve.

use board::{Error, Guest, Result};
use board_channel::wire::Exit;

use super::FOLDER;
use crate::vts::results::{Counts, Suite, Verdict};
use crate::{bench, vts};

/// Runs everything; a test that fails is an error, as its counts would say little.
pub fn run(guest: &mut Guest) -> Result<()> {
    demonstrate(guest)?;
    let mut failed = Vec::new();
    // The heaps' program has nothing to do with service/.
    for program in vts::PROGRAMS.into_iter().filter(|program| *program != vts::HEAPS) {
        let suite = vts::test(guest, program, [], |_| Ok(()));
        let mut counts = Counts::default();
        counts.add(&suite);
        eprintln!("{program}: {counts}");
        failed.extend(failures(&suite));
    }
    if !failed.is_empty() {
        return Err(Error::Refused(format!("tests failed:\n{}", failed.join("\n"))));
    }
    use_reserve(guest)
}

/// Besides what it covers, it is the first to load the mapper, as root. What other users' processes
/// run of that library goes to the same file, so that it has to be theirs too.
fn demonstrate(guest: &mut Guest) -> Result<()> {
    succeed(guest, &format!("demo --picture /tmp/camera.png && chmod a+rw {FOLDER}/*"))
}

/// The program fails unless the reserve serves every request; its times mean nothing here.
fn use_reserve(guest: &mut Guest) -> Result<()> {
    bench::measure(guest, "reserve")?;
    succeed(guest, &format!("{} | grep -q 'reserve .* hits'", vts::DUMP))
}

fn succeed(guest: &mut Guest, script: &str) -> Result<()> {
    let output = guest.shell(script)?;
    match output.exit {
        Exit::Code(0) => Ok(()),
        exit => Err(Error::Refused(format!("'{script}' ended with {exit:?}: {}", output.stderr))),
    }
}

/// Program, test and reason of each failure.
fn failures(suite: &Suite) -> impl Iterator<Item = String> {
    suite.cases.iter().filter_map(|case| match &case.verdict {
        Verdict::Failed(why) => Some(format!("{} {}: {why}", suite.name, case.name)),
        _ => None,
    })
}
