// SPDX-License-Identifier: Apache-2.0
//! Broken allocators: this project's own service, asked something else or answered for.

mod broken;
mod limits;

use std::io;
use std::mem;
use std::process::abort;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use dmaheap_aidl::allocator::{
    AllocationError, AllocationResult, BufferDescriptorInfo, IAllocator,
};
use dmaheap_aidl::binder::{self, Caller, Result};
use dmaheap_aidl::common::BufferUsage;
use dmaheap_allocator::dump::Reader;
use dmaheap_allocator::service::Service;
use dmaheap_buffer::header::LONG_HEADER_SIZE;

use serde_json::Value;

use crate::{ALLOCATOR, Mutant, OUR_ALLOCATOR, OUR_MAPPER};
use broken::*;

pub use broken::serve;

/// What is done instead of what the sound service does.
#[derive(Debug)]
pub enum Defect {
    /// In `isSupported`.
    Supports(fn(&Service, &BufferDescriptorInfo) -> Result<bool>),
    /// In `allocate2`.
    Allocates(fn(&Service, &BufferDescriptorInfo, i32) -> Result<AllocationResult>),
    /// To what `allocate2` gives.
    Changes(fn(&mut AllocationResult)),
    /// Memory as for another usage, where this one is asked for.
    Mistakes(BufferUsage, BufferUsage),
    /// In `getIMapperLibrarySuffix`.
    Names(&'static str),
    /// Of several views it says that it can.
    Views,
    /// Its hash is that of the version before.
    OldHash,
    /// In the dump.
    Reports(fn(&Service, &mut dyn io::Write, &[String]) -> io::Result<()>),
    /// Each line of the policy.
    Follows(fn(&str) -> String),
    /// Once it serves.
    Starts(fn() -> io::Result<()>),
}

use Defect::{Allocates, Changes, Mistakes, Names, OldHash, Reports, Starts, Supports, Views};

/// All broken allocators.
pub fn all() -> impl Iterator<Item = &'static Mutant<Defect>> {
    MUTANTS.iter().chain(limits::MUTANTS)
}

