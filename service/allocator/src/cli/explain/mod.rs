// SPDX-License-Identifier: Apache-2.0
//! `allocator explain`: what would become of a request, and why.

mod asked;
#[cfg(feature = "host")]
mod budget;
mod text;

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use dmaheap_buffer::{Format, Layout};
use dmaheap_dmabuf::node::{FOLDER, selinux_type};
use serde::Serialize;

use super::{Arguments, Done, Outcome, dump, load_policy, print_json};
use crate::dump::buffers::BufferReport;
use crate::headroom::Headroom;
use crate::heap::Heap;
use crate::policy::{HeapId, Limit, Machine, Rule, Who};
use crate::refill::Refill;
use crate::{Policy, Request};
use asked::{Asker, descriptor};

/// The answer. Sizes are in bytes.
#[derive(Debug, Serialize)]
struct Explanation {
    /// The buffer that it is about, if it is about one that lives.
    buffer: Option<BufferReport>,
    usage: String,
    format: String,
    width: u32,
    height: u32,
    layers: u32,
    /// Who asks, if that was said.
    caller: Option<CallerReport>,
    /// Why there is no buffer like that, if there is none.
    refused: Option<String>,
    layout: Option<LayoutReport>,
    rules: Vec<Verdict>,
    heaps: Vec<Candidate>,
}

#[derive(Debug, Serialize)]
struct LayoutReport {
    format: &'static str,
    fourcc: Option<String>,
    stride: u32,
    stride_unit: &'static str,
    size: u64,
    planes: Vec<PlaneReport>,
}

#[derive(Debug, Serialize)]
struct PlaneReport {
    offset: u64,
    stride: u64,
    rows: u32,
}

/// Who asks.
#[derive(Debug, Serialize)]
struct CallerReport {
    uid: Option<u32>,
    domain: Option<String>,
    classes: Vec<String>,
}

/// What became of one rule.
#[derive(Debug, Serialize)]
struct Verdict {
    rule: String,
    heap: String,
    matches: bool,
    why: String,
}

/// A heap that may give the memory.
#[derive(Debug, Serialize)]
struct Candidate {
    heap: String,
    /// When its turn comes.
    role: String,
    contiguous: bool,
    /// The physical addresses that its consumers reach end here, in bytes.
    below: Option<u64>,
    /// Buffers begin at multiples of so many bytes of physical address.
    align: Option<u64>,
    nodes: Vec<String>,
    /// What it says on this machine; `None` where there are no heaps at all.
    here: Option<String>,
    works_here: bool,
    limits: Vec<LimitReport>,
}

/// How much of a heap there may be in whose hands, for this caller to get more.
#[derive(Debug, Serialize)]
struct LimitReport {
    whose: String,
    limit: u64,
}

pub(super) fn run(mut arguments: Arguments) -> Done {
    let json = arguments.flag("--json");
    let policy = load_policy(&mut arguments)?;
    if let Some(pid) = arguments.option("--pid")? {
        let fd = arguments.required("--fd")?;
        arguments.finish()?;
        return explain_live(policy.on(Machine::this()), &pid, &fd, json);
    }
    let asker = Asker::parse(&mut arguments)?;
    #[cfg(feature = "host")]
    if let Some(file) = arguments.option("--budget")? {
        arguments.finish()?;
        return budget::run(&file, &policy, &asker);
    }
    let descriptor = descriptor(
        &policy,
        &arguments.required("--usage")?,
        &arguments.required("--format")?,
        &arguments.required("--size")?,
        arguments.option("--layers")?.as_deref().unwrap_or("1"),
    )?;
    arguments.finish()?;
    let request = Request::new(&descriptor, policy.vendor_bits())?;
    let on_device = Path::new(FOLDER).is_dir();
    // Shares of memory are this machine's only where it is the one in question.
    let policy = if on_device { policy.on(Machine::this()) } else { policy };
    let explanation = explain(&policy, &request, &asker, on_device);
    explanation.print(json)?;
    Ok(if explanation.is_good(on_device) { Outcome::Good } else { Outcome::Bad })
}

