// SPDX-License-Identifier: Apache-2.0
//! What needs a booted board, one test per fact: `cargo test NAME` runs those that match.
//!
//! Tests that only look share guests, one for each thread. Those that break something, or are about
//! booting, bring their own. A board that does not start fails the test; nothing is skipped but what
//! `board::skips` lists. What all tests together caused in the shared guests is judged last.

mod board_tool;
mod channel;
mod demonstration;
mod events;
mod fixture;
mod kunit;
mod mutants;
mod package;
mod reach;
mod regions;
mod screen;
mod sepolicy;
mod services;
mod suite;

use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test's result; any error fails it with its text.
type Outcome = Result<(), Failed>;

/// A test with the name of its function, below that of its module.
macro_rules! trials {
    ($($module:ident :: { $($test:ident),* $(,)? })*) => {
        vec![$($(
            Trial::test(concat!(stringify!($module), "::", stringify!($test)), $module::$test)
        ),*),*]
    };
}

fn main() -> std::process::ExitCode {
    let mut arguments = Arguments::from_args();
    // A guest waits for two thirds of its time.
    arguments.test_threads = Some(GUESTS);
    let mut trials = trials! {
        demonstration::{
            framebuffer_is_one_segment_of_the_default_region,
            camera_output_is_one_segment_of_the_camera_region,
            app_window_and_cpu_buffer_come_from_system,
            camera_captures_into_its_own_buffers,
            camera_refuses_a_scattered_app_window,
            picture_shows_the_test_pattern,
            display_shows_contiguous_memory_only,
            iommu_maps_either_in_one_range,
            changed_rule_changes_the_heap,
        }
        services::{
            allocator_runs_as_system_with_the_rights_of_its_rc_file,
            heap_nodes_have_the_modes_and_owners_of_ueventd_rc,
            heaps_have_the_names_of_newer_kernels,
            killed_allocator_comes_back,
            allocator_answers_the_version_that_the_board_declares,
            clients_of_a_board_that_declares_no_allocator_do_not_wait_for_it,
        }
        regions::{
            kernel_selftest_passes_on_every_heap,
            name_that_is_taken_costs_no_other_region,
            wrong_regions_are_reported_and_cost_no_other,
            name_of_the_in_tree_heap_is_left_to_it,
            newer_in_tree_heap_keeps_all_areas,
            region_that_large_pages_misalign_is_reported,
            uncached_twin_shares_its_regions_memory,
        }
        reach::{
            device_of_30_bits_takes_what_it_reaches_without_a_bounce,
            heap_that_a_device_of_30_bits_does_not_reach_is_found,
        }
        screen::{
            shows_the_frame_that_was_drawn,
            shows_the_cameras_frame,
            is_never_torn,
            is_dark_without_a_client,
        }
        channel::{
            exit_status_of_a_static_c_program_arrives,
            exit_status_of_a_dynamic_c_program_arrives,
            dlopen_finds_the_cpp_library,
            commands_start_with_no_signal_blocked,
            signal_is_reported_as_a_shell_does,
            missing_program_is_named,
            large_output_arrives_whole_on_both_streams,
            daemon_left_behind_does_not_hold_the_command,
            folder_keeps_contents_and_modes_both_ways,
            large_file_arrives_whole_both_ways,
            proc_file_is_pulled_whole,
            missing_guest_file_is_named,
            full_guest_disk_is_reported_and_survived,
        }
        board_tool::{
            exec_passes_output_status_and_files_on,
            exec_passes_its_input_on,
            a_board_that_qemu_lacks_runs_its_policy_on_the_virtual_one,
            six_files_take_a_new_board_to_a_clean_check,
            exec_ends_with_its_command_whatever_it_was_sent,
            exec_keeps_the_commands_status_when_a_pull_fails,
            exec_ends_with_127_for_a_missing_program,
            exec_boots_below_a_path_with_spaces_and_commas,
            exec_reports_a_kernel_panic,
            exec_ends_a_hung_guest_and_shows_its_console,
            guest_that_does_not_come_up_is_shown,
            exec_refuses_wrong_paths_before_booting,
            exec_boots_without_services_memory_and_overlay_of_choice,
            missing_packages_are_only_named_when_told_so,
            killed_tool_leaves_no_qemu,
            two_boards_at_once_do_not_disturb_each_other,
            bench_measures_a_reserve_that_serves_every_request,
            vts_runs_the_tests_that_are_asked_for_and_reports,
        }
        sepolicy::{
            kernel_and_policy_agree_on_every_domain_and_heap,
            wrong_domain_uses_a_buffer_but_opens_no_heap,
            who_is_no_client_gets_no_buffer,
            services_are_added_by_the_allocator_and_found_by_its_clients,
            every_rule_of_the_allocator_is_needed,
        }
        events::{
            are_those_that_perfetto_reads,
        }
        package::{
            serves_all_conformance_cases_and_nothing_else_lies_on_vendor,
            registers_itself_with_the_service_manager_of_every_platform,
        }
        kunit::{
            suites_pass_and_the_watchdogs_are_silent,
            suites_pass_without_init_on_alloc,
        }
    };
    trials.extend(suite::trials());
    trials.extend(suite::trials_on_next());
    trials.extend(mutants::trials());
    trials.extend(trials! { suite::{
        mapper_library_is_small_and_exports_three_symbols,
        instance_that_is_not_there_is_named,
        the_board_tool_knows_every_program,
        a_program_that_dies_leaves_what_it_reported,
        board_without_counters_is_not_taken_for_sound,
    } });
    let asked = trials.iter().filter(|trial| asked_for(&arguments, trial));
    let (next, plain): (Vec<_>, Vec<_>) = asked.partition(|trial| needs_next(trial.name()));
    if !next.is_empty() && !arguments.list {
        let after_plain = !plain.is_empty();
        thread::spawn(move || kunit::build_ahead(after_plain));
    }
    let outcome = libtest_mimic::run(&arguments, trials);
    let judged = libtest_mimic::run(
        &arguments,
        trials! {
            sepolicy::{ nothing_was_denied_to_anybody }
            services::{ console_shows_no_kernel_warning }
        },
    );
    package::tidy_up();
    fixture::tidy_up();
    if outcome.has_failed() { outcome.exit_code() } else { judged.exit_code() }
}

/// Guests that run at once.
const GUESTS: usize = 2;

fn needs_next(test: &str) -> bool {
    ["events::", "kunit::", "next::"].iter().any(|start| test.starts_with(start))
}

/// Whether the command line's filters leave this test in.
fn asked_for(arguments: &Arguments, trial: &Trial) -> bool {
    let matches = |filter: &String| match arguments.exact {
        true => trial.name() == filter,
        false => trial.name().contains(filter),
    };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}
