//! Hosts: how `:authority` is read, and Istio's host match.

use std::borrow::Cow;

use crate::config::{Errors, Path};
use crate::matcher::StringMatch;

/// The host of a request: lower case, without port and without trailing dot.
#[derive(Debug, Clone)]
pub struct Host<'a> {
    name: Cow<'a, [u8]>,
    dotted: bool,
}

impl<'a> Host<'a> {
    /// Reads `:authority`; an absent one is an empty host.
    pub fn new(authority: Option<&'a [u8]>) -> Self {
        let authority = authority.unwrap_or_default();
        // The last colon begins a port, unless it stands inside the brackets of an IPv6 address. What
        // follows it need not be a number: Envoy, as Istio sets it up, chooses the virtual host by
        // what stands before, whatever that is.
        let colon = authority.iter().rposition(|c| *c == b':');
        let bracket = authority.iter().rposition(|c| *c == b']');
        let port = colon.filter(|colon| bracket.is_none_or(|bracket| bracket < *colon));
        let name = port.and_then(|colon| authority.get(..colon)).unwrap_or(authority);
        let plain = name.iter().rposition(|c| *c != b'.').map_or(0, |last| last.saturating_add(1));
        let dotted = plain < name.len();
        let name = name.get(..plain).unwrap_or_default();
        let name = if name.iter().any(u8::is_ascii_uppercase) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        Self { name, dotted }
    }

    /// The name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether it was written with a trailing dot, which Envoy's virtual hosts do not know.
    pub fn has_trailing_dot(&self) -> bool {
        self.dotted
    }
}

/// A list of Istio host matches. An empty list matches every host.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<HostMatch>);

#[derive(Debug, Clone)]
enum HostMatch {
    /// `*`: also a request without a host, as Envoy's virtual host `*` takes it.
    Any,
    Text(StringMatch),
}

impl Hosts {
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
        self.0.is_empty()
            || self.0.iter().any(|pattern| match pattern {
                HostMatch::Any => true,
                HostMatch::Text(text) => text.matches(host.name()),
            })
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
    fn hosts_lose_case_port_and_dot() {
        for (authority, name, dotted) in [
            ("a.example.com", "a.example.com", false),
            ("A.Example.COM:8443", "a.example.com", false),
            ("a.example.com.", "a.example.com", true),
            ("a.example.com.:80", "a.example.com", true),
            ("a:", "a", false),
            ("[::1]:80", "[::1]", false),
            ("[::1]", "[::1]", false),
            ("a:b", "a", false),
            ("a:b:c", "a:b", false),
            ("a:.example.com", "a", false),
            ("[::1]:x", "[::1]", false),
            ("...", "", true),
            ("", "", false),
        ] {
            let host = Host::new(Some(authority.as_bytes()));
            let found = (host.name(), host.has_trailing_dot());
            assert_eq!(found, (name.as_bytes(), dotted), "{authority}");
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
            ("", false),
        ] {
            assert_eq!(hosts.matches(&Host::new(Some(authority.as_bytes()))), fits, "{authority}");
        }
        let any = Hosts::compile(&["*".to_owned()], &Path::ROOT, &mut errors);
        assert!(any.matches(&Host::new(None)));
        assert!(Hosts::default().matches(&Host::new(None)));
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
