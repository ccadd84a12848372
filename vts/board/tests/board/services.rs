// SPDX-License-Identifier: Apache-2.0
//! The board after boot: services, nodes, names.

use std::fs;

use board::boards::{ALLOCATOR, POLICY};
use board::{Boot, Guest, repository};
use board_channel::wire::Exit;
use dmaheap_suite::program;

use crate::Outcome;
use crate::fixture::{
    boot, expect_contains, expect_eq, fail, scratch, sh, succeed, with_every_guest,
};

pub const INTERFACE: &str = "android.hardware.graphics.allocator.IAllocator/default";
const MANIFEST: &str = "android.hardware.graphics.allocator-service.dmaheap.xml";

/// `CAP_SYS_NICE` is bit 23; Android ids: system 1000, graphics 1003, drmrpc 1026.
pub fn allocator_runs_as_system_with_the_rights_of_its_rc_file() -> Outcome {
    let status = sh(&format!("cat /proc/$(pidof {ALLOCATOR})/status"))?;
    let line = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("missing");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    expect_eq("user", line("Uid:").as_str(), "1000 1000 1000 1000")?;
    expect_eq("group", line("Gid:").as_str(), "1003 1003 1003 1003")?;
    expect_eq("groups", line("Groups:").as_str(), "1003 1026")?;
    expect_eq("capabilities", line("CapEff:").as_str(), "0000000000800000")
}

/// The system heap is the platform's, and the board's platform does as Android's.
pub fn heap_nodes_have_the_modes_and_owners_of_ueventd_rc() -> Outcome {
    let platform = "/dev/dma_heap/system 0444 system system\n".to_owned();
    let file = platform + &fs::read_to_string(repository().join("service/etc/ueventd.rc"))?;
    let nodes = sh("stat -c '%n 0%a %U %G' /dev/dma_heap/*")?;
    for node in nodes.lines() {
        let (name, rights) = node.split_once(' ').ok_or(format!("not NODE RIGHTS: {node}"))?;
        // ueventd searches its rules backwards, and a star stands at the end only.
        let is_about = |path: &str| match path.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == path,
        };
        let rules = file.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let rule = rules.rev().find(|(path, _)| is_about(path));
        let wanted =
            rule.map(|(_, rights)| rights.split_whitespace().collect::<Vec<_>>().join(" "));
        expect_eq(name, Some(rights.to_owned()), wanted)?;
    }
    expect_eq("heap nodes", nodes.lines().count(), 4)
}

pub fn heaps_have_the_names_of_newer_kernels() -> Outcome {
    let names = sh("ls /dev/dma_heap")?;
    let names: Vec<&str> = names.lines().collect();
    expect_eq(
        "heaps",
        names,
        vec!["camera@54000000", "default_cma_region", "fixed@58000000", "system"],
    )
}

pub fn killed_allocator_comes_back() -> Outcome {
    let mut guest = boot(&Boot::default())?;
    let before = succeed(&mut guest, &format!("pidof {ALLOCATOR}"))?;
    succeed(&mut guest, &format!("kill -9 {before}"))?;
    let wait = format!(
        "for i in $(seq 200); do rsb_service check {INTERFACE} 2>/dev/null && exit 0; sleep 0.1; \
         done; exit 1"
    );
    succeed(&mut guest, &wait)?;
    let after = succeed(&mut guest, &format!("pidof {ALLOCATOR}"))?;
    if before == after {
        return fail(format!("it is still process {before}"));
    }
    expect_contains(&guest.console(), "ended: killed by SIGKILL")
}

/// Clients ask before they wait, as libui does.
pub fn clients_of_a_board_that_declares_no_allocator_do_not_wait_for_it() -> Outcome {
    let manifest = scratch("vintf")?.join("none.xml");
    fs::write(&manifest, "<manifest version=\"1.0\" type=\"device\"/>\n")?;
    let replace = vec![(MANIFEST.to_owned(), manifest)];
    let mut guest = boot(&Boot { replace, ..Boot::default() })?;
    for program in [program::ALLOCATOR.name, program::MAPPER.name] {
        let output = guest.shell(&format!("{program} --filter Allocate --filter Import"))?;
        expect_eq(program, output.exit, Exit::Code(101))?;
        expect_contains(&output.stdout, &format!("{INTERFACE} is not declared"))?;
    }
    Ok(())
}

/// As its policy says; a client of either version sees no other difference.
pub fn allocator_answers_the_version_that_the_board_declares() -> Outcome {
    let mut guest = boot(&Boot::default())?;
    let cases = "interface:: Rejects CanAllocate GetUsage64 GetSetDataspace";
    let as_it_is = |guest: &mut Guest, version: &str| {
        for program in [program::ALLOCATOR.name, program::MAPPER.name] {
            succeed(guest, &format!("{program} {cases}"))?;
        }
        let told = succeed(guest, &format!("rsb_service dump {INTERFACE}"))?;
        expect_contains(&told, &format!("answered as version {version}."))
    };
    as_it_is(&mut guest, "3")?;
    succeed(
        &mut guest,
        &format!("sed -i 's/^interface = 3/interface = 2/' {POLICY} && kill $(pidof {ALLOCATOR})"),
    )?;
    succeed(&mut guest, &format!("{} CanAllocate", program::ALLOCATOR.name))?;
    as_it_is(&mut guest, "2")
}

pub fn console_shows_no_kernel_warning() -> Outcome {
    with_every_guest(|guest| {
        let console = guest.console();
        for sign in ["WARNING:", "BUG:", "Call trace:", "rcu: INFO", "blocked for more than"] {
            if let Some(line) = console.lines().find(|line| line.contains(sign)) {
                return fail(format!("{line}\n{console}"));
            }
        }
        Ok(())
    })
}
