// SPDX-License-Identifier: Apache-2.0
//! From the file as written to the policy it stands for: every name of a
//! heap, usage or format is looked up.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use dmaheap_buffer::{Bytes, Constraints, Format, Pixels, Usage};

use super::caller::{self, Callers, Class, ClassId, Classes};
use super::file::{self, File};
use super::heaps::{HeapId, PerHeap, Reserve, Spec};
use super::limits::{Amount, Keep, Machine};
use super::model::{Alignment, Interface, Limits, Policy, Resolution};
use super::rule::{Fallback, Rule, RuleId, When};
use super::source::{self, Source};
use crate::finding::Findings;

/// Builds the policy. `None` if a name could not be resolved; other errors
/// are only in the findings.
pub(super) fn build(file: &File, source: Source<'_>, findings: &mut Findings) -> Option<Policy> {
    let classes = Classes::new([]);
    let mut builder = Builder { source, findings, file, vendor: BTreeMap::new(), classes };
    builder.vendor_usage();
    builder.classes();
    let heaps: Vec<Spec> = file.heaps.iter().map(|(name, heap)| builder.spec(name, heap)).collect();
    let rules: Vec<_> =
        file.rules.iter().enumerate().map(|(i, rule)| builder.rule(i, rule)).collect();
    let resolutions: Vec<_> = file
        .implementation_defined
        .iter()
        .enumerate()
        .map(|(i, resolution)| builder.resolution(i, resolution))
        .collect();
    let limits = builder.limits(&file.limits);
    let interface = builder.interface();
    let metadata_heap =
        builder.heap(&file.metadata_heap, builder.source.line("", 0, "metadata_heap"));
    Some(Policy {
        rules: rules.into_iter().collect::<Option<_>>()?,
        resolutions: resolutions.into_iter().collect::<Option<_>>()?,
        metadata_heap: metadata_heap?,
        interface: interface?,
        classes: builder.classes,
        machine: Machine::ANY,
        vendor_usage: builder.vendor,
        heaps: PerHeap::new(heaps)?,
        alignment: alignments(&file.alignment),
        limits: limits?,
    })
}

struct Builder<'a> {
    source: Source<'a>,
    findings: &'a mut Findings,
    file: &'a File,
    vendor: BTreeMap<String, Usage>,
    classes: Classes,
}

