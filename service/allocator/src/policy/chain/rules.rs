// SPDX-License-Identifier: Apache-2.0
//! `.te` files, as far as the access to a heap's node is concerned: types,
//! attributes, and allow rules on character devices. Permission macros are known
//! by what they stand for, and of those that give a domain its attributes the two
//! of HALs. The platform has more, `app_domain()` say: an attribute that comes
//! only from them has no members here, and a rule for it is for whoever has it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Place, Text};

/// What reading and writing macros of the platform contain, as far as it
/// matters here: the permissions that use a device.
const MACROS: [(&str, &[&str]); 4] = [
    ("r_file_perms", &["open", "read", "ioctl", "map", "lock"]),
    ("w_file_perms", &["open", "append", "write", "map", "lock"]),
    ("rw_file_perms", &["open", "read", "ioctl", "append", "write", "map", "lock"]),
    ("create_file_perms", &["open", "read", "ioctl", "append", "write", "map", "lock"]),
];

/// All permissions that use a device, which is what `*` comes to.
const USES: [&str; 7] = ["open", "read", "ioctl", "append", "write", "map", "lock"];

/// All rules of a policy.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Types, with their attributes.
    types: BTreeMap<String, BTreeSet<String>>,
    allows: Vec<Allow>,
}

#[derive(Debug)]
struct Allow {
    sources: Vec<String>,
    targets: Vec<String>,
    permissions: BTreeSet<String>,
    place: Place,
}

impl Rules {
    pub fn parse(files: &[Text]) -> Rules {
        let mut rules = Rules::default();
        for (file, text) in files {
            for (line, statement) in statements(text) {
                rules.add(&statement, Place { file: file.clone(), line });
            }
        }
        rules
    }

    /// Whether the type is declared.
    pub fn has_type(&self, name: &str) -> bool {
        self.types.contains_key(name)
    }

    /// Whether the type has the attribute.
    pub fn is(&self, name: &str, attribute: &str) -> bool {
        self.types.get(name).is_some_and(|attributes| attributes.contains(attribute))
    }

    /// What `domain` may do with nodes of the type `label`.
    pub fn granted(&self, domain: &str, label: &str) -> BTreeSet<&str> {
        let rules = self.allows.iter().filter(|allow| {
            self.in_set(domain, &allow.sources) && self.in_set(label, &allow.targets)
        });
        rules.flat_map(|allow| &allow.permissions).map(String::as_str).collect()
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
            let unknown = allow.sources.iter().filter(|word| {
                !word.starts_with(['-', '*', '~'])
                    && !self.types.keys().any(|name| name == *word || self.is(name, word))
            });
            users.extend(unknown.map(|word| (word, &allow.place)));
        }
        users
    }

    /// Whether a set such as `{ domain -init }` covers the type.
    fn in_set(&self, name: &str, set: &[String]) -> bool {
        let is = |word: &str| word == "*" || word == name || self.is(name, word);
        let excluded = set.iter().filter_map(|word| word.strip_prefix('-')).any(is);
        !excluded && set.iter().any(|word| is(word))
    }

    fn add(&mut self, statement: &str, place: Place) {
        let words: Vec<String> = words(statement);
        let mut rest = words.iter().map(String::as_str);
        match rest.next() {
            Some("type") => {
                let Some(name) = rest.next() else { return };
                let attributes = rest.filter(|word| *word != "alias").map(str::to_owned);
                self.types.entry(name.to_owned()).or_default().extend(attributes);
            }
            Some("typeattribute") => {
                let Some(name) = rest.next() else { return };
                self.types.entry(name.to_owned()).or_default().extend(rest.map(str::to_owned));
            }
            Some(role @ ("hal_server_domain" | "hal_client_domain")) => {
                let (Some(name), Some(hal)) = (rest.next(), rest.next()) else { return };
                let attributes = self.types.entry(name.to_owned()).or_default();
                match role {
                    "hal_server_domain" => {
                        attributes.extend([hal.to_owned(), format!("{hal}_server")]);
                    }
                    _ => attributes.extend([format!("{hal}_client")]),
                }
            }
            Some("allow") => self.allows.extend(allow(statement, place)),
            _ => {}
        }
    }
}

/// `allow SOURCES TARGETS:CLASSES PERMISSIONS`, if it is about using a
/// character device.
fn allow(statement: &str, place: Place) -> Option<Allow> {
    let (left, right) = statement.strip_prefix("allow")?.split_once(':')?;
    let (sources, targets) = two_sets(left)?;
    let (classes, permissions) = two_sets(right)?;
    if !classes.iter().any(|class| class == "chr_file" || class.ends_with("file_class_set")) {
        return None;
    }
    let permissions = expand(&permissions);
    (!permissions.is_empty()).then_some(Allow { sources, targets, permissions, place })
}

