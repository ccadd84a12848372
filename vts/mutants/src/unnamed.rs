// SPDX-License-Identifier: Apache-2.0
//! The cases that no mutant names, and why none does. A case that is neither here nor named fails
//! `cargo test mutants`, and so does a line here that is no longer true.

use crate::{ALLOCATOR, HEAPS, MAPPER, OUR_ALLOCATOR, OUR_MAPPER};

/// Cases of one program, with one reason for all.
#[derive(Debug)]
pub struct Unnamed {
    /// Why there is no mutant.
    pub why: &'static str,
    /// The program.
    pub program: &'static str,
    /// Its cases.
    pub cases: &'static [&'static str],
}

/// All of them.
pub const UNNAMED: &[Unnamed] = &[
    Unnamed {
        why: "mutants name it in the allocator's program, which has it too",
        program: MAPPER,
        cases: &["CanAllocate"],
    },
    Unnamed {
        why: "the kernel's framework answers before the driver is asked, whatever the driver does",
        program: HEAPS,
        cases: &[
            "request::each_bad_one_gets_its_errno",
            "request::at_a_bad_address_leaves_no_descriptor",
            "request::with_a_full_descriptor_table_leaves_no_buffer",
            "mapping::cannot_grow_again_once_shrunk",
            "mapping::of_a_read_only_buffer_is_read_only",
            "mapping::is_kept_whatever_is_advised",
            "sync::bad_flags_are_refused",
            "buffer::is_no_file_to_read_or_write",
        ],
    },
    Unnamed {
        why: "it looks for what a race, a kill or a million operations leave; a defect that is always there shows in the short cases",
        program: HEAPS,
        cases: &[
            "race::of_mappings_and_syncs_with_close",
            "race::of_devices_and_syncs_with_close",
            "display::is_free_again_after_clients_that_died",
            "kill::while_clearing_leaves_nothing",
            "pressure::pages_pinned_in_a_lent_region_cost_only_their_place",
            "stress::leaves_memory_buffers_and_slab_at_the_baseline",
        ],
    },
    Unnamed {
        why: "what puts the pieces together is the IOMMU's driver, which is the kernel's own",
        program: HEAPS,
        cases: &["device::behind_an_iommu_has_scattered_memory_in_one_range"],
    },
    Unnamed {
        why: "it says whether this device can count, and a mutant cannot take that away; the board's test does, by a hidden sysfs",
        program: HEAPS,
        cases: &["ground::leaks_are_counted"],
    },
    Unnamed {
        why: "it says whether this device can count, and a mutant cannot take that away; the board's test does, by a hidden sysfs",
        program: ALLOCATOR,
        cases: &["ground::leaks_are_counted"],
    },
    Unnamed {
        why: "what it sends is judged by the binder library and the generated code, on which a mutant stands as well",
        program: ALLOCATOR,
        cases: &[
            "transport::wrong_interface_token_is_refused",
            "transport::unknown_codes_are_refused",
            "transport::truncated_parcels_are_refused",
            "transport::wrapping_lengths_are_refused",
            "transport::a_megabyte_is_refused",
            "transport::unexpected_descriptors_are_closed",
            "transport::a_oneway_flood_is_survived",
        ],
    },
    Unnamed {
        why: "the kernel refuses to give the client descriptors, before or after the service answered; the leak it looks for is CanAllocate's",
        program: ALLOCATOR,
        cases: &["clients::one_without_descriptors_leaves_nothing"],
    },
    Unnamed {
        why: "init starts the board's own service again, not a mutant",
        program: ALLOCATOR,
        cases: &[
            "restart::old_buffers_stay_valid",
            "restart::clients_are_told_and_find_the_new_service",
        ],
    },
    Unnamed {
        why: "init starts the board's own service again, not a mutant",
        program: OUR_ALLOCATOR,
        cases: &[
            "shortage::service_killed_while_it_clears_leaves_nothing",
            "startup::a_heap_that_is_missing_may_appear_late",
            "startup::a_link_to_another_heap_is_not_followed",
            "startup::another_device_in_a_heaps_place_is_none",
            "startup::a_heap_that_is_unreadable_may_be_repaired",
            "startup::a_restarted_service_says_since_when_it_knows",
        ],
    },
    Unnamed {
        why: "it is about the commands of the program in the image, which no mutant replaces",
        program: OUR_ALLOCATOR,
        cases: &[
            "commands::explain_tells_which_node_gives_the_memory",
            "commands::explain_tells_of_a_descriptor_what_it_is",
            "commands::probe_writes_the_files_of_what_it_sees",
            "commands::explain_tells_why_a_heap_cannot_give_it",
            "commands::dump_shows_the_running_service",
            "commands::check_accepts_the_installed_policy",
        ],
    },
    Unnamed {
        why: "several limits protect what it is about, and each is broken for a case of its own",
        program: OUR_ALLOCATOR,
        cases: &[
            "callers::an_app_and_the_sandbox_of_its_sdk_leave_the_camera_its_frames",
            "callers::an_app_leaves_the_compositor_its_framebuffers",
            "callers::twenty_uids_leave_what_is_kept_for_others",
        ],
    },
    Unnamed {
        why: "the kernel itself tells who holds a buffer, and nothing in front of a service can hide one way of holding it",
        program: OUR_ALLOCATOR,
        cases: &["callers::a_buffer_counts_however_it_is_held"],
    },
    Unnamed {
        why: "it fills the system or a region until somebody refuses: a mutant that does not would have the kernel end other programs of the guest",
        program: OUR_ALLOCATOR,
        cases: &[
            "callers::sixty_four_that_ask_at_once_get_nobody_killed",
            "callers::one_uid_leaves_threads_for_others",
            "shortage::system_out_of_memory_refuses_and_recovers",
            "shortage::fragmented_region_refuses_and_recovers",
            "shortage::exhausted_region_degrades_to_the_heap_of_its_rule",
            "shortage::service_out_of_descriptors_refuses_and_recovers",
        ],
    },
    Unnamed {
        why: "one answer of many that are compared in the same way; mutants break others",
        program: OUR_ALLOCATOR,
        cases: &[
            "descriptor::version_1_is_unsupported",
            "buffer::handle_has_the_stride_of_the_answer",
            "interface::suffix_names_the_mapper",
            "report::dump_counts_live_buffers",
            "dump::tells_whether_it_can_see_what_memory_there_is",
            "report::dump_shows_the_kernels_count_of_cma_pages",
            "report::dump_shows_the_drivers_state",
        ],
    },
    Unnamed {
        why: "another row of the formats' table, locked and filled by the code of Lock_RGBA_8888; unit tests of the buffer crate hold each row against known layouts",
        program: MAPPER,
        cases: &[
            "Lock_YCRCB_420_SP",
            "Lock_YV12",
            "Lock_RAW10",
            "Lock_RAW12",
            "Lock_RAW14",
            "Lock_YCBCR_P010",
            "Lock_YCBCR_P210",
        ],
    },
    Unnamed {
        why: "another getter of one table, of which mutants break others",
        program: MAPPER,
        cases: &[
            "GetWidthHeight",
            "GetLayerCount",
            "GetPixelFormatRequested",
            "GetPixelFormatModifier",
            "GetUsage",
            "GetProtectedContent",
            "GetInterlaced",
            "GetChromaSiting",
            "GetPlaneLayouts",
            "GetCta861_3",
            "GetSmpte2094_10",
            "GetSmpte2094_40",
            "CheckRequiredSettersIfHasGetters",
            "UnlockNegative",
        ],
    },
    Unnamed {
        why: "another way into code that a mutant of the case for any device breaks",
        program: OUR_MAPPER,
        cases: &[
            "locks::usages_that_no_lock_has_are_refused",
            "locks::directions_the_buffer_has_not_are_refused",
            "locks::regions_out_of_bounds_are_refused",
            "locks::regions_inside_are_locked",
            "locks::every_format_holds_what_is_written",
            "locks::a_blob_is_locked_in_place",
            "locks::a_locked_buffer_may_be_freed",
            "table::every_standard_type_is_listed_once",
            "table::layouts_are_linear",
            "table::places_that_are_null_are_refused",
            "table::an_imported_handle_is_imported_again",
            "table::dump_all_has_all_buffers",
            "table::malformed_values_are_not_set",
            "table::small_places_get_the_size_and_nothing_else",
        ],
    },
    Unnamed {
        why: "a defect would hang or crash the client and not answer wrongly; the buffer crate's unit tests and fuzz targets look for it",
        program: OUR_MAPPER,
        cases: &[
            "locks::a_fence_that_is_none_is_refused",
            "locks::a_fence_that_never_signals_ends_the_lock",
            "locks::endless_nesting_is_refused",
            "processes::what_one_writes_another_reads",
            "processes::metadata_set_by_one_is_seen_by_another",
            "processes::two_writers_at_once_tear_nothing",
            "processes::a_writer_killed_at_work_stops_nobody",
            "processes::a_sequence_kept_odd_stops_nobody",
            "processes::garbage_in_the_metadata_is_unset",
        ],
    },
    Unnamed {
        why: "a mutant stands in front of the library and sees handles only after it has judged them; the buffer crate's unit tests and fuzz targets judge the judging",
        program: OUR_MAPPER,
        cases: &[
            "hostile::counts_that_are_wrong_are_refused",
            "hostile::every_changed_integer_is_refused",
            "hostile::facts_that_agree_are_held_against_the_buffers",
            "hostile::what_a_forged_handle_says_is_inside_its_buffer",
            "hostile::descriptors_of_anything_else_are_refused",
            "hostile::buffers_of_other_handles_are_refused",
            "hostile::double_free_and_foreign_pointers_are_refused",
            "hostile::a_thousand_mutations_are_refused_or_harmless",
            "hostile::without_free_descriptors_import_says_so",
            "hostile::threads_that_free_what_others_use_are_survived",
        ],
    },
    Unnamed {
        why: "it counts the system calls of the library itself, to which one in front would add its own",
        program: OUR_MAPPER,
        cases: &[
            "tracing::flush_and_reread_synchronise",
            "tracing::free_ends_the_locks_that_are_left",
            "tracing::only_the_first_lock_maps",
            "tracing::metadata_takes_no_system_call",
            "tracing::import_takes_the_calls_it_must",
            "tracing::a_strict_seccomp_filter_is_enough",
        ],
    },
    Unnamed {
        why: "it strings together, as another uid, calls whose defects have cases of their own",
        program: OUR_MAPPER,
        cases: &[
            "framework::codec2_writes_blocks_and_ten_bit_pictures",
            "framework::camera_streams_are_read_by_the_cpu",
            "framework::ahardwarebuffer_crosses_a_socket",
        ],
    },
];
