//! Names of Envoy clusters as Istio makes them.

/// Port, subset and host of `outbound|port|subset|host`; `None` for any other name.
pub fn parts(name: &str) -> Option<(u16, &str, &str)> {
    let mut parts = name.strip_prefix("outbound|")?.split('|');
    let (port, subset, host) = (parts.next()?, parts.next()?, parts.next()?);
    let port = port.parse().ok().filter(|port| *port > 0 && parts.next().is_none())?;
    Some((port, subset, host))
}

/// Whether a cluster is, by its name, for another host or port than these. Services have short names, too.
pub fn is_other(name: &str, host: &str, port: u16) -> bool {
    parts(name).is_some_and(|(own_port, _, own_host)| {
        let (start, rest) = own_host.split_at_checked(host.len()).unwrap_or_default();
        let same = start.eq_ignore_ascii_case(host) && (rest.is_empty() || rest.starts_with('.'));
        own_port != port || !same
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_four_parts() {
        for (name, expected) in [
            ("outbound|443||idp.example.com", Some((443, "", "idp.example.com"))),
            ("outbound|8000|v2|iris.prod.svc", Some((8000, "v2", "iris.prod.svc"))),
            ("outbound|443||", Some((443, "", ""))),
            ("outbound|0||idp", None),
            ("outbound|65536||idp", None),
            ("outbound|http||idp", None),
            ("outbound|443|idp", None),
            ("outbound|443||idp|x", None),
            ("inbound|443||idp", None),
            ("idp", None),
        ] {
            assert_eq!(parts(name), expected, "{name}");
        }
    }

    #[test]
    fn a_cluster_is_for_its_host_and_port() {
        for (name, host, port, other) in [
            ("outbound|443||idp.example.com", "idp.example.com", 443, false),
            ("outbound|443||idp.example.com", "IDP.example.com", 443, false),
            ("outbound|443||dex.auth.svc.cluster.local", "dex.auth.svc", 443, false),
            ("outbound|443||dex.auth.svc.cluster.local", "dex", 443, false),
            ("outbound|80||idp.example.com", "idp.example.com", 443, true),
            ("outbound|443||idp.example.com", "idp.example.co", 443, true),
            ("outbound|443||example.com", "idp.example.com", 443, true),
            ("outbound|443||\u{e9}", "a", 443, true),
            ("idp", "other.example", 443, false),
        ] {
            assert_eq!(is_other(name, host, port), other, "{name} {host} {port}");
        }
    }
}
