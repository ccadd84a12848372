// SPDX-License-Identifier: Apache-2.0
//! Whether limits, and what is kept, can be of the effect that was meant.

use dmaheap_buffer::Bytes;

use super::Checker;
use crate::policy::caller::{Callers, ClassId, Classes};
use crate::policy::heaps::{HeapId, Spec};
use crate::policy::limits::{Amount, Keep};
use crate::policy::rule::Rule;
use crate::policy::source;

impl<'a> Checker<'a> {
    pub(super) fn limits(&mut self) {
        for (id, spec) in self.policy.heaps.iter() {
            self.limits_fit(spec);
            self.keep(id, spec);
            self.reserve(spec);
        }
        self.classes();
    }

    fn at(&self, spec: &Spec, key: &str) -> usize {
        self.source.line(&source::heap(&spec.name), 0, key)
    }

    fn limits_fit(&mut self, spec: &'a Spec) {
        let Some(size) = spec.size else { return };
        let name = &spec.name;
        let per_class = spec.per_class.iter().map(|(_, amount)| ("per_class", amount));
        for (key, amount) in spec.per_uid.iter().map(|amount| ("per_uid", amount)).chain(per_class)
        {
            let line = self.at(spec, key);
            match *amount {
                Amount::Percent(_) => self.findings.warning(
                    line,
                    format!("heap {name} has a size, and a limit that is a share of all memory"),
                    "write how much of the heap it is, as in \"32 MiB\"",
                ),
                Amount::Bytes(limit) if limit > size => self.findings.warning(
                    line,
                    format!("a limit of {limit} is never reached: heap {name} has {size} in all"),
                    "lower or remove it",
                ),
                Amount::Bytes(_) => {}
            }
        }
    }

    fn keep(&mut self, id: HeapId, spec: &'a Spec) {
        let (name, line) = (&spec.name, self.at(spec, "keep"));
        match (spec.size, &spec.keep) {
            (None, Some(_)) => self.findings.error(
                line,
                format!("heap {name} keeps memory, and nobody knows of how much"),
                "say the heap's `size`",
            ),
            (Some(size), Some(keep)) if keep.size > size => self.findings.error(
                line,
                format!("heap {name} keeps {}, and has {size} in all", keep.size),
                "keep less: what is left is for all others together",
            ),
            (Some(_), None) if spec.contiguous => self.findings.warning(
                self.at(spec, "contiguous"),
                format!("whoever asks first may take all of heap {name}"),
                "keep some of it for those who cannot do without, as in \
                 keep = { size = \"16 MiB\", callers = [\"system\"] }",
            ),
            _ => {}
        }
        if let Some(keep) = spec.keep.as_ref().filter(|keep| self.is_closed(id, keep)) {
            let message = format!(
                "no rule leads {} to heap {name}, which keeps {} for them",
                keep.callers.names().join(" or "),
                keep.size
            );
            self.findings.warning(line, message, "name them in a rule for it, or keep nothing");
        }
    }

    /// Whether every rule that leads to the heap is for others than those it keeps memory for.
    fn is_closed(&self, id: HeapId, keep: &Keep) -> bool {
        let leads = |rule: &&Rule| rule.heap == id || rule.fallbacks().any(|(_, heap)| heap == id);
        let mut rules = self.policy.rules.iter().filter(leads).peekable();
        let is_for = |callers: &Callers| callers.classes.intersects(keep.callers.classes);
        // What no rule leads to is told as a heap that nobody uses.
        rules.peek().is_some() && !rules.any(|rule| rule.callers.as_ref().is_none_or(is_for))
    }

    fn reserve(&mut self, spec: &'a Spec) {
        let (name, line) = (&spec.name, self.at(spec, "reserve"));
        let sizes = spec.reserve.iter().map(|part| {
            let count = u64::try_from(part.count).unwrap_or(u64::MAX);
            part.size.0.saturating_mul(count)
        });
        let ready = Bytes(sizes.fold(0, u64::saturating_add));
        let room = spec.keep.as_ref().map(|keep: &Keep| keep.size).or(spec.size);
        if let Some(room) = room.filter(|room| ready > *room) {
            self.findings.error(
                line,
                format!("heap {name} holds {ready} ready, and has room for {room} of that"),
                "hold less ready, or `keep` more",
            );
        }
        let limit = match spec.per_uid {
            Some(Amount::Bytes(limit)) => limit,
            _ => return,
        };
        if let Some(part) = spec.reserve.iter().find(|part| part.size > limit) {
            self.findings.error(
                line,
                format!("nobody may have {} of heap {name}: the limit is {limit}", part.size),
                "hold smaller buffers ready, or raise `per_uid`",
            );
        }
    }

    fn classes(&mut self) {
        let policy = self.policy;
        for (id, class) in policy.classes.iter().filter(|(_, c)| !Classes::is_built_in(&c.name)) {
            let (message, hint) = if class.uids.is_empty() && class.domains.is_empty() {
                ("nobody is in", "give it `uids` or `domains`")
            } else if !self.is_named(id) {
                ("no rule, limit or `keep` names", "name it somewhere, or remove it")
            } else {
                continue;
            };
            let line = self.source.line(&source::class(&class.name), 0, "");
            self.findings.warning(line, format!("{message} class {}", class.name), hint);
        }
    }

    fn is_named(&self, class: ClassId) -> bool {
        let in_heaps = self.policy.heaps.iter().any(|(_, spec)| {
            spec.per_class.iter().any(|(limited, _)| *limited == class)
                || spec.keep.as_ref().is_some_and(|keep| keep.callers.classes.has(class))
        });
        let in_rules = self.policy.rules.iter().filter_map(|rule| rule.callers.as_ref());
        in_heaps || in_rules.into_iter().any(|callers| callers.classes.has(class))
    }
}
