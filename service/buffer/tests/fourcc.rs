// SPDX-License-Identifier: Apache-2.0
//! The format table against an independent list of what the kernel knows.
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)]

use dmaheap_buffer::Format;
use dmaheap_buffer::format::ComponentKind;
use drm_fourcc::DrmFourcc;

/// Splits the digits of a DRM name into one width per letter: "2101010" and
/// four letters are 2, 10, 10 and 10.
fn widths(digits: &str, letters: usize) -> Option<Vec<u32>> {
    if letters == 0 {
        return digits.is_empty().then(Vec::new);
    }
    (1..=digits.len().min(2)).find_map(|length| {
        let (first, rest) = digits.split_at(length);
        let first = Some(first).filter(|n| !n.starts_with('0'))?;
        let first = first.parse().ok().filter(|n| [1, 2, 4, 5, 6, 8, 10, 16].contains(n))?;
        let mut all = vec![first];
        all.extend(widths(rest, letters - 1)?);
        Some(all)
    })
}

/// Components of a packed format, as the kernel's name spells them: from the
/// highest bit downwards.
fn named_components(name: &str) -> Option<Vec<(char, u32, u32)>> {
    let name = name.strip_suffix('f').unwrap_or(name).to_lowercase();
    let split = name.find(|c: char| c.is_ascii_digit())?;
    let (letters, digits) = name.split_at(split);
    let parts: Vec<_> = letters.chars().zip(widths(digits, letters.len())?).collect();
    let mut offset = 0;
    let mut components = Vec::new();
    for (letter, width) in parts.into_iter().rev() {
        if letter != 'x' {
            components.push((letter, offset, width));
        }
        offset += width;
    }
    Some(components)
}

fn letter(kind: ComponentKind) -> char {
    match kind {
        ComponentKind::R => 'r',
        ComponentKind::G => 'g',
        ComponentKind::B => 'b',
        ComponentKind::A => 'a',
        other => panic!("{other:?} is no colour"),
    }
}

#[test]
fn the_kernel_knows_every_fourcc() {
    for format in Format::all() {
        if let Some(code) = format.fourcc() {
            assert!(DrmFourcc::try_from(code).is_ok(), "{format}: {code:#x}");
        }
    }
}

/// Codes with the names the kernel gives them.
macro_rules! named {
    ($($name:ident),* $(,)?) => { [$((DrmFourcc::$name, stringify!($name))),*] };
}

#[test]
fn packed_colours_have_the_components_that_the_kernels_name_spells() {
    let is_colour = |format: &Format| {
        let kind = format.planes()[0].components[0].kind;
        format.fourcc().is_some() && matches!(kind, ComponentKind::R | ComponentKind::B)
    };
    let names = named![
        Abgr8888,
        Xbgr8888,
        Bgr888,
        Rgb565,
        Argb8888,
        Abgr16161616f,
        Abgr2101010,
        Argb2101010,
        Xrgb2101010,
        R8,
        R16,
        Gr1616,
        Axbxgxrx106106106106,
    ];
    for format in Format::all().filter(is_colour) {
        let (_, name) = names
            .iter()
            .find(|(fourcc, _)| Some(*fourcc as u32) == format.fourcc())
            .unwrap_or_else(|| panic!("{format} is none of {names:?}"));
        let ours: Vec<_> = format.planes()[0]
            .components
            .iter()
            .map(|c| (letter(c.kind), c.offset, c.size.unwrap()))
            .collect();
        assert_eq!(ours, named_components(name).unwrap(), "{format} is {name}");
    }
}

/// Bytes per sample and subsampling per plane, as in the kernel's
/// `drm_format_info`.
#[test]
fn luma_and_chroma_planes_are_sampled_as_in_the_kernel() {
    let full = |bytes| (bytes, 1, 1);
    type Plane = (u32, u32, u32);
    let expected: &[(DrmFourcc, &[Plane])] = &[
        (DrmFourcc::Nv12, &[full(1), (2, 2, 2)]),
        (DrmFourcc::Nv21, &[full(1), (2, 2, 2)]),
        (DrmFourcc::Nv16, &[full(1), (2, 2, 1)]),
        (DrmFourcc::Yuyv, &[(4, 2, 1)]),
        (DrmFourcc::P010, &[full(2), (4, 2, 2)]),
        (DrmFourcc::P210, &[full(2), (4, 2, 1)]),
        (DrmFourcc::Yvu420, &[full(1), (1, 2, 2), (1, 2, 2)]),
    ];
    for (fourcc, planes) in expected {
        let format = Format::all().find(|f| f.fourcc() == Some(*fourcc as u32)).unwrap();
        let ours: Vec<_> = format.planes().iter().map(|s| (s.bytes, s.width, s.height)).collect();
        assert_eq!(&ours, planes, "{format}");
    }
}
