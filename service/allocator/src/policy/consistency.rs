// SPDX-License-Identifier: Apache-2.0
//! Whether a policy says what its author can have meant.

mod limits;

use std::collections::BTreeSet;

use dmaheap_buffer::{Constraints, Usage};

use super::heaps::Spec;
use super::model::Policy;
use super::rule::{Rule, When};
use super::source::{self, Source};
use crate::finding::Findings;

/// Notes everything that contradicts itself or cannot be of any effect.
pub(super) fn check(policy: &Policy, source: Source<'_>, findings: &mut Findings) {
    let mut checker = Checker { policy, source, findings };
    checker.heaps();
    checker.limits();
    checker.metadata_heap();
    for (i, rule) in policy.rules.iter().enumerate() {
        checker.contiguity(i, rule);
        checker.fallbacks(i, rule);
        checker.reachability(i, rule);
        checker.cache(i, rule);
    }
    checker.resolutions();
    checker.catch_all();
    checker.alignment();
}

struct Checker<'a> {
    policy: &'a Policy,
    source: Source<'a>,
    findings: &'a mut Findings,
}

impl<'a> Checker<'a> {
    fn heap(&self, rule: &Rule) -> &'a Spec {
        self.policy.heaps.of(rule.heap)
    }

    /// Whether everything that matches `second` also matches `first`.
    fn covers_rule(&self, first: &Rule, second: &Rule) -> bool {
        let format_covered = first.formats.is_empty()
            || (!second.formats.is_empty()
                && second.formats.iter().all(|format| first.formats.contains(format)));
        self.heap(first).protected == self.heap(second).protected
            && covers(&first.when, &second.when)
            && covers_callers(first, second)
            && format_covered
            && first.size.contains(second.size.start())
            && first.size.contains(second.size.end())
    }

    fn heaps(&mut self) {
        let policy = self.policy;
        let mut used = BTreeSet::from([policy.metadata_heap]);
        for rule in &policy.rules {
            used.insert(rule.heap);
            used.extend(rule.fallbacks().map(|(_, heap)| heap));
        }
        for (id, spec) in policy.heaps.iter() {
            let line = |key| self.source.line(&source::heap(&spec.name), 0, key);
            if spec.nodes.is_empty()
                || spec.nodes.iter().any(|node| node.is_empty() || node.contains('/'))
            {
                self.findings.error(
                    line("nodes"),
                    format!("heap {} needs the names of device nodes", spec.name),
                    "list the names it may have under /dev/dma_heap, best first, without any folder",
                );
            }
            for (key, said) in [("below", spec.below), ("align", spec.align)] {
                if said.is_some() && !spec.contiguous {
                    self.findings.error(
                        line(key),
                        format!(
                            "heap {} is not contiguous: nobody knows where its memory lies",
                            spec.name
                        ),
                        "contiguous = true, if each of its buffers is one segment; or remove it",
                    );
                }
            }
            if spec.align.is_some_and(|align| !align.0.is_power_of_two()) {
                self.findings.error(
                    line("align"),
                    format!("heap {} cannot have buffers at multiples of that", spec.name),
                    "a power of two, as in \"32 KiB\"",
                );
            }
            if !used.contains(&id) {
                self.findings.warning(
                    line(""),
                    format!("nobody uses heap {}", spec.name),
                    "name it in a rule, or remove it",
                );
            }
        }
    }

    fn metadata_heap(&mut self) {
        let spec = self.policy.heaps.of(self.policy.metadata_heap);
        if spec.protected {
            self.findings.error(
                self.source.line("", 0, "metadata_heap"),
                format!("metadata cannot be written to heap {}, which is protected", spec.name),
                "name a heap that the CPU can reach; the system heap is usual",
            );
        }
    }

    fn contiguity(&mut self, i: usize, rule: &Rule) {
        let heap = self.heap(rule);
        if rule.contiguous && !heap.contiguous {
            self.findings.error(
                self.source.line(source::RULES, i, "contiguous"),
                format!(
                    "rule {:?} needs contiguous memory, and heap {} is not contiguous",
                    rule.name, heap.name
                ),
                "name a heap with contiguous = true",
            );
        }
    }

    fn fallbacks(&mut self, i: usize, rule: &Rule) {
        for (key, heap) in rule.fallbacks() {
            let (own, other) = (self.heap(rule), self.policy.heaps.of(heap));
            let complaint = if rule.contiguous && !other.contiguous {
                "needs contiguous memory and degrades to scattered memory"
            } else if own.protected != other.protected {
                "degrades between protected and unprotected memory"
            } else if rule.heap == heap {
                "degrades to its own heap"
            } else {
                continue;
            };
            self.findings.error(
                self.source.line(source::RULES, i, key),
                format!("rule {:?} {complaint}: heap {}", rule.name, other.name),
                "write \"refuse\", or name a heap that is as good for every device of the rule",
            );
        }
    }

    fn reachability(&mut self, i: usize, rule: &Rule) {
        let line = |key| self.source.line(source::RULES, i, key);
        let earlier = || self.policy.rules.iter().take(i);
        if rule.when.is_impossible() || rule.size.is_empty() {
            self.findings.error(
                line("name"),
                format!("rule {:?} can never match", rule.name),
                "compare its `none` with its `all` and `any`, and its two sizes",
            );
        } else if let Some(first) = earlier().find(|first| self.covers_rule(first, rule)) {
            self.findings.error(
                line("name"),
                format!(
                    "rule {:?} can never match: {:?} comes first and takes all of it",
                    rule.name, first.name
                ),
                "move the more special rule up, or remove one",
            );
        }
        if earlier().any(|first| first.name == rule.name) {
            self.findings.error(
                line("name"),
                format!("there are two rules {:?}", rule.name),
                "name them apart: the dump and the buffers' metadata tell rules by name",
            );
        }
    }

    fn cache(&mut self, i: usize, rule: &Rule) {
        let spec = self.heap(rule);
        let often = [Usage::CPU_READ_OFTEN, Usage::CPU_WRITE_OFTEN];
        let for_cpu = rule.when.any.iter().chain(&rule.when.all).any(|usage| often.contains(usage));
        if for_cpu && !spec.cached {
            self.findings.warning(
                self.source.line(source::RULES, i, "heap"),
                format!(
                    "rule {:?} is for much CPU access, and heap {} is not cached",
                    rule.name, spec.name
                ),
                "name a cached heap",
            );
        }
    }

    fn resolutions(&mut self) {
        let all = &self.policy.resolutions;
        for (i, resolution) in all.iter().enumerate() {
            if all.iter().take(i).any(|first| covers(&first.when, &resolution.when)) {
                self.findings.error(
                    self.source.line(source::RESOLUTIONS, i, "format"),
                    "this meaning of IMPLEMENTATION_DEFINED is never used: an earlier one takes all of it",
                    "move the more special one up, or remove one",
                );
            }
        }
        if !all.iter().any(|resolution| covers(&resolution.when, &When::default())) {
            self.findings.warning(
                self.source.line(source::RESOLUTIONS, all.len().saturating_sub(1), ""),
                "IMPLEMENTATION_DEFINED has no meaning for some usages, which are then refused",
                "end with one that has a format and no condition",
            );
        }
    }

    fn catch_all(&mut self) {
        let rules = &self.policy.rules;
        if !rules.iter().any(|rule| is_unconditional(rule) && !self.heap(rule).protected) {
            self.findings.warning(
                self.source.line(source::RULES, rules.len().saturating_sub(1), "name"),
                "no rule takes what the others leave, which is then refused as UNSUPPORTED",
                "end with a rule that has a name and a heap and no condition",
            );
        }
    }

    fn alignment(&mut self) {
        let all = self.policy.alignment.iter();
        let combined = all
            .map(|alignment| alignment.constraints)
            .try_fold(Constraints::default(), Constraints::combine);
        if combined.is_err() {
            self.findings.error(
                self.source.line("[alignment", 0, ""),
                "a buffer for all consumers could not be aligned for all of them",
                "use powers of two",
            );
        }
    }
}

