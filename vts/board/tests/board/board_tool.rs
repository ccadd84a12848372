// SPDX-License-Identifier: Apache-2.0
//! The board tool as its users call it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use board::boards::ALLOCATOR;
use board::repository;

use crate::Outcome;
use crate::fixture::{expect_contains, expect_eq, fail, overlay, ran, run_tool, scratch, tool};

pub fn exec_passes_output_status_and_files_on() -> Outcome {
    let here = scratch("exec")?;
    fs::write(here.join("in"), "carried\n")?;
    let push = format!("{}:/tmp/in", here.join("in").display());
    let pull = format!("/tmp/out:{}", here.join("out").display());
    let script = "cat /tmp/in; cp /tmp/in /tmp/out; echo wrong >&2; exit 7";
    let result = run_tool(&["exec", "--push", &push, "--pull", &pull, "--", "sh", "-c", script])?;
    expect_eq("status", result.code, Some(7))?;
    expect_eq("output", result.stdout.as_str(), "carried\n")?;
    expect_contains(&result.stderr, "wrong\n")?;
    expect_eq("pulled file", fs::read_to_string(here.join("out"))?.as_str(), "carried\n")
}

/// More than a pipe holds, so that the command and the tool wait for one another.
pub fn exec_passes_its_input_on() -> Outcome {
    let mut tool = tool(&["exec", "--", "sh", "-c", "sleep 1; md5sum; echo over >&2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let input = tool.stdin.take().ok_or("the input is piped")?;
    let sent = std::thread::spawn(move || (&input).write_all(&vec![b'x'; 3 << 20]));
    let output = tool.wait_with_output()?;
    sent.join().map_err(|_| "the writer panicked")??;
    let sum = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut expected =
        ran(Command::new("sh").args(["-c", "head -c 3145728 /dev/zero | tr '\\0' x | md5sum"]))?;
    expected.stdout.truncate(32);
    expect_contains(&sum, &expected.stdout)
}

/// Its regions have their names and sizes, elsewhere; a camera's buffer comes from the camera's.
pub fn a_board_that_qemu_lacks_runs_its_policy_on_the_virtual_one() -> Outcome {
    let explain = format!(
        "/vendor/bin/hw/{ALLOCATOR} explain --usage CAMERA_OUTPUT --format YCBCR_420_888 --size 1920x1080; \
         cat /sys/kernel/dmaheap/camera*/size"
    );
    for (board, node) in [
        ("hikey", "camera@30000000"),
        ("rpi4", "camera@10000000"),
        // With labels and rules of the board's own.
        ("imx8mm", "camera@98000000"),
    ] {
        let result = run_tool(&["--board", board, "exec", "--", "sh", "-c", &explain])?;
        expect_contains(&result.stderr, &format!("QEMU has no {board}"))?;
        expect_contains(&result.stderr, &format!("{node} at 0x54000000"))?;
        expect_contains(&result.stdout, &format!("{node} gives it"))?;
        expect_contains(&result.stdout, "\n67108864\n")?;
    }
    Ok(())
}

/// The page is followed literally from an empty folder; what it shows of a command's output is there.
pub fn six_files_take_a_new_board_to_a_clean_check() -> Outcome {
    let board = scratch("six")?;
    let page = fs::read_to_string(repository().join("service/template/README.md"))?;
    let mut said = String::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("    ")) {
        match line.strip_prefix("$ ") {
            Some(command) => {
                let mut sh = Command::new("sh");
                sh.args(["-c", command]).env("BOARD", &board).current_dir(repository());
                let result = ran(&mut sh)?;
                said = result.stdout + &result.stderr;
                // The one check that is to find something.
                let is_first_check = said.contains("errors: 1, warnings: 0");
                if result.code != Some(0) && !is_first_check {
                    return fail(format!("{command}\n{said}"));
                }
            }
            None if line.starts_with("adb ") => {}
            None => expect_contains(&said, line)?,
        }
    }
    expect_contains(&said, "codec@30000000")
}

/// A command that reads nothing is not held up by what nobody reads.
pub fn exec_ends_with_its_command_whatever_it_was_sent() -> Outcome {
    let mut tool = tool(&["exec", "--", "sh", "-c", "exit 4"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // It stays open, and has more to say than fits anywhere.
    let input = tool.stdin.take().ok_or("the input is piped")?;
    std::thread::spawn(move || (&input).write_all(&vec![b'x'; 8 << 20]));
    let output = tool.wait_with_output()?;
    expect_eq(&String::from_utf8_lossy(&output.stderr), output.status.code(), Some(4))
}

pub fn exec_keeps_the_commands_status_when_a_pull_fails() -> Outcome {
    let here = scratch("pull")?;
    let pull = format!("/no/such/file:{}", here.join("x").display());
    for (exit, status) in [(7, 7), (0, 125)] {
        let script = format!("exit {exit}");
        let result = run_tool(&["exec", "--pull", &pull, "--", "sh", "-c", &script])?;
        expect_eq("status", result.code, Some(status))?;
        expect_contains(&result.stderr, "/no/such/file: No such file")?;
        expect_contains(&result.stderr, "the command itself")?;
    }
    Ok(())
}

pub fn exec_ends_with_127_for_a_missing_program() -> Outcome {
    let result = run_tool(&["exec", "--", "no-such-program"])?;
    expect_eq("status", result.code, Some(127))?;
    expect_contains(&result.stderr, "cannot run no-such-program: No such file")
}

/// In a temporary folder whose name would be three properties to QEMU.
pub fn exec_boots_below_a_path_with_spaces_and_commas() -> Outcome {
    let here = scratch("a b,c=d,e")?;
    fs::write(here.join("in, out"), "carried\n")?;
    let push = format!("{}:/tmp/", here.join("in, out").display());
    let pull = format!("/tmp/in, out:{}", here.join("back, again").display());
    let arguments = ["exec", "--push", &push, "--pull", &pull, "--", "cat", "/tmp/in, out"];
    let result = ran(tool(&arguments).env("TMPDIR", &here))?;
    expect_eq(&result.stderr, result.code, Some(0))?;
    expect_eq("output", result.stdout.as_str(), "carried\n")?;
    expect_eq("pulled", fs::read_to_string(here.join("back, again"))?.as_str(), "carried\n")
}

pub fn exec_reports_a_kernel_panic() -> Outcome {
    let result = run_tool(&[
        "exec",
        "--",
        "sh",
        "-c",
        "echo before; echo c > /proc/sysrq-trigger; sleep 60",
    ])?;
    expect_eq("status", result.code, Some(125))?;
    expect_contains(&result.stderr, "the guest died (running sh -c")?;
    expect_contains(&result.stderr, "Kernel panic - not syncing: sysrq triggered crash")
}

pub fn exec_ends_a_hung_guest_and_shows_its_console() -> Outcome {
    let result = run_tool(&["exec", "--timeout", "20", "--", "sleep", "1000"])?;
    expect_eq("status", result.code, Some(125))?;
    expect_contains(&result.stderr, "did not finish in time (running sleep 1000)")?;
    expect_contains(&result.stderr, "allocator: info: heap system is")
}

pub fn guest_that_does_not_come_up_is_shown() -> Outcome {
    let result = run_tool(&["exec", "--append", "rdinit=/no/such", "--", "true"])?;
    expect_eq("status", result.code, Some(125))?;
    expect_contains(&result.stderr, "the guest died (booting)")?;
    expect_contains(&result.stderr, "Kernel panic - not syncing: No working init found")
}

pub fn exec_refuses_wrong_paths_before_booting() -> Outcome {
    for (option, value, complaint) in [
        ("--push", "/no/such:/tmp/x", "--push: there is no /no/such on this host"),
        (
            "--pull",
            "/tmp/x:/no/such/folder/x",
            "--pull: /no/such/folder/x: there is no such folder",
        ),
        ("--dtbo", "/no/such.dtbo", "--dtbo: /no/such.dtbo: No such file or directory"),
    ] {
        let result = run_tool(&["exec", option, value, "--", "true"])?;
        expect_eq("status", result.code, Some(125))?;
        expect_contains(&result.stderr, &format!("error: {complaint}"))?;
    }
    Ok(())
}

pub fn exec_boots_without_services_memory_and_overlay_of_choice() -> Outcome {
    let overlay = overlay(&[("other@50000000", "reg = <0x0 0x50000000 0x0 0x1000000>;")])?;
    let overlay = overlay.display().to_string();
    let script = "grep MemTotal /proc/meminfo; ls /dev/dma_heap; cat /proc/cmdline; \
                  pidof rsb_hub || echo no services";
    let result = run_tool(&[
        "exec",
        "--no-services",
        "--memory",
        "640",
        "--append",
        "board.test=appended",
        "--dtbo",
        &overlay,
        "--",
        "sh",
        "-c",
        script,
    ])?;
    expect_eq("status", result.code, Some(0))?;
    expect_contains(&result.stdout, "other@50000000")?;
    expect_contains(&result.stdout, "board.test=appended")?;
    expect_contains(&result.stdout, "no services")?;
    let total = result.stdout.split_whitespace().nth(1).unwrap_or("0").parse::<u32>()?;
    if !(512 * 1024..640 * 1024).contains(&total) {
        return fail(format!("640 MiB were asked for, the guest has {total} KiB"));
    }
    Ok(())
}

/// A dpkg-query that knows nothing makes every package look missing.
pub fn missing_packages_are_only_named_when_told_so() -> Outcome {
    let bin = scratch("bin")?;
    let fake = bin.join("dpkg-query");
    fs::write(&fake, "#!/bin/sh\nexit 1\n")?;
    fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let result = ran(tool(&["--no-install", "exec", "--", "true"]).env("PATH", &path))?;
    expect_eq("status", result.code, Some(125))?;
    for part in ["missing: ", "device-tree-compiler", "libfdt1", "apt-get install", "--no-remove"] {
        expect_contains(&result.stderr, part)?;
    }
    let result = ran(tool(&["--no-install", "coverage"]).env("PATH", path))?;
    expect_eq("status", result.code, Some(125))?;
    expect_contains(&result.stderr, "llvm-")
}

pub fn killed_tool_leaves_no_qemu() -> Outcome {
    let mut command = tool(&["exec", "--", "sh", "-c", "echo up; sleep 1000"]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut up = [0; 3];
    if let Some(stdout) = running.stdout.as_mut() {
        std::io::Read::read_exact(stdout, &mut up)?;
    }
    let qemu = child_of(running.id())?;
    running.kill()?;
    running.wait()?;
    let deadline = Instant::now() + Duration::from_secs(120);
    while Path::new("/proc").join(&qemu).exists() {
        if Instant::now() > deadline {
            return fail(format!("QEMU, process {qemu}, outlived the tool"));
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The one child of a process, whichever thread started it, by id.
fn child_of(parent: u32) -> Result<String, libtest_mimic::Failed> {
    let mut children = String::new();
    for thread in fs::read_dir(format!("/proc/{parent}/task"))? {
        children += &fs::read_to_string(thread?.path().join("children"))?;
    }
    match children.split_whitespace().collect::<Vec<_>>()[..] {
        [one] => Ok(one.to_owned()),
        _ => fail(format!("process {parent} has these children: '{children}'")),
    }
}

pub fn two_boards_at_once_do_not_disturb_each_other() -> Outcome {
    let here = scratch("two")?;
    let start = |name: &str| {
        let out = here.join(name);
        let pull = format!("/tmp/name:{}", out.display());
        let script = format!("sleep 2; echo {name} | tee /tmp/name");
        tool(&["exec", "--pull", &pull, "--", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let (first, second) = (start("first")?, start("second")?);
    for (name, running) in [("first", first), ("second", second)] {
        let output = running.wait_with_output()?;
        expect_eq("status", output.status.code(), Some(0))?;
        expect_eq("output", String::from_utf8_lossy(&output.stdout).trim(), name)?;
        expect_eq("file", fs::read_to_string(here.join(name))?.trim(), name)?;
    }
    Ok(())
}

/// The program fails unless each request was served from the reserve.
pub fn bench_measures_a_reserve_that_serves_every_request() -> Outcome {
    let ran = run_tool(&["bench", "--boots", "1", "reserve"])?;
    expect_eq(&ran.stderr, ran.code, Some(0))?;
    expect_contains(&ran.stdout, "allocate2 8100 KiB, reserved")
}

pub fn vts_runs_the_tests_that_are_asked_for_and_reports() -> Outcome {
    let none = run_tool(&["vts", "--filter", "no such test"])?;
    expect_eq("status", none.code, Some(125))?;
    expect_contains(&none.stderr, "no test's name contains 'no such test'")?;

    // A user's own reports stay what they are.
    let here = scratch("vts")?;
    let out = here.display().to_string();
    let ran = run_tool(&["vts", "--filter", "GetProtectedContent", "--out", &out])?;
    expect_eq(&ran.stderr, ran.code, Some(0))?;
    expect_contains(&ran.stdout, "0 passed, 0 failed, 1 skipped")?;
    let read = |name: &str| fs::read_to_string(here.join(name));
    expect_contains(&read("vts.xml")?, "name=\"GetProtectedContent\"")?;
    let page = read("vts.html")?;
    for part in [
        "does not support protected buffers",
        "framebuffer",
        "<h2>camera@54000000",
        "camera.png",
        "class=\"buffer h0\"",
        "Linux 6.12",
        "commit ",
    ] {
        expect_contains(&page, part)?;
    }
    Ok(())
}
