//! Requests.

use serde_json::Value;

use super::rules::OUTPUTS;
use crate::case::{Ask, Client, Set};
use crate::token::Token;
use testbed::dice::Dice;

const METHODS: &[&str] =
    &["GET", "GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"];
const HOSTS: &[&str] = &[
    "models.example.com",
    "models.example.com",
    "MODELS.example.com",
    "models.example.com:8443",
    "other.example.org",
    "example.com",
    "models.example.com.",
];
const PATHS: &[&str] = &[
    "/",
    "/v1/models/iris",
    "/v1/models/iris",
    "/v1/models/iris/predict",
    "/v1/models/",
    "/v1//models/iris",
    "/v1/./models/iris",
    "/v1/x/../models/iris",
    "/v1/models%2Firis",
    "/v1/models/%69ris",
    "/V1/models/iris",
    "/admin",
    "/admin/",
    "/admin/x%20y",
    "/admin\\x",
    "/admin%5Cx",
    "//admin",
    "/health",
    "/v1/models/iris;v=1",
    "/v1/a|b",
    "/v1/models/iris/",
    "/..",
    "/%2e%2e/admin",
    "/%2E/admin",
    "/v1/models/*",
    "/v1/{x}",
    "//",
];
const QUERIES: &[&str] =
    &["", "", "", "", "?x=1", "?x=1&y=a%26b", "?", "#f", "?x=1#f", "?y=/admin"];
const CERTIFICATES: &[&str] = &["", "web", "web", "batch", "dev", "dns", "subject", "two"];
const HEADERS: &[(&str, &[&str])] = &[
    ("x-team", &["red", "blue", "", "red,blue", "Red"]),
    ("user-agent", &["curl/8", "x", ""]),
    ("accept", &["*/*", "text/plain", "text/plain, text/html"]),
    (
        "x-forwarded-for",
        &["10.1.2.3", "192.0.2.7, 10.1.2.3", "nonsense", "::ffff:10.1.2.3", "10.1.2.3,"],
    ),
    (
        "content-type",
        &["application/grpc", "application/json", "application/grpc+proto", "application/grpc-web"],
    ),
    ("x-level", &["3"]),
    ("authorization", &["Basic Zm9v", "Bearer", "Bearer ", "bearer x", "", "Bearer x"]),
    ("x-token", &["Token x", "", "Token ", "x"]),
    ("cookie", &["a=b", "session", "session=", "session=x; session=y", "a=b;id=\"x\""]),
    ("x-payload", &["forged"]),
    ("x_sub", &["eve"]),
    ("x-envoy-original-path", &["/admin"]),
    ("x-forwarded-proto", &["https"]),
];

pub fn ask(dice: &mut Dice, set: &Set, pool: &[Token]) -> Ask {
    let mut ask = Ask {
        method: dice.pick(METHODS).to_owned(),
        path: dice.pick(PATHS).to_owned(),
        host: dice.pick(HOSTS).to_owned(),
        headers: Vec::new(),
        tokens: Vec::new(),
        client: client(dice, set),
    };
    let mut query = dice.pick(QUERIES).to_owned();
    let count = if set.rules.is_empty() { 0 } else { dice.pick(&[0, 0, 1, 1, 1, 1, 1, 1, 2, 3]) };
    for i in 0..count {
        if let Some(token) = pool.get(dice.below(pool.len())) {
            ask.tokens.push(token.clone());
            let rule = dice.pick(&set.rules);
            place(dice, &rule, i, &mut ask, &mut query);
        }
    }
    ask.path += &query;
    for _ in 0..dice.pick(&[0, 0, 1, 1, 2, 3]) {
        if let Some((name, values)) = HEADERS.get(dice.below(HEADERS.len())) {
            ask.headers.push(((*name).to_owned(), dice.pick(values).to_owned()));
        }
    }
    if dice.percent(10) {
        ask.headers.push((dice.pick(&OUTPUTS).to_owned(), "eve".into()));
    }
    if ask.method == "OPTIONS" && dice.percent(60) {
        ask.headers.push(("origin".into(), "https://web.example.com".into()));
        let method = dice.pick(&["POST", "POST", ""]);
        ask.headers.push(("access-control-request-method".into(), method.into()));
    }
    ask
}

fn client(dice: &mut Dice, set: &Set) -> Client {
    if set.tls {
        let certificate = dice.below(CERTIFICATES.len());
        let sni = ["models.example.com", "", "Models.example.com"].get(certificate % 3);
        Client {
            address: 1,
            tls: true,
            certificate: CERTIFICATES.get(certificate).copied().unwrap_or_default().to_owned(),
            sni: sni.copied().unwrap_or_default().to_owned(),
        }
    } else {
        let address = dice.pick(&[0, 1, 2, 3]);
        Client { address, tls: false, certificate: String::new(), sni: String::new() }
    }
}

/// Puts the token where a rule looks for one, or nearly.
fn place(dice: &mut Dice, rule: &Value, index: usize, ask: &mut Ask, query: &mut String) {
    let list = |field: &str| rule.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let (headers, params, cookies) = (list("fromHeaders"), list("fromParams"), list("fromCookies"));
    let anywhere = dice.percent(8);
    let default = headers.is_empty() && params.is_empty() && cookies.is_empty() || anywhere;
    let mut places: Vec<Place> = Vec::new();
    for header in headers {
        let text = |field| header.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        places.push(Place::Header(text("name"), text("prefix")));
    }
    let texts = |list: Vec<Value>| -> Vec<String> {
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    places.extend(texts(params).into_iter().map(Place::Param));
    places.extend(texts(cookies).into_iter().map(Place::Cookie));
    if default {
        places.push(Place::Header("authorization".into(), "Bearer ".into()));
        places.push(Place::Header("authorization".into(), "Bearer ".into()));
        places.push(Place::Param("access_token".into()));
    }
    let token = format!("<{index}>");
    match places.get(dice.below(places.len())) {
        Some(Place::Header(name, prefix)) => {
            let value = match dice.below(24) {
                0 => format!("{}{token}", prefix.to_lowercase()),
                1 => format!("{prefix} {token}"),
                2 => format!("x{prefix}{token}"),
                3 => format!("{prefix}{token},x"),
                4 => format!("{prefix}{token} x"),
                5 => format!("{prefix}\"{token}"),
                6 => format!("{prefix}{token}, {prefix}{token}"),
                7 => format!("{prefix}{token} "),
                _ => format!("{prefix}{token}"),
            };
            ask.headers.push((name.clone(), value));
            if dice.percent(4) {
                ask.headers
                    .push((name.clone(), dice.pick(&["", "x", "Basic x", "Bearer x"]).into()));
            }
        }
        Some(Place::Param(name)) => {
            let name = match dice.below(8) {
                0 => name.replace('t', "%74"),
                _ => name.clone(),
            };
            let mark = if query.starts_with('?') { '&' } else { '?' };
            let (before, fragment) = query.split_at(query.find('#').unwrap_or(query.len()));
            *query = format!("{before}{mark}{name}={token}{fragment}");
        }
        Some(Place::Cookie(name)) => {
            let value = match dice.below(5) {
                0 => format!("a=b; {name}={token}"),
                1 => format!("{name}=\"{token}\""),
                2 => format!("{name}={token};{name}=x"),
                _ => format!("{name}={token}"),
            };
            ask.headers.push(("cookie".into(), value));
        }
        None => {}
    }
}

enum Place {
    Header(String, String),
    Param(String),
    Cookie(String),
}
