// SPDX-License-Identifier: Apache-2.0
//! Drivers that are wrong in one way each: edits of the driver's text, all of them in one kernel,
//! where the parameter `cma_regions.driver_mutant` chooses one. The driver itself knows nothing of
//! this; an edit whose place is not found exactly once is an error.

/// A defect of the driver's, and the case of the heaps' program that must fail because of it.
#[derive(Debug)]
pub struct DriverMutant {
    /// What it does wrong.
    pub name: &'static str,
    /// The case that must fail.
    pub case: &'static str,
    /// What is left to those who come after it.
    pub leaves: Leaves,
}

/// What a defect does to the guest it is tried in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// Nothing, once another is chosen.
    Nothing,
    /// Something that other cases would find: it has a guest of its own.
    Damage,
    /// It acts while the kernel boots, in a guest of its own.
    AnotherBoot,
}

/// A piece of the driver's text and what stands there instead.
#[derive(Debug)]
pub struct Edit {
    /// The file.
    pub file: &'static str,
    /// As it is.
    pub sound: &'static str,
    /// As it is with the defects.
    pub broken: &'static str,
}

const fn mutant(name: &'static str, leaves: Leaves, case: &'static str) -> DriverMutant {
    DriverMutant { name, case, leaves }
}

use Leaves::{AnotherBoot, Damage, Nothing};

/// All of them; the parameter is the place in this list, counted from one.
pub const MUTANTS: [DriverMutant; 22] = [
    mutant("never_fits_is_einval", Nothing, "request::what_never_fits_is_refused_without_an_alarm"),
    mutant("has_no_bound", Nothing, "request::what_never_fits_is_refused_without_an_alarm"),
    mutant("is_a_page_too_long", Nothing, "request::is_rounded_up_to_pages"),
    mutant("hides_the_heaps_name", Nothing, "request::is_rounded_up_to_pages"),
    mutant(
        "takes_small_ones_from_the_region",
        Nothing,
        "request::small_ones_leave_the_region_alone",
    ),
    mutant("maps_privately", Nothing, "mapping::beyond_the_end_or_private_is_refused"),
    mutant("ignores_the_offset", Nothing, "mapping::shows_every_page_at_its_place"),
    mutant("takes_small_ones_from_anywhere", Nothing, "device::sees_one_segment_of_the_region"),
    mutant("places_in_clean_memory_only", Nothing, "pressure::what_was_freed_is_placeable_at_once"),
    mutant(
        "gives_small_ones_without_bound",
        Nothing,
        "pressure::small_ones_are_no_more_than_the_region_has_free",
    ),
    mutant("ignores_alignment", Nothing, "device::sees_held_buffers_aligned"),
    mutant("hides_a_page_from_devices", Nothing, "device::sees_one_segment_of_the_region"),
    mutant("hides_a_page_from_displays", Nothing, "display::shows_memory_of_every_region"),
    mutant("has_a_display_that_takes_all", Nothing, "display::refuses_scattered_memory"),
    mutant("gives_up_at_any_signal", Nothing, "signal::that_is_handled_does_not_interrupt"),
    mutant("asks_to_try_again", Nothing, "pressure::an_exhausted_region_refuses_and_recovers"),
    mutant("clears_nothing", Damage, "content::is_zero_after_another_uid_had_the_memory"),
    mutant("clears_a_page_less", Damage, "content::is_zero_after_another_uid_had_the_memory"),
    mutant("loses_a_page", Damage, "pressure::an_exhausted_region_refuses_and_recovers"),
    mutant("leaks_a_buffer", Damage, "mapping::outlives_its_descriptor"),
    mutant("miscounts", Damage, "device::keeps_a_buffer_that_is_closed"),
    mutant("lends_what_is_to_be_held", AnotherBoot, "pressure::a_held_region_serves_what_fits"),
];

