//! `modelgate convert` of deployments and routes: what becomes of the cases in `cli/tests/convert-models/`, part for part, and
//! what is said of them.
#![cfg(test)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/converted.rs"]
mod converted;
mod support;

use converted::made;
use serde_json::Value;
use support::{modelgate, root};

fn plain(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

#[test]
fn every_deployment_and_route_becomes_what_it_says() {
    let cases = cases::read(&root().join("cli/tests/convert-models")).expect("cases");
    assert!(cases.len() > 50, "only {} cases", cases.len());
    for case in cases {
        let (text, becomes) = case.text.split_once("# becomes\n").unwrap_or((&case.text, ""));
        let Some(made) = made(&case, text) else { continue };
        let plugin = plain(&made.stdout);
        assert_eq!(plugin["spec"]["pluginConfig"], plain(becomes), "{}", case.name);
    }
}

/// The three manifests of `docs/convert/`: who may, and what the shadow gets.
#[test]
fn the_example_decides_as_its_policy_says() {
    let folder = root().join("docs/convert");
    let made = modelgate(&["convert", &folder.display().to_string()], "");
    assert_eq!(made.status, 1, "{}", made.stderr);
    let config = &plain(&made.stdout)["spec"]["pluginConfig"];
    assert_eq!(
        config["shadows"][0]["cluster"],
        "outbound|8000|candidate|iris-candidate.prod.svc.cluster.local"
    );
    for (groups, path, status) in [
        ("data-science", "predictions", 0),
        ("data-science", "feedback", 0),
        ("interns", "predictions", 1),
        ("data-science", "metadata", 1),
    ] {
        let claims = format!(
            r#"{{"iss": "https://idp.example.com", "sub": "alice", "groups": ["{groups}"]}}"#
        );
        let path = format!("/seldon/prod/iris/api/v1.0/{path}");
        let arguments =
            ["decide", "-", "--method", "POST", "--path", path.as_str(), "--claims", &claims];
        let decided = modelgate(&arguments, &made.stdout);
        assert_eq!(decided.status, status, "{groups} {path}: {}", decided.stdout);
    }
    // The token that README sends.
    let token = std::fs::read_to_string(folder.join("alice.jwt")).expect("a token");
    for (token, status) in [(token.trim(), 0), (&token.trim().replace(".eyJpc3", ".eyJpc4"), 1)] {
        let path = "/seldon/prod/iris/api/v1.0/predictions";
        let arguments = ["decide", "-", "--method", "POST", "--path", path, "--token", token];
        let decided = modelgate(&arguments, &made.stdout);
        assert_eq!(decided.status, status, "{token}: {}", decided.stdout);
    }
}
