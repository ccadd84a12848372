// SPDX-License-Identifier: Apache-2.0
//! The functions of version 6 of the interface: buffers of several views. No
//! device of a board that we know shares one, and the allocator makes none; so
//! every buffer is one view, and has no other.

use crate::abi::{AIMapperV6, BufferHandle, Code, code, imported};
use crate::error::Error;

/// The functions, for the table.
pub const V6: AIMapperV6 = AIMapperV6 { get_multi_view_info, get_base_view, import_view_buffer };

fn refuse(name: &str, handle: BufferHandle) -> Code {
    code(name, || imported(handle).and(Err(Error::OneView)))
}

unsafe extern "C" fn get_multi_view_info(
    handle: BufferHandle,
    _views: *mut *const u32,
    _count: *mut usize,
) -> Code {
    refuse("getMultiViewInfo", handle)
}

unsafe extern "C" fn get_base_view(handle: BufferHandle, _view: *mut u32) -> Code {
    refuse("getBaseView", handle)
}

unsafe extern "C" fn import_view_buffer(
    handle: BufferHandle,
    _view: u32,
    _out: *mut BufferHandle,
) -> Code {
    refuse("importViewBuffer", handle)
}
