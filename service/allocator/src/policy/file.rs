// SPDX-License-Identifier: Apache-2.0
//! The policy file as it is written: names not yet looked up, nothing judged
//! but the syntax. The file of the virtual board explains every key.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::source::Source;
use crate::finding::Findings;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub metadata_heap: String,
    pub interface: Option<u32>,
    #[serde(default)]
    pub vendor_usage: BTreeMap<String, u32>,
    pub limits: Limits,
    #[serde(default)]
    pub classes: BTreeMap<String, Class>,
    pub heaps: BTreeMap<String, Heap>,
    pub rules: Vec<Rule>,
    #[serde(default)]
    pub implementation_defined: Vec<Resolution>,
    #[serde(default)]
    pub alignment: Consumers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub buffer: String,
    pub reserved: String,
    pub blind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    #[serde(default)]
    pub uids: Vec<String>,
    #[serde(default)]
    pub domains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Heap {
    pub nodes: Vec<String>,
    #[serde(default)]
    pub contiguous: bool,
    #[serde(default = "yes")]
    pub cached: bool,
    #[serde(default)]
    pub protected: bool,
    pub size: Option<String>,
    pub below: Option<String>,
    pub align: Option<String>,
    pub per_uid: Option<String>,
    #[serde(default)]
    pub per_class: BTreeMap<String, String>,
    pub keep: Option<Keep>,
    #[serde(default)]
    pub reserve: Vec<String>,
    #[serde(default)]
    pub domains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keep {
    pub size: String,
    pub callers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub name: String,
    #[serde(default)]
    pub any: Vec<String>,
    #[serde(default)]
    pub all: Vec<String>,
    #[serde(default)]
    pub none: Vec<String>,
    #[serde(default)]
    pub formats: Vec<String>,
    pub min_size: Option<String>,
    pub max_size: Option<String>,
    pub callers: Option<Vec<String>>,
    pub heap: String,
    #[serde(default)]
    pub contiguous: bool,
    pub missing: Option<String>,
    pub exhausted: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolution {
    #[serde(default)]
    pub any: Vec<String>,
    #[serde(default)]
    pub all: Vec<String>,
    #[serde(default)]
    pub none: Vec<String>,
    pub format: String,
}

/// What each kind of consumer asks of layouts.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Consumers {
    pub cpu: Alignment,
    pub gpu: Alignment,
    pub display: Alignment,
    pub camera: Alignment,
    pub encoder: Alignment,
    pub decoder: Alignment,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Alignment {
    pub stride: u32,
    pub height: u32,
    pub plane: u32,
    pub size: u32,
}

fn yes() -> bool {
    true
}

/// Parses the text, or notes where it cannot be parsed.
pub(super) fn read(source: Source<'_>, findings: &mut Findings) -> Option<File> {
    let error = match basic_toml::from_str(source.0) {
        Ok(file) => return Some(file),
        Err(error) => error,
    };
    let message = error.to_string();
    // The parser repeats the position at the end of its message.
    let message = message.split(" at line ").next().unwrap_or(&message);
    // It has no position of a key that nobody asked for.
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    let line = unknown
        .and_then(|key| source.line_of_key(key))
        .or_else(|| Some(error.line_col()?.0.saturating_add(1)));
    let hint = "the policy of the virtual board, service/etc/virt/heaps.toml, explains every key";
    findings.error(line.unwrap_or(1), message, hint);
    None
}
