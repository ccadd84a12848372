// SPDX-License-Identifier: Apache-2.0
//! Another process, with a user id and an SELinux domain of its own, that does with buffers what it is
//! told.
//!
//! An order is a line, and so is the answer:
//!
//! | order | answer |
//! |---|---|
//! | `take WANT COUNT`, in one call | `given COUNT`, or `refused CODE REASON` |
//! | `fill WANT`, one by one until refused | `given COUNT` |
//! | `keep WAY`: all that is held, in this way only | `done` |
//! | `steps SEED COUNT`, at random | `holds BYTES`, of all dma-bufs |
//! | `flood WANT COUNT THREADS`, again and again | `done`, and goes on |
//! | `calls`, of the flood, that ended otherwise than refused at once | `given COUNT` |
//! | `list` | `holds INODE:BYTES …`, of each dma-buf |
//! | `drop` all that is held | `done` |
//! | `supported WANT` | `yes` or `no` |

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use dmaheap_aidl::allocator::{AllocationError, IAllocator};
use dmaheap_aidl::binder::Strong;

use super::held::{Held, Way};
use super::wants::Want;
use crate::harness::{Outcome, again, take_on};
use crate::service::{connect, refusal};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The role's name.
pub const ROLE: &str = "peer";
/// Says which domain a peer takes on.
const DOMAIN: &str = "SUITE_DOMAIN";

/// Who a process is.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// User and group.
    pub uid: u32,
    /// SELinux domain.
    pub domain: &'static str,
}

/// The camera service.
pub const CAMERASERVER: Identity = Identity { uid: 1047, domain: "cameraserver" };
/// The compositor.
pub const SURFACEFLINGER: Identity = Identity { uid: 1000, domain: "surfaceflinger" };

/// The n-th app.
pub const fn app(n: u32) -> Identity {
    Identity { uid: 10_000 + n, domain: "untrusted_app" }
}

/// Where the code of the n-th app's SDKs runs. Its isolated processes are no clients: the platform lets
/// them use what others allocate.
pub const fn sandbox(n: u32) -> Identity {
    Identity { uid: 20_000 + n, domain: "sdk_sandbox_34" }
}

/// A service of the vendor's, of no class in particular.
pub const fn vendor(n: u32) -> Identity {
    Identity { uid: 2900 + n, domain: "mediacodec" }
}

/// A process that takes orders. It ends, with all that it holds, when this is dropped.
#[derive(Debug)]
pub struct Peer {
    /// Who it is.
    pub identity: Identity,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it.
    pub fn start(identity: Identity) -> Result<Peer> {
        let mut command = again(ROLE)?;
        command.env(DOMAIN, identity.domain).uid(identity.uid).gid(identity.uid);
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().ok_or("the input is piped")?;
        let answers = child.stdout.take().ok_or("the output is piped")?;
        Ok(Peer { identity, child, orders, answers: BufReader::new(answers) })
    }

    /// Gives an order; the answer is for [`Peer::answer`].
    pub fn order(&mut self, order: &str) -> Outcome {
        writeln!(self.orders, "{order}")?;
        Ok(())
    }

    /// What became of the last order.
    pub fn answer(&mut self) -> Result<String> {
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(format!("{:?} ended: {}", self.identity, self.child.wait()?).into());
        }
        Ok(answer.trim_end().to_owned())
    }

    /// Gives an order and waits for its end.
    pub fn ask(&mut self, order: &str) -> Result<String> {
        self.order(order)?;
        self.answer()
    }

    /// Takes so many in one call, which must succeed.
    pub fn must_take(&mut self, want: Want, count: u32) -> Outcome {
        let answer = self.ask(&format!("take {want} {count}"))?;
        let who = self.identity;
        if answer == format!("given {count}") {
            return Ok(());
        }
        Err(format!("{who:?} wants {count} times {want}, and is {answer}").into())
    }

    /// Takes until it is refused; how many it got.
    pub fn fill(&mut self, want: Want) -> Result<u32> {
        given(&self.ask(&format!("fill {want}"))?)
    }
}

