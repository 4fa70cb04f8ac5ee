//! The host's functions (proxy-wasm ABI 0.2.1), each as a safe function that returns its status.
#![expect(unsafe_code, reason = "the host's functions take pointers into the module's memory")]

use std::ptr::{null, null_mut};

/// What the host says of a call that it did not carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// The host knows no such property or function.
    pub const NOT_FOUND: Self = Self(1);
}

/// Severity of a log line.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub enum Level {
    Warn = 3,
    Error = 4,
}

/// A header map of the host.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
    ResponseTrailers = 3,
    CalloutHeaders = 6,
    CalloutTrailers = 7,
}

/// A buffer of the host.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CalloutBody = 4,
    Configuration = 7,
}

/// A kind of metric.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub enum Metric {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        code: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        data: *const u8,
        size: usize,
        version: u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

fn check(status: u32) -> Result<(), Status> {
    if status == 0 { Ok(()) } else { Err(Status(status)) }
}

/// Lets the host fill a buffer that it allocates in the module's memory.
fn filled(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Status> {
    let mut data: *mut u8 = null_mut();
    let mut size: usize = 0;
    check(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host got this memory from `malloc` of exports.rs, which gave away a slice of
    // exactly this size, and filled it.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Writes a line to the proxy's log.
pub fn log(level: Level, text: &str) {
    // SAFETY: the host reads `text` before it returns. Nothing can be done about a log that fails.
    let _ = unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

/// Writes a value that every thread's module sees, and returns the one before; nothing of a host that keeps none.
pub fn exchange(key: &str, value: &[u8]) -> Vec<u8> {
    let mut version = 0;
    // SAFETY: the host reads the key, and writes one pointer, one size and one version.
    let before = filled(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version)
    });
    // SAFETY: the host copies key and value before it returns. Version 0 replaces whatever is there.
    let _ =
        unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), 0) };
    before.unwrap_or_default()
}

/// Nanoseconds since the Unix epoch; the end of time if the host has no clock, by which every token
/// has expired.
pub fn now() -> u64 {
    let mut time = 0;
    // SAFETY: the host writes eight bytes.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    if status == 0 { time } else { u64::MAX }
}

/// Asks for a tick of the current context's root so often; 0 is never.
pub fn set_tick_period(milliseconds: u32) {
    // SAFETY: takes no memory.
    let _ = unsafe { proxy_set_tick_period_milliseconds(milliseconds) };
}

/// Up to `max_size` bytes of a buffer, from its start.
pub fn buffer(buffer: Buffer, max_size: usize) -> Result<Vec<u8>, Status> {
    // SAFETY: the host writes one pointer and one size.
    filled(|data, size| unsafe { proxy_get_buffer_bytes(buffer as u32, 0, max_size, data, size) })
}

/// A header map as the host serialises it: the number of lines, the sizes of each name and value,
/// then names and values, each with a NUL behind it. [`lines`] reads it.
pub fn header_map(map: Map) -> Result<Vec<u8>, Status> {
    // SAFETY: the host writes one pointer and one size.
    filled(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })
}

