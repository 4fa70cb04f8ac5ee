//! Hosts: how `:authority` is read, and Istio's host match.

use std::borrow::Cow;
use std::cmp::Reverse;

use crate::config::{Errors, Path};
use crate::matcher::StringMatch;
use crate::refusal::Refusal;

const TRAILING_DOT: Refusal = Refusal::new("the host ends with a dot");

/// The host of a request: lower case and without port, which is the name by which Envoy, as Istio sets
/// it up, chooses the virtual host.
#[derive(Debug, Clone, Default)]
pub struct Host<'a> {
    name: Cow<'a, [u8]>,
}

impl<'a> Host<'a> {
    /// Reads `:authority`; an absent one is an empty host.
    ///
    /// Err: it ends with a dot. For DNS that is the host without the dot, and Envoy's virtual hosts do
    /// not know it: the routes of `*` would take a request that names another host.
    pub fn new(authority: Option<&'a [u8]>) -> Result<Self, Refusal> {
        let authority = authority.unwrap_or_default();
        // The last colon begins a port, unless it stands inside the brackets of an IPv6 address. What
        // follows it need not be a number: Envoy, as Istio sets it up, chooses the virtual host by
        // what stands before, whatever that is.
        let colon = authority.iter().rposition(|c| *c == b':');
        let bracket = authority.iter().rposition(|c| *c == b']');
        let port = colon.filter(|colon| bracket.is_none_or(|bracket| bracket < *colon));
        let name = port.and_then(|colon| authority.get(..colon)).unwrap_or(authority);
        if name.last() == Some(&b'.') {
            return Err(TRAILING_DOT);
        }
        let name = if name.iter().any(u8::is_ascii_uppercase) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        Ok(Self { name })
    }

    /// The name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }
}

/// A list of Istio host matches. An empty list matches every host.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<HostMatch>);

/// One host match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostMatch {
    /// `*`: also a request without a host, as Envoy's virtual host `*` takes it.
    Any,
    Text(StringMatch),
}

impl HostMatch {
    /// Whether it matches. The `*` of a wildcard stands for at least one byte, as in Envoy, where the routes of `*`
    /// take `.example.com` and not those of `*.example.com`.
    pub(super) fn matches(&self, host: &Host<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Text(StringMatch::Suffix(text) | StringMatch::Prefix(text))
                if host.name().len() <= text.len() =>
            {
                false
            }
            Self::Text(text) => text.matches(host.name()),
        }
    }

    /// The order in which Envoy looks for a virtual host: exact, `*suffix`, `prefix*`, each with the
    /// longest first, then `*`.
    pub(super) fn rank(&self) -> (u8, Reverse<usize>) {
        match self {
            Self::Text(StringMatch::Exact(text)) => (0, Reverse(text.len())),
            Self::Text(StringMatch::Suffix(text)) => (1, Reverse(text.len())),
            Self::Text(StringMatch::Prefix(text)) => (2, Reverse(text.len())),
            Self::Text(StringMatch::Present) | Self::Any => (3, Reverse(0)),
        }
    }
}

impl Hosts {
    /// The matches, one for any host in the place of none.
    pub(super) fn into_matches(self) -> Vec<HostMatch> {
        if self.0.is_empty() { vec![HostMatch::Any] } else { self.0 }
    }

    /// Compiles the list at `path`.
    pub fn compile(hosts: &[String], path: &Path<'_>, errors: &mut Errors) -> Self {
        let compiled = hosts.iter().enumerate().map(|(i, host)| {
            if host == "*" {
                return HostMatch::Any;
            }
            if let Some((what, fix)) = fault(host) {
                errors.add_value(&path.index(i), what, host, fix);
            }
            HostMatch::Text(StringMatch::lower_case(host))
        });
        Self(compiled.collect())
    }

    /// Whether the list is empty, and so matches every host.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them matches, or there is none.
    pub fn matches(&self, host: &Host<'_>) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(host))
    }
}

