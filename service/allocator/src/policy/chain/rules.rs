// SPDX-License-Identifier: Apache-2.0
//! `.te` files, as far as the access to a heap's node is concerned: types,
//! attributes, and rules on character devices.
//!
//! What is read is m4's output, so that macros and conditions mean here what they
//! mean to the policy's own build: those of the platform, if its folder is given,
//! and of the few that every vendor uses, else, a stand-in. A statement that is
//! not understood is said to be so: it may be a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use super::Place;
use super::statement::{Set, expanded, set, statements, tokens};
use crate::error::{Error, Result};

/// All permissions that use a device, which is what `*` comes to.
const USES: [&str; 7] = ["open", "read", "ioctl", "append", "write", "map", "lock"];

/// What else a policy says, that grants nobody a node.
const OTHERS: [&str; 19] = [
    "allowxperm",
    "attribute",
    "auditallow",
    "auditallowxperm",
    "bool",
    "dontaudit",
    "dontauditxperm",
    "expandattribute",
    "genfscon",
    "neverallowxperm",
    "permissive",
    "range_transition",
    "role",
    "role_transition",
    "roleattribute",
    "type_change",
    "type_member",
    "type_transition",
    "typealias",
];

/// All rules of a policy.
#[derive(Debug, Default)]
pub(super) struct Rules {
    types: BTreeMap<String, Type>,
    allows: Vec<Rule>,
    neverallows: Vec<Rule>,
    /// What is not understood.
    pub unknown: Vec<(String, Place)>,
}

#[derive(Debug, Default)]
struct Type {
    attributes: BTreeSet<String>,
    /// Where it is declared, if it is.
    place: Option<Place>,
}

/// About the use of character devices.
#[derive(Debug)]
struct Rule {
    sources: Set,
    targets: Set,
    permissions: BTreeSet<&'static str>,
    place: Place,
}

impl Rules {
    /// Those of the folders' `.te` files, in the order of the folders; the platform's first.
    ///
    /// # Errors
    /// [`Error::File`] for a folder that cannot be read, and for what m4 refuses.
    pub fn read(folders: &[PathBuf]) -> Result<Rules> {
        let (mut macros, mut files) = (Vec::new(), Vec::new());
        for folder in folders {
            let unreadable = |cause| Error::File { path: folder.clone(), cause };
            let mut own: Vec<_> =
                fs::read_dir(folder).map_err(unreadable)?.flatten().map(|e| e.path()).collect();
            own.sort();
            let is = |path: &PathBuf, ending: &str| path.to_string_lossy().ends_with(ending);
            macros.extend(own.iter().filter(|path| is(path, "_macros")).cloned());
            files.extend(own.iter().filter(|path| path.ends_with("attributes")).cloned());
            files.extend(own.into_iter().filter(|path| is(path, ".te")));
        }
        macros.append(&mut files);
        let expanded = expanded(&macros);
        let path = || folders.first().cloned().unwrap_or_default();
        let expanded = expanded.map_err(|cause| Error::File { path: path(), cause })?;
        Ok(Rules::parse(&expanded))
    }

    /// Of m4's output.
    fn parse(text: &str) -> Rules {
        let mut rules = Rules::default();
        for (statement, place) in statements(text) {
            rules.add(&statement, place);
        }
        rules
    }

    /// Whether the type is declared.
    pub fn has_type(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(|known| known.place.is_some())
    }

    /// Whether the type has the attribute.
    pub fn is(&self, name: &str, attribute: &str) -> bool {
        self.types.get(name).is_some_and(|known| known.attributes.contains(attribute))
    }

    /// The declared types that have the attribute.
    pub fn having(&self, attribute: &str) -> impl Iterator<Item = (&String, &Place)> {
        let types =
            self.types.iter().filter(move |(_, known)| known.attributes.contains(attribute));
        types.filter_map(|(name, known)| Some((name, known.place.as_ref()?)))
    }

    /// Whether a rule that nothing may undo is about opening nodes of just this type: what the
    /// platform forbids its own domains for all of them says nothing of the vendor's.
    pub fn is_guarded(&self, label: &str) -> bool {
        let about = |rule: &&Rule| rule.permissions.contains("open");
        let mut rules = self.neverallows.iter().filter(about);
        rules.any(|rule| rule.targets.words.iter().any(|word| word == label))
    }

