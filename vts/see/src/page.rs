// SPDX-License-Identifier: Apache-2.0
//! The picture as one page, which needs no network and no script: light and dark as the reader has it,
//! readable on a phone, and with tables for those who do not see the strips.

use askama::Template;

use crate::Picture;
use crate::picture::{COLOURS, Holder, Piece, Region, bytes};

/// The page.
#[derive(Debug, Template)]
#[template(path = "map.html")]
pub struct Page<'a> {
    /// What it is of: a device, and when.
    pub title: &'a str,
    /// What it shows.
    pub picture: &'a Picture,
}

/// The same as a part of another page, which has [`STYLE`].
#[derive(Debug, Template)]
#[template(path = "regions.html")]
pub struct Part<'a> {
    /// What it shows.
    pub picture: &'a Picture,
}

/// How it looks.
pub const STYLE: &str = include_str!("../templates/style.css");

/// The page of a picture.
///
/// # Errors
/// None that a picture could cause.
pub fn html(title: &str, picture: &Picture) -> Result<String, askama::Error> {
    Page { title, picture }.render()
}

/// A piece's classes: its state, and its holder's colour.
fn class(piece: &Piece) -> String {
    match piece.holder {
        Some(holder) => format!("{} h{}", piece.state, holder % COLOURS),
        None => piece.state.to_owned(),
    }
}

fn place(region: &Region, piece: &Piece) -> String {
    let (left, width) = region.place(piece);
    format!("left:{left:.4}%;width:{width:.4}%")
}

/// Templates pass what they have by reference.
fn said(size: &u64) -> String {
    bytes(*size)
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or(String::new(), |holder| format!("{}, uid {}", holder.name, holder.uid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Snapshot;
    use crate::snapshot::tests::text;

    #[test]
    fn page_shows_every_piece_and_needs_nothing_else() {
        let picture = Picture::new(&Snapshot::parse(&text()).unwrap());
        let page = html("board", &picture).unwrap();
        for part in [
            "<h2>camera@54000000</h2>",
            "class=\"buffer h0\" style=\"left:0.0000%;width:12.5000%\"",
            "class=\"buffer h1\" style=\"left:50.0000%;width:12.5000%\"",
            "class=\"dirty\"",
            "largest hole 3 MiB at 0x54100000",
            "cameraserver, uid 1047",
            "heap camera is full",
        ] {
            assert!(page.contains(part), "{part} is missing in:\n{page}");
        }
        // A client chooses its buffers' names.
        assert!(!page.contains("<b>"), "{page}");
        for foreign in ["http:", "https:", "<script", "<link", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn device_without_regions_has_a_page_that_says_so() {
        let page = html("none", &Picture::new(&Snapshot::default())).unwrap();
        assert!(page.contains("shows no region"), "{page}");
    }
}
