// SPDX-License-Identifier: Apache-2.0
//! `Android.bp`, and what it builds, without an Android tree: its paths, its crates, its dependencies
//! against Cargo's, and a type check against AOSP's own binder library as the system and as vendors
//! have it. What cargo builds for devices is looked at as files.

mod bp;
mod elf;
mod panics;
mod workspace;

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use board::repository;

use bp::Module;
use workspace::{INTERFACES, Tree, Workspace};

/// What a vendor's image gets, and what builds for it; the suite is beside.
const SERVICE: [&str; 6] = [
    "libdmaheap_buffer",
    "libdmaheap_dmabuf",
    "libdmaheap_aidl",
    "libdmaheap_allocator",
    "android.hardware.graphics.allocator-service.dmaheap",
    "mapper.dmaheap",
];
const SUITE: [&str; 2] = ["libdmaheap_suite", "VtsHalGraphicsAllocatorDmaHeap_TargetTest"];

const SYSTEM: [&str; 0] = [];
const VENDOR: [&str; 2] = ["android_vendor", "android_vndk"];

fn require_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn as_it_is(text: String) -> String {
    text
}

#[test]
fn service_and_suite_compile_with_aosps_binder_library_for_system_and_vendors() {
    let workspace = Workspace::new("sound", as_it_is);
    for variant in [&SYSTEM[..], &VENDOR[..]] {
        require_success(&workspace.check(&SERVICE, variant));
        require_success(&workspace.check(&SUITE, variant));
    }
}

/// Each is what stood there once.
#[test]
fn a_broken_line_of_the_facade_does_not_compile() {
    for (sound, broken, variant) in [
        (".set_inherit_rt = true", ".inherit_rt = true", &SYSTEM[..]),
        ("    #[cfg(not(android_vndk))]\n    {", "    {", &VENDOR[..]),
        ("use binder::binder_impl::IBinderInternal;\n", "", &SYSTEM[..]),
    ] {
        let broken = Workspace::new("broken", |text| text.replace(sound, broken));
        let output = broken.check(&["libdmaheap_aidl"], variant);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "it compiles without '{sound}'");
        assert!(said.contains("facade/binder_ndk.rs:"), "{said}");
    }
}

#[test]
fn every_path_of_android_bp_exists() {
    let properties = ["srcs", "src", "init_rc", "vintf_fragments", "test_config", "license_text"];
    let mut paths = 0;
    for module in bp::modules() {
        for path in properties.iter().flat_map(|property| module.all(property)) {
            assert!(repository().join(path).is_file(), "{path}: {module:?}");
            paths += 1;
        }
    }
    assert!(paths > 15, "only {paths} paths");
}

#[test]
fn every_crate_of_android_bp_is_one_that_androids_tree_carries() {
    let (modules, tree) = (bp::modules(), Tree::read());
    let own: BTreeSet<&str> =
        modules.iter().filter(|m| m.is_rust()).map(|module| module.name()).collect();
    for module in modules.iter().filter(|module| module.is_rust()) {
        for library in module.all("rustlibs") {
            let known = own.contains(library.as_str())
                || tree.crates.contains_key(library)
                || INTERFACES.contains(&library.as_str())
                || library == "libbinder_rs";
            assert!(known, "{}: {library} was not in the tree of {}", module.name(), tree.date);
        }
    }
    for (name, one) in &tree.crates {
        assert_eq!(
            one.checked.is_some() || !one.suite.is_empty(),
            one.why.is_some(),
            "{name}: another version needs a reason"
        );
    }
}

/// The package of each module that is a library.
const PACKAGES: [(&str, &str); 7] = [
    ("libdmaheap_buffer", "service/buffer"),
    ("libdmaheap_dmabuf", "service/dmabuf"),
    ("libdmaheap_aidl", "aidl"),
    ("libdmaheap_allocator", "service/allocator"),
    ("libdmaheap_imapper", "service/imapper"),
    ("mapper.dmaheap", "service/mapper"),
    ("libdmaheap_suite", "vts/suite"),
];

/// What Cargo's build has in place of others, or for what Soong does not build.
const CARGOS_OWN: [(&str, &str); 5] = [
    // The interfaces and libbinder_rs.
    ("aidl", "rsbinder"),
    // The commands of the host.
    ("service/allocator", "fastrand"),
    ("service/allocator", "regex"),
    // For the virtual board's own programs.
    ("vts/suite", "rsbinder"),
    ("vts/suite", "xattr"),
];

#[test]
fn every_module_depends_on_what_its_package_does() {
    let (modules, tree) = (bp::modules(), Tree::read());
    for (name, package) in PACKAGES {
        let module = modules.iter().find(|m| m.is_rust() && m.name() == name).expect(name);
        let soong: BTreeSet<String> = module
            .all("rustlibs")
            .iter()
            .filter(|library| *library != "libbinder_rs" && !INTERFACES.contains(&library.as_str()))
            .map(|library| soongs_name(library, &modules, &tree))
            .collect();
        let mut cargo = dependencies(package);
        for (_, own) in CARGOS_OWN.iter().filter(|(of, _)| *of == package) {
            assert!(cargo.remove(*own), "{package} does not depend on {own}");
        }
        assert_eq!(soong, cargo, "{name} and {package}");
    }
}

/// A library's name as a package of Cargo's.
fn soongs_name(library: &str, modules: &[Module], tree: &Tree) -> String {
    let own = modules.iter().any(|module| module.is_rust() && module.name() == library);
    match tree.crates.get(library) {
        Some(known) => known.package.clone(),
        None if own => library.trim_start_matches("lib").replace('_', "-"),
        None => panic!("{library} is unknown"),
    }
}

/// A package's dependencies for a device.
fn dependencies(package: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(repository().join(package).join("Cargo.toml")).unwrap();
    let sections =
        text.split("\n[").map(|section| section.split_once("]\n").unwrap_or((section, "")));
    let of_a_device =
        |name: &str| name == "dependencies" || name.ends_with("android\")'.dependencies");
    let lines = sections.filter(|(name, _)| of_a_device(name)).flat_map(|(_, lines)| lines.lines());
    let entries = lines.filter(|line| !line.starts_with('#') && line.contains('='));
    entries.map(|line| line.split(['.', ' ', '=']).next().unwrap().to_owned()).collect()
}
