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
