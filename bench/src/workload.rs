//! The work that every variant does: the callers, their requests, and who may call which model.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::tokens::{Algorithm, ISSUER, Issuer, with};

/// Prediction under the address that Seldon's operator gives a deployment.
pub const PREDICTIONS: &str = "/seldon/prod/iris/api/v1.0/predictions";

/// The same under an address of its own, which a rewrite turns into [`PREDICTIONS`].
pub const FRIENDLY: &str = "/models/prod/iris:predict";

/// The group whose members may call.
pub const GROUP: &str = "data-science";

/// The header that tells the model who calls.
pub const USER_HEADER: &str = "x-user";

/// One ALLOW policy for one model.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name; the order of names is the order of the list.
    pub name: String,
    /// Name of the model in the namespace `prod`.
    pub model: String,
    /// Where predictions of the model are had.
    pub address: String,
}

/// So many policies, each for a model of its own. The last one is for the model that is called:
/// filters that go through them one by one have to go through all.
pub fn policies(count: usize) -> Vec<Policy> {
    (1..=count)
        .map(|number| {
            let model =
                if number == count { "iris".to_owned() } else { format!("model-{number:05}") };
            Policy {
                name: format!("policy-{number:05}"),
                address: format!("/seldon/prod/{model}/api/v1.0/predictions"),
                model,
            }
        })
        .collect()
}

/// Which parts of a configuration a variant has.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// A rule for tokens.
    pub tokens: bool,
    /// Whether verified tokens are remembered.
    pub cache: bool,
    /// How many policies; without any, everything is allowed.
    pub policies: usize,
    /// A rewrite of [`FRIENDLY`].
    pub rewrite: bool,
}

/// `pluginConfig` with these parts.
pub fn plugin_config(issuer: &Issuer, parts: Parts) -> Value {
    let mut rule = issuer.rule();
    if let Some(rule) = rule.as_object_mut() {
        rule.insert(
            "outputClaimToHeaders".into(),
            json!([{"header": USER_HEADER, "claim": "sub"}]),
        );
    }
    let mut authentication = json!({"jwtRules": if parts.tokens { vec![rule] } else { vec![] }});
    if let (Some(authentication), false) = (authentication.as_object_mut(), parts.cache) {
        authentication.insert("tokenCache".into(), json!({"bytes": "0B"}));
    }
    let policies: Vec<Value> = policies(parts.policies)
        .iter()
        .map(|policy| {
            json!({
                "name": policy.name,
                "namespace": "prod",
                "models": [format!("prod/{}", policy.model)],
                "rules": [{
                    "from": [{"source": {"requestPrincipals": [format!("{ISSUER}/*")]}}],
                    "to": [{"operation": {"operations": ["predict"]}}],
                    "when": [{"key": "request.auth.claims[groups]", "values": [GROUP]}],
                }],
            })
        })
        .collect();
    let default_action = if policies.is_empty() { "ALLOW" } else { "DENY" };
    let friendly = json!({
        "name": "friendly",
        "match": {"path": "/models/{namespace}/{model}:predict", "methods": ["POST"]},
        "path": "/seldon/{namespace}/{model}/api/v1.0/predictions",
    });
    json!({
        "authentication": authentication,
        "authorization": {"defaultAction": default_action, "policies": policies},
        "targets": {"families": ["seldon-v1"]},
        "rewrites": if parts.rewrite { vec![friendly] } else { vec![] },
    })
}

/// Tokens of different members of [`GROUP`].
pub fn tokens(issuer: &Issuer, algorithm: Algorithm, count: usize) -> Result<Vec<String>> {
    (1..=count)
        .map(|number| {
            let claims = issuer.claims(&format!("user-{number}"));
            issuer.mint(algorithm, &with(claims, "groups", json!([GROUP, "everybody"])))
        })
        .collect()
}

/// Headers of a request for a prediction, apart from `:method`, `:path` and `host`, with a body of
/// this length.
pub fn headers(token: Option<&str>, length: usize) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("user-agent", "modelgate-bench".to_owned()),
        ("accept", "application/json".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("content-length", length.to_string()),
    ];
    headers.extend(token.map(|token| ("authorization", format!("Bearer {token}"))));
    headers
}

/// The request as it goes over the wire. A gateway that answers by itself closes the connection when
/// a body is on its way.
pub fn request(path: &str, token: &str, body: &str) -> Vec<u8> {
    let mut text = format!("POST {path} HTTP/1.1\r\nhost: models.example.com\r\n");
    for (name, value) in headers(Some(token), body.len()) {
        text.extend([name, ": ", &value, "\r\n"]);
    }
    text.extend(["\r\n", body]);
    text.into_bytes()
}
