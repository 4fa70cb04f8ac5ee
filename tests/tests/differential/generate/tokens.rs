//! Tokens: most of them good for a rule of the set, the others wrong in one way or two.

use serde_json::Value;

use super::rules::ISSUERS;
use crate::keys::ALGORITHMS;
use crate::token::{Spelling, Token};
use testbed::dice::Dice;

/// How many tokens the requests of a set share.
const TOKENS: usize = 10;

/// Ways of spelling a token that neither side takes, or that mean the same to both.
const WRONG: &[Spelling] = &[
    Spelling::Nonsense,
    Spelling::Empty,
    Spelling::Unsigned,
    Spelling::TwoParts,
    Spelling::FourParts,
    Spelling::PlusInSignature,
    Spelling::FlippedSignature,
    Spelling::ShortSignature,
    Spelling::ListPayload,
    Spelling::RepeatedClaim,
    Spelling::NotJson,
];

/// Ways that Envoy takes.
const LENIENT: &[Spelling] = &[
    Spelling::DotBehind,
    Spelling::DotBetween,
    Spelling::DotBefore,
    Spelling::SpaceInHeader,
    Spelling::SpaceInPayload,
    Spelling::SpaceInSignature,
    Spelling::UnusedBitsInPayload,
    Spelling::UnusedBitsInSignature,
    Spelling::PaddedSignature,
    Spelling::CommaInHeader,
    Spelling::CommaInPayload,
    Spelling::NullHeader,
    Spelling::NullPayload,
];

pub fn tokens(dice: &mut Dice, rules: &[Value]) -> Vec<Token> {
    (0..TOKENS).map(|_| token(dice, rules)).collect()
}

