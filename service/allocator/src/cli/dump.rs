// SPDX-License-Identifier: Apache-2.0
//! `allocator dump`: what the service says, and of buffers what else can be seen.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::thread;

use dmaheap_aidl::binder;
use dmaheap_dmabuf::map;

use super::{Arguments, Done, Outcome};
use crate::dump::buffers::BufferReport;

/// In which `/proc/PID/stat` counts, on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn run(mut arguments: Arguments) -> Done {
    let (json, buffers) = (arguments.flag("--json"), arguments.flag("--buffers"));
    arguments.finish()?;
    if buffers {
        let mut out = std::io::stdout().lock();
        for buffer in live()? {
            out.write_all(buffer.line(json).as_bytes())?;
        }
        return Ok(Outcome::Good);
    }
    let options = if json { vec!["--json".to_owned()] } else { Vec::new() };
    binder::dump(binder::DEFAULT, std::io::stdout(), &options)?;
    Ok(Outcome::Good)
}

/// All buffers that live, with what this process may see of them beside.
pub(super) fn live() -> Result<Vec<BufferReport>, Box<dyn Error>> {
    let (mut from, to) = std::io::pipe()?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).map(|_| text)
    });
    binder::dump(binder::DEFAULT, &to, &["--buffers".to_owned(), "--json".to_owned()])?;
    drop(to);
    let text = reader.join().map_err(|_| "reading the dump failed")??;
    let places = places();
    text.lines().map(|line| Ok(completed(serde_json::from_str(line)?, &places))).collect()
}

fn completed(buffer: BufferReport, places: &BTreeMap<u64, u64>) -> BufferReport {
    let address = places.get(&buffer.inode).copied();
    BufferReport { address, process: process(buffer.pid, buffer.at), ..buffer }
}

/// Where the driver has its buffers, by their inodes; nowhere if it does not say.
fn places() -> BTreeMap<u64, u64> {
    let regions = map::regions().unwrap_or_default().into_iter();
    let extents = regions.filter_map(|region| map::map(&region).ok()).flatten();
    extents.filter_map(|extent| Some((extent.inode()?, extent.start))).collect()
}

/// The name of a process that asked for something at that time, in seconds since
/// boot. One that began later has its number from another.
fn process(pid: i32, at: f64) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, behind) = stat.rsplit_once(") ")?;
    // As proc(5) counts them, the first behind the name is the third.
    let began: f64 = behind.split(' ').nth(22 - 3)?.parse().ok()?;
    if began / TICKS_PER_SECOND > at {
        return None;
    }
    // An app's is its package's name.
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let name = line.split('\0').next().filter(|name| !name.is_empty());
    let short = before.split_once('(').map(|(_, name)| name);
    name.or(short).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_named_while_it_is_the_one_that_asked() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(process(own, f64::MAX).unwrap().contains("allocator"));
        assert_eq!(process(own, 0.0), None);
        assert_eq!(process(-1, f64::MAX), None);
        // A kernel's thread has no command line.
        assert!(process(2, f64::MAX).is_none_or(|name| !name.is_empty()));
    }
}