/// Why a pattern could never match what it seems to, and what would be right.
fn fault(host: &str) -> Option<(&'static str, &'static str)> {
    let inner = host.strip_prefix('*').or_else(|| host.strip_suffix('*')).unwrap_or(host);
    if inner.is_empty() {
        Some(("is empty", "a host as models.example.com, *.example.com or *"))
    } else if inner.contains('*') {
        Some(("holds * elsewhere than at one end", "models.example.com, *.example.com or models.*"))
    } else if inner.contains(':') && !inner.ends_with(']') {
        Some(("holds a port", "the host alone: it is compared without the port"))
    } else if inner.ends_with('.') && !host.ends_with('*') {
        Some(("ends with a dot", "the host without the trailing dot"))
    } else if inner.contains(|c: char| c.is_whitespace() || c.is_control() || "/@?#{}".contains(c))
    {
        Some(("is not a host", "a host as models.example.com, *.example.com or *"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lose_case_and_port() {
        for (authority, name) in [
            ("a.example.com", "a.example.com"),
            ("A.Example.COM:8443", "a.example.com"),
            ("a:", "a"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("a:b", "a"),
            ("a:b:c", "a:b"),
            ("a:.example.com", "a"),
            ("a:b.", "a"),
            ("a.:80:90", "a.:80"),
            ("[::1]:x", "[::1]"),
            ("ada@a.example.com", "ada@a.example.com"),
            ("a..b", "a..b"),
            (".a", ".a"),
            (" a", " a"),
            ("a. ", "a. "),
            ("", ""),
        ] {
            let host = Host::new(Some(authority.as_bytes())).unwrap();
            assert_eq!(host.name(), name.as_bytes(), "{authority}");
        }
    }

    #[test]
    fn no_host_ends_with_a_dot() {
        for authority in
            ["a.", "A.Example.com.", "a..", ".", "...", "a.:80", "a.:", "a.:x", "[::1]."]
        {
            assert!(Host::new(Some(authority.as_bytes())).is_err(), "{authority}");
        }
    }

    /// Envoy's choice of a virtual host with `ignore_port_in_host_matching`: what stands before the
    /// last colon that no `]` follows, lower-cased; it knows no dots.
    fn name_in_envoy(authority: &str) -> String {
        let cut = match (authority.rfind(':'), authority.rfind(']')) {
            (Some(colon), Some(bracket)) if bracket > colon => authority.len(),
            (Some(colon), _) => colon,
            (None, _) => authority.len(),
        };
        authority.get(..cut).unwrap_or(authority).to_ascii_lowercase()
    }

    proptest::proptest! {
        #[test]
        fn modelgate_decides_by_the_name_that_envoy_routes_by(
            authority in "(([ab]|[AB.:@ %]|\\[|\\]|80|\\PC){0,8}|[a-cA-C]{1,3}(\\.[a-c]{1,3}){0,2}\\.{0,2}(:[0-9]{0,4})?)",
        ) {
            let envoy = name_in_envoy(&authority);
            match Host::new(Some(authority.as_bytes())) {
                Ok(host) => proptest::prop_assert_eq!(host.name(), envoy.as_bytes()),
                Err(_) => proptest::prop_assert!(envoy.ends_with('.')),
            }
        }
    }

    /// Envoy's choice among the virtual hosts of these domains: exact, then the longest `*suffix`, then the longest
    /// `prefix*`, each for something longer than itself, then `*`.
    fn domain_in_envoy<'d>(domains: &[&'d str], name: &str) -> Option<&'d str> {
        let fits = |domain: &&&str| match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
            (Some(end), _) if !end.is_empty() => name.len() > end.len() && name.ends_with(end),
            (_, Some(start)) if !start.is_empty() => {
                name.len() > start.len() && name.starts_with(start)
            }
            _ => **domain == "*" || **domain == name,
        };
        let rank = |domain: &&&str| {
            let kind = match (domain.starts_with('*'), domain.ends_with('*')) {
                (false, false) => 3,
                (true, false) => 2,
                (false, true) => 1,
                (true, true) => 0,
            };
            (kind, domain.len())
        };
        domains.iter().filter(fits).max_by_key(rank).copied()
    }

    proptest::proptest! {
        #[test]
        fn the_most_exact_match_is_the_virtual_host_that_envoy_takes(
            name in "[ab.]{0,6}", first in 0..8_usize, others in 0..256_usize,
        ) {
            const DOMAINS: [&str; 8] = ["*", "*.b", "*.a.b", "*b", "a.*", "ab*", "a.b", ".b"];
            let rotated = (0..8).map(|i| (first + i) % 8).filter(|i| others >> i & 1 == 1);
            let domains: Vec<&str> = rotated.map(|i| DOMAINS[i]).collect();
            let settings: Vec<String> = domains.iter().map(|d| (*d).to_owned()).collect();
            let hosts = Hosts::compile(&settings, &Path::ROOT, &mut Errors::default());
            if let Ok(host) = Host::new(Some(name.as_bytes())) {
                let fit = settings.iter().zip(&hosts.0).filter(|(_, one)| one.matches(&host));
                let best = fit.min_by_key(|(_, one)| one.rank()).map(|(domain, _)| domain.as_str());
                proptest::prop_assert_eq!(best, domain_in_envoy(&domains, &name));
            }
        }
    }

    #[test]
    fn patterns_match_as_istio_without_the_port() {
        let mut errors = Errors::default();
        let hosts = ["*.Example.com".to_owned(), "chat.*".to_owned(), "one.org".to_owned()];
        let hosts = Hosts::compile(&hosts, &Path::ROOT, &mut errors);
        assert_eq!(errors.to_string(), "");
        for (authority, fits) in [
            ("a.example.com:443", true),
            ("A.EXAMPLE.com", true),
            ("example.com", false),
            ("chat.de", true),
            ("two.org:.example.com", false),
            ("one.org:.two.org", true),
            ("one.org", true),
            ("one.org.uk", false),
            (".example.com", false),
            (".example.com:443", false),
            ("", false),
        ] {
            let host = Host::new(Some(authority.as_bytes())).unwrap();
            assert_eq!(hosts.matches(&host), fits, "{authority}");
        }
        let any = Hosts::compile(&["*".to_owned()], &Path::ROOT, &mut errors);
        assert!(any.matches(&Host::default()));
        assert!(Hosts::default().matches(&Host::default()));
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for bad in ["", "**", "a.*.com", "a:80", "a.", "a/b", "a b"] {
            let mut errors = Errors::default();
            Hosts::compile(&[bad.to_owned()], &Path::ROOT, &mut errors);
            assert_eq!(errors.errors().len(), 1, "{bad}");
        }
    }
}
