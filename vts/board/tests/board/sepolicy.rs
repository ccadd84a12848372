// SPDX-License-Identifier: Apache-2.0
//! Who may use which heap: what the policy says, cell by cell, and what the kernel does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use board::sepolicy::{compile, platform, vendor};
use board::{Boot, Guest};
use board_channel::wire::Exit;
use libtest_mimic::Failed;

use crate::Outcome;
use crate::fixture::{
    boot, expect_contains, expect_eq, fail, ran, scratch, succeed, with_every_guest,
};

const DOMAINS: [&str; 9] = [
    "hal_graphics_allocator_default",
    "hal_camera_default",
    "hal_power_default",
    "surfaceflinger",
    "cameraserver",
    "system_app",
    "untrusted_app",
    "isolated_app",
    "shell",
];
/// Those of them that are allocator's clients on a device.
const CLIENTS: [&str; 5] =
    ["surfaceflinger", "cameraserver", "system_app", "untrusted_app", "shell"];
const NODES: [&str; 4] = ["system", "default_cma_region", "camera@54000000", "fixed@58000000"];
const ACTS: [&str; 4] = ["open", "ioctl", "read", "write"];

/// The permissions of a heap's node that a domain has.
type Permissions = BTreeSet<String>;

pub fn kernel_and_policy_agree_on_every_domain_and_heap() -> Outcome {
    let policy = compile(&[vendor()], &scratch("sepolicy")?)?;
    let mut guest = boot(&Boot::default())?;
    // Only SELinux shall refuse.
    succeed(&mut guest, "chmod 0660 /dev/dma_heap/*")?;
    let mut differences = Vec::new();
    let mut granted = 0;
    for domain in DOMAINS {
        let observed = observe(&mut guest, domain)?;
        for node in NODES {
            let (label, acts) = observed.get(node).ok_or(format!("no line for {node}"))?;
            let permissions = allowed(&policy, domain, label, "chr_file")?;
            for act in ACTS {
                let expected = needed(act).iter().all(|p| permissions.contains(*p));
                let actual = acts.contains(act);
                granted += usize::from(actual);
                if expected != actual {
                    differences.push(format!("{domain} {act} {node} ({label}): {actual}"));
                } else if !actual && !has_record(&guest.console(), domain, label, act) {
                    differences.push(format!("{domain} {act} {node}: refused without a record"));
                }
            }
        }
    }
    expect_eq("cells that differ", differences, Vec::new())?;
    // The allocator opens, reads and asks all four; the camera does with its own.
    expect_eq("cells granted", granted, 5 * 3)
}

/// Label and permitted acts of each node, for a process of this domain.
fn observe(
    guest: &mut Guest,
    domain: &str,
) -> Result<BTreeMap<String, (String, Permissions)>, Failed> {
    let nodes = NODES.join(" ");
    let report = succeed(guest, &format!("suite-access u:r:{domain}:s0 {nodes}"))?;
    let mut observed = BTreeMap::new();
    for line in report.lines() {
        let mut words = line.split(' ').map(str::to_owned);
        let (Some(node), Some(label)) = (words.next(), words.next()) else {
            return fail(format!("suite-access printed '{line}'"));
        };
        let acts = words.filter_map(|w| w.strip_suffix("=yes").map(str::to_owned)).collect();
        observed.insert(node, (type_of(&label).to_owned(), acts));
    }
    Ok(observed)
}