/// The lines of a serialised header map. What does not fit the format ends the list.
pub fn lines(map: &[u8]) -> Vec<(&[u8], &[u8])> {
    let word = |at: usize| -> Option<usize> {
        let bytes = map.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let Some(count) = word(0) else { return Vec::new() };
    let Some(mut at) = count.checked_mul(8).and_then(|n| n.checked_add(4)) else {
        return Vec::new();
    };
    // The count is trusted only as far as the bytes bear it out.
    let mut lines = Vec::with_capacity(count.min(map.len() / 10));
    for line in 0..count {
        let sizes = line.saturating_mul(8).saturating_add(4);
        let mut piece = |size: Option<usize>| -> Option<&[u8]> {
            let end = at.checked_add(size?)?;
            let piece = map.get(at..end)?;
            at = end.checked_add(1)?;
            Some(piece)
        };
        let name = piece(word(sizes));
        let value = piece(word(sizes.saturating_add(4)));
        let (Some(name), Some(value)) = (name, value) else { break };
        lines.push((name, value));
    }
    lines
}

/// The host's serialisation of header lines.
fn serialised(lines: &[(&[u8], &[u8])]) -> Vec<u8> {
    let size = lines.iter().map(|(n, v)| n.len().saturating_add(v.len()).saturating_add(10)).sum();
    let mut map: Vec<u8> = Vec::with_capacity(size);
    let word = |map: &mut Vec<u8>, n: usize| {
        map.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
    };
    word(&mut map, lines.len());
    for (name, value) in lines {
        word(&mut map, name.len());
        word(&mut map, value.len());
    }
    for piece in lines.iter().flat_map(|(name, value)| [name, value]) {
        map.extend_from_slice(piece);
        map.push(0);
    }
    map
}

/// Replaces every line of a request header by one.
pub fn replace_request_header(name: &[u8], value: &[u8]) -> Result<(), Status> {
    let map = Map::RequestHeaders as u32;
    // SAFETY: the host reads both before it returns.
    check(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Adds a request header line.
pub fn add_request_header(name: &[u8], value: &[u8]) -> Result<(), Status> {
    add_header(Map::RequestHeaders, name, value)
}

/// Adds a response header line.
pub fn add_response_header(name: &[u8], value: &[u8]) -> Result<(), Status> {
    add_header(Map::ResponseHeaders, name, value)
}

fn add_header(map: Map, name: &[u8], value: &[u8]) -> Result<(), Status> {
    let map = map as u32;
    // SAFETY: the host reads both before it returns.
    check(unsafe {
        proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Removes every line of a request header.
pub fn remove_request_header(name: &[u8]) -> Result<(), Status> {
    remove_header(Map::RequestHeaders, name)
}

/// Removes every line of a request trailer.
pub fn remove_request_trailer(name: &[u8]) -> Result<(), Status> {
    remove_header(Map::RequestTrailers, name)
}

fn remove_header(map: Map, name: &[u8]) -> Result<(), Status> {
    let map = map as u32;
    // SAFETY: the host reads the name before it returns.
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// A property; its path has a NUL between segments.
pub fn property(path: &str) -> Result<Vec<u8>, Status> {
    // SAFETY: the host reads the path, and writes one pointer and one size.
    filled(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets filter state that access logs can show.
pub fn set_property(path: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: the host reads both before it returns.
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

/// Answers the request. Without a gRPC status Envoy maps the code where the request is gRPC.
pub fn send_local_response(
    code: u32,
    details: &str,
    headers: &[(&[u8], &[u8])],
    body: &[u8],
    grpc_status: Option<u32>,
) -> Result<(), Status> {
    let headers = serialised(headers);
    let grpc_status = grpc_status.and_then(|s| i32::try_from(s).ok()).unwrap_or(-1);
    // SAFETY: the host reads everything before it returns.
    check(unsafe {
        proxy_send_local_response(
            code,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}

/// Lets a stopped request go on, once the current callback is over.
pub fn continue_request() -> Result<(), Status> {
    const REQUEST: u32 = 0;
    // SAFETY: takes no memory.
    check(unsafe { proxy_continue_stream(REQUEST) })
}

/// Makes what follows in this callback be about another context.
pub fn set_effective_context(context: u32) -> Result<(), Status> {
    // SAFETY: takes no memory.
    check(unsafe { proxy_set_effective_context(context) })
}

/// Sends a request to a cluster; its answer comes to the root context with the token.
///
/// `timeout` is in milliseconds and must not be 0, which would mean none.
pub fn http_call(
    cluster: &str,
    headers: &[(&[u8], &[u8])],
    body: &[u8],
    timeout: u32,
) -> Result<u32, Status> {
    let headers = serialised(headers);
    let no_trailers = serialised(&[]);
    let mut token = 0;
    // SAFETY: the host reads everything before it returns, and writes the token.
    check(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            if body.is_empty() { null() } else { body.as_ptr() },
            body.len(),
            no_trailers.as_ptr(),
            no_trailers.len(),
            timeout.max(1),
            &raw mut token,
        )
    })?;
    Ok(token)
}

/// Calls a function that Envoy registers by name.
pub fn call_foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>, Status> {
    // SAFETY: the host reads name and arguments, and writes one pointer and one size.
    filled(|data, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            data,
            size,
        )
    })
}

/// Makes a metric known; the same name gives the same metric, in every worker.
pub fn define_metric(kind: Metric, name: &str) -> Result<u32, Status> {
    let mut id = 0;
    // SAFETY: the host reads the name and writes the id.
    check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter (more than 0) or a gauge.
pub fn increment_metric(id: u32, offset: i64) {
    // SAFETY: takes no memory. A metric that the host has lost is nothing to stop a request for.
    let _ = unsafe { proxy_increment_metric(id, offset) };
}

/// Records an observation of a histogram.
pub fn record_metric(id: u32, value: u64) {
    // SAFETY: takes no memory. A metric that the host has lost is nothing to stop a request for.
    let _ = unsafe { proxy_record_metric(id, value) };
}
