//! The tables of `docs/addresses.md` say what the code does.

use super::*;

const PAGE: &str = include_str!("../../../../docs/addresses.md");

/// Every address of the page with its operation, and the heading above it.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let (mut rows, mut heading) = (Vec::new(), "");
    for line in PAGE.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text;
        }
        let Some((addresses, operation)) = line
            .strip_prefix("| `")
            .and_then(|line| line.trim_end_matches(" |").rsplit_once("` | "))
        else {
            continue;
        };
        rows.extend(addresses.split("`, `").map(|address| (heading, address, operation)));
    }
    rows
}

#[test]
fn every_address_of_the_page_has_its_operation() {
    let targets = compile(json!({
        "families": ["kserve", "seldon-v1", "llmisvc"],
        "kserve": {"hostTemplate": "{name}.{namespace}.example.com",
            "pathTemplate": "/serving/{namespace}/{name}"},
        "llmisvc": ["prod"],
        "fixed": [{"hosts": ["chat.example.com"], "model": "prod/iris"},
            {"pathPrefix": "/own/iris", "model": "prod/iris"}],
    }));
    let targets = targets.unwrap();
    let rows = rows();
    assert!(rows.len() > 150, "{}", rows.len());
    for (heading, address, operation) in rows {
        let (method, path) = address.split_once(' ').unwrap();
        let path: String = path.replace(['{', '}'], "");
        for (host, prefix, family) in [
            ("iris.prod.example.com", "", "kserve"),
            ("gateway", "/serving/prod/iris", "kserve"),
            ("gateway", "/seldon/prod/iris", "seldon-v1"),
            ("gateway", "/prod/iris", "llmisvc"),
            ("gateway", "/publishers/prod/models/iris", "llmisvc"),
            ("chat.example.com", "", "kserve"),
            ("gateway", "/own/iris", "kserve"),
        ] {
            let is_kserves = host.starts_with("iris")
                || ["/serving", "/prod", "/publishers"].iter().any(|own| prefix.starts_with(own));
            if path == "/" && !is_kserves {
                continue;
            }
            let path = format!("{prefix}{path}");
            let host = Host::new(Some(host.as_bytes())).unwrap();
            let at = Location::new(method.as_bytes(), path.as_bytes(), host, []);
            let expected = format!("{family} prod/iris {operation}");
            assert_eq!(words(targets.resolve(&at)), expected, "{heading}: {method} {path}");
        }
    }
}
