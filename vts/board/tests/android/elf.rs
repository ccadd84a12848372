// SPDX-License-Identifier: Apache-2.0
//! What the programs for devices are, as files: what Android's linker asks of them, and what every
//! client's process pays for the mapper.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use board::android::{self, Symbol};
use object::elf::{
    DF_1_NODELETE, DF_BIND_NOW, DT_FLAGS, DT_FLAGS_1, DT_NEEDED, DT_SONAME, DT_TEXTREL, PT_LOAD,
    PT_TLS, R_AARCH64_ABS64, R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT, R_AARCH64_RELATIVE,
};
use object::read::elf::{Dyn, ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol, RelocationFlags};

/// The oldest platform that is served: Android 13.
const OLDEST_LEVEL: u32 = 33;

const MAPPER: &str = "dmaheap_mapper";
const SERVICE: &str = "allocator";

fn programs() -> &'static [(String, PathBuf)] {
    static PROGRAMS: OnceLock<Vec<(String, PathBuf)>> = OnceLock::new();
    PROGRAMS.get_or_init(|| android::programs().unwrap_or_else(|error| panic!("{error}")))
}

/// A program's bytes.
fn bytes(name: &str) -> Vec<u8> {
    let (_, path) = programs().iter().find(|(other, _)| other == name).expect(name);
    fs::read(path).unwrap()
}

type Elf<'a> = ElfFile64<'a, Endianness>;

/// Every program, with its name.
fn each(check: impl Fn(&str, &Elf)) {
    assert_eq!(programs().len(), 5, "{:?}", programs());
    for (name, _) in programs() {
        let bytes = bytes(name);
        check(name, &Elf::parse(bytes.as_slice()).unwrap());
    }
}

/// The dynamic section: tags and values.
fn dynamic(elf: &Elf) -> Vec<(u32, u64)> {
    let (endian, data) = (elf.endian(), elf.data());
    let mut headers = elf.elf_program_headers().iter();
    let found = headers.find_map(|header| header.dynamic(endian, data).unwrap()).unwrap();
    found.iter().filter_map(|entry| Some((entry.tag32(endian)?, entry.d_val(endian)))).collect()
}

/// The bits of all entries with this tag.
fn bits(elf: &Elf, tag: u32) -> u64 {
    dynamic(elf).iter().filter(|(other, _)| *other == tag).fold(0, |bits, (_, value)| bits | value)
}

/// Strings of the dynamic section with this tag.
fn strings(elf: &Elf, tag: u32) -> Vec<String> {
    let table = elf.elf_dynamic_symbol_table().strings();
    let entries = dynamic(elf).into_iter().filter(|(other, _)| *other == tag);
    let text = |(_, at): (u32, u64)| table.get(u32::try_from(at).unwrap()).unwrap().to_vec();
    entries.map(|entry| String::from_utf8(text(entry)).unwrap()).collect()
}

#[test]
fn programs_need_nothing_but_three_libraries_that_every_device_has() {
    each(|name, elf| {
        let needed = strings(elf, DT_NEEDED);
        for library in &needed {
            assert!(
                ["libc.so", "libdl.so", "liblog.so"].contains(&library.as_str()),
                "{name}: {library}"
            );
        }
        assert!(needed.contains(&"libc.so".to_owned()), "{name}: {needed:?}");
    });
}

#[test]
fn every_symbol_that_is_asked_for_is_one_of_the_oldest_platforms() {
    let known = android::symbols().unwrap();
    let mut asked = 0;
    each(|name, elf| {
        for symbol in elf.dynamic_symbols().filter(ObjectSymbol::is_undefined) {
            let symbol = symbol.name().unwrap();
            let Some(Symbol { level, .. }) = known.get(symbol) else {
                assert_eq!(symbol, "", "{name}: not in bionic.txt");
                continue;
            };
            assert!(*level <= OLDEST_LEVEL, "{name}: {symbol} came with level {level}");
        }
    });
    // A name that nobody asks for any more does not stay in the list.
    for symbol in known.keys() {
        let is_asked = programs().iter().any(|(name, _)| {
            let bytes = bytes(name);
            let elf = Elf::parse(bytes.as_slice()).unwrap();
            elf.dynamic_symbols().any(|s| s.is_undefined() && s.name() == Ok(symbol.as_str()))
        });
        assert!(is_asked, "nobody asks for {symbol}");
        asked += 1;
    }
    assert!(asked > 80, "only {asked} symbols");
}

#[test]
fn programs_load_on_pages_of_16_kib_and_are_bound_at_once() {
    each(|name, elf| {
        let endian = elf.endian();
        for header in elf.elf_program_headers() {
            assert_ne!(header.p_type(endian), PT_TLS, "{name}: the linker keeps no place for it");
            if header.p_type(endian) == PT_LOAD {
                assert_eq!(header.p_align(endian), 0x4000, "{name}");
            }
        }
        assert!(dynamic(elf).iter().all(|(tag, _)| *tag != DT_TEXTREL), "{name}");
        assert_ne!(bits(elf, DT_FLAGS) & u64::from(DF_BIND_NOW), 0, "{name}");
        for (_, relocation) in elf.dynamic_relocations().unwrap() {
            let RelocationFlags::Elf { r_type } = relocation.flags() else { unreachable!() };
            let simple =
                [R_AARCH64_RELATIVE, R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT, R_AARCH64_ABS64];
            assert!(simple.contains(&r_type), "{name}: relocation {r_type}");
        }
    });
}

#[test]
fn mapper_is_small_stays_loaded_and_exports_three_symbols() {
    let bytes = bytes(MAPPER);
    let elf = Elf::parse(bytes.as_slice()).unwrap();
    let mut names: Vec<&str> = elf
        .dynamic_symbols()
        .filter(|symbol| !symbol.is_undefined())
        .map(|symbol| symbol.name().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["AIMapper_loadIMapper", "ANDROID_HAL_MAPPER_VERSION", "ANDROID_HAL_STABLEC_VERSION"]
    );
    assert_eq!(strings(&elf, DT_SONAME), ["mapper.dmaheap.so"]);
    assert_ne!(bits(&elf, DT_FLAGS_1) & u64::from(DF_1_NODELETE), 0);
    assert!(bytes.len() <= 600 << 10, "{} bytes", bytes.len());
}

#[test]
fn service_is_small_and_is_started_by_androids_linker() {
    let bytes = bytes(SERVICE);
    let elf = Elf::parse(bytes.as_slice()).unwrap();
    let mut headers = elf.elf_program_headers().iter();
    let interpreter = headers.find_map(|h| h.interpreter(elf.endian(), elf.data()).unwrap());
    assert_eq!(interpreter, Some(&b"/system/bin/linker64"[..]));
    assert!(bytes.len() <= 3 << 20, "{} bytes", bytes.len());
}

/// A machine's folders in a program would make another one of the same commit.
#[test]
fn programs_name_no_place_of_this_machine() {
    let home = std::env::var("HOME").unwrap();
    let places = [board::repository().to_str().unwrap(), home.as_str()];
    for (name, _) in programs() {
        let bytes = bytes(name);
        for place in places.iter().filter(|place| place.len() > 1) {
            let found = bytes.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!found, "{name} has {place} in it");
        }
    }
}
