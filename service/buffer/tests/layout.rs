// SPDX-License-Identifier: Apache-2.0
//! Properties of layouts, for any format, extent and constraints.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use dmaheap_buffer::{Bytes, Constraints, Error, Extent, Format, Layout, Pixels, Stride};
use fastrand::Rng;

/// Numbers that look random and are the same in every run.
struct Random(Rng);

impl Random {
    fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0.u64(..end)
    }

    /// Common sizes, odd ones, and both ends of the range.
    fn dimension(&mut self) -> i64 {
        match self.below(6) {
            0 => self.below(70) as i64,
            1 | 2 => 1 + self.below(8192) as i64,
            3 => 1 << self.below(31),
            4 => i64::from(i32::MAX) - self.below(40) as i64,
            _ => i64::from(self.next() as i32),
        }
    }

    fn layers(&mut self) -> i64 {
        match self.below(6) {
            0 => self.below(20) as i64,
            1 => self.dimension(),
            _ => 1,
        }
    }

    /// Nothing, powers of two, and what nobody should ask for.
    fn multiple(&mut self) -> u32 {
        match self.below(4) {
            0 => 0,
            1 => 1 << self.below(14),
            2 => self.below(100) as u32,
            _ => self.next() as u32,
        }
    }

    fn constraints(&mut self) -> Constraints {
        Constraints {
            stride: Bytes(self.multiple().into()),
            height: Pixels(self.multiple()),
            plane: Bytes(self.multiple().into()),
            size: Bytes(self.multiple().into()),
        }
    }

    fn format(&mut self) -> Format {
        let formats: Vec<Format> = Format::all().collect();
        formats[self.below(formats.len() as u64) as usize]
    }
}

fn is_multiple(n: u64, of: u64) -> bool {
    n.is_multiple_of(of.max(1))
}

/// The least number of bytes this picture takes, without any alignment.
fn least_size(format: Format, extent: Extent) -> u128 {
    let [w, h] = [extent.width().0, extent.height().0].map(u128::from);
    let plane = |sampling: &dmaheap_buffer::format::Sampling| {
        w.div_ceil(sampling.width.into())
            * h.div_ceil(sampling.height.into())
            * u128::from(sampling.bytes)
    };
    format.planes().iter().map(plane).sum::<u128>() * u128::from(extent.layers())
}

fn check(layout: &Layout, constraints: &Constraints) {
    let (format, extent) = (layout.format(), layout.extent());
    let aligned_rows = if format.is_blob() { 0 } else { constraints.stride.0 };
    let mut end = 0;
    // A whole row of pixels, which the stride in bytes is a row of.
    let width = match (format.has_stride_in_bytes(), layout.planes(), format.planes()) {
        (true, [plane], [sampling]) => {
            assert_eq!(u64::from(layout.stride().0), plane.stride.0);
            layout.stride().0 / sampling.bytes * sampling.width
        }
        _ => layout.stride().0,
    };
    assert!(width >= extent.width().0);
    for (plane, sampling) in layout.planes().iter().zip(format.planes()) {
        assert!(plane.offset.0 >= end, "planes overlap: {layout:?}");
        assert!(is_multiple(plane.offset.0, constraints.plane.0), "plane not aligned: {layout:?}");
        assert!(is_multiple(plane.stride.0, aligned_rows), "stride not aligned: {layout:?}");
        let samples = u64::from(width.div_ceil(sampling.width));
        assert_eq!(
            plane.stride.0,
            samples * u64::from(sampling.bytes),
            "stride and width differ: {layout:?}"
        );
        let covered = u64::from(plane.rows) * u64::from(sampling.height);
        assert!(covered >= u64::from(extent.height().0), "rows are missing: {layout:?}");
        assert!(
            covered
                >= u64::from(extent.height().0)
                    .next_multiple_of(constraints.height.0.max(1).into())
        );
        end = plane.offset.0 + plane.stride.0 * u64::from(plane.rows);
    }
    assert!(end <= layout.layer_size().0, "a plane sticks out of its layer: {layout:?}");
    assert!(
        is_multiple(layout.layer_size().0, constraints.plane.0),
        "layer not aligned: {layout:?}"
    );
    let layers = u128::from(layout.layer_size().0) * u128::from(extent.layers());
    assert!(layers <= u128::from(layout.size().0), "a layer sticks out of the buffer: {layout:?}");
    assert!(is_multiple(layout.size().0, constraints.size.0), "size not aligned: {layout:?}");
    assert!(i64::try_from(layout.size().0).is_ok());
}

