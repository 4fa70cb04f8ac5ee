//! The module under test with a defect, or of another version.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use testbed::wasmplugin::module;

/// `unreachable` in a body without locals (WebAssembly core specification §5.4).
const TRAP: [u8; 3] = [0x00, 0x00, 0x0b];

/// The callback that proxies call with the headers of a request.
const CALLBACK: &str = "proxy_on_request_headers";

/// Sections, by their number (§5.5).
const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;

/// The module, which traps on every request.
pub fn trapping(folder: &Path) -> Result<PathBuf> {
    let bytes = std::fs::read(module()?)?;
    let function = callback(&bytes)?;
    let mut out = bytes.get(..8).context("no header")?.to_vec();
    let mut rest = Reader(bytes.get(8..).context("no sections")?);
    while let Some(kind) = rest.byte() {
        let size = rest.number()?;
        let section = rest.take(size)?;
        let made = if kind == CODE { with_trap(section, function)? } else { section.to_vec() };
        out.push(kind);
        write_number(&mut out, made.len());
        out.extend(made);
    }
    let path = folder.join("trapping.wasm");
    std::fs::write(&path, out)?;
    Ok(path)
}

/// The module, which says that it is another version.
pub fn next_version(folder: &Path) -> Result<PathBuf> {
    let mut bytes = std::fs::read(module()?)?;
    let (version, next) = (env!("CARGO_PKG_VERSION").as_bytes(), b"9.9.9");
    ensure!(version.len() == next.len(), "a version of another length has to be made otherwise");
    let windows = bytes.windows(version.len()).enumerate();
    let at: Vec<usize> = windows.filter(|(_, w)| *w == version).map(|(at, _)| at).collect();
    ensure!(!at.is_empty(), "the module does not name its version");
    for start in at {
        bytes.get_mut(start..start + next.len()).context("cut off")?.copy_from_slice(next);
    }
    let path = folder.join("next.wasm");
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// Which of the module's own functions the callback is.
fn callback(bytes: &[u8]) -> Result<usize> {
    let (mut imported, mut exported) = (0, None);
    let mut rest = Reader(bytes.get(8..).context("no sections")?);
    while let Some(kind) = rest.byte() {
        let size = rest.number()?;
        let mut section = Reader(rest.take(size)?);
        match kind {
            // All imports of a module for proxies are functions.
            IMPORTS => imported = section.number()?,
            EXPORTS => {
                for _ in 0..section.number()? {
                    let length = section.number()?;
                    let name = section.take(length)?;
                    let (kind, index) = (section.byte(), section.number()?);
                    if name == CALLBACK.as_bytes() {
                        ensure!(kind == Some(0), "{CALLBACK} is no function");
                        exported = Some(index);
                    }
                }
            }
            _ => {}
        }
    }
    exported.context(CALLBACK)?.checked_sub(imported).context("an import is exported")
}

fn with_trap(section: &[u8], function: usize) -> Result<Vec<u8>> {
    let mut bodies = Reader(section);
    let count = bodies.number()?;
    let mut out = Vec::with_capacity(section.len());
    write_number(&mut out, count);
    for index in 0..count {
        let size = bodies.number()?;
        let body = bodies.take(size)?;
        let body = if index == function { &TRAP } else { body };
        write_number(&mut out, body.len());
        out.extend(body);
    }
    Ok(out)
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    /// LEB128 (§5.2.2).
    fn number(&mut self) -> Result<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte().context("cut off")?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        anyhow::bail!("a number that is too long")
    }
}

fn write_number(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}
