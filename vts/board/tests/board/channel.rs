// SPDX-License-Identifier: Apache-2.0
//! Commands and files through the control channel: nothing lost, nothing cut.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use board::Error;
use board_channel::wire::{Exit, Stream};

use crate::Outcome;
use crate::fixture::{
    compile, expect_contains, expect_eq, fail, refusal, scratch, succeed, with_guest,
};

const EXIT_SEVEN: &str = "#include <stdio.h>\nint main(void) { puts(\"seven\"); return 7; }\n";
const DLOPEN: &str = "#include <dlfcn.h>\n#include <stdio.h>\nint main(void) {\n\
    void *lib = dlopen(\"libstdc++.so.6\", RTLD_NOW);\n\
    if (!lib) { puts(dlerror()); return 1; }\n\
    return dlsym(lib, \"__cxa_throw\") ? 0 : 2;\n}\n";

fn exit_seven(name: &str, flags: &[&str]) -> Outcome {
    let program = compile(name, EXIT_SEVEN, flags)?;
    with_guest(|guest| {
        guest.push(&program, &format!("/tmp/{name}"))?;
        let output = guest.shell(&format!("/tmp/{name}"))?;
        expect_eq("exit", output.exit, Exit::Code(7))?;
        expect_eq("output", output.stdout.as_str(), "seven\n")
    })
}

pub fn exit_status_of_a_static_c_program_arrives() -> Outcome {
    exit_seven("seven-static", &["-static"])
}

pub fn exit_status_of_a_dynamic_c_program_arrives() -> Outcome {
    exit_seven("seven-dynamic", &[])
}

pub fn dlopen_finds_the_cpp_library() -> Outcome {
    let program = compile("dlopen", DLOPEN, &[])?;
    with_guest(|guest| {
        guest.push(&program, "/tmp/dlopen")?;
        succeed(guest, "/tmp/dlopen").map(|_| ())
    })
}

/// A shell that inherited a blocked SIGCHLD hangs in its `wait` now and then.
pub fn commands_start_with_no_signal_blocked() -> Outcome {
    with_guest(|guest| {
        let mask = succeed(guest, "grep SigBlk /proc/self/status")?;
        expect_eq("mask", mask.trim(), "SigBlk:\t0000000000000000")
    })
}

pub fn signal_is_reported_as_a_shell_does() -> Outcome {
    with_guest(|guest| {
        let argv = ["sh", "-c", "kill -SEGV $$"].map(str::to_owned);
        let exit = guest.run(&argv, |_, _| Ok(()))?;
        expect_eq("exit", exit, Exit::Signal(11))
    })
}

pub fn missing_program_is_named() -> Outcome {
    with_guest(|guest| match guest.run(&["no-such-program".to_owned()], |_, _| Ok(())) {
        Err(Error::CannotRun { code: 127, why }) => {
            expect_contains(&why, "cannot run no-such-program: No such file")
        }
        other => fail(format!("{other:?}")),
    })
}

pub fn large_output_arrives_whole_on_both_streams() -> Outcome {
    const BYTES: usize = 8 << 20;
    let script = format!(
        "yes 0123456789abcdef | head -c {BYTES} & yes fedcba9876543210 | head -c {BYTES} >&2; wait"
    );
    with_guest(|guest| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let argv = ["sh".to_owned(), "-c".to_owned(), script];
        let exit = guest.run(&argv, |stream, bytes| {
            if stream == Stream::Stdout { &mut out } else { &mut err }.extend_from_slice(bytes);
            Ok(())
        })?;
        expect_eq("exit", exit, Exit::Code(0))?;
        for (what, got, line) in
            [("output", out, b"0123456789abcdef\n"), ("errors", err, b"fedcba9876543210\n")]
        {
            expect_eq(what, got.len(), BYTES)?;
            if got.chunks(line.len()).any(|piece| *piece != line[..piece.len()]) {
                return fail(format!("{what} arrived changed"));
            }
        }
        Ok(())
    })
}

pub fn daemon_left_behind_does_not_hold_the_command() -> Outcome {
    with_guest(|guest| {
        let output = guest.shell("sleep 10000 & echo started")?;
        expect_eq("output", output.stdout.as_str(), "started\n")?;
        // It fails where there is none: the command did not wait for its daemon's end.
        succeed(guest, "killall sleep").map(drop)
    })
}

pub fn folder_keeps_contents_and_modes_both_ways() -> Outcome {
    let here = scratch("folder")?;
    let (from, back) = (here.join("from"), here.join("back"));
    fs::create_dir_all(from.join("sub"))?;
    fs::write(from.join("sub/tool"), "#!/bin/sh\necho ran\n")?;
    fs::set_permissions(from.join("sub/tool"), Permissions::from_mode(0o754))?;
    fs::write(from.join("empty"), "")?;
    std::os::unix::fs::symlink("sub/tool", from.join("link"))?;
    with_guest(|guest| {
        guest.push(&from, "/tmp/folder")?;
        expect_eq("output", succeed(guest, "/tmp/folder/link")?.as_str(), "ran\n")?;
        expect_eq("mode", succeed(guest, "stat -c %a /tmp/folder/sub/tool")?.as_str(), "754\n")?;
        guest.pull("/tmp/folder", &back)?;
        let mode = fs::metadata(back.join("sub/tool"))?.permissions().mode() & 0o7777;
        expect_eq("mode on the way back", mode, 0o754)?;
        expect_eq("link", fs::read_link(back.join("link"))?, "sub/tool".into())?;
        expect_eq("empty file", fs::read(back.join("empty"))?.len(), 0)
    })
}

pub fn large_file_arrives_whole_both_ways() -> Outcome {
    let here = scratch("large")?;
    let (from, back) = (here.join("from"), here.join("back"));
    // Every 4 bytes differ from all others, so a lost or doubled piece shows.
    let content: Vec<u8> = (0..8_u32 << 20).flat_map(u32::to_le_bytes).collect();
    fs::write(&from, &content)?;
    with_guest(|guest| {
        guest.push(&from, "/tmp/large")?;
        expect_eq("size", succeed(guest, "stat -c %s /tmp/large")?.trim(), "33554432")?;
        guest.pull("/tmp/large", &back)?;
        succeed(guest, "rm /tmp/large")?;
        if fs::read(&back)? == content { Ok(()) } else { fail("the file came back changed") }
    })
}

pub fn proc_file_is_pulled_whole() -> Outcome {
    let back = scratch("proc")?.join("version");
    with_guest(|guest| {
        guest.pull("/proc/version", &back)?;
        let expected = succeed(guest, "cat /proc/version")?;
        expect_eq("content", fs::read_to_string(&back)?, expected)
    })
}

pub fn missing_guest_file_is_named() -> Outcome {
    let back = scratch("missing")?.join("file");
    with_guest(|guest| {
        let error = refusal(guest.pull("/no/such/file", &back))?;
        expect_contains(&error, "/no/such/file: No such file")?;
        // The channel is still in step.
        succeed(guest, "true").map(|_| ())
    })
}

pub fn full_guest_disk_is_reported_and_survived() -> Outcome {
    let from = scratch("full")?.join("from");
    fs::write(&from, vec![1; 4 << 20])?;
    with_guest(|guest| {
        succeed(guest, "mkdir /tmp/small && mount -t tmpfs -o size=1m small /tmp/small")?;
        let error = refusal(guest.push(&from, "/tmp/small/file"))?;
        expect_contains(&error, "No space left")?;
        succeed(guest, "umount /tmp/small && rmdir /tmp/small").map(|_| ())
    })
}