#[test]
fn every_descriptor_gives_a_sound_layout_or_an_error() {
    let mut random = Random(Rng::with_seed(1));
    let mut laid_out = 0;
    for _ in 0..100_000 {
        let format = random.format();
        let [w, h, layers] = [random.dimension(), random.dimension(), random.layers()];
        let constraints = random.constraints();
        let extent = Extent::new(w, h, layers);
        assert_eq!(extent.is_ok(), [w, h, layers].iter().all(|n| *n > 0));
        let Ok(extent) = extent else { continue };

        match Layout::new(format, extent, &constraints) {
            Ok(layout) => {
                check(&layout, &constraints);
                assert!(u128::from(layout.size().0) >= least_size(format, extent));
                laid_out += 1;
            }
            Err(Error::BadBlob { .. }) => assert!(format.is_blob() && (h, layers) != (1, 1)),
            Err(error) => assert_eq!(error, Error::Overflow),
        }
    }
    assert!(laid_out > 10_000, "only {laid_out} descriptors were possible");
}

#[test]
fn ordinary_sizes_never_overflow_and_waste_little() {
    let mut random = Random(Rng::with_seed(2));
    for _ in 0..20_000 {
        let format = random.format();
        let width = 1 + random.below(8192) as i64;
        let (height, layers) = match format.is_blob() {
            true => (1, 1),
            false => (1 + random.below(8192) as i64, 1 + random.below(6) as i64),
        };
        let constraints = Constraints {
            stride: Bytes(1 << random.below(9)),
            size: Bytes(4096),
            ..Constraints::default()
        };
        let extent = Extent::new(width, height, layers).unwrap();
        let layout = Layout::new(format, extent, &constraints).unwrap();
        check(&layout, &constraints);
        // At most a padded row end, a padded odd row, and a page.
        let padded = Extent::new(width + 2048, height + 1, layers).unwrap();
        assert!(u128::from(layout.size().0) <= least_size(format, padded) + 4096);
    }
}

#[test]
fn combined_constraints_satisfy_each_consumer() {
    let mut random = Random(Rng::with_seed(3));
    for _ in 0..20_000 {
        let format = random.format();
        let height = if format.is_blob() { 1 } else { 1 + random.below(5000) as i64 };
        let extent = Extent::new(1 + random.below(5000) as i64, height, 1).unwrap();
        let (a, b) = (random.constraints(), random.constraints());
        if let Ok(layout) = a.combine(b).and_then(|both| Layout::new(format, extent, &both)) {
            check(&layout, &a);
            check(&layout, &b);
        }
    }
}

#[test]
fn sizes_at_the_powers_that_wrap_are_errors() {
    let rgba = Format::from_name("RGBA_8888").unwrap();
    let layout = |w, h, layers| {
        Layout::new(rgba, Extent::new(w, h, layers).unwrap(), &Constraints::default())
    };
    // 2^32 bytes is a size like any other; a row of 2^31 bytes is none.
    assert_eq!(layout(1 << 15, 1 << 15, 1).unwrap().size(), Bytes(1 << 32));
    assert_eq!(layout(1 << 29, 1, 1), Err(Error::Overflow));
    // 2^64 would wrap to nothing.
    assert_eq!(layout(1 << 28, 1 << 30, 1 << 4), Err(Error::Overflow));
    let max = i64::from(i32::MAX);
    assert_eq!(layout(max, max, max), Err(Error::Overflow));
}

#[test]
fn odd_pictures_have_chroma_for_their_last_row_and_column() {
    let nv12 = Format::from_name("NV12").unwrap();
    let layout = Layout::new(nv12, Extent::new(3, 3, 1).unwrap(), &Constraints::default()).unwrap();
    assert_eq!(layout.planes()[1].rows, 2);
    assert!(layout.planes()[1].stride >= Bytes(4));
    let one = Layout::new(nv12, Extent::new(1, 1, 1).unwrap(), &Constraints::default()).unwrap();
    assert_eq!(one.planes()[1].rows, 1);
}

#[test]
fn yv12_strides_are_those_that_the_format_defines() {
    let yv12 = Format::from_name("YV12").unwrap();
    for width in 1..200 {
        let layout =
            Layout::new(yv12, Extent::new(width, 16, 1).unwrap(), &Constraints::default()).unwrap();
        let [luma, cr, cb] = layout.planes() else { panic!("three planes") };
        assert!(luma.stride.0.is_multiple_of(16));
        assert_eq!(cr.stride.0, (luma.stride.0 / 2).next_multiple_of(16));
        assert_eq!(cb.stride, cr.stride);
        assert_eq!(cr.offset.0, luma.stride.0 * 16);
        assert_eq!(cb.offset.0, cr.offset.0 + cr.stride.0 * 8);
    }
}

