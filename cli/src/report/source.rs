//! Where a report's metrics come from: admin pages of gateways, files, standard input.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ureq::Agent;
use ureq::http::{HeaderName, HeaderValue};
use ureq::tls::{RootCerts, TlsConfig};

use super::samples::{Sample, parse};

/// A page of a gateway with thousands of clusters has tens of megabytes.
const MOST_BYTES: u64 = 1 << 30;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where Envoy's admin interface has them in Prometheus's text format.
const STATS: &str = "/stats/prometheus";

/// Where a page is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Input,
    Address(String),
    File(PathBuf),
}

/// The samples of each source: `-`, an address, or else a file.
///
/// # Errors
/// A source that gives no metrics, or two that are the same one: its copies would count twice, and make
/// every interval narrower than it is.
pub fn read_all(sources: &[String]) -> Result<Vec<Vec<Sample>>> {
    let (mut places, mut pages) = (BTreeMap::new(), BTreeMap::new());
    let mut all = Vec::new();
    for source in sources {
        let place = Place::of(source)?;
        let page = place.read()?;
        let mut hash = DefaultHasher::new();
        page.hash(&mut hash);
        let before = pages.insert(hash.finish(), source);
        let before = places.insert(place, source).or(before);
        if let Some(before) = before {
            ensure!(before != source, "{source} is given twice: its copies would count twice");
            anyhow::bail!(
                "{before} and {source} are the same page: its copies would count twice. Two gateways \
                 differ in some metric: give whole pages"
            );
        }
        all.push(parse(&page).with_context(|| source.clone())?);
    }
    Ok(all)
}

/// The samples of one source.
///
/// # Errors
/// It gives no metrics.
pub fn read(source: &str) -> Result<Vec<Sample>> {
    let page = Place::of(source)?.read()?;
    parse(&page).with_context(|| source.to_owned())
}

impl Place {
    fn of(source: &str) -> Result<Self> {
        Ok(if source == "-" {
            Self::Input
        } else if is_address(source) {
            Self::Address(stats_address(source))
        } else {
            Self::File(std::fs::canonicalize(source).with_context(|| source.to_owned())?)
        })
    }

    fn read(&self) -> Result<String> {
        match self {
            Self::Input => std::io::read_to_string(std::io::stdin()).context("standard input"),
            Self::Address(address) => get(address, &[], &[]),
            Self::File(file) => {
                std::fs::read_to_string(file).with_context(|| file.display().to_string())
            }
        }
    }
}

fn is_address(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// An address without a path is that of the admin interface.
fn stats_address(address: &str) -> String {
    let base = address.trim_end_matches('/');
    let (_, rest) = base.split_once("://").unwrap_or_default();
    if rest.contains('/') { address.to_owned() } else { format!("{base}{STATS}") }
}

/// The text at an address, asked for with these parameters and headers.
pub fn get(
    address: &str,
    parameters: &[(&str, &str)],
    headers: &[(HeaderName, HeaderValue)],
) -> Result<String> {
    ask(address, parameters, headers).with_context(|| address.to_owned()).and_then(
        |(status, body)| {
            let start: String = body.chars().take(300).collect();
            ensure!(status == 200, "{address}: it answers {status}: {}", start.trim());
            Ok(body)
        },
    )
}

fn ask(
    address: &str,
    parameters: &[(&str, &str)],
    headers: &[(HeaderName, HeaderValue)],
) -> Result<(u16, String)> {
    let provider = rustls::crypto::ring::default_provider();
    // A company's own certificates are known to the system.
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider.into())
        .build();
    let agent: Agent = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        // What a header proves is meant for this address, and for none that it points to.
        .max_redirects(if headers.is_empty() { 10 } else { 0 })
        .build()
        .into();
    let mut request = agent.get(address).query_pairs(parameters.iter().copied());
    for (name, value) in headers {
        request = request.header(name.clone(), value.clone());
    }
    let mut answer = request.call()?;
    let body = answer.body_mut().with_config().limit(MOST_BYTES).read_to_string()?;
    Ok((answer.status().as_u16(), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_is_that_of_the_admin_interface() {
        for (address, page) in [
            ("http://localhost:15000", "http://localhost:15000/stats/prometheus"),
            ("http://localhost:15000/", "http://localhost:15000/stats/prometheus"),
            ("http://[::1]:15090/stats/prometheus", "http://[::1]:15090/stats/prometheus"),
            ("https://gw.example.com/metrics", "https://gw.example.com/metrics"),
        ] {
            assert!(is_address(address));
            assert_eq!(stats_address(address), page);
        }
        assert!(!is_address("stats.txt"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = read_all(&["no/such/file.txt".to_owned()]).expect_err("no file");
        assert!(format!("{error:#}").contains("no/such/file.txt"), "{error:#}");
    }
}