/// Two sets behind one another; each is a word or words in braces.
fn two_sets(text: &str) -> Option<(Vec<String>, Vec<String>)> {
    let text = text.trim();
    let end = match text.find('{') {
        Some(0) => text.find('}')?.checked_add(1)?,
        _ => text.find([' ', '\t', '\n'])?,
    };
    let (first, second) = text.split_at_checked(end)?;
    let second = second.trim();
    let complement = second.strip_prefix('~').map(words);
    let second = match complement {
        // All but these; whether any of them uses a device is looked at below.
        Some(without) => USES
            .iter()
            .filter(|used| !without.iter().any(|word| word == *used))
            .map(|used| (*used).to_owned())
            .collect(),
        None => words(second),
    };
    Some((words(first), second))
}

/// Those of the permissions that use a device.
fn expand(permissions: &[String]) -> BTreeSet<String> {
    let mut expanded = BTreeSet::new();
    for word in permissions {
        let known = MACROS.iter().find(|(name, _)| name == word).map(|(_, uses)| *uses);
        let uses: &[&str] = if word == "*" { &USES } else { known.unwrap_or_default() };
        expanded.extend(uses.iter().map(|used| (*used).to_owned()));
        if USES.contains(&word.as_str()) {
            expanded.insert(word.clone());
        }
    }
    expanded
}

fn words(text: &str) -> Vec<String> {
    let is_space = |c: char| c.is_whitespace() || "{}(),;`'".contains(c);
    // Of a condition within a set, what it holds counts.
    let counts = |word: &&str| !word.is_empty() && *word != "userdebug_or_eng";
    text.split(is_space).filter(counts).map(str::to_owned).collect()
}

/// What the statements that matter here begin with.
const BEGINNINGS: [&str; 2] = ["allow ", "type"];

/// Statements with the line they begin on. One ends with its semicolon, or, a
/// macro's call, with its line.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut statements = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.split('#').next().unwrap_or_default();
        // A statement that a macro takes in quotes begins anew.
        let inside = content.rsplit_once('`').map(|(_, inside)| inside.trim());
        let begins =
            |text: &&str| text.is_empty() || BEGINNINGS.iter().any(|b| text.starts_with(b));
        let quoted = inside.filter(begins);
        let content = quoted.unwrap_or(content.trim());
        if quoted.is_some() {
            open = None;
        }
        if content.is_empty() {
            continue;
        }
        let (begun, mut statement) = open.take().unwrap_or((line, String::new()));
        statement.push_str(content);
        statement.push(' ');
        let is_call = content.ends_with(')') && begun == line;
        if content.ends_with(';') || is_call {
            statements.push((begun, statement));
        } else {
            open = Some((begun, statement));
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        Rules::parse(&[("x.te".to_owned(), text.to_owned())])
    }

    #[test]
    fn sets_attributes_and_macros_are_followed() {
        let rules = rules(
            "type heap, heaps, dev_type;\n\
             type cam, domain;\n\
             type app, domain;\n\
             hal_server_domain(cam, hal_camera)\n\
             allow { domain -app } {\n  heaps\n}:chr_file r_file_perms; # all but apps\n\
             allow app heap:chr_file { getattr };\n",
        );
        assert!(rules.has_type("heap") && rules.is("heap", "heaps"));
        assert!(rules.is("cam", "hal_camera_server"));
        assert!(rules.granted("cam", "heap").contains("ioctl"));
        assert!(rules.granted("app", "heap").is_empty());
        let users: Vec<_> = rules.users("heap").into_iter().collect();
        let place = Place { file: "x.te".into(), line: 5 };
        assert_eq!(users, [(&"cam".to_owned(), &place)]);
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
        let unknown: Vec<_> = rules.unknown_users("heap").into_iter().collect();
        assert_eq!(unknown, [(&"appdomain".to_owned(), &Place { file: "x.te".into(), line: 4 })]);
    }

    #[test]
    fn rules_inside_of_macros_count() {
        let rules = rules(
            "type heap;\ntype a, domain;\ntype b, domain;\ntype c, domain;\n\
             userdebug_or_eng(`\n  allow a heap:chr_file open;\n')\n\
             ifdef(`x', `allow b heap:chr_file open;')\n\
             allow { domain -a userdebug_or_eng(`-b') } heap:chr_file read;\n",
        );
        assert!(rules.unknown_users("heap").is_empty());
        let names: Vec<_> = rules.users("heap").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn other_classes_do_not_count() {
        let rules = rules("type heap;\ntype a, domain;\nallow a heap:dir { open read };\n");
        assert!(rules.users("heap").is_empty());
    }
}