/// What `PixelFormat` says of the stride of each format that it defines one for, and the framework
/// aborts without.
#[test]
fn strides_are_those_that_the_formats_define() {
    let layout = |name: &str, width| {
        let extent = Extent::new(width, 1080, 1).unwrap();
        Layout::new(Format::from_name(name).unwrap(), extent, &Constraints::default()).unwrap()
    };
    let size = |name, width| layout(name, width).size().0;
    // Bytes: width * 10 / 8 and width * 12 / 8, "not in pixels"; size = stride * height.
    for (name, bits) in [("RAW10", 10), ("RAW12", 12)] {
        for width in [4, 640, 1920, 1924, 4032] {
            let stride = layout(name, width).stride().0;
            assert_eq!(i64::from(stride), width * bits / 8, "{name}, {width}");
            assert_eq!(size(name, width), u64::from(stride) * 1080, "{name}, {width}");
        }
    }
    assert_eq!(layout("RAW10", 1920).stride(), Stride(2400));
    assert_eq!(layout("RAW12", 1920).stride(), Stride(2880));
    // Multiples of 16 pixels; Y16 and RAW16 have two bytes in each.
    for (name, bytes) in [("RAW16", 2), ("Y8", 1), ("Y16", 2)] {
        for (width, stride) in [(2, 16), (16, 16), (1918, 1920), (1922, 1936)] {
            assert_eq!(layout(name, width).stride(), Stride(stride), "{name}, {width}");
            assert_eq!(size(name, width), u64::from(stride) * 1080 * bytes, "{name}, {width}");
        }
    }
    // Opaque, and so ours to choose: two bytes for each pixel.
    assert_eq!(layout("RAW_OPAQUE", 1920).stride(), Stride(1920));
    // Pixels, however many bytes they have.
    for name in ["RGBA_8888", "RGB_888", "RGB_565", "RGBA_FP16", "YCBCR_P010", "NV12", "NV16"] {
        assert_eq!(layout(name, 1920).stride(), Stride(1920), "{name}");
    }
}

/// A handle says what a layout is made of, not the layout: who imports it makes the same one only
/// if it is made in the same way.
#[test]
fn layouts_are_those_of_this_version_of_the_handle() {
    // Numbers that no library chooses: they must be the same for ever.
    let numbers = (0..50_000u64).map(|n| n * 0x9e37_79b9 % 0xffff_fffb);
    let mut sum = 0u64;
    for (n, number) in numbers.enumerate() {
        let format = Format::all().nth(n % Format::all().count()).unwrap();
        let part = |shift: u32, end: u64| (number >> shift) % end;
        let (w, h) = (1 + part(0, 9000) as i64, 1 + part(7, 9000) as i64);
        let (h, layers) = if format.is_blob() { (1, 1) } else { (h, 1 + part(3, 3) as i64) };
        let constraints = Constraints {
            stride: Bytes(1 << part(11, 9)),
            height: Pixels(1 << part(13, 6)),
            plane: Bytes(1 << part(17, 13)),
            size: Bytes(4096),
        };
        let layout = Layout::new(format, Extent::new(w, h, layers).unwrap(), &constraints).unwrap();
        let planes = layout.planes().iter().flat_map(|p| [p.offset.0, p.stride.0, p.rows.into()]);
        for number in planes.chain([layout.stride().0.into(), layout.layer_size().0]) {
            sum = (sum.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
    assert_eq!(
        sum, 6922183310938202303,
        "layouts changed: raise `handle::VERSION`, and then this number"
    );
}

#[test]
fn a_blob_is_exactly_one_row_of_bytes() {
    let blob = Format::from_name("BLOB").unwrap();
    let constraints =
        Constraints { stride: Bytes(64), size: Bytes(4096), ..Constraints::default() };
    let layout = Layout::new(blob, Extent::new(1001, 1, 1).unwrap(), &constraints).unwrap();
    assert_eq!((layout.stride(), layout.size()), (Stride(1001), Bytes(4096)));
    assert!(Layout::new(blob, Extent::new(1001, 2, 1).unwrap(), &constraints).is_err());
}
