// SPDX-License-Identifier: Apache-2.0
//! Arguments, taken one by one until none is left.

/// What is left of a command line.
#[derive(Debug)]
pub(super) struct Arguments(Vec<String>);

impl Arguments {
    pub fn new(arguments: impl Iterator<Item = String>) -> Arguments {
        Arguments(arguments.collect())
    }

    /// The command, if the first argument is one.
    pub fn command(&mut self) -> Option<String> {
        let first = self.0.first()?;
        (!first.starts_with('-')).then(|| self.0.remove(0))
    }

    /// Whether `name` was given.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() != before
    }

    /// The value behind `name`, if that was given.
    pub fn option(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(at) = self.0.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        self.0.remove(at);
        if at < self.0.len() {
            return Ok(Some(self.0.remove(at)));
        }
        Err(format!("{name} needs a value"))
    }

    /// The value behind `name`, which must be given.
    pub fn required(&mut self, name: &str) -> Result<String, String> {
        self.option(name)?.ok_or_else(|| format!("{name} is missing; see `allocator help`"))
    }

    /// What is left, if none of it looks like an option.
    pub fn rest(self) -> Result<Vec<String>, String> {
        match self.0.iter().find(|argument| argument.starts_with('-')) {
            Some(unknown) => Err(format!("there is no option {unknown:?}; see `allocator help`")),
            None => Ok(self.0),
        }
    }

    /// Makes sure that nothing is left.
    pub fn finish(self) -> Result<(), String> {
        match self.0.first() {
            Some(extra) => Err(format!("what is {extra:?}? see `allocator help`")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_flags_and_files_may_come_in_any_order() {
        let mut given = arguments("check a.toml --json --policy p b.toml");
        assert_eq!(given.command().as_deref(), Some("check"));
        assert!(given.flag("--json"));
        assert!(!given.flag("--json"));
        assert_eq!(given.option("--policy").unwrap().as_deref(), Some("p"));
        assert_eq!(given.rest().unwrap(), ["a.toml", "b.toml"]);
    }

    #[test]
    fn what_nobody_asked_for_is_an_error() {
        assert!(arguments("--policy").option("--policy").is_err());
        assert!(arguments("--polisy x").rest().is_err());
        assert!(arguments("stray").finish().is_err());
        assert_eq!(arguments("--policy x").command(), None);
    }
}
