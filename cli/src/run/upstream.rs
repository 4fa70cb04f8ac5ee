//! `--upstream`: servers that somebody has already, for everything or for one part of the configuration.

/// A server, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// A model, a variant of a split, a shadow, or a cluster; `None`: everything that has none of its own.
    pub name: Option<String>,
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Upstream {
    /// Reads `[NAME=]HOST:PORT`.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn read(text: &str) -> Result<Self, String> {
        const FORM: &str = "[NAME=]HOST:PORT, as 127.0.0.1:9000 or prod/iris=localhost:9000";
        let (name, address) = match text.rsplit_once('=') {
            Some((name, address)) if !name.is_empty() => (Some(name.to_owned()), address),
            Some(_) => return Err(FORM.to_owned()),
            None => (None, text),
        };
        let address = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        if address.contains("://") {
            return Err(format!("plain HTTP is spoken here, without TLS: {FORM}"));
        }
        let (host, port) = address.rsplit_once(':').ok_or(FORM)?;
        let host = host.trim_matches(['[', ']']);
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(FORM)?;
        if host.is_empty() || host.contains(['/', ' ']) {
            return Err(FORM.to_owned());
        }
        Ok(Self { name, host: host.to_owned(), port })
    }

    /// As one writes it.
    pub fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read() {
        for (text, name, host, port) in [
            ("127.0.0.1:9000", None, "127.0.0.1", 9000),
            ("http://localhost:80/", None, "localhost", 80),
            ("[::1]:80", None, "::1", 80),
            ("prod/iris=localhost:9000", Some("prod/iris"), "localhost", 9000),
            ("outbound|80||a.b=c.d:1", Some("outbound|80||a.b"), "c.d", 1),
        ] {
            let read = Upstream::read(text).expect(text);
            assert_eq!(
                (read.name.as_deref(), &*read.host, read.port),
                (name, host, port),
                "{text}"
            );
        }
        for text in [
            "",
            "localhost",
            "localhost:",
            ":80",
            "a:0",
            "a:70000",
            "=a:1",
            "a=",
            "https://a:1",
            "a/b:1",
        ] {
            assert!(Upstream::read(text).is_err(), "{text}");
        }
    }
}