    /// What `domain` may do with nodes of the type `label`.
    pub fn granted(&self, domain: &str, label: &str) -> BTreeSet<&str> {
        let rules = self.allows.iter().filter(|allow| {
            self.in_set(domain, &allow.sources) && self.in_set(label, &allow.targets)
        });
        rules.flat_map(|allow| &allow.permissions).copied().collect()
    }

    /// Every domain that may use nodes of the type `label`, by which rule.
    pub fn users(&self, label: &str) -> BTreeSet<(&String, &Place)> {
        let mut users = BTreeSet::new();
        for allow in self.allows.iter().filter(|allow| self.in_set(label, &allow.targets)) {
            let domains = self.types.keys().filter(|domain| self.in_set(domain, &allow.sources));
            users.extend(domains.map(|domain| (domain, &allow.place)));
        }
        users
    }

    /// Those that may use nodes of the type `label` by a name that is neither a
    /// type nor an attribute of any: nobody knows here who that is.
    pub fn unknown_users(&self, label: &str) -> BTreeSet<(&String, &Place)> {
        let mut users = BTreeSet::new();
        for allow in self.allows.iter().filter(|allow| self.in_set(label, &allow.targets)) {
            let unknown = allow.sources.words.iter().filter(|word| {
                !word.starts_with(['-', '*'])
                    && !self.types.keys().any(|name| name == *word || self.is(name, word))
            });
            users.extend(unknown.map(|word| (word, &allow.place)));
        }
        users
    }

    /// Whether a set such as `{ domain -init }` covers the type.
    fn in_set(&self, name: &str, set: &Set) -> bool {
        let is = |word: &str| word == "*" || word == name || self.is(name, word);
        let words = || set.words.iter();
        let excluded = words().filter_map(|word| word.strip_prefix('-')).any(is);
        let named = !excluded && words().any(|word| is(word));
        named != set.complement
    }

    fn add(&mut self, statement: &str, place: Place) {
        let all = tokens(statement);
        let mut tokens = all.iter().map(String::as_str);
        match tokens.next() {
            Some("type") => {
                let Some(name) = tokens.next() else { return };
                let known = self.types.entry(name.to_owned()).or_default();
                known.attributes.extend(tokens.filter(|word| *word != "alias").map(str::to_owned));
                known.place = Some(place);
            }
            Some("typeattribute") => {
                let Some(name) = tokens.next() else { return };
                let known = self.types.entry(name.to_owned()).or_default();
                known.attributes.extend(tokens.map(str::to_owned));
            }
            Some(kind @ ("allow" | "neverallow")) => match rule(&mut tokens, &place) {
                None => self.unknown.push((statement.to_owned(), place)),
                Some(about) if about.permissions.is_empty() => {}
                Some(about) if kind == "allow" => self.allows.push(about),
                Some(about) => self.neverallows.push(about),
            },
            Some(other) if OTHERS.contains(&other) => {}
            _ => self.unknown.push((statement.to_owned(), place)),
        }
    }
}

