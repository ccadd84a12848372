// SPDX-License-Identifier: Apache-2.0
//! Nothing leaks: what there was before a test is there after it.

use std::error::Error;
use std::fmt::Debug;
use std::fs;
use std::io;
use std::thread::sleep;
use std::time::Duration;

use dmaheap_dmabuf::kernel::{self, MemInfo};

use crate::harness::{effort, skip};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How often to look for what is still being released or made.
pub const PAUSE: Duration = Duration::from_millis(20);

/// Runs a test that must leave everything that `look` sees as it was.
pub fn keeping<T: PartialEq + Debug>(
    look: impl Fn() -> Result<T>,
    test: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let before = settled(&look)?;
    test()?;
    require_same(&before, look)
}

/// Waits for what is still being released, and then tells what is left.
pub fn require_same<T: PartialEq + Debug>(before: &T, look: impl Fn() -> Result<T>) -> Result<()> {
    let mut after = look()?;
    for _ in 0..looks()? {
        if after == *before {
            return Ok(());
        }
        sleep(PAUSE);
        after = look()?;
    }
    Err(format!("the test left something behind:\n  before {before:?}\n  after  {after:?}").into())
}

/// What `look` sees once it no longer changes.
pub fn settled<T: PartialEq>(look: impl Fn() -> Result<T>) -> Result<T> {
    let mut last = look()?;
    for _ in 0..looks()? {
        sleep(PAUSE);
        let next = look()?;
        if next == last {
            return Ok(last);
        }
        last = next;
    }
    Err("before the test, nothing comes to rest".into())
}

/// Looks within SUITE_PATIENCE, in seconds. How long it takes until all is released depends on how
/// busy the machine is; the verdict does not.
pub fn looks() -> Result<u128> {
    Ok(Duration::from_secs(effort("SUITE_PATIENCE", 60)?).as_millis() / PAUSE.as_millis())
}

/// A test that says of a device where leaks cannot be counted which counter it lacks.
pub fn leaks_are_counted() -> Result<()> {
    if where_counted(dma_bufs)?.is_none() {
        return skip(format!("dma-bufs are not counted: there is no {BUFINFO} (debugfs)"));
    }
    if where_counted(cma_pages)?.is_none() {
        return skip("the kernel does not count the pages of CMA areas (CONFIG_CMA_SYSFS)");
    }
    Ok(())
}

/// A count, or nothing where the kernel is built without it.
pub fn where_counted<T>(count: fn() -> Result<T>) -> Result<Option<T>> {
    match count() {
        Ok(counted) => Ok(Some(counted)),
        Err(error) => match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::NotFound) => Ok(None),
            _ => Err(error),
        },
    }
}

/// The kernel's list of dma-bufs, for developers: what every kernel has, and no user build.
pub const BUFINFO: &str = "/sys/kernel/debug/dma_buf/bufinfo";

/// The system's dma-bufs.
pub fn dma_bufs() -> Result<usize> {
    let list = fs::read_to_string(BUFINFO)?;
    let total = list.lines().last().and_then(|line| line.strip_prefix("Total "));
    let count = total.and_then(|total| total.split_once(' ')).ok_or("bufinfo has no total")?;
    Ok(count.0.parse()?)
}

/// Pages that the CMA areas gave and did not get back. What is free in them says less: the kernel
/// lends it to the page cache.
pub fn cma_pages() -> Result<i64> {
    let mut pages = 0;
    for name in kernel::cma_areas()? {
        let area = kernel::cma_area(&name)?;
        pages += i64::try_from(area.allocated)? - i64::try_from(area.released)?;
    }
    Ok(pages)
}

/// A value of /proc/meminfo in bytes.
pub fn meminfo(key: &str) -> io::Result<u64> {
    let value = MemInfo::read()?.value(key);
    value
        .map(|bytes| bytes.0)
        .ok_or_else(|| io::Error::other(format!("/proc/meminfo has no {key}")))
}
