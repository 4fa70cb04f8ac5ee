//! What the SDK's host calls do not offer, in their manner: header maps that are borrowed from one buffer,
//! header names and values of any bytes, local replies that say why, and callouts that the dispatcher
//! need not know of. A status other than `Ok` is an error and never a panic; `docs/decisions.md` lists
//! the places where the SDK's own calls and callbacks would panic.
#![expect(unsafe_code, reason = "the host's functions take pointers into the module's memory")]

use std::ptr::null_mut;

use proxy_wasm::types::{BufferType, Bytes, MapType};

use crate::header_map::{Field, serialized};

/// What the host says of a call that it did not carry out: a `proxy_status_t` other than `OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCallError(pub u32);

type Ptr = *const u8;

#[link(wasm_import_module = "env")]
#[rustfmt::skip]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_add_header_map_value(map: MapType, name: Ptr, _: usize, value: Ptr, _: usize) -> u32;
    fn proxy_replace_header_map_value(map: MapType, name: Ptr, _: usize, value: Ptr, _: usize) -> u32;
    fn proxy_remove_header_map_value(map: MapType, name: Ptr, _: usize) -> u32;
    fn proxy_get_property(path: Ptr, _: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: Ptr, _: usize, value: Ptr, _: usize) -> u32;
    fn proxy_set_buffer_bytes(buffer: BufferType, start: usize, length: usize, data: Ptr, _: usize) -> u32;
    fn proxy_send_local_response(
        code: u32, details: Ptr, _: usize, body: Ptr, _: usize, headers: Ptr, _: usize, grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: Ptr, _: usize, headers: Ptr, _: usize, body: Ptr, _: usize, trailers: Ptr, _: usize,
        timeout: u32, token: *mut u32,
    ) -> u32;
}

fn check(status: u32) -> Result<(), HostCallError> {
    if status == 0 { Ok(()) } else { Err(HostCallError(status)) }
}

/// Lets the host fill a buffer that it allocates in the module's memory.
fn filled(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Bytes, HostCallError> {
    let (mut data, mut size) = (null_mut(), 0);
    check(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Bytes::new());
    }
    // SAFETY: the host got this memory from the SDK's `malloc`, a boxed slice of exactly this size, and
    // has filled it.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// A header map as the host serializes it: the number of fields, the sizes of each name and value, then
/// names and values, each with a NUL behind it. [`crate::header_map::fields`] reads it.
pub fn header_map(map: MapType) -> Result<Bytes, HostCallError> {
    // SAFETY: the host writes one pointer and one size.
    filled(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

/// Adds a header field.
pub fn add_header(map: MapType, name: &[u8], value: &[u8]) -> Result<(), HostCallError> {
    let (n, v) = (name.as_ptr(), value.as_ptr());
    // SAFETY: the host reads both before it returns.
    check(unsafe { proxy_add_header_map_value(map, n, name.len(), v, value.len()) })
}

/// Replaces every field of this name by one.
pub fn replace_header(map: MapType, name: &[u8], value: &[u8]) -> Result<(), HostCallError> {
    let (n, v) = (name.as_ptr(), value.as_ptr());
    // SAFETY: the host reads both before it returns.
    check(unsafe { proxy_replace_header_map_value(map, n, name.len(), v, value.len()) })
}

/// Removes every field of this name.
pub fn remove_header(map: MapType, name: &[u8]) -> Result<(), HostCallError> {
    // SAFETY: the host reads the name before it returns.
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// A property; its path has a NUL between segments.
pub fn property(path: &str) -> Result<Bytes, HostCallError> {
    // SAFETY: the host reads the path, and writes one pointer and one size.
    filled(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets filter state, which access logs can show.
pub fn set_property(path: &str, value: &[u8]) -> Result<(), HostCallError> {
    // SAFETY: the host reads both before it returns.
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

/// Replaces the chunk of a body that is at hand, of this length. The SDK's own call panics at a status that it does not know.
pub fn replace_chunk(buffer: BufferType, length: usize, data: &[u8]) -> Result<(), HostCallError> {
    // SAFETY: the host reads the data before it returns.
    check(unsafe { proxy_set_buffer_bytes(buffer, 0, length, data.as_ptr(), data.len()) })
}

/// Answers the request, with response code details. Without a gRPC status Envoy maps the code where the
/// request is gRPC.
#[rustfmt::skip]
pub fn send_local_response(
    code: u32, details: &str, headers: &[Field<'_>], body: &[u8], grpc_status: Option<u32>,
) -> Result<(), HostCallError> {
    let headers = serialized(headers);
    let grpc_status = grpc_status.and_then(|s| i32::try_from(s).ok()).unwrap_or(-1);
    let (d, b, h) = (details.as_ptr(), body.as_ptr(), headers.as_ptr());
    // SAFETY: the host reads everything before it returns.
    check(unsafe {
        proxy_send_local_response(code, d, details.len(), b, body.len(), h, headers.len(), grpc_status)
    })
}

/// Sends a request to a cluster; its answer comes to the root context with the token. `timeout` is in
/// milliseconds; 0, which would mean none, is read as 1.
#[rustfmt::skip]
pub fn http_call(
    cluster: &str, headers: &[Field<'_>], body: &[u8], timeout: u32,
) -> Result<u32, HostCallError> {
    let (headers, trailers, mut token) = (serialized(headers), serialized(&[]), 0);
    let (c, h, b, t) = (cluster.as_ptr(), headers.as_ptr(), body.as_ptr(), trailers.as_ptr());
    // SAFETY: the host reads everything before it returns, and writes the token.
    check(unsafe {
        proxy_http_call(
            c, cluster.len(), h, headers.len(), b, body.len(), t, trailers.len(), timeout.max(1), &raw mut token,
        )
    })?;
    Ok(token)
}

/// Stands in for the SDK's callback, whose dispatcher keeps the tokens of its own callouts and panics at
/// others: `cargo xtask build` exports it under the name that the host calls.
#[unsafe(no_mangle)]
extern "C" fn modelgate_on_http_call_response(
    root: u32,
    token: u32,
    _: usize,
    body: usize,
    trailers: usize,
) {
    crate::root::on_http_call_response(root, token, body, trailers);
}