fn token(dice: &mut Dice, rules: &[Value]) -> Token {
    let rule = dice.pick(rules);
    let text = |field: &str| rule.get(field).and_then(Value::as_str).map(str::to_owned);
    let issuer = text("issuer").unwrap_or_else(|| ISSUERS[0].0.to_owned());
    let owner = rule.pointer("/jwks/owners/0").and_then(Value::as_str).unwrap_or("a");
    let audience = rule.pointer("/audiences/0").and_then(Value::as_str).unwrap_or("models");
    // The first signs fastest.
    let kinds = if dice.percent(60) { ALGORITHMS.len() } else { 1 };
    let (algorithm, key) =
        ALGORITHMS.get(dice.below(kinds)).map_or(("ES256", "P-256"), |a| (a.name, a.key));
    let quoted = |text: &str| Value::from(text).to_string();
    let mut token = Token {
        header: vec![
            ("alg".into(), quoted(algorithm)),
            ("kid".into(), quoted(key)),
            ("typ".into(), quoted("JWT")),
        ],
        claims: vec![
            ("iss".into(), quoted(&issuer)),
            (
                "sub".into(),
                dice.pick(&[r#""alice""#, r#""bob""#, r#""team/alice""#, r#""""#]).into(),
            ),
            ("aud".into(), audiences(dice, audience)),
            ("exp".into(), "@+3600@".into()),
        ],
        owner: owner.to_owned(),
        algorithm: algorithm.to_owned(),
        spelling: Spelling::Right,
    };
    for (name, percent, values) in CLAIMS {
        if dice.percent(*percent) {
            token.claims.push(((*name).to_owned(), dice.pick(values).to_owned()));
        }
    }
    let faults = dice.pick(&[0, 0, 0, 0, 0, 0, 1, 1, 1, 2]);
    for _ in 0..faults {
        spoil(dice, &mut token);
    }
    token
}

/// Claims that policies and output headers ask for.
const CLAIMS: &[(&str, usize, &[&str])] = &[
    (
        "groups",
        60,
        &[
            r#"["ds","ops"]"#,
            r#"["ops"]"#,
            r#""ds""#,
            r#""ds ops""#,
            "7",
            "[1,\"ds\"]",
            "[]",
            r#"{"ds":true}"#,
            "true",
        ],
    ),
    ("scope", 40, &[r#""read write""#, r#"" ""#, r#""""#, r#"["read"]"#, r#""read""#]),
    (
        "level",
        40,
        &["3", "3.5", "-1", "true", "null", r#""3""#, r#""a b""#, "12345678", "1e3", "0"],
    ),
    (
        "realm",
        40,
        &[
            r#"{"role":"admin","roles":["admin","user"]}"#,
            r#"{"role":["admin"]}"#,
            r#"{"role":{"x":1}}"#,
            r#""admin""#,
            "[{\"role\":\"admin\"}]",
            r#"{"role":"é"}"#,
        ],
    ),
    ("azp", 25, &[r#""web""#, r#"["web"]"#, r#""""#]),
    ("foo.com/name", 20, &[r#""n""#, r#"["n"]"#]),
    ("roles", 20, &[r#""user admin""#, r#"["user"]"#]),
    ("permission", 15, &[r#""a b""#]),
    ("big", 5, &["9007199254740993"]),
];

fn audiences(dice: &mut Dice, audience: &str) -> String {
    let right = Value::from(audience).to_string();
    match dice.below(5) {
        0 => format!("[\"x\",{right}]"),
        1 => format!(
            "\"https://{}/\"",
            audience.trim_start_matches("https://").trim_end_matches('/')
        ),
        _ => right,
    }
}

fn spoil(dice: &mut Dice, token: &mut Token) {
    let mut claim = |name: &str, value: Option<&str>| {
        token.claims.retain(|(n, _)| n != name);
        if let Some(value) = value {
            token.claims.push((name.to_owned(), value.to_owned()));
        }
    };
    match dice.below(15) {
        0 => {
            let times = ["@-3600@", "@-30@", "@-200@", "0", "null", "\"1\"", "-1", "1e30", "@+30@"];
            claim("exp", Some(dice.pick(&times)));
        }
        1 => claim("nbf", Some(dice.pick(&["@+3600@", "@+30@", "@-30@", "true", "0.5", "-0.5"]))),
        2 => claim("iat", Some(dice.pick(&["@+3600@", "\"x\"", "-7", "1.5"]))),
        3 => claim(
            "aud",
            Some(dice.pick(&[r#""nobody""#, "[]", "7", "null", "[1]", r#""models/""#])),
        ),
        4 => claim("aud", None),
        5 => claim("exp", None),
        6 => {
            let issuers = [r#""https://c.example.com""#, "7", "null", r#""""#, r#""me""#];
            claim("iss", Some(dice.pick(&issuers)));
        }
        7 => claim("sub", [None, Some("7"), Some("[]")].get(dice.below(3)).copied().flatten()),
        8 => token.owner = "stranger".into(),
        9 => claim("jti", Some(dice.pick(&["7", r#""x""#]))),
        10 => header(dice, token),
        11 | 12 => token.spelling = WRONG.get(dice.below(WRONG.len())).copied().unwrap_or_default(),
        _ => token.spelling = LENIENT.get(dice.below(LENIENT.len())).copied().unwrap_or_default(),
    }
}

fn header(dice: &mut Dice, token: &mut Token) {
    let mut member = |name: &str, value: Option<&str>| {
        token.header.retain(|(n, _)| n != name);
        if let Some(value) = value {
            token.header.push((name.to_owned(), value.to_owned()));
        }
    };
    match dice.below(8) {
        0 => member("kid", None),
        1 => member("kid", Some(dice.pick(&[r#""unknown""#, "7", "null", r#""""#]))),
        2 => member("alg", Some(dice.pick(&[r#""none""#, "7", "null", r#""""#, r#""rs256""#]))),
        3 => member("alg", None),
        4 => member("crit", Some(dice.pick(&[r#"["exp"]"#, "7"]))),
        5 => {
            // Another algorithm than the signature's.
            let names: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name).collect();
            let name = Value::from(dice.pick(&names)).to_string();
            member("alg", Some(&name));
        }
        6 => member("typ", Some("7")),
        _ => member("b64", Some("false")),
    }
}
