// SPDX-License-Identifier: Apache-2.0
//! A device behind a bus that reaches less than there is: `check` says beforehand which heap is not
//! for it, and the kernel's bounce buffers (swiotlb) say afterwards.

use board::{Boot, repository};
use dmaheap_allocator::Policy;
use dmaheap_allocator::policy::chain::{self, Board};
use libtest_mimic::Failed;

use crate::Outcome;
use crate::fixture::{boot, compile, expect_contains, expect_eq, fail, succeed};

/// With 2 GiB, of which the bus has the first: DMA addresses of 30 bits.
const OVERLAY: &str = "kernel/board/virt-narrow.dtso";

/// Takes 64 KiB of the heap and has the device map it: a line for each segment, or the error.
const IMPORT: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/dma-heap.h>

int main(int argc, char **argv)
{
    struct dma_heap_allocation_data data = { .len = 64 << 10, .fd_flags = O_RDWR | O_CLOEXEC };
    int heap = open(argv[1], O_RDONLY), device = open("/dev/dmabuf_probe_bus", O_RDWR);
    char report[4096];

    if (argc != 2 || heap < 0 || device < 0 || ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data))
        return perror("before the device"), 1;
    if (dprintf(device, "%d", (int)data.fd) < 0)
        return printf("errno %d\n", errno), 0;
    return write(1, report, read(device, report, sizeof report)) < 0;
}
"#;

/// What it reaches, it gets where it lies; the bus counts from its own beginning.
pub fn device_of_30_bits_takes_what_it_reaches_without_a_bounce() -> Outcome {
    let program = compile("import", IMPORT, &["-O2", "-Wall", "-Werror"])?;
    let overlay = Some(repository().join(OVERLAY));
    let with = Boot { overlay, memory: Some(2048), services: false, ..Boot::default() };
    let mut guest = boot(&with)?;
    guest.push(&program, "/tmp/import")?;
    let near = succeed(&mut guest, "/tmp/import /dev/dma_heap/near@54000000")?;
    expect_eq("the near region", near.as_str(), "0x14000000 0x10000\n")?;
    let most = succeed(&mut guest, "cat /sys/kernel/debug/swiotlb/io_tlb_used_hiwater")?;
    expect_eq("bounce buffers at most", most.as_str(), "0\n")?;
    const BOUNCING: &str = "dmabuf_probe_bus soc:probe: swiotlb buffer is full";
    if guest.console().contains(BOUNCING) {
        return fail("it was bounced");
    }
    // Bounced in vain: those buffers lie at the end of memory, which the bus does not reach either.
    let far = succeed(&mut guest, "/tmp/import /dev/dma_heap/far@90000000")?;
    expect_eq("the far region", far.as_str(), "errno 5\n")?;
    expect_contains(&guest.console(), BOUNCING)
}

/// The policy that leads this device's buffers to the other region is refused.
pub fn heap_that_a_device_of_30_bits_does_not_reach_is_found() -> Outcome {
    let text = |node: &str| {
        format!(
            "metadata_heap = \"system\"\n[limits]\nbuffer = \"8 MiB\"\nreserved = \"1 MiB\"\n\
             [heaps.system]\nnodes = [\"system\"]\n\
             [heaps.device]\nnodes = [\"{node}\"]\ncontiguous = true\nsize = \"16 MiB\"\n\
             below = \"2 GiB\"\n\
             [[rules]]\nname = \"device\"\nany = [\"CAMERA_OUTPUT\"]\nheap = \"device\"\n"
        )
    };
    let board = Board { device_tree: vec![repository().join(OVERLAY)], ..Board::default() };
    let found = |node: &str| -> Result<String, Failed> {
        let text = text(node);
        let (policy, _) = Policy::parse("heaps.toml", &text)?;
        let found = chain::check(&policy, "heaps.toml", &text, &board)?;
        Ok(found.iter().map(ToString::to_string).collect())
    };
    let of_heap = |found: &str| found.lines().filter(|line| line.contains("heap device")).count();
    expect_eq("findings of the near one", of_heap(&found("near@54000000")?), 0)?;
    let expected = "heaps.toml:11: error: heap device is for what reaches memory below 2 GiB";
    expect_contains(&found("far@90000000")?, expected)
}