/// Whether whoever the second rule is for can use the first one.
fn covers_callers(first: &Rule, second: &Rule) -> bool {
    let of = |rule: &Rule| rule.callers.as_ref().map(|callers| callers.classes);
    match (of(first), of(second)) {
        (None, _) => true,
        (Some(first), Some(second)) => first.contains(second),
        (Some(_), None) => false,
    }
}

fn is_unconditional(rule: &Rule) -> bool {
    covers(&rule.when, &When::default())
        && rule.callers.is_none()
        && rule.formats.is_empty()
        && rule.size.start().0 == 0
        && rule.size.end().0 == u64::MAX
}

/// Whether every usage that meets `second` also meets `first`. May say no
/// where it is true but takes several terms together to see.
fn covers(first: &When, second: &When) -> bool {
    let sure = |wanted: &Usage| second.all.iter().any(|has| has.contains(*wanted));
    let one_of_first = |has: &Usage| first.any.iter().any(|wanted| has.contains(*wanted));
    let excluded = |unwanted: &Usage| second.none.iter().any(|lacks| unwanted.contains(*lacks));
    first.all.iter().all(sure)
        && first.none.iter().all(excluded)
        && (first.any.is_empty()
            || first.any.iter().any(sure)
            || (!second.any.is_empty() && second.any.iter().all(one_of_first)))
}

impl When {
    /// Whether no usage can meet it.
    fn is_impossible(&self) -> bool {
        let excluded = |usage: &Usage| self.none.iter().any(|unwanted| usage.contains(*unwanted));
        self.all.iter().any(excluded) || (!self.any.is_empty() && self.any.iter().all(excluded))
    }
}
