// SPDX-License-Identifier: Apache-2.0
//! The driver's events, where the kernel has tracing: the one that Perfetto reads has the fields that
//! it knows, and all of them tell of the same buffers.

use board::boards;

use crate::Outcome;
use crate::fixture::{expect_contains, expect_eq, fail, succeed, with_guest_of};

/// Fields of `dmabuf_heap/dma_heap_stat`, as Android's kernels publish them.
const PERFETTO: &str = "\
\tfield:unsigned long inode;\toffset:8;\tsize:8;\tsigned:0;
\tfield:long len;\toffset:16;\tsize:8;\tsigned:1;
\tfield:unsigned long total_allocated;\toffset:24;\tsize:8;\tsigned:0;
";

/// Requests that are served and requests that are refused, with all events on.
const SCRIPT: &str = "\
    mkdir -p /tmp/trace && mount -t tracefs none /tmp/trace && cd /tmp/trace && \
    cat events/dmabuf_heap/dma_heap_stat/format && echo > trace && \
    echo 1 > events/dmabuf_heap/enable && echo 1 > events/dmaheap/enable && \
    for T in request::is_rounded_up_to_pages request::what_never_fits_is_refused_without_an_alarm; do \
        VtsDmaHeap_TargetTest --exact --filter $T > /dev/null 2>&1 || exit; \
    done; \
    echo 0 > events/enable; cat trace; cd / && umount /tmp/trace";

pub fn are_those_that_perfetto_reads() -> Outcome {
    let said = with_guest_of(&boards::VIRT_NEXT, |guest| succeed(guest, SCRIPT))?;
    expect_contains(&said, PERFETTO)?;
    let number = |line: &str, key: &str| -> Option<i64> {
        let (_, behind) = line.split_once(&format!(" {key}="))?;
        let end = behind.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(behind.len());
        behind[..end].parse().ok()
    };
    let of = |event: &str| -> Vec<&str> {
        let event = format!(": {event}: ");
        said.lines().filter(|line| line.contains(&event)).collect()
    };
    let stats: Vec<(i64, i64, i64)> = (of("dma_heap_stat").into_iter())
        .filter_map(|line| {
            let number = |key| number(line, key);
            Some((number("inode")?, number("len")?, number("total_allocated")?))
        })
        .collect();
    let (Some(first), Some(last)) = (stats.first(), stats.last()) else {
        return fail(format!("no buffer was told of:\n{said}"));
    };
    // What was there before is there afterwards, and each that came has gone.
    let sum: i64 = stats.iter().map(|(_, len, _)| len).sum();
    expect_eq("bytes that came and did not go", sum, 0)?;
    expect_eq("bytes in the end", last.2, first.2 - first.1)?;
    let requests = of("dmaheap_alloc");
    let (served, refused): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|line| number(line, "error") == Some(0));
    for line in &served {
        let came = |stat: &&(i64, i64, i64)| Some(stat.0) == number(line, "inode") && stat.1 > 0;
        if !stats.iter().any(|stat| came(&stat)) || number(line, "ns") <= Some(0) {
            return fail(format!("{line}: no buffer came of it, or in no time:\n{said}"));
        }
    }
    let none = refused.iter().find(|line| number(line, "error") != Some(-12));
    expect_eq("a refusal for another reason", none, None)?;
    if served.is_empty() || refused.is_empty() || of("dmaheap_clear").is_empty() {
        return fail(format!("requests, refusals or clearing are missing:\n{said}"));
    }
    Ok(())
}
