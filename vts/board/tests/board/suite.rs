// SPDX-License-Identifier: Apache-2.0
//! The device's own test programs, run in the shared guests of both boards, each test under its own
//! name; below `next::` it runs on virt-next.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use board::{Board, Boot, boards, skips};
use board_channel::wire::Exit;
use dmaheap_suite::harness::Program;
use dmaheap_suite::mapper::NATIVE_CASES;
use dmaheap_suite::program::{ALLOCATOR, HEAPS, OUR_ALLOCATOR, PROGRAMS};
use libtest_mimic::{Completion, Failed, Trial};

use crate::Outcome;
use crate::fixture::{
    boot, compile_file, cross, expect_contains, expect_eq, fail, lock, scratch, succeed,
    with_guest, with_guest_of,
};

/// One trial here for each of the programs', and for each case of the mapper's clients in C and C++.
pub fn trials() -> Vec<Trial> {
    let on_device = PROGRAMS
        .iter()
        .flat_map(|program| (program.trials)().into_iter().map(|trial| on_device(program, &trial)));
    let native = [&C, &CPP].into_iter().flat_map(|language| {
        let name = move |case: &str| format!("mapper::{}::{case}", language.name);
        NATIVE_CASES.iter().map(move |case| Trial::test(name(case), || native(language, case)))
    });
    on_device.chain(native).collect()
}

fn on_device(program: &'static Program, trial: &Trial) -> Trial {
    let name = trial.name().to_owned();
    let test = move || run(&boards::VIRT, "", program.name, &name);
    Trial::ignorable_test(format!("{}::{}", program.topic, trial.name()), test)
}

/// What is long is shorter where much else is slow: in a sanitised kernel, or against each mutant.
pub const SHORT: &str =
    "SUITE_DESCRIPTORS=500 SUITE_SECONDS=1 SUITE_BUFFERS=128 SUITE_OPERATIONS=800";

/// What is left out on virt-next, and why.
const ONLY_ON_VIRT: [(&str, &str); 1] = [(
    "callers::sixty_four_that_ask_at_once_get_nobody_killed",
    "in one of five runs, in a guest whose memory had been full before, a caller's process failed, and \
     was not killed; not explained yet",
)];

/// All of the programs' tests once more, on the other kernel.
pub fn trials_on_next() -> Vec<Trial> {
    let on_next = |program: &'static Program, trial: &Trial| {
        let name = trial.name().to_owned();
        let test = move || match ONLY_ON_VIRT.iter().find(|(case, _)| *case == name) {
            Some((_, why)) => Ok(Completion::ignored_with(*why)),
            None => run(&boards::VIRT_NEXT, SHORT, program.name, &name),
        };
        Trial::ignorable_test(format!("next::{}::{}", program.topic, trial.name()), test)
    };
    PROGRAMS
        .iter()
        .flat_map(|program| {
            (program.trials)().into_iter().map(move |trial| on_next(program, &trial))
        })
        .collect()
}

fn run(
    board: &'static Board,
    effort: &str,
    program: &str,
    test: &str,
) -> Result<Completion, Failed> {
    let output = with_guest_of(board, |guest| {
        let command = format!("{effort} {program} --exact --filter '{test}'");
        guest.shell(&command).map_err(Failed::from)
    })?;
    // Figures that a test has found, or why it was skipped.
    eprint!("{}", output.stderr);
    // A name that matches no test would pass as well.
    match output.exit {
        Exit::Code(0) if output.stdout.contains("1 passed") => Ok(Completion::Completed),
        Exit::Code(0) if output.stdout.contains("1 ignored") => {
            let reason = output.stderr.trim();
            if !skips::is_allowed(test, reason) {
                return fail(format!("this board lacks nothing that {test} needs: {reason}"));
            }
            Ok(Completion::ignored_with(reason))
        }
        exit => fail(format!("{exit:?}\n{}", output.stdout)),
    }
}

