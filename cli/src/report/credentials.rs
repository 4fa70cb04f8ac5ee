//! What a Prometheus server wants to see before it answers: headers, always from files, so that no secret stands in a
//! command line, which everybody on the machine can read. Messages name the file and the line, never a value.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use ureq::http::{HeaderName, HeaderValue, header::AUTHORIZATION};

/// The command's arguments about them.
#[derive(Debug, Default, Args)]
pub struct Credentials {
    /// A file with the token that the Prometheus server asks for, sent as `authorization: Bearer`.
    #[arg(long, value_name = "FILE", requires = "prometheus", conflicts_with = "sources")]
    bearer_token_file: Option<PathBuf>,
    /// A file with headers for the Prometheus server, a line `name: value` for each; empty lines and lines that
    /// begin with # do not count.
    #[arg(long, value_name = "FILE", requires = "prometheus", conflicts_with = "sources")]
    header_file: Option<PathBuf>,
}

impl Credentials {
    /// The headers to send.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or holds no header.
    pub fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let mut headers = Vec::new();
        if let Some(file) = &self.header_file {
            for (i, line) in read(file)?.lines().map(str::trim).enumerate() {
                if !line.is_empty() && !line.starts_with('#') {
                    let place = || format!("{}, line {}", file.display(), i + 1);
                    headers.push(header(line).with_context(place)?);
                }
            }
        }
        if let Some(file) = &self.bearer_token_file {
            let text = read(file)?;
            let token = text.trim();
            let told = "it is not one token without spaces";
            ensure!(!token.is_empty(), "{}: it is empty", file.display());
            let plain = token.bytes().all(|c| c.is_ascii_graphic());
            ensure!(plain, "{}: {told}", file.display());
            ensure!(
                headers.iter().all(|(name, _)| name != AUTHORIZATION),
                "--header-file sets authorization, which --bearer-token-file does as well"
            );
            headers.push((AUTHORIZATION, secret(&format!("Bearer {token}"))?));
        }
        Ok(headers)
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':').context("it is not a header, name: value")?;
    let name: HeaderName =
        name.trim_end().parse().context("it does not begin with a header's name")?;
    Ok((name, secret(value.trim())?))
}

/// Marked, so that nothing prints it.
fn secret(value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value).context("its value cannot stand in a header")?;
    value.set_sensitive(true);
    Ok(value)
}
