//! Requests from raw bytes, as a fuzzer makes them: a line each for method, host and path, then a
//! `name:value` line for each header. Nothing is too odd: a proxy may let through more than one thinks.

use modelgate_engine::request::Header;

use super::site::Site;

/// Each kind of model, as the only one that a caller may use.
const CALLERS: [&str; 5] =
    ["prod/iris", "seldon-mesh/iris", "prod/flower", "prod/chat", "prod/nosuch"];

/// The gateway as each of the callers meets it.
pub struct Sites(Vec<Site>);

impl Sites {
    /// The error is the configuration's.
    pub fn new() -> Result<Self, String> {
        CALLERS.into_iter().map(Site::new).collect::<Result<_, _>>().map(Self)
    }

    /// Sends the request for each caller. The error says which other model it reached.
    pub fn send(&mut self, data: &[u8]) -> Result<(), String> {
        let lines = lines(data);
        self.0.iter_mut().try_for_each(|site| site.send(&lines).map(drop))
    }
}

fn lines(data: &[u8]) -> Vec<Header<'_>> {
    let pseudo: [&[u8]; 3] = [b":method", b":authority", b":path"];
    let mut rest = data.split(|c| *c == b'\n');
    let mut lines: Vec<Header<'_>> = pseudo.into_iter().zip(rest.by_ref()).collect();
    lines.extend(rest.filter_map(|line| {
        let colon = line.iter().position(|c| *c == b':')?;
        Some((&line[..colon], &line[colon + 1..]))
    }));
    lines
}