/// What sesearch finds in the compiled policy, of a class of objects.
fn allowed(policy: &Path, domain: &str, label: &str, class: &str) -> Result<Permissions, Failed> {
    let mut sesearch = Command::new("sesearch");
    sesearch.args(["-A", "-s", domain, "-t", label, "-c", class]).arg(policy);
    let found = ran(&mut sesearch)?;
    expect_eq(&found.stderr, found.code, Some(0))?;
    let class = format!(":{class} ");
    let rules = found.stdout.lines().filter_map(|line| line.split_once(&class));
    let words = rules.flat_map(|(_, permissions)| permissions.split([' ', '{', '}', ';']));
    Ok(words.filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

/// To open for reading takes two permissions.
fn needed(act: &str) -> &'static [&'static str] {
    match act {
        "open" => &["open", "read"],
        "ioctl" => &["ioctl"],
        "read" => &["read"],
        _ => &["write"],
    }
}

/// Whether the kernel's log has a denial of this kind.
fn has_record(console: &str, domain: &str, label: &str, act: &str) -> bool {
    console.lines().filter(|line| line.contains("avc:  denied")).any(|line| {
        let permissions = line.split(['{', '}']).nth(1).unwrap_or_default();
        needed(act).iter().any(|p| permissions.split(' ').any(|denied| denied == *p))
            && line.contains(&format!("scontext=u:r:{domain}:s0"))
            && line.contains(&format!("tcontext=u:object_r:{label}:s0"))
            && line.contains("permissive=0")
    })
}

fn type_of(label: &str) -> &str {
    label.split(':').nth(2).unwrap_or(label)
}

pub fn wrong_domain_uses_a_buffer_but_opens_no_heap() -> Outcome {
    let mut guest = boot(&Boot::default())?;
    for domain in ["untrusted_app", "shell", "surfaceflinger"] {
        let output = succeed(&mut guest, &format!("suite-access --buffer u:r:{domain}:s0"))?;
        expect_contains(&output, "drew into a buffer of default_cma_region")?;
    }
    Ok(())
}

/// On a device these two use what others allocate.
pub fn who_is_no_client_gets_no_buffer() -> Outcome {
    let mut guest = boot(&Boot::default())?;
    for domain in ["isolated_app", "hal_camera_default"] {
        let output = guest.shell(&format!("suite-access --buffer u:r:{domain}:s0"))?;
        expect_eq(domain, output.exit, Exit::Code(1))?;
        expect_contains(&guest.console(), &format!("scontext=u:r:{domain}:s0"))?;
    }
    Ok(())
}

/// What a device's service manager asks SELinux; the board's does not ask.
const ALLOCATOR: &str = "android.hardware.graphics.allocator.IAllocator/default";
const MAPPER: &str = "mapper/dmaheap";

/// The label that a device's service manager gives a name: that of the file's line for it.
fn service_label(name: &str) -> Result<String, Failed> {
    let mut found = Vec::new();
    for folder in [platform(), vendor()] {
        let text = fs::read_to_string(folder.join("service_contexts"))?;
        let lines = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let ours = lines.filter(|(known, _)| *known == name);
        found.extend(ours.map(|(_, label)| type_of(label.trim()).to_owned()));
    }
    match <[String; 1]>::try_from(found) {
        Ok([label]) => Ok(label),
        Err(found) => fail(format!("{} labels for {name}", found.len())),
    }
}

/// Domain by (add, find), for the instances that the manifest declares. Nobody registers what is a
/// library; a client has it opened.
pub fn services_are_added_by_the_allocator_and_found_by_its_clients() -> Outcome {
    let policy = compile(&[vendor()], &scratch("services")?)?;
    for (service, server) in [(ALLOCATOR, Some("hal_graphics_allocator_default")), (MAPPER, None)] {
        let label = service_label(service)?;
        for domain in DOMAINS {
            let expected: &[&str] = match domain {
                _ if server == Some(domain) => &["add", "find"],
                _ if CLIENTS.contains(&domain) => &["find"],
                _ => &[],
            };
            expect_eq(
                &format!("{domain} on {service} ({label})"),
                allowed(&policy, domain, &label, "service_manager")?,
                expected.iter().map(|act| (*act).to_owned()).collect(),
            )?;
        }
    }
    Ok(())
}

/// What each rule of the allocator's is for: without it, one of these fails.
const NEEDS_RULES: [&str; 4] = [
    "report::every_heap_serves_its_rule",
    "dump::tells_whether_it_can_see_what_memory_there_is",
    "report::dump_shows_the_kernels_count_of_cma_pages",
    "report::dump_shows_the_drivers_state",
];

pub fn every_rule_of_the_allocator_is_needed() -> Outcome {
    let text = fs::read_to_string(vendor().join(RULES))?;
    let rules: Vec<&str> = text.lines().filter(|line| line.starts_with("allow ")).collect();
    if rules.len() < 5 {
        return fail(format!("only {} rules found in {RULES}", rules.len()));
    }
    let mut guest = boot(&Boot::default())?;
    load(&mut guest, &vendor())?;
    expect_eq("failed with all rules", failing(&mut guest)?, Vec::new())?;
    for rule in rules {
        let folder = scratch("less")?;
        for entry in fs::read_dir(vendor())?.flatten().filter(|e| e.path().is_file()) {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
        fs::write(folder.join(RULES), text.replace(rule, ""))?;
        load(&mut guest, &folder)?;
        let failing = failing(&mut guest)?;
        println!("without '{rule}': {}", failing.join(", "));
        if failing.is_empty() {
            return fail(format!("nothing fails without '{rule}'"));
        }
    }
    Ok(())
}

const RULES: &str = "hal_graphics_allocator_default.te";

/// Compiles a vendor policy and makes it the guest's.
fn load(guest: &mut Guest, vendor: &Path) -> Outcome {
    let policy = compile(&[vendor.to_owned()], &scratch("load")?)?;
    guest.push(&policy, "/tmp/policy")?;
    succeed(guest, "cat /tmp/policy > /sys/fs/selinux/load").map(drop)
}

/// Those of [`NEEDS_RULES`] that fail now.
fn failing(guest: &mut Guest) -> Result<Vec<&'static str>, Failed> {
    let mut failing = Vec::new();
    for test in NEEDS_RULES {
        let output = guest.shell(&format!("suite-allocator --exact '{test}'"))?;
        match output.exit {
            Exit::Code(0) if output.stdout.contains("1 passed") => {}
            Exit::Code(101) => failing.push(test),
            other => return fail(format!("{test}: {other:?}\n{}", output.stdout)),
        }
    }
    Ok(failing)
}

/// Of all that the shared guests have run until now: their consoles forget nothing, as the kernel's
/// own buffer does, but say where they had to leave something out.
pub fn nothing_was_denied_to_anybody() -> Outcome {
    with_every_guest(|guest| {
        let enforcing = succeed(guest, "cat /sys/fs/selinux/enforce")?;
        expect_eq("enforcing", enforcing.trim(), "1")?;
        let console = guest.console();
        // The last is of the function by which all of them come, kauditd_printk_skb; binder and
        // others have limits of their own.
        let signs = ["avc:", "audit_lost", "audit: rate limit", "printk_skb: "];
        let is_sign = |line: &&str| signs.iter().any(|sign| line.contains(sign));
        expect_eq("denials", console.lines().filter(is_sign).collect(), Vec::<&str>::new())
    })
}
