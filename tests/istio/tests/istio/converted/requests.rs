//! Requests made of what policies name: each value and its neighbours, with good and bad tokens.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::dice::Dice;
use testbed::tokens::{Algorithm, Issuer, with};

/// Addresses that are asked for whatever the policies name.
const USUAL: [&str; 7] = [
    "/web/a",
    "/web/b",
    "/",
    "/seldon/prod/iris/api/v1.0/predictions",
    "/seldon/prod/iris/api/v1.0/feedback",
    "/seldon/prod/fraud/api/v1.0/predictions",
    GRPC,
];

/// What Seldon's route of gRPC looks for, with the headers that name the model; the path reaches the pods as it is.
const GRPC: &str = "/inference.GRPCInferenceService/ModelInfer";

/// Requests for each case.
const ASKS: usize = 260;

/// Who signs tokens.
pub struct Issuers<'i> {
    pub shared: &'i Issuer,
    pub stranger: &'i Issuer,
    pub other: &'i Issuer,
}

/// What requests are made of.
#[derive(Debug, Default)]
struct Parts {
    methods: Vec<String>,
    paths: Vec<String>,
    hosts: Vec<String>,
    subjects: Vec<String>,
    /// Claims by their paths.
    claims: BTreeMap<Vec<String>, Vec<String>>,
    headers: BTreeMap<String, Vec<String>>,
    /// Where tokens are looked for, as a kind and a name.
    places: Vec<(&'static str, String, String)>,
    has_addresses: bool,
    has_other: bool,
}

/// Every request for these resources.
pub fn make(resources: &[Value], issuers: &Issuers<'_>, seed: u64) -> Result<Vec<Request>> {
    let mut parts = Parts::default();
    for resource in resources {
        parts.collect(resource);
    }
    parts.has_other = json!(resources).to_string().contains(issuers.other.name());
    let mut dice = Dice::new(2026, seed);
    let mut asks = Vec::new();
    for _ in 0..ASKS {
        asks.push(parts.one(&mut dice, issuers)?);
    }
    Ok(asks)
}

impl Parts {
    fn collect(&mut self, value: &Value) {
        let texts = |value: &Value| -> Vec<String> {
            let list = value.as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        if let Some(key) = value.get("key").and_then(Value::as_str) {
            let given = ["values", "notValues"].iter().filter_map(|name| value.get(*name));
            self.condition(key, given.flat_map(texts).collect());
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match name.trim_start_matches("not").to_ascii_lowercase().as_str() {
                        "methods" => self.methods.extend(texts(value)),
                        "paths" => self.paths.extend(texts(value)),
                        "hosts" => self.hosts.extend(texts(value)),
                        "requestprincipals" => self.subjects.extend(texts(value)),
                        "ipblocks" | "remoteipblocks" => self.has_addresses = true,
                        "fromheaders" => {
                            for header in value.as_array().into_iter().flatten() {
                                let text = |name: &str| {
                                    header
                                        .get(name)
                                        .and_then(Value::as_str)
                                        .unwrap_or_default()
                                        .to_owned()
                                };
                                self.places.push(("header", text("name"), text("prefix")));
                            }
                        }
                        "fromparams" | "fromcookies" => {
                            let kind = if name == "fromParams" { "param" } else { "cookie" };
                            let names = texts(value).into_iter();
                            self.places.extend(names.map(|name| (kind, name, String::new())));
                        }
                        _ => self.collect(value),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            _ => {}
        }
    }

    fn condition(&mut self, key: &str, values: Vec<String>) {
        match key {
            "request.auth.audiences" => {
                self.claims.entry(vec!["aud".to_owned()]).or_default().extend(values)
            }
            "request.auth.presenter" => {
                self.claims.entry(vec!["azp".to_owned()]).or_default().extend(values)
            }
            "request.auth.principal" => self.subjects.extend(values),
            "source.ip" | "remote.ip" => self.has_addresses = true,
            _ => {
                let inner =
                    |start: &str| key.strip_prefix(start).and_then(|rest| rest.strip_suffix(']'));
                if let Some(name) = inner("request.headers[") {
                    self.headers.entry(name.to_owned()).or_default().extend(values);
                } else if let Some(path) = inner("request.auth.claims[") {
                    let path = path.split("][").map(str::to_owned).collect();
                    self.claims.entry(path).or_default().extend(values);
                }
            }
        }
    }

    fn one(&self, dice: &mut Dice, issuers: &Issuers<'_>) -> Result<Request> {
        let mut methods =
            vec!["GET".to_owned(), "POST".to_owned(), "PUT".to_owned(), "DELETE".to_owned()];
        methods.extend(self.methods.iter().flat_map(|method| vec![method.clone(); 4]));
        let mut path = match self.paths.is_empty() || dice.percent(10) {
            true => dice.pick(&USUAL.map(str::to_owned)),
            false => near(&dice.pick(&self.paths), dice),
        };
        let host = match self.hosts.is_empty() || dice.percent(20) {
            true => "models.example.com".to_owned(),
            // A host with a dot at its end is answered with 400 everywhere.
            false => near(&dice.pick(&self.hosts), dice).trim_end_matches('.').to_owned(),
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        if path.starts_with(GRPC) {
            let named = [("seldon", "iris"), ("namespace", "prod")];
            headers.extend(named.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        for (name, values) in &self.headers {
            if dice.percent(75) {
                headers.push((name.clone(), near(&dice.pick(values), dice)));
            }
        }
        let (kind, name, prefix) = match self.places.is_empty() || dice.percent(15) {
            true => ("header", "authorization".to_owned(), "Bearer ".to_owned()),
            false => dice.pick(
                &self.places.iter().map(|(k, n, p)| (*k, n.clone(), p.clone())).collect::<Vec<_>>(),
            ),
        };
        if let Some(token) = self.token(dice, issuers)? {
            match kind {
                "param" => {
                    path = format!(
                        "{path}{}{name}={token}",
                        if path.contains('?') { "&" } else { "?" }
                    )
                }
                "cookie" => headers.push(("cookie".to_owned(), format!("a=b; {name}={token}"))),
                _ => headers.push((name, format!("{prefix}{token}"))),
            }
        }
        let method = dice.pick(&methods);
        let mut request = Request::new(&method, path).authority(Some(&host));
        for (name, value) in headers {
            request = request.header(&name, value);
        }
        if self.has_addresses {
            let ip = dice
                .pick(&["127.77.0.5", "127.77.0.9", "127.77.1.5", "127.78.0.1"].map(str::to_owned));
            request = request.from(ip.parse().context("an address")?);
        }
        Ok(request)
    }

    fn token(&self, dice: &mut Dice, issuers: &Issuers<'_>) -> Result<Option<String>> {
        let (shared, stranger) = (issuers.shared, issuers.stranger);
        let mut subjects = vec!["alice".to_owned(), "mallory".to_owned()];
        subjects.extend(
            self.subjects
                .iter()
                .filter_map(|s| s.rsplit('/').next())
                .filter(|s| *s != "*")
                .map(str::to_owned),
        );
        let subject = dice.pick(&subjects);
        Ok(match dice.below(100) {
            0..15 => None,
            15..18 => Some(shared.expired(&subject)?),
            18..21 => Some(stranger.token(&subject, &[])?),
            21..23 => Some(shared.unsigned(&subject, "")),
            23..25 => Some("nonsense".to_owned()),
            25..30 => Some(shared.wrong_audience(&subject)?),
            _ => {
                let issuer =
                    if self.has_other && dice.percent(40) { issuers.other } else { shared };
                let mut claims = issuer.claims(&subject);
                for (path, values) in &self.claims {
                    if dice.percent(15) {
                        continue;
                    }
                    let text = near(&dice.pick(values), dice);
                    let value = match dice.below(10) {
                        0..4 => json!([text]),
                        4..7 => json!(text),
                        7 => json!(["x", text]),
                        8 => json!(format!("x {text}")),
                        _ => json!({ text: true }),
                    };
                    let (first, inner) = path.split_first().context("no claim")?;
                    let value =
                        inner.iter().rev().fold(value, |value, name| json!({ name: value }));
                    // An audience is a text or a list of them.
                    let is_aud = first == "aud" && value.is_object();
                    claims = with(claims, first, if is_aud { json!("models") } else { value });
                }
                Some(issuer.mint(Algorithm::Es256, &claims)?)
            }
        })
    }
}

/// A text that a match fits, or nearly fits.
fn near(pattern: &str, dice: &mut Dice) -> String {
    let filled = pattern
        .replace("{**}", &dice.pick(&["x/y", "x", ""].map(str::to_owned)))
        .replace("{*}", &dice.pick(&["x", "x/y"].map(str::to_owned)));
    let text = match (filled.strip_prefix('*'), filled.strip_suffix('*')) {
        (Some(""), _) => "anything".to_owned(),
        (Some(end), _) => format!("{}{end}", if end.starts_with('/') { "/web/q" } else { "x" }),
        (_, Some(start)) => format!("{start}x"),
        _ => filled,
    };
    match dice.below(12) {
        0 => format!("{text}x"),
        1 => format!("{text}/"),
        2 if text.starts_with('/') => format!("{text}?x=1"),
        3 => text.chars().take(text.chars().count().saturating_sub(1)).collect(),
        4 if text.starts_with('/') => text.replacen("prod", "test", 1),
        5 if !text.starts_with('/') => text.to_uppercase(),
        _ => text,
    }
}
