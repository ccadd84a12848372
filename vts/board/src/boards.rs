// SPDX-License-Identifier: Apache-2.0
//! Boards are data: all that differs between two of them stands here.

/// Where the image has the heap policy: where the service looks for it.
pub const POLICY: &str = "/vendor/etc/dmaheap/heaps.toml";

/// The allocator's program in the image, without its folder.
pub const ALLOCATOR: &str = "android.hardware.graphics.allocator-service.dmaheap";

/// A line of the kernel's versions, as Debian has it.
#[derive(Debug)]
pub struct KernelSource {
    /// Debian's package: a version of the kernel, of which Debian replaces the point releases.
    pub package: &'static str,
    /// Debian's suites that have it, where they are not those of this machine's own sources.
    pub suites: &'static [&'static str],
}

/// The LTS that current Android kernels derive from, and the oldest that the driver supports.
static LINUX_6_12: KernelSource = KernelSource { package: "linux-source-6.12", suites: &[] };

/// The newest.
static LINUX_7_3: KernelSource =
    KernelSource { package: "linux-source-7.3", suites: &["trixie-backports", "sid"] };

/// A board. Paths are relative to the repository's root.
#[derive(Debug)]
pub struct Board {
    /// Its name in messages and in the cache.
    pub name: &'static str,
    /// The kernel's name of its architecture.
    pub arch: &'static str,
    /// Prefix of its C compiler and binary tools, with the dash.
    pub cross_compile: &'static str,
    /// Rust's name of its architecture and C library.
    pub rust_target: &'static str,
    /// Debian's name of its architecture.
    pub debian_arch: &'static str,
    /// Debian packages that bring the compilers and the C library's headers.
    pub compiler_packages: &'static [&'static str],
    /// QEMU's program for it.
    pub qemu: &'static str,
    /// QEMU's machine with its properties.
    pub machine: &'static str,
    /// QEMU's devices beside those that every board has.
    pub devices: &'static [&'static str],
    /// CPU model under emulation.
    pub cpu: &'static str,
    /// Cores.
    pub cores: u8,
    /// Memory in MiB unless the command line says otherwise.
    pub memory: u32,
    /// Where its kernel comes from.
    pub kernel_source: &'static KernelSource,
    /// The kernel make target, below `arch/<arch>/boot/`.
    pub kernel_image: &'static str,
    /// All that the kernel's configuration has; later fragments add to earlier ones.
    pub kernel_config: &'static [&'static str],
    /// What of the kernel is a module, by its place among the objects. Init loads them in the order
    /// of their names.
    pub modules: &'static [&'static str],
    /// Boards with the same name here share one folder of kernel objects, because their
    /// configurations differ little.
    pub kernel_objects: &'static str,
    /// Commands that a full kernel build prints; only the progress bar uses it.
    pub kernel_steps: u64,
    /// Device-tree overlay for the machine's own tree.
    pub overlay: &'static str,
    /// Kernel arguments, before those of the command line.
    pub kernel_arguments: &'static str,
    /// The heap policy installed in the image.
    pub policy: &'static str,
}

/// The 64-bit board: QEMU's generic machine with three memory regions.
pub static VIRT: Board = ARM64;

/// The same with the kernel's own heap for the default region, to measure ours beside it.
pub static VIRT_BENCH: Board = Board {
    name: "virt-bench",
    kernel_config: &["kernel/board/virt.config", "kernel/board/virt-bench.config"],
    ..ARM64
};

/// The other kernel, as different as can be: the newest, 16 KiB pages, the driver a module with its
/// KUnit suites, and everything watched.
pub static VIRT_NEXT: Board = NEXT;

const NEXT: Board = Board {
    name: "virt-next",
    // KASAN's shadow takes an eighth.
    memory: 2048,
    kernel_source: &LINUX_7_3,
    kernel_config: &["kernel/board/virt.config", "kernel/board/virt-next.config"],
    modules: &["drivers/dma-buf/heaps/dmaheap/cma_regions.ko"],
    kernel_objects: "virt-next",
    kernel_steps: 1410,
    // Not vivid: it maps more at once than it says that it can.
    kernel_arguments: "console=ttyAMA0 panic=-1 oops=panic vivid.allocators=1 \
                       dma_debug_driver=cma_regions",
    ..ARM64
};

/// The same with the kernel's own heap, a module too, which has the names of this driver there.
pub static VIRT_NEXT_IN_TREE: Board = Board {
    name: "virt-next-in-tree",
    kernel_config: &[
        "kernel/board/virt.config",
        "kernel/board/virt-next.config",
        "kernel/board/virt-next-in-tree.config",
    ],
    modules: &["drivers/dma-buf/heaps/cma_heap.ko", "drivers/dma-buf/heaps/dmaheap/cma_regions.ko"],
    ..NEXT
};

/// All of them.
pub static BOARDS: [&Board; 4] = [&VIRT, &VIRT_NEXT, &VIRT_BENCH, &VIRT_NEXT_IN_TREE];

/// The board of this name, or the names that there are.
pub fn by_name(name: &str) -> Result<&'static Board, String> {
    BOARDS.into_iter().find(|board| board.name == name).ok_or_else(|| {
        let names: Vec<&str> = BOARDS.iter().map(|board| board.name).collect();
        format!("there are {}", names.join(", "))
    })
}

const ARM64: Board = Board {
    name: "virt",
    arch: "arm64",
    cross_compile: "aarch64-linux-gnu-",
    rust_target: "aarch64-unknown-linux-gnu",
    debian_arch: "arm64",
    compiler_packages: &["g++-aarch64-linux-gnu", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    qemu: "qemu-system-aarch64",
    machine: "virt,gic-version=3,iommu=smmuv3",
    // A display, and a device behind the IOMMU.
    devices: &["ramfb", "edu"],
    // The architecture's own pointer authentication is the costliest thing to emulate.
    cpu: "max,pauth-impdef=on",
    cores: 2,
    memory: 1024,
    kernel_source: &LINUX_6_12,
    kernel_image: "Image",
    kernel_config: &["kernel/board/virt.config"],
    modules: &[],
    kernel_objects: "virt",
    kernel_steps: 1390,
    overlay: "kernel/board/virt.dtso",
    // A kernel that oopses must not go on to pass tests; -no-reboot turns the panic into an end.
    kernel_arguments: "console=ttyAMA0 panic=-1 oops=panic vivid.allocators=1",
    policy: "service/etc/virt/heaps.toml",
};
