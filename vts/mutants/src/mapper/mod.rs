// SPDX-License-Identifier: Apache-2.0
//! Broken mappers: this project's own library with other functions in its table.
//!
//! The library is loaded as any mapper is, and loads the sound one in turn. Which defect it has is
//! in the environment of the client, [`CHOSEN`](crate::CHOSEN).

mod functions;
mod metadata;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use dmaheap_imapper::{AIMapper, AIMapperV5, Code, VERSION};
use dmaheap_suite::imapper::Mapper;

use crate::{CHOSEN, MAPPER, Mutant, OUR_MAPPER};
use functions::*;
use metadata::*;

/// What the service answers for this library: `mapper.mutant.so`.
pub const SUFFIX: &str = "mutant";

/// The one in front of which this stands.
const SOUND: &str = "/vendor/lib64/hw/mapper.dmaheap.so";

/// What is another in the table.
type Defect = fn(&mut AIMapper);

/// All broken mappers.
pub const MUTANTS: &[Mutant<Defect>] = &[
    any("is_of_version_4", "VersionChecks", |m| m.version = 4),
    any("lacks_a_function", "AllV5CallbacksDefined", |m| {
        let place = (&raw mut m.v5.dump_all_buffers).cast::<usize>();
        // SAFETY: a function's address has a word; who calls it without a look has earned it.
        unsafe { place.write(0) };
    }),
    any("is_another_each_time", "DualLoadIsIdentical", |m| {
        static AGAIN: AtomicBool = AtomicBool::new(false);
        if AGAIN.fetch_not(Ordering::Relaxed) {
            m.v5.unlock = unlock_unlocked;
        }
    }),
    any("imports_once_for_all", "ImportFreeBuffer", |m| m.v5.import_buffer = import_once),
    any("keeps_what_is_freed", "ImportFreeBufferSingleton", |m| m.v5.free_buffer = keep),
    any("imports_null", "ImportBufferNegative", |m| m.v5.import_buffer = import_null),
    any("frees_anything", "FreeBufferNegative", |m| m.v5.free_buffer = free_anything),
    any("locks_new_memory_each_time", "LockUnlockBasic", |m| m.v5.lock = lock_new_memory),
    any("locks_a_copy", "FlushRereadBasic", |m| m.v5.lock = lock_copy),
    any("ignores_the_region", "LockBadAccessRegion", |m| m.v5.lock = lock_any_region),
    any("locks_once_only", "LockUnlockNested", |m| {
        (m.v5.lock, m.v5.unlock) = (lock_once, unlock_once);
    }),
    any("unlocks_what_is_not_locked", "UnlockNotLocked", |m| m.v5.unlock = unlock_unlocked),
    any("unlocks_what_is_not_imported", "UnlockNotImported", |m| m.v5.unlock = unlock_foreign),
    any("flushes_anything", "FlushLockedBufferBadBuffer", |m| {
        m.v5.flush_locked_buffer = flush_anything;
    }),
    any("rereads_anything", "RereadLockedBufferBadBuffer", |m| {
        m.v5.reread_locked_buffer = flush_anything;
    }),
    any("gives_all_the_same_id", "GetBufferId", |m| m.v5.get_standard_metadata = same_id),
    any("forgets_names", "GetName", |m| m.v5.get_standard_metadata = no_name),
    any("knows_32_bits_of_usage", "GetUsage64", |m| m.v5.get_standard_metadata = half_usage),
    any("has_strides_in_bytes", "GetStride", |m| m.v5.get_standard_metadata = stride_in_bytes),
    any("knows_the_size_of_a_row", "GetAllocationSize", |m| {
        m.v5.get_standard_metadata = size_of_a_row;
    }),
    any("takes_red_for_blue", "GetPixelFormatFourCC", |m| {
        m.v5.get_standard_metadata = red_for_blue;
    }),
    any("crops_everything", "GetCrop", |m| m.v5.get_standard_metadata = no_picture),
    any("claims_compression", "GetCompression", |m| m.v5.get_standard_metadata = compressed),
    any("takes_cb_for_cr", "YV12SubsampleMetadata", |m| m.v5.get_standard_metadata = cb_for_cr),
    any("overlaps_rows", "Lock_YCBCR_420_888", |m| m.v5.get_standard_metadata = half_rows),
    any("has_no_blue", "Lock_RGB_Format", |m| m.v5.get_standard_metadata = no_blue),
    any("keeps_a_kilobyte", "GetSmpte2094_50", |m| m.v5.get_standard_metadata = a_kilobyte),
    ours("has_a_view_of_everything", "table::functions_of_version_6_know_of_one_view", |m| {
        m.v6.get_base_view = any_view;
    }),
    ours(
        "takes_what_has_no_room",
        "table::only_a_picture_that_may_be_hdr_has_room_for_the_longest",
        |m| m.v5.set_standard_metadata = lose,
    ),
    any("has_any_metadata", "GetUnsupportedMetadata", |m| m.v5.get_standard_metadata = get_any),
    any("has_metadata_of_null", "GetMetadataBadValue", |m| {
        m.v5.get_standard_metadata = get_of_null;
    }),
    any("sets_nothing", "GetSetBlendMode", |m| m.v5.set_standard_metadata = set_nothing),
    any("loses_what_is_set", "GetSetDataspace", |m| m.v5.set_standard_metadata = lose),
    any("sets_for_itself_only", "GetSetSmpte2086", |m| {
        m.v5.set_standard_metadata = set_here;
        m.v5.get_standard_metadata = get_here;
    }),
    any("sets_what_is_constant", "ListSupportedWorks", |m| m.v5.set_metadata = set_anything),
    any("lists_no_dataspace", "SupportsRequiredGettersSetters", |m| {
        m.v5.list_supported_metadata_types = list_without_dataspace;
    }),
    ours("does_not_synchronise", "tracing::locks_synchronise_in_their_direction", |m| {
        (m.v5.lock, m.v5.unlock) = (lock_without_sync, unlock_unlocked);
    }),
    ours("locks_four_bytes_on", "device::what_the_cpu_writes_a_device_reads_and_back", |m| {
        m.v5.lock = lock_four_bytes_on;
    }),
    ours("waits_for_no_fence", "locks::a_fence_is_waited_for", |m| m.v5.lock = lock_at_once),
    ours("keeps_fences", "locks::a_fence_is_closed_whatever_happens", |m| m.v5.lock = keep_fence),
    ours("has_reserved_regions_of_its_own", "processes::the_reserved_region_is_shared", |m| {
        m.v5.get_reserved_region = reserved_here;
    }),
    ours("has_rows_of_any_length", "table::readers_by_stride_or_plane_stay_inside", |m| {
        m.v5.get_standard_metadata = stride_times_1000;
    }),
    ours("crops_luma_only", "table::crop_is_set_inside_each_plane_only", |m| {
        m.v5.get_standard_metadata = one_crop;
    }),
    ours("forgets_its_own_memory", "table::allocation_size_counts_all_memory", |m| {
        m.v5.get_standard_metadata = size_of_pixels;
    }),
    ours("counts_packed_rows_in_pixels", "table::strides_are_those_of_the_formats", |m| {
        m.v5.get_standard_metadata = raw_stride_in_pixels;
    }),
    ours("knows_its_own_imports_only", "copies::a_second_copy_takes_imports_of_the_first", |m| {
        (m.v5.import_buffer, m.v5.get_transport_size) = (import_here, transport_ours);
    }),
    ours("imports_under_a_lock", "copies::children_forked_while_others_import_do_not_hang", |m| {
        m.v5.import_buffer = import_under_a_lock;
    }),
    ours("transports_one_descriptor", "table::transport_size_is_that_of_the_raw_handle", |m| {
        m.v5.get_transport_size = transport_one;
    }),
    ours("dumps_nothing", "table::dump_has_all_metadata", |m| m.v5.dump_buffer = dump_nothing),
];

