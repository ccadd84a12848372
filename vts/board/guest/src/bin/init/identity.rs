// SPDX-License-Identifier: Apache-2.0
//! A service's user, groups and capabilities.
//!
//! They are taken on in the child, between fork and exec. Init starts itself again with
//! [`VERB`] for that: ordinary code in an ordinary process, instead of the few async-signal-safe
//! calls that are allowed in a forked copy of this one.

use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use caps::{CapSet, Capability};
use nix::sys::prctl;
use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};

use crate::rc::{self, Service};

/// `init VERB FILE NAME` becomes the service NAME of FILE.
pub const VERB: &str = "become-service";

/// Never returns when it works: the process is the service then.
pub fn become_service(file: &str, name: &str) -> ExitCode {
    let error = match find(file, name).and_then(|s| take_on(&s).map(|()| s)) {
        Ok(service) => {
            let [program, arguments @ ..] = &service.argv[..] else { return ExitCode::FAILURE };
            Command::new(program).args(arguments).exec().to_string()
        }
        Err(why) => why,
    };
    eprintln!("init: cannot start {name}: {error}");
    ExitCode::FAILURE
}

fn find(file: &str, name: &str) -> Result<Service, String> {
    let services = rc::parse_file(file.as_ref()).map_err(|e| e.to_string())?;
    services.into_iter().find(|s| s.name == name).ok_or(format!("{file} has no service {name}"))
}

fn take_on(service: &Service) -> Result<(), String> {
    board_guest::unblock_signals().map_err(|e| format!("unblocking signals: {e}"))?;
    let Some(user) = &service.user else { return Ok(()) };
    let user = user_id(user)?;
    let groups =
        service.groups.iter().map(|g| group_id(g)).collect::<Result<Vec<Gid>, String>>()?;
    let capabilities = service
        .capabilities
        .iter()
        .map(|name| format!("CAP_{name}").parse().map_err(|_| format!("no capability {name}")))
        .collect::<Result<HashSet<Capability>, String>>()?;

    setgroups(&groups).map_err(|e| format!("setgroups: {e}"))?;
    setgid(groups.first().copied().unwrap_or(Gid::from_raw(user.as_raw())))
        .map_err(|e| format!("setgid: {e}"))?;
    prctl::set_keepcaps(true).map_err(|e| format!("keeping capabilities: {e}"))?;
    setuid(user).map_err(|e| format!("setuid: {e}"))?;
    if !user.is_root() {
        // Each set may only hold what those before it hold. Ambient is the one that survives the
        // exec of a program without file capabilities.
        for set in [CapSet::Inheritable, CapSet::Permitted, CapSet::Effective, CapSet::Ambient] {
            caps::set(None, set, &capabilities)
                .map_err(|e| format!("setting {set:?} capabilities: {e}"))?;
        }
    }
    Ok(())
}

/// The id of a user of /etc/passwd.
pub fn user_id(name: &str) -> Result<Uid, String> {
    let user = User::from_name(name).map_err(|e| format!("looking up user {name}: {e}"))?;
    user.map(|u| u.uid).ok_or(format!("no user {name} in /etc/passwd"))
}

/// The id of a group of /etc/group.
pub fn group_id(name: &str) -> Result<Gid, String> {
    let group = Group::from_name(name).map_err(|e| format!("looking up group {name}: {e}"))?;
    group.map(|g| g.gid).ok_or(format!("no group {name} in /etc/group"))
}
