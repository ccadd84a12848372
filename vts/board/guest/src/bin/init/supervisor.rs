// SPDX-License-Identifier: Apache-2.0
//! Starts services, waits for what they serve, reaps everything, restarts what died.
//!
//! A service lives from `start` until it exits; it is then started again, but not within
//! [`RESTART_PERIOD`] of its last start (Android's own figure). SIGCHLD is blocked in this process
//! and read from a signalfd, so between two deaths process 1 sleeps.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::identity;
use crate::rc::Service;

const AGENT: &str = "/system/bin/agent";
const RESTART_PERIOD: Duration = Duration::from_secs(5);
/// How long a service may take until its interface answers. Emulation on a loaded machine is
/// slow; a service that is up is seen at the next look.
const START_LIMIT: Duration = Duration::from_secs(30);
/// A name nobody registers: asking for it shows whether there is someone to ask.
const NOBODY: &str = "board.nobody";
const LOOK_AGAIN: Duration = Duration::from_millis(20);

struct Running {
    service: Service,
    started: Instant,
}

/// Process 1's children.
pub struct Supervisor {
    deaths: SignalFd,
    running: HashMap<Pid, Running>,
    dead: Vec<Running>,
    agent: Option<Pid>,
}

/// What the service manager says of an interface.
enum Answer {
    Registered,
    Unknown,
    NoServiceManager,
}

impl Supervisor {
    pub fn new() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let deaths = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { deaths, running: HashMap::new(), dead: Vec::new(), agent: None })
    }

    /// Starts a service under its identity.
    pub fn start(&mut self, service: Service) -> io::Result<()> {
        let child = Command::new("/proc/self/exe")
            .args([identity::VERB.as_ref(), service.file.as_os_str(), service.name.as_ref()])
            .env("PATH", crate::PATH)
            .stdin(Stdio::null())
            .spawn()?;
        let started = Instant::now();
        self.running.insert(Pid::from_raw(child.id().cast_signed()), Running { service, started });
        Ok(())
    }

    /// Starts the agent, which tells the host of the services that `failed`.
    pub fn start_agent(&mut self, failed: &[String]) -> io::Result<()> {
        let child = Command::new(AGENT)
            .args(failed)
            .env("PATH", crate::PATH)
            .env("HOME", "/")
            .env("TERM", "linux")
            .stdin(Stdio::null())
            .spawn()?;
        self.agent = Some(Pid::from_raw(child.id().cast_signed()));
        Ok(())
    }

    /// Waits until there is a context manager; says what is wrong if none comes.
    pub fn wait_for_service_manager(&mut self) -> Option<String> {
        let up = wait_until(|| !matches!(ask(NOBODY), Answer::NoServiceManager));
        (!up).then(|| format!("no service manager within {START_LIMIT:?}"))
    }

    /// Waits until `interface` is registered; says what is wrong if it is not.
    pub fn wait_for_interface(&mut self, interface: &str) -> Option<String> {
        let mut dead = false;
        let answered = wait_until(|| {
            self.reap();
            dead = self.owner_is_dead(interface);
            dead || matches!(ask(interface), Answer::Registered)
        });
        if dead {
            Some(format!("the service of {interface} exited; the console log says why"))
        } else if answered {
            None
        } else {
            Some(format!("{interface} was not registered within {START_LIMIT:?}"))
        }
    }

    fn owner_is_dead(&self, interface: &str) -> bool {
        self.dead.iter().any(|d| d.service.interfaces.iter().any(|i| i == interface))
    }

    /// Reaps and restarts until the agent has ended.
    pub fn run_until_agent_ends(&mut self) -> io::Result<()> {
        while self.agent.is_some() {
            let now = Instant::now();
            let due = |d: &Running| now >= d.started + RESTART_PERIOD;
            let (restart, later) = std::mem::take(&mut self.dead).into_iter().partition(due);
            self.dead = later;
            for Running { service, .. } in restart {
                self.start(service)?;
            }
            self.sleep()?;
            self.reap();
        }
        Ok(())
    }

    /// Sleeps until a child has ended or a restart is due.
    fn sleep(&self) -> io::Result<()> {
        let next = self.dead.iter().map(|d| d.started + RESTART_PERIOD).min();
        let timeout = match next {
            None => PollTimeout::NONE,
            Some(due) => {
                let wait = due.saturating_duration_since(Instant::now()).as_millis() + 1;
                PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
            }
        };
        let mut fds = [PollFd::new(self.deaths.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        while self.deaths.read_signal()?.is_some() {}
        Ok(())
    }

    /// Collects all that have ended, our own and orphans alike.
    fn reap(&mut self) {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let Some(pid) = status.pid() else { return };
            if self.agent == Some(pid) {
                self.agent = None;
            } else if let Some(running) = self.running.remove(&pid) {
                eprintln!("init: {} ended: {}", running.service.name, describe(status));
                if !running.service.oneshot {
                    self.dead.push(running);
                }
            }
        }
    }
}

fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK_AGAIN);
    }
}

fn ask(interface: &str) -> Answer {
    let quiet = Stdio::null;
    let status = Command::new("rsb_service")
        .args(["check", interface])
        .env("PATH", crate::PATH)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .status();
    match status.ok().and_then(|s| s.code()) {
        Some(0) => Answer::Registered,
        Some(1) => Answer::Unknown,
        _ => Answer::NoServiceManager,
    }
}

fn describe(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("exit code {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("killed by {signal}"),
        other => format!("{other:?}"),
    }
}