/// A buffer behind a process's descriptor, and what the policy says about such a
/// request today.
fn explain_live(policy: Policy, pid: &str, fd: &str, json: bool) -> Done {
    let path = format!("/proc/{pid}/fd/{fd}");
    let inode = fs::metadata(&path).map_err(|error| format!("{path}: {error}"))?.ino();
    let may_be_one = fs::read_link(&path).is_ok_and(|name| is_dma_buf(&name));
    let found = dump::live()?.into_iter().find(|buffer| may_be_one && buffer.inode == inode);
    let buffer = found.ok_or_else(|| {
        format!("{path} is no buffer that the running service has given, and that you may see")
    })?;
    Explanation::of(&policy, buffer)?.print(json)?;
    Ok(Outcome::Good)
}

/// By what a link of `/proc/PID/fd` says. Files of other file systems have the same inodes.
fn is_dma_buf(link: &Path) -> bool {
    link.to_string_lossy().starts_with("/dmabuf:")
}

fn explain(policy: &Policy, request: &Request, asker: &Asker, on_device: bool) -> Explanation {
    let caller = asker.caller();
    let who = asker.who(policy, &caller);
    let mut explanation = Explanation {
        buffer: None,
        usage: request.usage.to_string(),
        format: Format::new(request.format)
            .map_or("IMPLEMENTATION_DEFINED".to_owned(), |format| format.to_string()),
        width: request.extent.width().0,
        height: request.extent.height().0,
        layers: request.extent.layers(),
        caller: asker.report(policy, who),
        refused: None,
        layout: None,
        rules: Vec::new(),
        heaps: Vec::new(),
    };
    if let Ok(layout) = policy.layout(request) {
        explanation.rules = verdicts(policy, who, request, &layout);
        explanation.layout = Some(LayoutReport::new(&layout));
    }
    match policy.plan(request, who) {
        Err(error) => explanation.refused = Some(error.to_string()),
        Ok(plan) => {
            let rule = plan.rule;
            let mut add = |role: String, id: HeapId| {
                let heap = Heap::new(policy.heaps.of(id), &Arc::<Refill>::default());
                let limits = LimitReport::all(policy, id, who);
                let candidate = Candidate::new(role, &heap, &plan.layout, on_device);
                explanation.heaps.push(Candidate { limits, ..candidate });
            };
            add("first choice".to_owned(), rule.heap);
            rule.fallbacks().for_each(|(when, heap)| add(format!("if that is {when}"), heap));
        }
    }
    explanation
}

/// Rules up to the first that matches, and that the others are not reached.
fn verdicts(policy: &Policy, who: Who<'_>, request: &Request, layout: &Layout) -> Vec<Verdict> {
    let mut decided = false;
    let verdict = |rule: &Rule| {
        let mismatch = policy.mismatch(rule, who, request.usage, layout);
        let matches = !decided && mismatch.is_none();
        let why = match &mismatch {
            _ if decided => "not reached".to_owned(),
            Some(mismatch) => mismatch.to_string(),
            None => "matches".to_owned(),
        };
        decided |= matches;
        Verdict {
            rule: rule.name.clone(),
            heap: policy.heaps.of(rule.heap).name.clone(),
            matches,
            why,
        }
    };
    policy.rules.iter().map(verdict).collect()
}

impl LayoutReport {
    fn new(layout: &Layout) -> LayoutReport {
        let fourcc = layout.format().fourcc().map(u32::to_le_bytes);
        LayoutReport {
            format: layout.format().name(),
            fourcc: fourcc.map(|code| String::from_utf8_lossy(&code).trim_end().to_owned()),
            stride: layout.stride().0,
            stride_unit: if layout.format().has_stride_in_bytes() { "bytes" } else { "pixels" },
            size: layout.size().0,
            planes: (layout.planes().iter())
                .map(|plane| PlaneReport {
                    offset: plane.offset.0,
                    stride: plane.stride.0,
                    rows: plane.rows,
                })
                .collect(),
        }
    }
}