/// Those that do something else than they are asked.
const MUTANTS: &[Mutant<Defect>] = &[
    any("supports_nothing", "CanAllocate", Supports(|_, _| Ok(false))),
    any(
        "supports_everything",
        "descriptor::impossible_ones_are_refused",
        Supports(|_, _| Ok(true)),
    ),
    any(
        "gives_more_than_it_announces",
        "contract::random_descriptors_agree_with_is_supported",
        Supports(|sound, info| Ok(info.width % 2 == 0 && sound.isSupported(info)?)),
    ),
    any(
        "announces_more_than_it_gives",
        "FrontBuffer",
        Allocates(|sound, info, count| {
            if has(info, BufferUsage::FRONT_BUFFER) {
                refused()
            } else {
                sound.allocate2(info, count)
            }
        }),
    ),
    any(
        "ignores_unknown_usages",
        "RejectsUnknownUsages",
        Allocates(|sound, info, count| {
            let known = BufferUsage(info.usage.0 & 0x33);
            sound.allocate2(info, count).or_else(|_| {
                sound.allocate2(&BufferDescriptorInfo { usage: known, ..copy(info) }, count)
            })
        }),
    ),
    any(
        "ignores_options",
        "RejectsUnknownOptions",
        Allocates(|sound, info, count| sound.allocate2(&copy(info), count)),
    ),
    any(
        "refuses_odd_sizes",
        "descriptor::odd_sizes_and_endless_names_are_served",
        Allocates(
            |sound, info, count| {
                if info.width % 2 == 0 { sound.allocate2(info, count) } else { refused() }
            },
        ),
    ),
    any(
        "gives_none_of_none",
        "descriptor::counts_below_one_are_refused",
        Allocates(|sound, info, count| match count {
            ..1 => Ok(AllocationResult { stride: 0, buffers: Vec::new() }),
            _ => sound.allocate2(info, count),
        }),
    ),
    any(
        "refuses_without_a_code",
        "descriptor::counts_below_one_are_refused",
        Allocates(|sound, info, count| {
            sound
                .allocate2(info, count)
                .map_err(|_| binder::library::ExceptionCode::IllegalArgument.into())
        }),
    ),
    any(
        "refuses_with_another_code",
        "contract::random_descriptors_agree_with_is_supported",
        Allocates(|sound, info, count| {
            let busy = |_| binder::service_error(AllocationError::NO_RESOURCES, "later, perhaps");
            sound.allocate2(info, count).map_err(busy)
        }),
    ),
    any(
        "dies_of_what_it_refuses",
        "descriptor::impossible_ones_are_refused",
        // Not of a count, by which every case begins.
        Allocates(|sound, info, count| {
            sound.allocate2(info, count).or_else(|why| if count > 0 { abort() } else { Err(why) })
        }),
    ),
    any("gives_one_less", "CanAllocate", Changes(|given| drop(given.buffers.pop()))),
    any("stride_off_by_one", "buffer::holds_what_it_says", Changes(|given| given.stride += 1)),
    any(
        "gives_one_buffer_twice",
        "buffer::ids_are_unique",
        Changes(|given| {
            if let [first, .., last] = &mut given.buffers[..] {
                *last = duplicate(first);
            }
        }),
    ),
    any(
        "swaps_the_descriptors",
        "buffer::ids_are_unique",
        Changes(|given| {
            given.buffers.iter_mut().for_each(|buffer| buffer.fds.reverse());
        }),
    ),
    any(
        "gives_too_few_rows",
        "buffer::holds_what_it_says",
        Allocates(|sound, info, count| {
            let flat = BufferDescriptorInfo { height: 1, ..copy(info) };
            let mut given = sound.allocate2(info, count)?;
            for (buffer, flat) in
                given.buffers.iter_mut().zip(sound.allocate2(&flat, count)?.buffers)
            {
                buffer.fds.splice(..1, flat.fds.into_iter().take(1));
            }
            Ok(given)
        }),
    ),
    any(
        "clears_all_but_the_end",
        "content::is_zero_at_first",
        Changes(|given| {
            for buffer in &given.buffers {
                let last = size_of_pixels(buffer) - 1;
                overwrite(&buffer.fds[0], |at, _| if at == last { 0xa5 } else { 0 });
            }
        }),
    ),
    any(
        "hands_on_what_apps_drew",
        "content::is_zero_after_another_uid_had_the_memory",
        Changes(hand_on_what_apps_drew),
    ),
    any(
        "leaks_a_descriptor",
        "CanAllocate",
        Changes(|given| {
            given.buffers.iter().for_each(|buffer| mem::forget(another(&buffer.fds[0])));
        }),
    ),
    any(
        "leaks_when_it_refuses",
        "descriptor::impossible_ones_are_refused",
        Allocates(|sound, info, count| {
            sound.allocate2(info, count).inspect_err(|_| mem::forget(io::pipe()))
        }),
    ),
    any(
        "keeps_every_hundredth",
        "clients::2048_buffers_of_1024_squared_do_not_grow",
        Changes(|given| {
            static COUNT: Mutex<u32> = Mutex::new(0);
            let mut count = COUNT.lock().unwrap();
            *count += 1;
            if count.is_multiple_of(100) {
                mem::forget(another(&given.buffers[0].fds[0]));
            }
        }),
    ),
    any(
        "keeps_what_apps_have",
        "clients::one_that_dies_leaves_nothing",
        Changes(|given| {
            if Caller::current().uid != ROOT {
                given.buffers.iter().for_each(|buffer| mem::forget(duplicate(buffer)));
            }
        }),
    ),
    any(
        "serves_one_at_a_time",
        "clients::eight_at_once",
        Allocates(|sound, info, count| {
            static BUSY: Mutex<()> = Mutex::new(());
            let Ok(_busy) = BUSY.try_lock() else { return refused() };
            sleep(Duration::from_millis(5));
            sound.allocate2(info, count)
        }),
    ),
    any("names_no_mapper", "interface::version_2_names_its_mapper", Names("")),
    Mutant::found_by(
        "forgets_the_dataspace",
        OUR_MAPPER,
        "framework::bufferqueue_gets_3_to_64_buffers_of_its_dataspace",
        Allocates(|sound, info, count| sound.allocate2(&copy(info), count)),
    ),
    Mutant::found_by(
        "names_a_mapper_that_nobody_declares",
        OUR_MAPPER,
        "framework::libui_finds_allocator_and_mapper_by_their_declarations",
        Names("undeclared"),
    ),
    any("promises_several_views", "interface::several_views_are_given_or_refused", Views),
    any("answers_the_hash_before", "interface::each_version_has_its_frozen_hash", OldHash),
    any(
        "takes_no_layer_for_one",
        "RejectsZeroLayerCount",
        Allocates(|sound, info, count| {
            let one = BufferDescriptorInfo { layerCount: info.layerCount.max(1), ..copy(info) };
            sound.allocate2(&one, count)
        }),
    ),
    any(
        "gives_the_camera_scattered_memory",
        "device::a_camera_takes_the_buffers_for_it",
        Mistakes(BufferUsage::CAMERA_OUTPUT, BufferUsage::GPU_TEXTURE),
    ),
    any(
        "gives_framebuffers_scattered_memory",
        "device::a_display_shows_the_framebuffers_for_it",
        Mistakes(BufferUsage::COMPOSER_CLIENT_TARGET, BufferUsage::GPU_TEXTURE),
    ),
    ours(
        "gives_the_compositor_one_buffer_again_and_again",
        "display::shows_what_a_compositor_draws",
        Changes(repeat_the_first),
    ),
    ours(
        "gives_the_camera_one_buffer_again_and_again",
        "display::shows_a_cameras_frames_without_a_copy",
        Changes(repeat_the_first),
    ),
    ours(
        "gives_windows_contiguous_memory",
        "display::refuses_a_window",
        Mistakes(BufferUsage::GPU_RENDER_TARGET, BufferUsage::COMPOSER_CLIENT_TARGET),
    ),
    ours(
        "counts_holes_in_other_units",
        "shortage::what_a_refusal_says_of_the_region_is_right",
        Allocates(|sound, info, count| {
            sound.allocate2(info, count).map_err(|status| {
                let said = status.to_string().replace(" MiB", " MB");
                binder::service_error(AllocationError::NO_RESOURCES, &said.replace(" KiB", " kB"))
            })
        }),
    ),
    ours(
        "gives_the_display_memory_of_the_cameras",
        "report::every_heap_serves_its_rule",
        Mistakes(BufferUsage::COMPOSER_CLIENT_TARGET, BufferUsage::CAMERA_OUTPUT),
    ),
    ours(
        "gives_the_display_scattered_memory",
        "report::contiguous_heaps_give_one_segment",
        Mistakes(BufferUsage::COMPOSER_CLIENT_TARGET, BufferUsage::GPU_TEXTURE),
    ),
    ours(
        "clears_no_reserved_region",
        "buffer::reserved_regions_are_zero",
        Changes(|given| {
            for buffer in &given.buffers {
                let keep = |at, byte| if at < LONG_HEADER_SIZE { byte } else { 0xa5 };
                overwrite(&buffer.fds[1], keep);
            }
        }),
    ),
    ours(
        "has_no_largest_count",
        "descriptor::counts_out_of_range_are_refused",
        Allocates(|sound, info, count| sound.allocate2(info, count.min(64))),
    ),
    ours(
        "gives_front_buffers_scattered_memory",
        "report::every_heap_serves_its_rule",
        Mistakes(BufferUsage::FRONT_BUFFER, BufferUsage::GPU_TEXTURE),
    ),
    ours(
        "promises_what_can_never_fit",
        "descriptor::what_can_never_fit_is_unsupported",
        Supports(|sound, info| {
            let lower = BufferDescriptorInfo { height: 1, ..copy(info) };
            Ok(sound.isSupported(info)? || (info.width > 4096 && sound.isSupported(&lower)?))
        }),
    ),
    ours(
        "hopes_for_what_can_never_fit",
        "descriptor::what_can_never_fit_is_unsupported",
        Allocates(|sound, info, count| {
            let busy = |_| binder::service_error(AllocationError::NO_RESOURCES, "later, perhaps");
            match info.width {
                4097.. => sound.allocate2(info, count).map_err(busy),
                _ => sound.allocate2(info, count),
            }
        }),
    ),
    ours(
        "reports_in_words_only",
        "dump::is_json_whatever_else_is_asked",
        Reports(|_, writer, _| writer.write_all(b"all is well\n")),
    ),
    ours(
        "waits_for_whoever_reads_its_dump",
        "dump::that_nobody_reads_holds_nobody_up",
        Reports(|sound, writer, options| {
            let reader = Reader::new(Caller::current().uid);
            writer.write_all(sound.report(reader, options)?.as_bytes())
        }),
    ),
    ours(
        "tells_everybody_of_everybody",
        "dump::shows_an_app_its_own_account_only",
        Reports(|sound, writer, options| {
            writer.write_all(sound.report(Reader::Privileged, options)?.as_bytes())
        }),
    ),
    ours(
        "hides_all_accounts_but_ones_own",
        "dump::shows_an_app_its_own_account_only",
        Reports(|sound, writer, options| {
            let reader = Reader::Uid(Caller::current().uid);
            writer.write_all(sound.report(reader, options)?.as_bytes())
        }),
    ),
    ours(
        "leaves_a_buffer_out_of_its_list",
        "callers::all_who_tell_agree_on_who_has_what",
        Reports(|sound, writer, options| {
            let text = sound.report(Reader::new(Caller::current().uid), options)?;
            let skip = if options.iter().any(|option| option == "--buffers") { 1 } else { 0 };
            let lines: String = text.split_inclusive('\n').skip(skip).collect();
            writer.write_all(lines.as_bytes())
        }),
    ),
    ours(
        "lists_no_more_than_a_screenful",
        "callers::a_list_of_thousands_holds_nobody_up",
        Reports(|sound, writer, options| {
            let text = sound.report(Reader::new(Caller::current().uid), options)?;
            let all = !options.iter().any(|option| option == "--buffers");
            let lines = text.split_inclusive('\n').enumerate();
            let shown: String =
                lines.filter(|(at, _)| all || *at < 24).map(|(_, line)| line).collect();
            writer.write_all(shown.as_bytes())
        }),
    ),
    ours(
        "takes_a_region_for_a_page_longer",
        "callers::maps_are_of_the_regions_that_the_dump_has",
        Reports(|sound, writer, options| {
            rewrite(sound, writer, options, |report| {
                for heap in report["heaps"].as_array_mut().into_iter().flatten() {
                    if let Some(size) = heap["kernel_region"]["size"].as_u64() {
                        heap["kernel_region"]["size"] = (size + 4096).into();
                    }
                }
            })
        }),
    ),
    ours(
        "lists_all_buffers_as_one_uids",
        "callers::all_who_tell_agree_on_who_has_what",
        Reports(|sound, writer, options| {
            let text = sound.report(Reader::new(Caller::current().uid), options)?;
            writer.write_all(text.replace("\"uid\":1047,", "\"uid\":1000,").as_bytes())
        }),
    ),
    ours(
        "counts_metadata_as_served",
        "dump::counts_what_was_asked_for_as_served",
        Reports(|sound, writer, options| {
            rewrite(sound, writer, options, |report| {
                let served = |heap: &Value| heap["served"].as_u64().unwrap_or_default();
                let heaps = report["heaps"].as_array_mut().into_iter().flatten();
                let (mut all, mut system) = (0, None);
                for heap in heaps {
                    all += served(heap);
                    if heap["name"] == "system" {
                        system = Some(heap);
                    }
                }
                if let Some(system) = system {
                    system["served"] = (all + served(system)).into();
                }
            })
        }),
    ),
    ours(
        "keeps_no_account_of_failures",
        "dump::tells_of_a_refused_version_1_call",
        Reports(|sound, writer, options| {
            rewrite(sound, writer, options, |report| {
                let callers = report["callers"].as_array_mut().into_iter().flatten();
                callers.for_each(|caller| caller["failures"] = 0.into());
            })
        }),
    ),
    ours(
        "refills_when_nobody_else_runs",
        "threads::the_one_that_refills_has_the_ordinary_policy",
        Starts(refill_when_idle),
    ),
    ours(
        "ignores_reserved_bits",
        "descriptor::each_hostile_one_gets_its_error",
        Allocates(|sound, info, count| without(1 << 10 | 1 << 13, sound, info, count)),
    ),
    ours(
        "promises_mipmaps",
        "descriptor::each_hostile_one_gets_its_error",
        Allocates(|sound, info, count| {
            without(BufferUsage::GPU_MIPMAP_COMPLETE.0, sound, info, count)
        }),
    ),
    ours(
        "makes_cubes_of_five_faces",
        "descriptor::each_hostile_one_gets_its_error",
        Allocates(|sound, info, count| without(BufferUsage::GPU_CUBE_MAP.0, sound, info, count)),
    ),
];

const fn any(name: &'static str, case: &'static str, defect: Defect) -> Mutant<Defect> {
    Mutant::found_by(name, ALLOCATOR, case, defect)
}

const fn ours(name: &'static str, case: &'static str, defect: Defect) -> Mutant<Defect> {
    Mutant::found_by(name, OUR_ALLOCATOR, case, defect)
}