const fn any(name: &'static str, case: &'static str, defect: Defect) -> Mutant<Defect> {
    Mutant::found_by(name, MAPPER, case, defect)
}

const fn ours(name: &'static str, case: &'static str, defect: Defect) -> Mutant<Defect> {
    Mutant::found_by(name, OUR_MAPPER, case, defect)
}

/// The table of the sound library, which stays loaded.
static TABLE: LazyLock<&AIMapper> = LazyLock::new(|| {
    Box::leak(Box::new(Mapper::open(SOUND).expect("the sound library is there"))).table()
});

/// The functions of the sound library.
fn sound() -> &'static AIMapperV5 {
    &TABLE.v5
}

/// The version of the interface that clients see.
#[unsafe(no_mangle)]
pub static ANDROID_HAL_MAPPER_VERSION: u32 = VERSION;

/// Hands out the table of the chosen mutant.
///
/// # Safety
/// `out` points to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AIMapper_loadIMapper(out: *mut *const AIMapper) -> Code {
    let chosen = std::env::var(CHOSEN).unwrap_or_default();
    let mut table = **TABLE;
    if let Some(mutant) = MUTANTS.iter().find(|mutant| mutant.name == chosen) {
        (mutant.defect)(&mut table);
    }
    // SAFETY: the caller promises it. A table is never taken back.
    unsafe { out.write(Box::leak(Box::new(table))) };
    Code::NONE
}
