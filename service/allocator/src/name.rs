// SPDX-License-Identifier: Apache-2.0
//! By what name the kernel knows a buffer.
//!
//! Its lists (`/proc/PID/fdinfo`, debugfs), and all tools that read them, show the
//! name and no more of who asked for the buffer, so it begins with the uid:
//!
//! ```text
//! 10123 Preview 1920x1080 RGBA_8888
//! ```
//!
//! There is room for 31 bytes. What does not fit is left out in this order: the
//! format as a whole, the end of the client's name, the end of the size. Whoever
//! looks for a leak asks who, then what for, then how large.

use std::ffi::CString;

use dmaheap_buffer::Layout;
use dmaheap_dmabuf::sys::NAME_LEN;

/// Bytes of a name.
const ROOM: usize = NAME_LEN - 1;

/// The name of a buffer that this uid asked for as `name`.
pub fn kernel_name(uid: u32, name: &str, layout: &Layout) -> CString {
    let (extent, format) = (layout.extent(), layout.format());
    let size = format!("{}x{}", extent.width().0, extent.height().0);
    short(&uid.to_string(), name, &size, &format.to_string())
}

fn short(uid: &str, name: &str, size: &str, format: &str) -> CString {
    let all = |name: &str, parts: &[&str]| {
        let parts = [uid, name].into_iter().chain(parts.iter().copied());
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let whole = all(name, &[size, format]);
    if whole.len() <= ROOM {
        return c_string(&whole);
    }
    // Both spaces count, also where nothing is left of the name.
    let left = ROOM.saturating_sub(all("", &[size]).len()).saturating_sub(1);
    let name = name.get(..name.floor_char_boundary(left)).unwrap_or_default();
    c_string(&all(name.trim_end(), &[size]))
}

/// No more than there is room for, and nothing behind a NUL, which no request has.
fn c_string(text: &str) -> CString {
    let text = text.get(..text.floor_char_boundary(ROOM)).unwrap_or_default();
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(uid: &str, name: &str, size: &str, format: &str) -> String {
        let name = short(uid, name, size, format).into_string().unwrap();
        assert!(name.len() <= 31, "{name:?}");
        name
    }

    #[test]
    fn what_fits_is_there_whole() {
        assert_eq!(name("1047", "Preview", "640x480", "RAW16"), "1047 Preview 640x480 RAW16");
        assert_eq!(name("0", "", "64x64", "RGBA_8888"), "0 64x64 RGBA_8888");
    }

    #[test]
    fn format_goes_first_then_the_names_end() {
        let long = "com.example.camera/Main#0";
        assert_eq!(name("10123", long, "1920x1080", "R"), "10123 com.example.cam 1920x1080");
        assert_eq!(
            name("10123", "Preview", "1920x1080", "YCBCR_420_888"),
            "10123 Preview 1920x1080"
        );
        // Between characters only.
        assert_eq!(name("10123", "ääääääää", "1920x1080", "R"), "10123 äääääää 1920x1080");
    }

    #[test]
    fn uid_is_never_cut() {
        let (uid, size) = ("4294967295", "4294967295x4294967295");
        assert_eq!(name(uid, "name", size, "R"), "4294967295 4294967295x429496729");
        assert_eq!(name("1", "a\0b", "1x1", "R"), "1 a");
    }
}