/// A language that the mapper's client is compiled in.
struct Language {
    name: &'static str,
    compiler: &'static str,
    flags: [&'static str; 3],
    client: Mutex<Option<PathBuf>>,
}

static C: Language = Language {
    name: "c",
    compiler: "gcc",
    flags: ["-xc", "-std=c11", "-D_GNU_SOURCE"],
    client: Mutex::new(None),
};

static CPP: Language = Language {
    name: "cpp",
    compiler: "g++",
    flags: ["-xc++", "-std=c++17", "-D_GNU_SOURCE"],
    client: Mutex::new(None),
};

impl Language {
    fn client(&self) -> Result<PathBuf, Failed> {
        let mut client = lock(&self.client);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let source = board::repository().join("vts/suite/c/client.c");
        let strict = [&["-O2", "-Wall", "-Wextra", "-Werror"][..], &self.flags].concat();
        let name = format!("client-{}", self.name);
        Ok(client.insert(compile_file(self.compiler, &name, &source, &strict)?).clone())
    }
}

/// The suite allocates a buffer and becomes the client, which runs the case.
fn native(language: &Language, case: &str) -> Outcome {
    let client = language.client()?;
    with_guest(|guest| {
        guest.push(&client, "/tmp/client")?;
        let output = succeed(guest, &format!("SUITE_ROLE=lend suite-mapper /tmp/client {case}"))?;
        expect_eq("output", output.as_str(), "passed\n")
    })
}

/// What a client's process gets with the library: nothing but three symbols, no library that is
/// not in every process, and little of it.
pub fn mapper_library_is_small_and_exports_three_symbols() -> Outcome {
    let here = scratch("mapper")?;
    let (library, stripped) = (here.join("mapper.dmaheap.so"), here.join("stripped.so"));
    with_guest(|guest| Ok(guest.pull("/vendor/lib64/hw/mapper.dmaheap.so", &library)?))?;

    let symbols = cross("nm", |nm| nm.args(["-D", "--defined-only", "-j"]).arg(&library))?;
    let symbols: Vec<&str> = symbols.lines().collect();
    let expected =
        ["AIMapper_loadIMapper", "ANDROID_HAL_MAPPER_VERSION", "ANDROID_HAL_STABLEC_VERSION"];
    expect_eq("exported symbols", symbols, expected.to_vec())?;

    let dynamic = cross("readelf", |readelf| readelf.arg("-d").arg(&library))?;
    for needed in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        if !["[libc.so.6]", "[libgcc_s.so.1]", "[ld-linux-aarch64.so.1]"]
            .iter()
            .any(|known| needed.contains(known))
        {
            return fail(format!("it needs another library: {needed}"));
        }
    }
    expect_contains(&dynamic, "libc.so.6")?;

    cross("strip", |strip| strip.arg("-o").arg(&stripped).arg(&library))?;
    let bytes = fs::metadata(&stripped)?.len();
    if bytes >= 600 << 10 {
        return fail(format!("{bytes} bytes without debug information"));
    }
    Ok(())
}

/// Nothing else would tell a misspelt name from a service that is slow to start.
pub fn instance_that_is_not_there_is_named() -> Outcome {
    let output = with_guest(|guest| {
        Ok(guest.shell(&format!("{} --instance nobody CanAllocate", ALLOCATOR.name))?)
    })?;
    expect_eq("exit", output.exit, Exit::Code(101))?;
    expect_contains(&output.stdout, "IAllocator/nobody is not declared")
}

/// On a device that cannot count, tests are skipped; this board can, and a skip is a fault.
pub fn board_without_counters_is_not_taken_for_sound() -> Outcome {
    let mut guest = boot(&Boot::default())?;
    succeed(&mut guest, "mount -t tmpfs none /sys/kernel/dmaheap")?;
    let output = guest.shell(&format!("{} --filter request::", HEAPS.name))?;
    let skipped = output.stderr.lines().skip_while(|line| *line != "skipped:").skip(1);
    let skipped: Vec<(&str, &str)> =
        skipped.filter_map(|line| line.trim().split_once(": ")).collect();
    if skipped.is_empty() || skipped.iter().any(|(case, why)| skips::is_allowed(case, why)) {
        return fail(format!("without a state: {:?}\n{}", output.exit, output.stderr));
    }
    Ok(())
}

/// The tool is built without the suite, so that a first run is short, and has the names by itself.
pub fn the_board_tool_knows_every_program() -> Outcome {
    let table = fs::read_to_string(board::repository().join("vts/board/src/vts/mod.rs"))?;
    PROGRAMS
        .iter()
        .try_for_each(|program| expect_contains(&table, &format!("\"{}\"", program.name)))
}

/// What ran is whole, and what was running is named: `vts::results` makes a report of it.
pub fn a_program_that_dies_leaves_what_it_reported() -> Outcome {
    let script = format!(
        "{} --format=junit --filter dump:: >/tmp/died.xml 2>/dev/null & \
         until grep -q time= /tmp/died.xml; do sleep 0.05; done; kill -9 $!; cat /tmp/died.xml",
        OUR_ALLOCATOR.name
    );
    let report = with_guest(|guest| succeed(guest, &script))?;
    expect_contains(&report, &format!("<testsuite name=\"{}\">", OUR_ALLOCATOR.name))?;
    let last = report.lines().last().unwrap_or_default();
    let is_open = last.starts_with("<testcase ") && !last.contains('>');
    if is_open || report.ends_with("/>\n") { Ok(()) } else { fail(report) }
}