/// The edits that bring them all, behind `MUTANT(name)`.
pub const EDITS: [Edit; 19] = [
    Edit {
        file: "alloc.c",
        sound: "\t\tclear_highpage(pfn_to_page(pfn + i));\n",
        broken: "\t\tif (!MUTANT(clears_nothing) &&\n\
                 \t\t    !(MUTANT(clears_a_page_less) && i == npages - 1))\n\
                 \t\t\tclear_highpage(pfn_to_page(pfn + i));\n",
    },
    Edit {
        file: "alloc.c",
        sound: "bitmap_clear(region->used, pfn - region->pfn, npages);",
        broken: "bitmap_clear(region->used, pfn - region->pfn, npages - MUTANT(loses_a_page));",
    },
    Edit {
        file: "alloc.c",
        sound: "if (region->small_gfp &&\n\t    npages >",
        broken: "if (region->small_gfp && !MUTANT(gives_small_ones_without_bound) &&\n\
                 \t    npages >",
    },
    Edit {
        file: "alloc.c",
        sound: "if (region->small_gfp) {\n",
        broken: "if (!MUTANT(takes_small_ones_from_the_region) &&\n\
                 \t    (region->small_gfp || MUTANT(takes_small_ones_from_anywhere))) {\n",
    },
    Edit {
        file: "alloc.c",
        sound: "\tbuffer->source->free(region, buffer);\n",
        broken: "\tif (MUTANT(leaks_a_buffer))\n\t\treturn;\n\
                 \tbuffer->source->free(region, buffer);\n",
    },
    Edit {
        file: "alloc.c",
        sound: "\tregion->buffers--;\n",
        broken: "\tif (!MUTANT(miscounts))\n\t\tregion->buffers--;\n",
    },
    Edit {
        file: "lent.c",
        sound: "return fatal_signal_pending(current) ? -EINTR : -ENOMEM;",
        broken: "return MUTANT(asks_to_try_again) ? -EAGAIN : -ENOMEM;",
    },
    Edit {
        file: "held.c",
        sound: "place = choose_place(pool, npages);\n",
        broken: "place = choose_place(pool, npages);\n\
                 \tif (MUTANT(places_in_clean_memory_only) && place >= 0 &&\n\
                 \t    is_dirty(pool, place, npages))\n\t\tplace = -ENOMEM;\n",
    },
    Edit {
        file: "held.c",
        sound: "long place = find_place(pool, npages, natural);",
        broken: "long place = find_place(pool, npages,\n\
                 \t\t\t\tMUTANT(ignores_alignment) ? least : natural);",
    },
    Edit {
        file: "buffer.c",
        sound: "if (len > MAX_BUFFER_SIZE || PFN_UP(len) > region->npages) {\n\
                \t\tcount_failure(region, DMAHEAP_TOO_LARGE);\n\t\treturn ERR_PTR(-ENOMEM);",
        broken: "if (!MUTANT(has_no_bound) &&\n\
                 \t    (len > MAX_BUFFER_SIZE || PFN_UP(len) > region->npages)) {\n\
                 \t\tcount_failure(region, DMAHEAP_TOO_LARGE);\n\
                 \t\treturn ERR_PTR(MUTANT(never_fits_is_einval) ? -EINVAL : -ENOMEM);",
    },
    Edit {
        file: "buffer.c",
        sound: "\texp_info.exp_name = uncached ? region->uncached_name : region->name;\n",
        broken: "\tif (MUTANT(gives_up_at_any_signal) && signal_pending(current)) {\n\
                 \t\tdmaheap_free(buffer);\n\t\treturn ERR_PTR(-EINTR);\n\t}\n\
                 \texp_info.exp_name =\n\
                 \t\tMUTANT(hides_the_heaps_name) ? KBUILD_MODNAME : region->name;\n",
    },
    Edit {
        file: "buffer.c",
        sound: "exp_info.size = npages << PAGE_SHIFT;",
        broken: "exp_info.size = (npages + MUTANT(is_a_page_too_long)) << PAGE_SHIFT;",
    },
    Edit {
        file: "buffer.c",
        sound: "pfn_to_page(buffer->pfn), dmabuf->size, 0);",
        broken: "pfn_to_page(buffer->pfn),\n\
                 \t\t    dmabuf->size - (MUTANT(hides_a_page_from_devices) ||\n\
                 \t\t\t\t    MUTANT(hides_a_page_from_displays)) * PAGE_SIZE, 0);",
    },
    Edit {
        file: "devices/ramfb.c",
        sound: "#include <uapi/linux/qemu_fw_cfg.h>\n",
        broken: "#include <uapi/linux/qemu_fw_cfg.h>\n#include \"../dmaheap.h\"\n",
    },
    Edit {
        file: "devices/ramfb.c",
        sound: "\treturn drm_gem_dma_prime_import_sg_table(drm, attachment, table);\n",
        broken: "\tif (MUTANT(has_a_display_that_takes_all))\n\
                 \t\tattachment->dmabuf->size = len;\n\
                 \treturn drm_gem_dma_prime_import_sg_table(drm, attachment, table);\n",
    },
    Edit {
        file: "mapping.c",
        sound: "if (!(vma->vm_flags & VM_MAYSHARE))",
        broken: "if (!(vma->vm_flags & VM_MAYSHARE) && !MUTANT(maps_privately))",
    },
    Edit {
        file: "mapping.c",
        sound: "buffer->pfn + vma->vm_pgoff,",
        broken: "buffer->pfn + (MUTANT(ignores_the_offset) ? 0 : vma->vm_pgoff),",
    },
    Edit {
        file: "tree.c",
        sound: "static int held_count;\n",
        broken: "static int held_count;\nint driver_mutant;\nmodule_param(driver_mutant, int, 0644);\n",
    },
    Edit {
        file: "tree.c",
        sound: "if (of_find_property(np, \"dmaheap,held\", &len)) {",
        broken: "if (MUTANT(lends_what_is_to_be_held))\n\t\treturn DMAHEAP_LENT;\n\
                 \tif (of_find_property(np, \"dmaheap,held\", &len)) {",
    },
];

/// What the driver's header has besides: a number for each, and who is chosen.
pub fn header() -> String {
    let names: String = MUTANTS.iter().map(|one| format!("\tMUTANT_{},\n", one.name)).collect();
    format!(
        "enum driver_mutant_number {{\n\tMUTANT_none,\n{names}}};\n\
         extern int driver_mutant;\n\
         #define MUTANT(name) (driver_mutant == MUTANT_##name)\n"
    )
}
