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
pub const MUTANTS: [DriverMutant; 17] = [
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
    mutant("maps_the_first_page_only", Nothing, "mapping::shows_every_page_at_its_place"),
    mutant("takes_small_ones_from_anywhere", Nothing, "device::sees_one_segment_of_the_region"),
    mutant("hides_a_page_from_devices", Nothing, "device::sees_one_segment_of_the_region"),
    mutant("gives_up_at_any_signal", Nothing, "signal::that_is_handled_does_not_interrupt"),
    mutant("asks_to_try_again", Nothing, "pressure::an_exhausted_region_refuses_and_recovers"),
    mutant("clears_nothing", Damage, "content::is_zero_after_another_uid_had_the_memory"),
    mutant("clears_a_page_less", Damage, "content::is_zero_after_another_uid_had_the_memory"),
    mutant("loses_a_piece", Damage, "pressure::an_exhausted_region_refuses_and_recovers"),
    mutant("leaks_a_buffer", Damage, "mapping::outlives_its_descriptor"),
    mutant("miscounts", Damage, "device::keeps_a_buffer_that_is_closed"),
    mutant("lends_what_is_to_be_held", AnotherBoot, "pressure::a_held_region_serves_what_fits"),
];

/// The edits that bring them all, behind `MUTANT(name)`.
pub const EDITS: [Edit; 15] = [
    Edit {
        file: "alloc.c",
        sound: "\t\tclear_highpage(pfn_to_page(pfn + i));\n",
        broken: "\t\tif (!MUTANT(clears_nothing) &&\n\
                 \t\t    !(MUTANT(clears_a_page_less) && i == npages - 1))\n\
                 \t\t\tclear_highpage(pfn_to_page(pfn + i));\n",
    },
    Edit {
        file: "alloc.c",
        sound: "if (!region->small_gfp || npages >",
        broken: "if (MUTANT(takes_small_ones_from_the_region) ||\n\
                 (!region->small_gfp && !MUTANT(takes_small_ones_from_anywhere)) || npages >",
    },
    Edit {
        file: "alloc.c",
        sound: "return fatal_signal_pending(current) ? -EINTR : -ENOMEM;",
        broken: "return MUTANT(asks_to_try_again) ? -EAGAIN : -ENOMEM;",
    },
    Edit {
        file: "alloc.c",
        sound: "\tif (region->held)\n\t\tret = alloc_held(",
        broken: "\tif (MUTANT(takes_small_ones_from_anywhere) && alloc_small(region, buffer, npages))\n\
                 \t\tret = 0;\n\telse if (region->held)\n\t\tret = alloc_held(",
    },
    Edit {
        file: "alloc.c",
        sound: "\tunaccount(region, buffer);\n\n\tif (region->held) {",
        broken: "\tif (MUTANT(leaks_a_buffer))\n\t\treturn;\n\
                 \tunaccount(region, buffer);\n\n\tif (region->held && !buffer->small) {",
    },
    Edit {
        file: "alloc.c",
        sound: "\tregion->buffers--;\n",
        broken: "\tif (!MUTANT(miscounts))\n\t\tregion->buffers--;\n",
    },
    Edit {
        file: "held.c",
        sound: "\tgen_pool_free(pool->clean, pfn, npages);\n\tpool->dirty_pages -= npages;\n",
        broken: "\tif (!MUTANT(loses_a_piece) || !last)\n\
                 \t\tgen_pool_free(pool->clean, pfn, npages);\n\tpool->dirty_pages -= npages;\n",
    },
    Edit {
        file: "buffer.c",
        sound: "if (len > MAX_BUFFER_SIZE || PFN_UP(len) > region->npages) {\n\
                \t\tcount_failure(region, FAIL_TOO_LARGE);\n\t\treturn ERR_PTR(-ENOMEM);",
        broken: "if (!MUTANT(has_no_bound) &&\n\
                 \t    (len > MAX_BUFFER_SIZE || PFN_UP(len) > region->npages)) {\n\
                 \t\tcount_failure(region, FAIL_TOO_LARGE);\n\
                 \t\treturn ERR_PTR(MUTANT(never_fits_is_einval) ? -EINVAL : -ENOMEM);",
    },
    Edit {
        file: "buffer.c",
        sound: "\texp_info.exp_name = region->name;\n",
        broken: "\tif (MUTANT(gives_up_at_any_signal) && signal_pending(current)) {\n\
                 \t\theap_region_free(buffer);\n\t\treturn ERR_PTR(-EINTR);\n\t}\n\
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
        sound: "if (!(vma->vm_flags & VM_MAYSHARE))",
        broken: "if (!(vma->vm_flags & VM_MAYSHARE) && !MUTANT(maps_privately))",
    },
    Edit {
        file: "buffer.c",
        sound: "unsigned long pfn = buffer->pfn + linear_page_index(vma, addr);",
        broken: "unsigned long pfn = buffer->pfn + (MUTANT(maps_the_first_page_only) ?\n\
                 \t\t0 : linear_page_index(vma, addr));",
    },
    Edit {
        file: "buffer.c",
        sound: "pfn_to_page(buffer->pfn), dmabuf->size, 0);",
        broken: "pfn_to_page(buffer->pfn),\n\
                 \t\t    dmabuf->size - MUTANT(hides_a_page_from_devices) * PAGE_SIZE, 0);",
    },
    Edit {
        file: "region.c",
        sound: "static LIST_HEAD(regions);\n",
        broken: "int driver_mutant;\nmodule_param(driver_mutant, int, 0644);\n\n\
                 static LIST_HEAD(regions);\n",
    },
    Edit {
        file: "region.c",
        sound: "if (of_property_present(np, \"dmaheap,held\")) {",
        broken: "if (MUTANT(lends_what_is_to_be_held))\n\t\treturn REGION_LENT;\n\
                 \tif (of_property_present(np, \"dmaheap,held\")) {",
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
