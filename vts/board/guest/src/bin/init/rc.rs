// SPDX-License-Identifier: Apache-2.0
//! Services as `.rc` files declare them: the subset of Android's init language that a HAL's file
//! uses. What the board has no counterpart for is accepted and left alone; a word that Android
//! does not know either is an error, as it is there.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// One `service` section.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Service {
    /// The file it stands in.
    pub file: PathBuf,
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    pub class: String,
    pub user: Option<String>,
    /// The first is the primary group.
    pub groups: Vec<String>,
    /// Without the `CAP_` prefix.
    pub capabilities: Vec<String>,
    /// AIDL instances that it registers.
    pub interfaces: Vec<String>,
    pub disabled: bool,
    pub oneshot: bool,
}

/// Options that steer what this board does not have: cgroups, framework restarts, a recovery to
/// boot into when something critical keeps dying, programs that log to a file that init opens.
const LEFT_ALONE: [&str; 9] = [
    "critical",
    "file",
    "ioprio",
    "onrestart",
    "priority",
    "rlimit",
    "seclabel",
    "shutdown",
    "task_profiles",
];

/// A line that is not understood.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {why}", file = file.display())]
pub struct RcError {
    file: PathBuf,
    line: usize,
    why: String,
}

/// The `.rc` files of a folder in the order of their names; none where there is no folder.
pub fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = entries.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|e| e == "rc"));
    files.sort();
    Ok(files)
}

/// The services of one file.
pub fn parse_file(file: &Path) -> Result<Vec<Service>, RcError> {
    let fail = |line, why| RcError { file: file.to_owned(), line, why };
    let text = fs::read_to_string(file).map_err(|e| fail(0, e.to_string()))?;
    let mut services: Vec<Service> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Some((keyword, arguments)) = words.split_first() else { continue };
        if keyword.starts_with('#') {
            continue;
        }
        let result = match (keyword.as_str(), services.last_mut()) {
            ("service", _) => new_service(file, arguments).map(|s| services.push(s)),
            (_, Some(service)) => option(service, keyword, arguments),
            (_, None) => Err(format!("'{keyword}' stands outside a service")),
        };
        result.map_err(|why| fail(index + 1, why))?;
    }
    Ok(services)
}

fn new_service(file: &Path, arguments: &[String]) -> Result<Service, String> {
    let [name, argv @ ..] = arguments else { return Err("a service without a name".into()) };
    if argv.is_empty() {
        return Err(format!("service {name} names no program"));
    }
    Ok(Service {
        file: file.to_owned(),
        name: name.clone(),
        argv: argv.to_vec(),
        class: "default".into(),
        ..Service::default()
    })
}

fn option(service: &mut Service, keyword: &str, arguments: &[String]) -> Result<(), String> {
    let first = || arguments.first().cloned().ok_or(format!("{keyword} needs an argument"));
    match keyword {
        "class" => service.class = first()?,
        "user" => service.user = Some(first()?),
        "group" => service.groups = arguments.to_vec(),
        "capabilities" => service.capabilities = arguments.to_vec(),
        "interface" => match arguments {
            [kind, name] if kind == "aidl" => service.interfaces.push(name.clone()),
            _ => return Err("interface wants 'aidl NAME'".into()),
        },
        "disabled" => service.disabled = true,
        "oneshot" => service.oneshot = true,
        other if LEFT_ALONE.contains(&other) => {}
        other => return Err(format!("unknown option '{other}'")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Service>, RcError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, text).unwrap();
        parse_file(file.path())
    }

    #[test]
    fn a_hal_service_is_read_whole() {
        let services = parse(
            "# a HAL\nservice vendor.x /vendor/bin/hw/x --flag\n    class hal animation\n    \
             user system\n    group graphics drmrpc\n    capabilities SYS_NICE\n    \
             interface aidl a.b.IX/default\n    onrestart restart surfaceflinger\n    \
             critical window=4 target=x\n    file /dev/kmsg w\n",
        )
        .unwrap();
        let [service] = &services[..] else { panic!("{services:?}") };
        assert_eq!(service.argv, ["/vendor/bin/hw/x", "--flag"]);
        assert_eq!(service.class, "hal");
        assert_eq!(service.user.as_deref(), Some("system"));
        assert_eq!(service.groups, ["graphics", "drmrpc"]);
        assert_eq!(service.capabilities, ["SYS_NICE"]);
        assert_eq!(service.interfaces, ["a.b.IX/default"]);
    }

    #[test]
    fn a_misspelt_option_is_an_error_with_its_line() {
        let error = parse("service x /x\n    usr system\n").unwrap_err().to_string();
        assert!(error.ends_with(":2: unknown option 'usr'"), "{error}");
    }
}
