// SPDX-License-Identifier: Apache-2.0
//! `Android.bp`, as far as it is used here: modules of strings, lists of strings and booleans, with
//! their defaults laid under them.

use std::collections::BTreeMap;
use std::{fs, mem};

use board::repository;

/// A module: what kind it is, and what it says.
#[derive(Debug, Clone, Default)]
pub struct Module {
    pub kind: String,
    /// Every property, as a list; of a single value, too.
    properties: BTreeMap<String, Vec<String>>,
}

impl Module {
    /// The values of a property; none if it is not there.
    pub fn all(&self, property: &str) -> &[String] {
        self.properties.get(property).map_or(&[], Vec::as_slice)
    }

    /// The one value of a property that must be there.
    pub fn one(&self, property: &str) -> &str {
        let [value] = self.all(property) else { panic!("{self:?}: not one {property}") };
        value
    }

    pub fn name(&self) -> &str {
        self.one("name")
    }

    /// Whether it is a library of Rust for others, a program, or a test.
    pub fn is_rust(&self) -> bool {
        self.kind.starts_with("rust_") && !self.kind.ends_with("_defaults")
    }

    /// What others call the crate.
    pub fn crate_name(&self) -> String {
        self.all("crate_name").first().cloned().unwrap_or(self.name().replace(['.', '-'], "_"))
    }
}

/// All modules of the repository's file.
pub fn modules() -> Vec<Module> {
    let path = repository().join("Android.bp");
    let text = fs::read_to_string(&path).unwrap();
    let modules = Parser { tokens: tokens(&text).into_iter().peekable() }.modules();
    modules.iter().map(|module| with_defaults(module, &modules)).collect()
}

fn with_defaults(module: &Module, all: &[Module]) -> Module {
    let mut whole = module.clone();
    for name in module.all("defaults") {
        let below =
            all.iter().find(|other| other.properties.get("name") == Some(&vec![name.clone()]));
        let below = with_defaults(below.unwrap_or_else(|| panic!("no defaults {name}")), all);
        for (key, values) in below.properties {
            match key.as_str() {
                "name" | "defaults" => {}
                "rustlibs" | "cfgs" | "test_suites" => {
                    whole.properties.entry(key).or_default().extend(values);
                }
                _ => drop(whole.properties.entry(key).or_insert(values)),
            }
        }
    }
    whole
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<String>>,
}

impl Parser {
    fn modules(mut self) -> Vec<Module> {
        let mut modules = Vec::new();
        while let Some(kind) = self.tokens.next() {
            self.expect("{");
            let mut module = Module { kind, ..Module::default() };
            while let Some(key) = self.tokens.next_if(|token| token != "}") {
                self.expect(":");
                let values = self.values();
                assert!(module.properties.insert(key.clone(), values).is_none(), "{key} twice");
                self.tokens.next_if(|token| token == ",");
            }
            self.expect("}");
            modules.push(module);
        }
        modules
    }

    fn values(&mut self) -> Vec<String> {
        let first = self.tokens.next().expect("a value");
        if first != "[" {
            return vec![unquoted(&first)];
        }
        let mut values = Vec::new();
        while let Some(value) = self.tokens.next_if(|token| token != "]") {
            if value != "," {
                values.push(unquoted(&value));
            }
        }
        self.expect("]");
        values
    }

    fn expect(&mut self, wanted: &str) {
        let got = self.tokens.next();
        assert_eq!(got.as_deref(), Some(wanted), "Android.bp, before {:?}", self.tokens.peek());
    }
}

fn unquoted(token: &str) -> String {
    token.trim_matches('"').to_owned()
}

/// Words, strings with their quotes, and signs.
fn tokens(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let (mut tokens, mut word, mut is_string) = (Vec::new(), String::new(), false);
    for c in lines.flat_map(|line| line.chars().chain(['\n'])) {
        if c == '"' {
            is_string = !is_string;
        }
        if is_string || !(c.is_whitespace() || "{}[]:,".contains(c)) {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(mem::take(&mut word));
        }
        if !c.is_whitespace() {
            tokens.push(c.to_string());
        }
    }
    tokens
}