impl Candidate {
    /// On a device, what becomes of an attempt to allocate.
    fn new(role: String, heap: &Heap, layout: &Layout, on_device: bool) -> Candidate {
        let spec = heap.spec();
        let attempt =
            on_device.then(|| heap.make_spared(layout.size(), &Headroom::of_this_machine()));
        let works_here = attempt.as_ref().is_some_and(Result::is_ok);
        let here = attempt.map(|attempt| match attempt {
            Ok(memory) => format!("{} gives it", memory.device.name()),
            Err(error) => error.to_string(),
        });
        Candidate {
            heap: spec.name.clone(),
            role,
            contiguous: spec.contiguous,
            below: spec.below.map(|below| below.0),
            align: spec.align.map(|align| align.0),
            nodes: spec.nodes.clone(),
            here,
            works_here,
            limits: Vec::new(),
        }
    }
}

impl LimitReport {
    fn all(policy: &Policy, heap: HeapId, who: Who<'_>) -> Vec<LimitReport> {
        let report =
            |Limit { scope, most }| LimitReport { whose: policy.whose(heap, scope), limit: most.0 };
        policy.limits(heap, who.classes).map(report).collect()
    }
}

impl Explanation {
    /// Why a buffer that lives is where it is.
    fn of(
        policy: &Policy,
        buffer: BufferReport,
    ) -> Result<Explanation, Box<dyn std::error::Error>> {
        let size = format!("{}x{}", buffer.width, buffer.height);
        let layers = buffer.layers.to_string();
        let info = descriptor(policy, &buffer.usage, &buffer.format, &size, &layers)?;
        let request = Request::new(&info, policy.vendor_bits())?;
        let domain = buffer.context.as_deref().and_then(selinux_type);
        let asker = Asker { uid: Some(buffer.uid), domain: domain.map(str::to_owned) };
        let mut explanation = explain(policy, &request, &asker, false);
        for heap in &mut explanation.heaps {
            let is_there = heap.heap == buffer.heap && !buffer.metadata;
            heap.here = Some(if is_there { "the buffer is here" } else { "not here" }.to_owned());
        }
        Ok(Explanation { buffer: Some(buffer), ..explanation })
    }

    fn print(&self, json: bool) -> std::io::Result<()> {
        match json {
            true => print_json(self),
            false => write!(std::io::stdout(), "{self}"),
        }
    }

    fn is_good(&self, on_device: bool) -> bool {
        match on_device {
            true => self.heaps.iter().any(|heap| heap.works_here),
            false => self.refused.is_none(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const VIRT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/virt/heaps.toml");

    #[test]
    fn live_buffer_is_explained_by_its_request_and_caller() {
        let (policy, _) = Policy::load(Path::new(VIRT)).unwrap();
        let json = r#"{"inode":7,"metadata":false,"name":"Preview","uid":10123,
            "context":"u:r:untrusted_app:s0","pid":345,"process":null,"at":1.0,"rule":"camera",
            "heap":"camera","size":8192,"address":null,"format":"YCBCR_420_888","width":64,
            "height":32,"layers":1,"usage":"CPU_READ_OFTEN|CAMERA_OUTPUT"}"#;
        let mut buffer: BufferReport = serde_json::from_str(json).unwrap();
        let said = Explanation::of(&policy, buffer).unwrap().to_string();
        for part in [
            "buffer   7 pixels of 8192 bytes of heap camera",
            "request  64 x 32 x 1, YCBCR_420_888, for CPU_READ_OFTEN|CAMERA_OUTPUT",
            "caller   uid 10123, domain untrusted_app: apps",
            "=> camera -> heap camera: matches",
            "the buffer is here",
        ] {
            assert!(said.contains(part), "{part:?} is missing in:\n{said}");
        }
        // Bits that have no name, and those that nobody set.
        buffer =
            serde_json::from_str(&json.replace("CPU_READ_OFTEN|CAMERA_OUTPUT", "NONE")).unwrap();
        assert!(Explanation::of(&policy, buffer).unwrap().to_string().contains("for NONE"));
    }

    #[test]
    fn what_is_no_buffer_of_the_services_is_named() {
        assert!(is_dma_buf(Path::new("/dmabuf:0 report 64x64")));
        assert!(is_dma_buf(Path::new("/dmabuf:")) && !is_dma_buf(Path::new("/dev/null")));
        let explain = |pid: &str| {
            let (policy, _) = Policy::load(Path::new(VIRT)).unwrap();
            explain_live(policy, pid, "0", false).err().unwrap().to_string()
        };
        assert!(explain("0").contains("/proc/0/fd/0"));
    }
}