/// The number in an answer.
pub fn given(answer: &str) -> Result<u32> {
    let count = answer.strip_prefix("given ").ok_or_else(|| format!("it was {answer}"))?;
    Ok(count.parse()?)
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The role: takes orders until there are no more.
pub fn play() -> Outcome {
    let domain = std::env::var(DOMAIN)?;
    take_on(&format!("u:r:{domain}:s0"))?;
    let mut side = Side { allocator: connect()?, held: Vec::new(), flood: Arc::default() };
    for order in io::stdin().lines() {
        let order = order?;
        let words: Vec<&str> = order.split(' ').collect();
        println!("{}", side.obey(&words)?);
    }
    Ok(())
}

/// The peer's own side.
struct Side {
    allocator: Strong<dyn IAllocator>,
    held: Vec<Held>,
    flood: Arc<AtomicU64>,
}

impl Side {
    fn obey(&mut self, words: &[&str]) -> Result<String> {
        match words {
            ["take", want, count] => self.take(want.parse()?, count.parse()?),
            ["fill", want] => self.fill(want.parse()?),
            ["keep", way] => {
                let way: Way = way.parse()?;
                let kept = self.held.drain(..).map(|held| held.only_by(way));
                self.held = kept.collect::<Result<_>>()?;
                Ok("done".to_owned())
            }
            ["steps", seed, count] => self.steps(seed.parse()?, count.parse()?),
            ["flood", want, count, threads] => {
                self.flood(want.parse()?, count.parse()?, threads.parse()?)
            }
            ["calls"] => Ok(format!("given {}", self.flood.load(Ordering::Relaxed))),
            ["list"] => {
                let one = |held: &Held| format!(" {}:{}", held.inode, held.size);
                Ok(format!("holds{}", self.held.iter().map(one).collect::<String>()))
            }
            ["drop"] => {
                self.held.clear();
                Ok("done".to_owned())
            }
            ["supported", want] => {
                let descriptor = want.parse::<Want>()?.descriptor();
                let supported = self.allocator.isSupported(&descriptor)?;
                Ok(if supported { "yes" } else { "no" }.to_owned())
            }
            other => Err(format!("no order: {other:?}").into()),
        }
    }

    fn take(&mut self, want: Want, count: i32) -> Result<String> {
        match self.allocator.allocate2(&want.descriptor(), count) {
            Ok(given) => {
                for buffer in given.buffers {
                    self.held.extend(Held::all(buffer)?);
                }
                Ok(format!("given {count}"))
            }
            Err(status) => {
                let reason = status.to_string().replace('\n', " ");
                Ok(format!("refused {} {reason}", refusal(Err(status))?.0))
            }
        }
    }

    fn fill(&mut self, want: Want) -> Result<String> {
        for count in 0..100_000 {
            let answer = self.take(want, 1)?;
            if answer.starts_with("refused") {
                let code = AllocationError::NO_RESOURCES.0;
                assert!(answer.starts_with(&format!("refused {code}")), "{answer}");
                return Ok(format!("given {count}"));
            }
        }
        Err("no end".into())
    }

    /// Takes, changes hands, and lets go, as it comes.
    fn steps(&mut self, seed: u64, count: u32) -> Result<String> {
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..count {
            if random.u8(..) < 100 {
                let want = if random.u8(..) < 40 { Want::Preview } else { Want::Icon };
                self.take(want, random.i32(1..4))?;
            } else if !self.held.is_empty() {
                let held = self.held.swap_remove(random.usize(..self.held.len()));
                if random.bool() {
                    let way = Way::ALL[random.usize(..Way::ALL.len())];
                    self.held.push(held.only_by(way)?);
                }
            }
        }
        let bytes: u64 = self.held.iter().map(|held| held.size).sum();
        Ok(format!("holds {bytes}"))
    }

    /// Keeps threads busy that ask and let go, and ask again.
    fn flood(&self, want: Want, count: i32, threads: u32) -> Result<String> {
        for _ in 0..threads {
            let (allocator, calls) = (self.allocator.clone(), self.flood.clone());
            thread::spawn(move || {
                loop {
                    if allocator.allocate2(&want.descriptor(), count).is_ok() {
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        Ok("done".to_owned())
    }
}
