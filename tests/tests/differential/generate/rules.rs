//! `jwtRules`.

use serde_json::{Value, json};

use testbed::dice::Dice;

/// Issuers that rules are for, and the owner of their keys.
pub const ISSUERS: [(&str, &str); 3] =
    [("https://a.example.com", "a"), ("https://b.example.com/", "b"), ("me", "a")];

/// Headers that rules write, and no rule reads.
pub const OUTPUTS: [&str; 5] = ["x-sub", "x-groups", "x-level", "x-deep", "x-team"];

const PAYLOADS: [&str; 2] = ["x-payload", "x-payload-2"];

pub fn rules(dice: &mut Dice) -> Vec<Value> {
    let count = dice.pick(&[0, 1, 1, 1, 1, 2, 2, 3]);
    let first = dice.below(ISSUERS.len());
    let issuers = ISSUERS.iter().cycle().skip(first).take(count);
    issuers.map(|(issuer, owner)| rule(dice, issuer, owner)).collect()
}

fn rule(dice: &mut Dice, issuer: &str, owner: &str) -> Value {
    let owners = if dice.percent(15) { vec!["b", "a"] } else { vec![owner] };
    let mut rule = json!({
        "issuer": issuer,
        "jwks": {"owners": owners, "kid": dice.percent(60), "alg": dice.percent(30)},
    });
    let mut give = |field: &str, value: Value| {
        if let Some(rule) = rule.as_object_mut() {
            rule.insert(field.to_owned(), value);
        }
    };
    if dice.percent(40) {
        let audiences = ["models", "https://models/", "http://other.example.com"];
        give("audiences", json!(dice.some(&audiences, 1, 2)));
    }
    if dice.percent(45) {
        let places = [
            json!({"name": "Authorization", "prefix": "Bearer "}),
            json!({"name": "x-token"}),
            json!({"name": "x-token", "prefix": "Token "}),
            // Before it by its name and prefix in one, behind it by its name.
            json!({"name": "x-token-2"}),
            json!({"name": "x-jwt", "prefix": "v="}),
            json!({"name": "authorization"}),
        ];
        let count = dice.pick(&[1, 1, 2]);
        let headers: Vec<Value> = (0..count).map(|_| dice.pick(&places)).collect();
        give("fromHeaders", json!(headers));
    }
    if dice.percent(25) {
        give("fromParams", json!(dice.some(&["token", "access_token", "jwt"], 1, 2)));
    }
    if dice.percent(15) {
        give("fromCookies", json!(dice.some(&["session", "id"], 1, 2)));
    }
    if dice.percent(30) {
        give("outputPayloadToHeader", json!(dice.pick(&PAYLOADS)));
    }
    if dice.percent(50) {
        let claims = [
            ("sub", OUTPUTS[0]),
            ("groups", OUTPUTS[1]),
            ("level", OUTPUTS[2]),
            ("realm.role", OUTPUTS[3]),
            ("realm", OUTPUTS[3]),
            ("scope", OUTPUTS[4]),
        ];
        let (count, first) = (dice.pick(&[1, 2, 4]), dice.below(claims.len()));
        let mut used = Vec::new();
        let mut outputs = Vec::new();
        for (claim, header) in claims.iter().cycle().skip(first).take(count) {
            if !used.contains(header) {
                used.push(header);
                outputs.push(json!({"header": header, "claim": claim}));
            }
        }
        give("outputClaimToHeaders", json!(outputs));
    }
    if dice.percent(35) {
        give("forwardOriginalToken", json!(true));
    }
    if dice.percent(15) {
        give("spaceDelimitedClaims", json!(dice.some(&["roles", "level", "groups"], 1, 2)));
    }
    rule
}
