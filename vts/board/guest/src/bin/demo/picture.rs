// SPDX-License-Identifier: Apache-2.0
//! A camera buffer as a PNG.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use dmaheap_suite::client::Buffer;

/// Writes the NV12 picture in `buffer` to `file`.
pub fn write(buffer: &Buffer, file: &Path) -> Result<(), Box<dyn Error>> {
    let layout = &buffer.handle.layout;
    let (width, height) = (layout.extent().width().0, layout.extent().height().0);
    let [luma, chroma] = layout.planes() else { return Err("not an NV12 buffer".into()) };
    let content = buffer.pixels.map()?.read()?;
    let at = |offset: u64| f32::from(content[offset as usize]);
    let mut pixels = Vec::with_capacity(3 * (width * height) as usize);
    for row in 0..u64::from(height) {
        for column in 0..u64::from(width) {
            let y = at(luma.offset.0 + row * luma.stride.0 + column);
            let pair = chroma.offset.0 + row / 2 * chroma.stride.0 + column / 2 * 2;
            pixels.extend(rgb(y, at(pair), at(pair + 1)));
        }
    }
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(file)?), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

/// BT.709 of limited range, which is what HDMI carries at this size.
fn rgb(y: f32, cb: f32, cr: f32) -> [u8; 3] {
    let y = (y - 16.0) * 255.0 / 219.0;
    let (cb, cr) = ((cb - 128.0) * 255.0 / 224.0, (cr - 128.0) * 255.0 / 224.0);
    [y + 1.5748 * cr, y - 0.1873 * cb - 0.4681 * cr, y + 1.8556 * cb]
        .map(|value| value.clamp(0.0, 255.0) as u8)
}
