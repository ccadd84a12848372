// SPDX-License-Identifier: Apache-2.0
//! What is on the screen, seen from outside: the emulator's screenshots.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use board::Error;
use board::screen::Screen;
use board_channel::wire::Exit;
use dmaheap_suite::display::{HEIGHT, WIDTH, pixel};
use libtest_mimic::Failed;

use crate::Outcome;
use crate::fixture::{expect_eq, fail, scratch, with_guest};

/// Looks at the screen while nothing stops.
const LOOKS: usize = 8;

/// So often at most until something has moved.
const MOST: usize = 500;

/// A picture of the screen: red, green and blue of each pixel.
fn picture(file: &Path) -> Result<Vec<[u8; 3]>, Failed> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(file)?)).read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("a picture without a size")?];
    let info = reader.next_frame(&mut bytes)?;
    expect_eq("size", (info.width, info.height), (WIDTH, HEIGHT))?;
    expect_eq("colours", info.color_type, png::ColorType::Rgb)?;
    Ok(bytes.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
}

/// Runs the guest's `screen` program, and looks at what it shows.
fn look_at(
    arguments: &str,
    mut look: impl FnMut(&Screen) -> Result<(), Error>,
    then: impl FnOnce(&mut board::Guest) -> Outcome,
) -> Outcome {
    with_guest(|guest| {
        let argv: Vec<String> =
            format!("screen {arguments}").split(' ').map(str::to_owned).collect();
        let mut said = Vec::new();
        let on_output = |_, bytes: &[u8]| {
            said.extend_from_slice(bytes);
            Ok(())
        };
        let mut looks = 0;
        let exit = guest.run_before_camera(&argv, on_output, |screen| {
            looks += 1;
            look(screen)
        })?;
        let said = String::from_utf8_lossy(&said).into_owned();
        if (exit, looks) != (Exit::Code(0), 1) {
            return fail(format!("screen {arguments}: {exit:?} after {looks} looks: {said}"));
        }
        then(guest)
    })
}

fn expect_picture(got: &[[u8; 3]], expected: impl Fn(u32, u32) -> [u8; 4]) -> Outcome {
    let places = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    for ((x, y), got) in places.zip(got) {
        let [blue, green, red, _] = expected(x, y);
        if *got != [red, green, blue] {
            return fail(format!("at {x}, {y}: got {got:?}, expected {:?}", [red, green, blue]));
        }
    }
    Ok(())
}

/// The number of a drawn picture: its first pixel has nothing else.
fn number_of(picture: &[[u8; 3]]) -> u8 {
    picture.first().map_or(0, |[red, ..]| *red)
}

pub fn shows_the_frame_that_was_drawn() -> Outcome {
    let file = scratch("screen")?.join("drawn.png");
    // Into the second buffer of the ring, the second time around.
    look_at("draw 5", |screen| screen.shoot(&file), |_| Ok(()))?;
    let picture = picture(&file)?;
    expect_eq("number", number_of(&picture), 4)?;
    expect_picture(&picture, |x, y| pixel(x, y, 4))
}

pub fn shows_the_cameras_frame() -> Outcome {
    let folder = scratch("screen")?;
    let (shot, memory) = (folder.join("camera.png"), folder.join("camera.raw"));
    let pull = |guest: &mut board::Guest| Ok(guest.pull("/tmp/camera.raw", &memory)?);
    look_at("camera /tmp/camera.raw", |screen| screen.shoot(&shot), pull)?;
    let (picture, memory) = (picture(&shot)?, fs::read(&memory)?);
    let stride = (4 * WIDTH) as usize;
    expect_picture(&picture, |x, y| {
        let at = y as usize * stride + 4 * x as usize;
        [memory[at], memory[at + 1], memory[at + 2], memory[at + 3]]
    })?;
    // Not a screen of one colour, which would prove little.
    let colours: std::collections::BTreeSet<[u8; 3]> = picture.into_iter().collect();
    if colours.len() < 8 {
        return fail(format!("the camera's frame has {} colours", colours.len()));
    }
    Ok(())
}

/// Whatever is on the screen is one whole picture.
pub fn is_never_torn() -> Outcome {
    let folder = scratch("screen")?;
    let shot = |number: usize| folder.join(format!("drawing-{number}.png"));
    let is_first = |file: &Path| fs::read(file).ok() == fs::read(shot(0)).ok();
    let shoot = |screen: &Screen| {
        (0..LOOKS).try_for_each(|number| screen.shoot(&shot(number)))?;
        // On a busy machine nothing may have been drawn meanwhile.
        for _ in 0..MOST {
            screen.shoot(&shot(LOOKS))?;
            if !is_first(&shot(LOOKS)) {
                break;
            }
        }
        Ok(())
    };
    look_at("draw 0", shoot, |_| Ok(()))?;
    let mut numbers = Vec::new();
    for look in 0..=LOOKS {
        let picture = picture(&shot(look))?;
        let number = number_of(&picture);
        expect_picture(&picture, |x, y| pixel(x, y, number))?;
        numbers.push(number);
    }
    numbers.dedup();
    if numbers.len() < 2 {
        return fail("the screen stood still");
    }
    Ok(())
}

/// The memory of a client that is gone is somebody else's.
pub fn is_dark_without_a_client() -> Outcome {
    let file = scratch("screen")?.join("dark.png");
    look_at("draw 1", |_| Ok(()), |guest| Ok(guest.screen().shoot(&file)?))?;
    let mut reader = png::Decoder::new(BufReader::new(File::open(&file)?)).read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("a picture without a size")?];
    reader.next_frame(&mut bytes)?;
    if bytes.iter().any(|byte| *byte != 0) {
        return fail("something is left on the screen");
    }
    Ok(())
}
