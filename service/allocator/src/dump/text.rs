// SPDX-License-Identifier: Apache-2.0
//! The report for people.

use std::fmt;

use super::{
    CallerReport, ClassReport, CmaReport, ForgottenReport, HeapReport, KeepReport, RegionReport,
    Report, ShelfReport,
};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "IAllocator is answered as version {}.", self.interface)?;
        writeln!(
            f,
            "Accounts are kept since {:.3} s after boot; what was allocated before is in none.",
            self.since
        )?;
        if let Some(why) = &self.unknown {
            writeln!(f, "WHICH BUFFERS LIVE IS NOT KNOWN, so all count that ever did: {why}")?;
        }
        if let Some(why) = &self.blind {
            writeln!(f, "WHAT MEMORY CAN BE SPARED IS NOT KNOWN, so `blind` limits it: {why}")?;
        }
        if !self.at_rest {
            writeln!(f, "Buffers for later requests are being made ready.")?;
        }
        writeln!(f, "HEAPS")?;
        self.heaps.iter().try_for_each(|heap| heap.fmt(f))?;
        writeln!(f, "RULES")?;
        for rule in &self.rules {
            let only = rule
                .callers
                .as_ref()
                .map_or(String::new(), |callers| format!(", for {} only", callers.join(", ")));
            let (name, heap, hits) = (&rule.name, &rule.heap, rule.hits);
            writeln!(f, "  {name:24} -> {heap:16} {hits:8} requests{only}")?;
        }
        writeln!(f, "CALLERS")?;
        self.callers.iter().try_for_each(|caller| caller.fmt(f))?;
        match &self.forgotten {
            Some(ForgottenReport { callers, buffers, bytes, failures }) => writeln!(
                f,
                "  and {callers} that hold nothing; ever {buffers} buffers, {bytes} bytes; {failures} failures"
            ),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HeapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (self.contiguous, "contiguous", "scattered"),
            (self.cached, "cached", "uncached"),
            (self.protected, "protected", "unprotected"),
        ]
        .map(|(is, yes, no)| if is { yes } else { no });
        writeln!(f, "  {} ({})", self.name, flags.join(", "))?;
        match (&self.node, &self.missing) {
            (Some(node), _) => writeln!(f, "    node     {node}")?,
            (_, missing) => writeln!(f, "    MISSING  {}", missing.as_deref().unwrap_or_default())?,
        }
        let limit = self.per_uid_bytes.map_or(String::new(), |n| format!(", limit per uid {n}"));
        writeln!(
            f,
            "    live     {} buffers and metadata of {}, {} bytes, at most {} bytes at a time{limit}",
            self.live_buffers, self.live_metadata, self.live_bytes, self.peak_bytes
        )?;
        for ClassReport { class, bytes, limit_bytes } in &self.classes {
            let limit = limit_bytes.map_or(String::new(), |limit| format!(", limit {limit}"));
            writeln!(f, "    class    {class}: {bytes} bytes{limit}")?;
        }
        if let Some(KeepReport { bytes, callers, others_bytes, others_limit_bytes }) = &self.keep {
            let callers = callers.join(", ");
            writeln!(
                f,
                "    keep     {bytes} bytes for {callers}; others {others_bytes} bytes, limit {others_limit_bytes}"
            )?;
        }
        writeln!(f, "    served   {}, failed {}", self.served, self.failed)?;
        if let Some(failure) = &self.last_failure {
            let holders = self.last_holders.as_ref().map(|holders| format!("; {holders}"));
            writeln!(f, "    last     {failure}{}", holders.unwrap_or_default())?;
        }
        for shelf in &self.reserve {
            let ShelfReport { size, wanted, ready, hits } = shelf;
            writeln!(f, "    reserve  {ready} of {wanted} x {size} bytes, {hits} hits")?;
        }
        if let Some(RegionReport { size, held, used, largest_free, buffers }) = &self.kernel_region
        {
            let kind = if *held > 0 { "held" } else { "lent" };
            writeln!(
                f,
                "    kernel   {kind} region of {size} bytes: {buffers} buffers, {used} bytes, room for one of {largest_free}"
            )?;
        }
        if let Some(CmaReport { name, pages_allocated, pages_failed }) = &self.kernel_cma {
            writeln!(
                f,
                "    kernel   CMA area {name}: {pages_allocated} pages allocated, {pages_failed} failed"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for CallerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  uid {:5} {:40} live {} buffers and metadata of {}, {} bytes; ever {} buffers, {} bytes; {} failures",
            self.uid,
            self.context.as_deref().unwrap_or("-"),
            self.live_buffers,
            self.live_metadata,
            self.live_bytes,
            self.buffers,
            self.bytes,
            self.failures
        )?;
        if !self.classes.is_empty() {
            writeln!(f, "            of {}", self.classes.join(", "))?;
        }
        match &self.last_failure {
            Some(failure) => writeln!(f, "            last {failure}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::RuleReport;

    fn heap() -> HeapReport {
        HeapReport {
            name: "camera".to_owned(),
            contiguous: true,
            cached: false,
            protected: false,
            node: None,
            missing: Some("camera@54000000: ENOENT".to_owned()),
            live_buffers: 1,
            live_metadata: 2,
            live_bytes: 3,
            peak_bytes: 4,
            per_uid_bytes: Some(5),
            classes: vec![ClassReport { class: "apps".to_owned(), bytes: 6, limit_bytes: Some(7) }],
            keep: Some(KeepReport {
                bytes: 8,
                callers: vec!["cameraserver".to_owned()],
                others_bytes: 9,
                others_limit_bytes: 10,
            }),
            served: 11,
            failed: 12,
            last_failure: Some("it is full".to_owned()),
            last_holders: Some("uid 1047 holds all".to_owned()),
            reserve: vec![ShelfReport { size: 13, wanted: 14, ready: 15, hits: 16 }],
            kernel_cma: Some(CmaReport {
                name: "camera".to_owned(),
                pages_allocated: 17,
                pages_failed: 18,
            }),
            kernel_region: Some(RegionReport {
                size: 19,
                held: 19,
                used: 20,
                largest_free: 21,
                buffers: 22,
            }),
        }
    }

    /// A person sees each trouble that there can be.
    #[test]
    fn troubles_are_said_in_words() {
        let rule = RuleReport {
            name: "camera".to_owned(),
            heap: "camera".to_owned(),
            callers: Some(vec!["cameraserver".to_owned()]),
            hits: 1,
        };
        let caller = CallerReport {
            uid: 10_001,
            context: None,
            classes: vec!["apps".to_owned()],
            live_buffers: 1,
            live_metadata: 1,
            live_bytes: 1,
            buffers: 1,
            bytes: 1,
            failures: 1,
            last_failure: Some("too much".to_owned()),
        };
        let report = Report {
            interface: 3,
            since: 1.0,
            unknown: Some("no /proc".to_owned()),
            blind: Some("no meminfo".to_owned()),
            at_rest: false,
            heaps: vec![heap()],
            rules: vec![rule],
            callers: vec![caller],
            forgotten: Some(ForgottenReport { callers: 23, buffers: 24, bytes: 25, failures: 26 }),
        };
        let said = report.to_string();
        for part in [
            "WHICH BUFFERS LIVE IS NOT KNOWN, so all count that ever did: no /proc",
            "so `blind` limits it: no meminfo",
            "are being made ready",
            "MISSING  camera@54000000: ENOENT",
            "limit per uid 5",
            "class    apps: 6 bytes, limit 7",
            "keep     8 bytes for cameraserver; others 9 bytes, limit 10",
            "last     it is full; uid 1047 holds all",
            "reserve  15 of 14 x 13 bytes, 16 hits",
            "held region of 19 bytes: 22 buffers, 20 bytes, room for one of 21",
            "CMA area camera: 17 pages allocated, 18 failed",
            "for cameraserver only",
            "of apps",
            "last too much",
            "and 23 that hold nothing; ever 24 buffers, 25 bytes; 26 failures",
        ] {
            assert!(said.contains(part), "{part:?} is missing in:\n{said}");
        }
    }
}
