//! Standard output, whose reader may leave early, as `head` and `less` do.

use std::io::{ErrorKind, Write as _};

use anyhow::{Context as _, Result};

/// Prints the text.
///
/// # Errors
///
/// It cannot be written. A reader who has seen enough is no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}