impl Builder<'_> {
    fn vendor_usage(&mut self) {
        for (name, bit) in &self.file.vendor_usage {
            match Usage::vendor(*bit) {
                Ok(usage) => {
                    self.vendor.insert(name.clone(), usage);
                }
                Err(_) => self.findings.error(
                    self.source.line("[vendor_usage]", 0, name),
                    format!("usage bit {bit} is not the vendor's to define"),
                    "vendor bits are 28 to 31 and 48 to 63",
                ),
            }
        }
    }

    fn interface(&mut self) -> Option<Interface> {
        match self.file.interface {
            None | Some(3) => return Some(Interface::V3),
            Some(2) => return Some(Interface::V2),
            Some(other) => self.findings.error(
                self.source.line("", 0, "interface"),
                format!("there is no version {other} of the allocator here"),
                "it is 2 or 3, as in the VINTF manifest",
            ),
        }
        None
    }

    fn spec(&mut self, name: &str, heap: &file::Heap) -> Spec {
        let header = source::heap(name);
        let at = |builder: &Self, key| builder.source.line(&header, 0, key);
        let size = heap.size.as_ref().map(|text| self.size(text, at(self, "size")));
        let below = heap.below.as_ref().map(|text| self.size(text, at(self, "below")));
        let align = heap.align.as_ref().map(|text| self.size(text, at(self, "align")));
        let per_uid = heap.per_uid.as_ref().map(|text| self.amount(text, at(self, "per_uid")));
        let per_class = heap.per_class.iter().filter_map(|(class, amount)| {
            let line = at(self, "per_class");
            Some((self.class(class, line)?, self.amount(amount, line)?))
        });
        let per_class = per_class.collect();
        let reserve = heap.reserve.iter();
        Spec {
            name: name.to_owned(),
            nodes: heap.nodes.clone(),
            contiguous: heap.contiguous,
            cached: heap.cached,
            protected: heap.protected,
            size: size.flatten(),
            below: below.flatten(),
            align: align.flatten(),
            per_uid: per_uid.flatten(),
            per_class,
            keep: heap.keep.as_ref().and_then(|keep| self.keep(keep, at(self, "keep"))),
            reserve: reserve.filter_map(|text| self.reserve(text, at(self, "reserve"))).collect(),
            domains: heap.domains.clone(),
        }
    }

    fn keep(&mut self, keep: &file::Keep, line: usize) -> Option<Keep> {
        let size = self.size(&keep.size, line);
        let callers = self.callers(&keep.callers, line);
        Some(Keep { size: size?, callers: callers? })
    }

    /// The file's own classes, beside those that are built in.
    fn classes(&mut self) {
        let file = self.file;
        let own: Vec<Class> =
            file.classes.iter().filter_map(|(name, class)| self.new_class(name, class)).collect();
        let (all, built_in) = (own.len(), self.classes.iter().count());
        if all.saturating_add(built_in) > caller::MOST {
            let most = caller::MOST.saturating_sub(built_in);
            let line = self.source.line("[classes.", 0, "");
            let hint = format!("there can be {most} beside those that are built in");
            self.findings.error(line, format!("{all} classes of callers are too many"), hint);
        }
        self.classes = Classes::new(own);
    }

    fn new_class(&mut self, name: &str, class: &file::Class) -> Option<Class> {
        let line = self.source.line(&source::class(name), 0, "");
        if Classes::is_built_in(name) {
            let hint = "choose another name, and use both classes where you mean both";
            self.findings.error(line, format!("class {name} is built in"), hint);
            return None;
        }
        let line = self.source.line(&source::class(name), 0, "uids");
        let mut uids = Vec::new();
        for text in &class.uids {
            let Some(range) = parse_uids(text) else {
                let hint = "write one as in \"1047\", or the first and the last as in \"2900-2999\"; \
                            of Android's first user, so below 100000";
                self.findings.error(line, format!("{text:?} are no uids"), hint);
                continue;
            };
            uids.push(range);
        }
        Some(Class { name: name.to_owned(), uids, domains: class.domains.clone() })
    }

    fn callers(&mut self, names: &[String], line: usize) -> Option<Callers> {
        if names.is_empty() {
            let hint = "name a class of callers, or remove the key";
            self.findings.error(line, "no callers are named", hint);
            return None;
        }
        let classes: Vec<_> = names.iter().map(|name| self.class(name, line)).collect();
        let classes = classes.into_iter().collect::<Option<Vec<ClassId>>>()?;
        Some(Callers { classes: classes.into_iter().collect(), names: names.to_vec() })
    }

    fn class(&mut self, name: &str, line: usize) -> Option<ClassId> {
        let class = self.classes.named(name);
        if class.is_none() {
            let known: Vec<&str> = self.classes.iter().map(|(_, class)| &*class.name).collect();
            let hint = format!("the classes of this file are {}", known.join(", "));
            self.findings.error(line, format!("there is no class of callers {name:?}"), hint);
        }
        class
    }

    /// A number of buffers and their size: "3 x 8100 KiB".
    fn reserve(&mut self, text: &str, line: usize) -> Option<Reserve> {
        let reserve = text.split_once(" x ").and_then(|(count, size)| {
            Some(Reserve { count: count.parse().ok()?, size: parse_size(size)? })
        });
        if reserve.is_none() {
            let hint = "write how many buffers of which size, as in \"3 x 8100 KiB\"";
            self.findings.error(line, format!("{text:?} is no reserve"), hint);
        }
        reserve
    }

    fn heap(&mut self, name: &str, line: usize) -> Option<HeapId> {
        let heap = self.file.heaps.keys().position(|known| known == name).map(HeapId::nth);
        if heap.is_none() {
            let known: Vec<&str> = self.file.heaps.keys().map(String::as_str).collect();
            self.findings.error(
                line,
                format!("there is no heap {name:?}"),
                format!("the heaps of this file are {}", known.join(", ")),
            );
        }
        heap
    }

    fn rule(&mut self, i: usize, rule: &file::Rule) -> Option<Rule> {
        let at = |builder: &Self, key: &str| builder.source.line(source::RULES, i, key);
        let when = self.when([&rule.any, &rule.all, &rule.none], |builder, key| at(builder, key));
        let formats: Vec<_> =
            rule.formats.iter().map(|name| self.format(name, at(self, "formats"))).collect();
        let heap = self.heap(&rule.heap, at(self, "heap"));
        let missing = self.fallback(rule.missing.as_ref(), at(self, "missing"));
        let exhausted = self.fallback(rule.exhausted.as_ref(), at(self, "exhausted"));
        let smallest = match &rule.min_size {
            Some(text) => self.size(text, at(self, "min_size")),
            None => Some(Bytes(0)),
        };
        let callers = rule.callers.as_ref().map(|names| self.callers(names, at(self, "callers")));
        let largest = match &rule.max_size {
            Some(text) => self.size(text, at(self, "max_size")),
            None => Some(Bytes(u64::MAX)),
        };
        Some(Rule {
            id: RuleId(i),
            name: rule.name.clone(),
            when: when?,
            formats: formats.into_iter().collect::<Option<_>>()?,
            size: smallest?..=largest?,
            callers: callers.map_or(Some(None), |callers| callers.map(Some))?,
            heap: heap?,
            contiguous: rule.contiguous,
            missing: missing?,
            exhausted: exhausted?,
        })
    }

    fn resolution(&mut self, i: usize, resolution: &file::Resolution) -> Option<Resolution> {
        let at = |builder: &Self, key: &str| builder.source.line(source::RESOLUTIONS, i, key);
        let names: [&[String]; 3] = [&resolution.any, &resolution.all, &resolution.none];
        let when = self.when(names, |builder, key| at(builder, key));
        let format = self.format(&resolution.format, at(self, "format"));
        Some(Resolution { when: when?, format: format? })
    }

    fn limits(&mut self, limits: &file::Limits) -> Option<Limits> {
        let at = |builder: &Self, key| builder.source.line("[limits]", 0, key);
        let buffer = self.size(&limits.buffer, at(self, "buffer"));
        let reserved = self.size(&limits.reserved, at(self, "reserved"));
        let blind = limits.blind.as_ref().map(|text| self.size(text, at(self, "blind")));
        // One buffer, whatever it is.
        let blind = blind.unwrap_or(buffer);
        Some(Limits { buffer: buffer?, reserved: reserved?, blind: blind? })
    }

    fn when(
        &mut self,
        [any, all, none]: [&[String]; 3],
        line: impl Fn(&Self, &str) -> usize,
    ) -> Option<When> {
        let any = self.usages(any, line(self, "any"));
        let all = self.usages(all, line(self, "all"));
        let none = self.usages(none, line(self, "none"));
        Some(When { any: any?, all: all?, none: none? })
    }

    fn usages(&mut self, names: &[String], line: usize) -> Option<Vec<Usage>> {
        let usages: Vec<_> = names.iter().map(|name| self.usage(name, line)).collect();
        usages.into_iter().collect()
    }

    fn usage(&mut self, name: &str, line: usize) -> Option<Usage> {
        let usage = self.vendor.get(name).copied().or_else(|| Usage::from_name(name).ok());
        if usage.is_none() {
            let mut known: Vec<&str> = Usage::names().collect();
            known.extend(self.vendor.keys().map(String::as_str));
            let hint = format!("usages are {}", known.join(", "));
            self.findings.error(line, format!("there is no usage {name:?}"), hint);
        }
        usage
    }

    fn format(&mut self, name: &str, line: usize) -> Option<Format> {
        let format = Format::from_name(name).ok();
        if format.is_none() {
            let known: Vec<&str> = Format::all().map(Format::name).collect();
            let hint = format!("formats are {}", known.join(", "));
            self.findings.error(line, format!("there is no format {name:?}"), hint);
        }
        format
    }

    /// "refuse" or "degrade to HEAP".
    fn fallback(&mut self, text: Option<&String>, line: usize) -> Option<Fallback> {
        let Some(text) = text.filter(|text| *text != "refuse") else {
            return Some(Fallback::Refuse);
        };
        let Some(heap) = text.strip_prefix("degrade to ") else {
            let hint = "write \"refuse\", or \"degrade to\" and the name of a heap";
            self.findings.error(line, format!("{text:?} is no fallback"), hint);
            return None;
        };
        self.heap(heap, line).map(Fallback::Degrade)
    }

    /// A number with a unit, or a share of memory.
    fn amount(&mut self, text: &str, line: usize) -> Option<Amount> {
        let Some(share) = text.strip_suffix(" %") else {
            return self.size(text, line).map(Amount::Bytes);
        };
        let share = share.parse().ok().filter(|share| (1..=100).contains(share));
        if share.is_none() {
            let hint = "write a whole number from 1 to 100, as in \"25 %\"";
            self.findings.error(line, format!("{text:?} is no share of memory"), hint);
        }
        share.map(Amount::Percent)
    }

    /// A number with a unit.
    fn size(&mut self, text: &str, line: usize) -> Option<Bytes> {
        let size = parse_size(text);
        if size.is_none() {
            let hint = "write a number and a unit, as in \"512 B\", \"64 KiB\" or \"128 MiB\"";
            self.findings.error(line, format!("{text:?} is no size"), hint);
        }
        size
    }
}

