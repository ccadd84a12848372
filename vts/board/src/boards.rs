// SPDX-License-Identifier: Apache-2.0
//! Boards are data: all that differs between two of them stands here.

/// Where the image has the heap policy: where the service looks for it.
pub const POLICY: &str = "/vendor/etc/dmaheap/heaps.toml";

/// The allocator's program in the image, without its folder.
pub const ALLOCATOR: &str = "android.hardware.graphics.allocator-service.dmaheap";

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
    /// The kernel make target, below `arch/<arch>/boot/`.
    pub kernel_image: &'static str,
    /// All that the kernel's configuration has; later fragments add to earlier ones.
    pub kernel_config: &'static [&'static str],
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

/// A kernel that runs the driver's KUnit suites under its own watchdogs, and ends.
pub static VIRT_KUNIT: Board = Board {
    name: "virt-kunit",
    kernel_config: &["kernel/board/virt-kunit.config"],
    kernel_objects: "virt-kunit",
    kernel_steps: 1070,
    overlay: "kernel/board/virt-kunit.dtso",
    kernel_arguments: "console=ttyAMA0 panic=-1 kunit_shutdown=poweroff",
    ..ARM64
};

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
    kernel_image: "Image",
    kernel_config: &["kernel/board/virt.config"],
    kernel_objects: "virt",
    kernel_steps: 1390,
    overlay: "kernel/board/virt.dtso",
    // A kernel that oopses must not go on to pass tests; -no-reboot turns the panic into an end.
    kernel_arguments: "console=ttyAMA0 panic=-1 oops=panic vivid.allocators=1",
    policy: "service/etc/virt/heaps.toml",
};
