// SPDX-License-Identifier: Apache-2.0
//! The demonstration: where buffers come from, and why it matters.
//!
//! A client of its own, it asks the allocator over binder for a framebuffer, an app's window, a
//! camera buffer and a CPU buffer, and shows for each what the allocator says (rule, heap) beside
//! what the kernel says (exporter, physical segments). It writes and reads the CPU buffer through
//! the mapper, as an app does. Then it lets a camera that can only write
//! to contiguous memory capture into the camera's buffers, and into an app's; and two consumers
//! take buffers: a display that scans out contiguous memory only, and a device behind an IOMMU,
//! which takes any. The last picture on the screen is a camera's, where the camera wrote it.

mod camera;
mod consumers;
mod picture;
mod report;

use std::error::Error;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use board_channel::ON_SCREEN;
use clap::Parser;
use dmaheap_buffer::{Format, Usage};
use dmaheap_suite::client::{Buffer, Client, Request};
use dmaheap_suite::compositor;
use dmaheap_suite::heap::scattered;
use dmaheap_suite::imapper::Mapper;

use consumers::Consumer;
use report::{Capture, Report, Row};

/// Shows which buffer comes from which heap.
#[derive(Parser)]
struct Arguments {
    /// Write the camera's picture here, as PNG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Keep the last picture on the screen until the end of input
    #[arg(long)]
    screen: bool,
}

/// What SurfaceFlinger asks for its own target.
const FRAMEBUFFER: Usage =
    Usage::COMPOSER_CLIENT_TARGET.union(Usage::COMPOSER_OVERLAY).union(Usage::GPU_RENDER_TARGET);
/// What nearly every app's window asks for.
const WINDOW: Usage =
    Usage::GPU_TEXTURE.union(Usage::GPU_RENDER_TARGET).union(Usage::COMPOSER_OVERLAY);
/// What a camera HAL asks for its output.
const CAMERA: Usage = Usage::CAMERA_OUTPUT.union(Usage::GPU_TEXTURE);
/// What a program asks for that draws by itself.
const CPU: Usage = Usage::CPU_READ_OFTEN.union(Usage::CPU_WRITE_OFTEN);

/// Buffers that a camera keeps in flight.
const CAMERA_BUFFERS: i32 = 3;

fn main() -> ExitCode {
    match demonstrate(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let client = Client::connect()?;
    let mut rows = Vec::new();
    for (what, usage, format, width, height) in [
        ("framebuffer", FRAMEBUFFER, "RGBA_8888", 1920, 1080),
        ("app window", WINDOW, "RGBA_8888", 1920, 1080),
        ("camera output", CAMERA, "YCBCR_420_888", 1920, 1080),
        ("CPU buffer", CPU, "RGBA_8888", 640, 480),
    ] {
        let format = Format::from_name(format)?;
        let request = Request { name: what, width, height, format, usage };
        let buffer = client.allocate(&request)?;
        if usage == CPU {
            check_cpu_access(&buffer)?;
        }
        rows.push(Row::new(what, &buffer)?);
    }
    let captures = captures(&client, arguments)?;
    let mut consumers = consumers::display_and_gpu(&client)?;
    compositor::show_camera(Duration::ZERO, |frame, stream| {
        consumers.push(Consumer::camera(frame, stream)?);
        let report = Report { rows, captures, consumers };
        println!("{}", if arguments.json { report.json() } else { report.text() });
        if arguments.screen {
            println!("{ON_SCREEN}");
            io::stdin().read_to_end(&mut Vec::new())?;
        }
        Ok(())
    })
    .map(drop)
}

/// A CPU buffer is zero at first, and holds what was written to it, through the mapper.
fn check_cpu_access(buffer: &Buffer) -> Result<(), Box<dyn Error>> {
    let mapper = Mapper::load()?;
    let imported = mapper.import(&buffer.to_raw()?)?;
    let pattern = |offset: usize| (offset * 7) as u8;
    let is_zero = |pixels: &mut [u8]| pixels.iter().all(|byte| *byte == 0);
    if !imported.with_pixels(Usage::CPU_READ_OFTEN, is_zero)? {
        return Err("a new buffer is not zero".into());
    }
    imported.with_pixels(Usage::CPU_WRITE_OFTEN, |pixels| {
        pixels.iter_mut().enumerate().for_each(|(offset, byte)| *byte = pattern(offset));
    })?;
    // Seen by another import, as another process would see it.
    let other = mapper.import(&buffer.to_raw()?)?;
    let holds = |pixels: &mut [u8]| {
        pixels.iter().enumerate().all(|(offset, byte)| *byte == pattern(offset))
    };
    if !other.with_pixels(Usage::CPU_READ_OFTEN, holds)? {
        return Err("a CPU buffer does not hold what was written".into());
    }
    Ok(())
}

fn captures(client: &Client, arguments: &Arguments) -> Result<Vec<Capture>, Box<dyn Error>> {
    let format = Format::from_name("YCBCR_420_888")?;
    let request = |name, usage| Request { name, width: 1920, height: 1080, format, usage };

    let own = client.allocate_many(&request("camera capture", CAMERA), CAMERA_BUFFERS)?;
    let frames = camera::capture(&own);
    if let (Ok(_), Some(file)) = (&frames, &arguments.picture) {
        // The last one filled; they are all of the same scene.
        let newest = own.last().ok_or("the camera has no buffers")?;
        picture::write(newest, file)?;
    }
    let request = request("window capture", WINDOW);
    let window = [scattered(|| Ok(client.allocate(&request)?), |buffer| &buffer.pixels)?];
    let refused = camera::capture(&window);
    Ok(vec![
        Capture::new("camera output", &own, frames)?,
        Capture::new("app window", &window, refused)?,
    ])
}