fn parse_uids(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let uids: RangeInclusive<u32> = first.parse().ok()?..=last.parse().ok()?;
    (!uids.is_empty() && *uids.end() < caller::UIDS_OF_A_USER).then_some(uids)
}

fn parse_size(text: &str) -> Option<Bytes> {
    let (number, unit) = text.split_once(' ')?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    Bytes(number.parse().ok()?).checked_mul(factor)
}

/// Which uses make which device a consumer of a buffer.
fn alignments(file: &file::Consumers) -> Vec<Alignment> {
    const CPU: Usage = Usage::CPU_READ_OFTEN.union(Usage::CPU_WRITE_OFTEN);
    const GPU: Usage = Usage::GPU_TEXTURE
        .union(Usage::GPU_RENDER_TARGET)
        .union(Usage::GPU_DATA_BUFFER)
        .union(Usage::RENDERSCRIPT);
    const DISPLAY: Usage = Usage::COMPOSER_OVERLAY
        .union(Usage::COMPOSER_CLIENT_TARGET)
        .union(Usage::COMPOSER_CURSOR)
        .union(Usage::FRONT_BUFFER);
    const CAMERA: Usage = Usage::CAMERA_OUTPUT.union(Usage::CAMERA_INPUT);
    const ENCODER: Usage = Usage::VIDEO_ENCODER.union(Usage::HW_IMAGE_ENCODER);
    [
        (CPU, &file.cpu),
        (GPU, &file.gpu),
        (DISPLAY, &file.display),
        (CAMERA, &file.camera),
        (ENCODER, &file.encoder),
        (Usage::VIDEO_DECODER, &file.decoder),
    ]
    .into_iter()
    .map(|(consumers, alignment)| Alignment {
        consumers,
        constraints: Constraints {
            stride: Bytes(alignment.stride.into()),
            height: Pixels(alignment.height),
            plane: Bytes(alignment.plane.into()),
            size: Bytes(alignment.size.into()),
        },
    })
    .collect()
}
