// SPDX-License-Identifier: Apache-2.0
//! The answer for people.

use std::fmt;

use dmaheap_buffer::Bytes;

use super::{CallerReport, Explanation, LayoutReport, LimitReport, PlaneReport};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(buffer) = &self.buffer {
            writeln!(f, "buffer   {buffer}")?;
        }
        let Explanation { usage, format, width, height, layers, .. } = self;
        writeln!(f, "request  {width} x {height} x {layers}, {format}, for {usage}")?;
        if let Some(CallerReport { uid, domain, classes }) = &self.caller {
            let uid = uid.map(|uid| format!("uid {uid}"));
            let domain = domain.as_ref().map(|domain| format!("domain {domain}"));
            let said: Vec<_> = uid.into_iter().chain(domain).collect();
            let classes = if classes.is_empty() { "no class" } else { &classes.join(", ") };
            writeln!(f, "caller   {}: {classes}", said.join(", "))?;
        }
        if let Some(layout) = &self.layout {
            layout.fmt(f)?;
        }
        for verdict in &self.rules {
            let mark = if verdict.matches { "=>" } else { "  " };
            let (rule, heap) = (&verdict.rule, &verdict.heap);
            writeln!(f, "rule  {mark} {rule} -> heap {heap}: {}", verdict.why)?;
        }
        for heap in &self.heaps {
            let kind = if heap.contiguous { "contiguous" } else { "scattered" };
            let below = heap.below.map(|below| format!("below {}", Bytes(below)));
            let align = heap.align.map(|align| format!("at multiples of {}", Bytes(align)));
            let kind = [Some(kind.to_owned()), below, align];
            let kind = kind.into_iter().flatten().collect::<Vec<_>>().join(", ");
            let here = heap.here.as_deref().unwrap_or("there are no heaps on this machine");
            writeln!(
                f,
                "heap     {} ({}, {kind}), nodes {}",
                heap.heap,
                heap.role,
                heap.nodes.join(" or ")
            )?;
            writeln!(f, "         {here}")?;
            for LimitReport { whose, limit } in &heap.limits {
                writeln!(f, "limit    {whose}: {}", Bytes(*limit))?;
            }
        }
        match &self.refused {
            Some(why) => writeln!(f, "refused  {why}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LayoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fourcc = self.fourcc.as_deref().unwrap_or("no fourcc");
        let LayoutReport { format, stride, stride_unit, size, .. } = self;
        writeln!(f, "layout   {format} ({fourcc}), stride {stride} {stride_unit}, {size} bytes")?;
        for (i, plane) in self.planes.iter().enumerate() {
            let PlaneReport { offset, stride, rows } = plane;
            writeln!(f, "plane {i}  at {offset}, {rows} rows of {stride} bytes")?;
        }
        Ok(())
    }
}
