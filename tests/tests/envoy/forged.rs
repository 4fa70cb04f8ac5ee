//! Headers that only the gateway sets: a client's own never get through, whichever way it comes.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::tokens::{Issuer, with};

use crate::site::{PREDICTIONS, Site, config, predict};

/// What each header is for, and spellings of it. (Envoy joins no lines of these names.)
const HEADERS: [(&str, &[&str]); 10] = [
    ("outputPayloadToHeader", &["x-payload", "X-Payload", "x_payload"]),
    ("outputClaimToHeaders", &["x-user", "X-USER", "x_user"]),
    ("a claim that this token lacks", &["x-absent", "x_absent"]),
    ("a rule that is not reached", &["x-other", "x_other"]),
    ("a variant of a split", &["x-variant", "x_variant"]),
    ("a rewrite of another address", &["x-tier", "X-Tier", "x_tier"]),
    ("modelgate's own", &["x-modelgate-variant", "x-modelgate-anything", "X_Modelgate_Any"]),
    ("the mark of a shadow", &["x-modelgate-shadow", "x_modelgate_shadow"]),
    (
        "Seldon's",
        &[
            "seldon-internal-model",
            "Seldon_Internal_Model",
            "seldon-logging",
            "seldon_logging",
            "seldon-core-user",
            "Seldon_Core_User",
        ],
    ),
    (
        "KServe's",
        &["kserve-isvc-name", "kserve-isvc-namespace", "kserve_isvc_name", "kserve_isvc_namespace"],
    ),
];

const ELSEWHERE: &str = "elsewhere.example.com";

fn settings() -> Result<Value> {
    let outputs = json!([
        {"header": "x-user", "claim": "sub"}, {"header": "x-absent", "claim": "nobody.has.it"},
    ]);
    let rule = with(Issuer::shared()?.rule(), "outputClaimToHeaders", outputs);
    let rule = with(rule, "outputPayloadToHeader", json!("x-payload"));
    let other = with(Issuer::shared()?.rule(), "issuer", json!("https://other.example.com"));
    let other = with(other, "outputPayloadToHeader", json!("x-other"));
    config(json!({
        "exclude": {"hosts": [ELSEWHERE]},
        "authentication": {"jwtRules": [rule, other]},
        "authorization": {"defaultAction": "ALLOW"},
        "bypass": [{"name": "ready", "to": [{"operation": {"paths": ["/seldon/prod/iris/ready"]}}]}],
        "rewrites": [{
            "name": "gold", "match": {"path": "/gold/{rest=**}"}, "path": "/{rest}",
            "setHeaders": {"X-Tier": "gold"},
        }],
        "splits": [{
            "name": "fraud", "models": ["prod/fraud"], "header": "x-variant",
            "variants": [{"name": "main", "weight": 1}],
        }],
    }))
}

/// The ways through the pipeline, and what the gateway sets itself on each.
fn ways() -> Result<Vec<(&'static str, Request, &'static [&'static str])>> {
    let preflight = Request::new("OPTIONS", PREDICTIONS)
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST");
    let alice = predict().bearer(&Issuer::shared()?.token("alice", &[])?);
    Ok(vec![
        ("allowed", alice, &["x-user", "x-payload"]),
        ("anonymous", predict(), &[]),
        ("bypassed", Request::get("/seldon/prod/iris/ready"), &[]),
        ("preflight", preflight, &[]),
        ("no model", Request::get("/website"), &[]),
        ("excluded", Request::get("/").authority(Some(ELSEWHERE)), &[]),
    ])
}

#[tokio::test]
async fn no_header_of_the_gateway_is_taken_from_a_client() -> Result<()> {
    let site = Site::start(settings()?).await?;
    for (way, request, set) in ways()? {
        for (kind, names) in HEADERS {
            for name in names {
                site.live.forget();
                site.website.forget();
                // Once, and on several lines.
                let forged = request.clone().header(name, "forged");
                let twice = forged.clone().header(name, "forged-too").header(name, "");
                for request in [forged, twice] {
                    site.expect(request, 200, "").await?;
                }
                let mut received = site.live.received();
                received.extend(site.website.received());
                ensure!(received.len() == 2, "{way}, {name}: {} came", received.len());
                for request in received {
                    let plain = name.to_ascii_lowercase().replace('_', "-");
                    let lines: Vec<_> = request
                        .headers
                        .iter()
                        .filter(|(n, _)| n.to_ascii_lowercase().replace('_', "-") == plain)
                        .collect();
                    let want = usize::from(set.contains(&plain.as_str()));
                    ensure!(
                        lines.len() == want && lines.iter().all(|(_, v)| !v.starts_with(b"forged")),
                        "{way}, {kind}: {lines:?}"
                    );
                }
            }
        }
    }
    site.check_healthy().await
}