/// `SOURCES TARGETS:CLASSES PERMISSIONS`, of which those that use character devices
/// are kept.
fn rule<'t>(tokens: &mut impl Iterator<Item = &'t str>, place: &Place) -> Option<Rule> {
    let (sources, targets) = (set(tokens)?, set(tokens)?);
    if tokens.next() != Some(":") {
        return None;
    }
    let (classes, permissions) = (set(tokens)?, set(tokens)?);
    let has = |set: &Set, wanted: &str| {
        set.complement != set.words.iter().any(|word| word == wanted || word == "*")
    };
    let of_devices = has(&classes, "chr_file") || has(&classes, "file_class_set");
    let uses = USES.into_iter().filter(|used| of_devices && has(&permissions, used));
    Some(Rule { sources, targets, permissions: uses.collect(), place: place.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a folder with one file.
    fn rules(text: &str) -> Rules {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.te"), text).unwrap();
        Rules::read(&[folder.path().to_owned()]).unwrap()
    }

    /// By their names and lines.
    fn told(users: BTreeSet<(&String, &Place)>) -> Vec<(String, usize)> {
        let each = users.into_iter().map(|(name, place)| (name.clone(), place.line));
        each.collect()
    }

    fn one(name: &str, line: usize) -> Vec<(String, usize)> {
        vec![(name.to_owned(), line)]
    }

    #[test]
    fn sets_attributes_and_macros_are_followed() {
        let rules = rules(
            "type heap, heaps, dev_type;\n\
             type cam, domain;\n\
             type app, domain;\n\
             hal_server_domain(cam, hal_camera)\n\
             allow { domain -app } {\n  heaps\n}:chr_file { rw_file_perms }; # all but apps\n\
             allow app heap:chr_file { getattr };\n",
        );
        assert!(rules.has_type("heap") && rules.is("heap", "heaps"));
        assert!(rules.is("cam", "hal_camera_server"));
        assert!(rules.granted("cam", "heap").contains("ioctl"));
        assert!(rules.granted("app", "heap").is_empty());
        assert_eq!(told(rules.users("heap")), one("cam", 5));
        assert_eq!(rules.unknown, []);
    }

    #[test]
    fn what_is_left_out_of_a_complement_counts() {
        let rules = rules(
            "type heap, dev_type;\ntype init, domain;\n\
             allow init dev_type:{ chr_file blk_file } ~{ open read ioctl };\n",
        );
        assert!(rules.granted("init", "heap").contains("write"));
        assert!(!rules.granted("init", "heap").contains("open"));
    }

    #[test]
    fn an_attribute_that_only_macros_give_is_nobody_that_is_known() {
        let rules = rules(
            "type heap, dev_type;\ntype cam, domain;\napp_domain(untrusted_app)\n\
             allow { appdomain -shell cam } dev_type:chr_file ioctl;\n\
             allow domain heap:chr_file open;\n",
        );
        assert_eq!(told(rules.unknown_users("heap")), one("appdomain", 4));
        let [(call, place)] = &rules.unknown[..] else { panic!("{:?}", rules.unknown) };
        assert_eq!((call.trim(), place.line), ("app_domain(untrusted_app)", 3));
    }

    #[test]
    fn rules_inside_of_macros_count() {
        let rules = rules(
            "type heap;\ntype a, domain;\ntype b, domain;\ntype c, domain;\ntype d, domain;\n\
             define(`mine', `allow $1 heap:chr_file open;')\n\
             userdebug_or_eng(`\n  allow a heap:chr_file open;\n')\n\
             ifdef(`x', `', `allow b heap:chr_file open;') mine(d)\n\
             allow { domain -a userdebug_or_eng(`-b') -d } heap:chr_file read;\n",
        );
        assert!(rules.unknown_users("heap").is_empty());
        // Of what a macro takes, the line of its call.
        let places = [("a", 7), ("b", 10), ("c", 11), ("d", 10)];
        assert_eq!(told(rules.users("heap")), places.map(|(name, line)| (name.to_owned(), line)));
    }

    #[test]
    fn several_statements_of_a_line_are_several() {
        let rules = rules("type heap; type a, domain; allow a heap:chr_file open; alow a b:c d;\n");
        assert_eq!(told(rules.users("heap")), one("a", 1));
        assert_eq!(rules.unknown.len(), 1, "{:?}", rules.unknown);
    }

    #[test]
    fn a_type_is_guarded_by_what_forbids_to_open_it() {
        let rules = rules(
            "type one, heaps;\ntype two, heaps;\ntype three, heaps;\n\
             neverallow { domain -cam } { one }:chr_file { open read };\n\
             neverallow coredomain heaps:chr_file open;\n\
             neverallow domain three:chr_file write;\n",
        );
        assert_eq!(
            ["one", "two", "three"].map(|label| rules.is_guarded(label)),
            [true, false, false]
        );
        assert_eq!(rules.having("heaps").count(), 3);
    }

    #[test]
    fn other_classes_do_not_count() {
        let rules = rules("type heap;\ntype a, domain;\nallow a heap:dir { open read };\n");
        assert!(rules.users("heap").is_empty());
    }
}
