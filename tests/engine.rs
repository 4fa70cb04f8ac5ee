//! The engine through its public face, natively and (`cargo xtask test wasm`) as WebAssembly in Node:
//! what differs there is the size of `usize`, the allocator, and whatever needs a host.
#![cfg(test)]

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use modelgate_engine::config::Errors;
use modelgate_engine::matcher::StringMatch;
use modelgate_engine::pipeline::{Decision, Plan};
use modelgate_engine::request::{Attributes, Header, Host, Request};
use modelgate_engine::routing::Operation;
use serde_json::json;

fn read(text: &str) -> (Option<Plan>, String) {
    let mut errors = Errors::default();
    let plan = Plan::read(text.as_bytes(), &mut errors);
    (plan, errors.to_string())
}

#[test]
fn a_valid_configuration_is_read() {
    let (plan, errors) = read(r#"{"authorization": {"defaultAction": "DENY"}}"#);
    assert!(plan.is_some(), "{errors}");
    assert_eq!(errors, "");
}

#[test]
fn an_empty_configuration_is_refused() {
    for text in ["", " \n", "{}"] {
        let (plan, errors) = read(text);
        assert!(plan.is_none(), "{text:?}");
        assert!(errors.starts_with("pluginConfig: is empty"), "{errors}");
    }
}

#[test]
fn every_error_is_reported_with_its_path() {
    let (plan, errors) = read(
        r#"{"mode": "MAYBE", "shadows": [{"name": 1}], "tokenCache": {},
            "shadowLimits": {"bufferedBytes": "99999999999999999999GiB"}}"#,
    );
    assert!(plan.is_none());
    for path in ["mode: ", "shadows[0].name: ", "tokenCache: ", "shadowLimits.bufferedBytes: "] {
        assert!(errors.lines().any(|line| line.starts_with(path)), "{path} in\n{errors}");
    }
}

#[test]
fn sizes_are_bounded_alike_on_32_and_64_bits() {
    let limit = |size: &str| {
        read(&format!(r#"{{"shadowLimits": {{"bufferedBytes": "{size}"}}}}"#)).0.is_some()
    };
    assert!(limit("1024MiB"));
    for size in ["1025MiB", "4096MiB", "4294967296B", "18446744073709551616B"] {
        assert!(!limit(size), "{size}");
    }
}

#[test]
fn strings_match_as_istio() {
    for (pattern, yes, no) in
        [("a", "a", "ab"), ("a*", "ab", "b"), ("*a", "ba", "ab"), ("*", "a", "")]
    {
        let pattern = StringMatch::new(pattern);
        assert!(pattern.matches(yes.as_bytes()) && !pattern.matches(no.as_bytes()), "{pattern:?}");
    }
}

/// When the tokens of RFC 7515 expire, in seconds since the Unix epoch.
const EXPIRY: u64 = 1_300_819_380;
/// The payload of RFC 7515 A.2 and A.3: `{"iss":"joe","exp":1300819380,"http://example.com/is_root":true}`.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// The header of RFC 7515 A.2, and the signature.
const RS256: (&str, &str) = (
    "eyJhbGciOiJSUzI1NiJ9",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
);
/// The header of RFC 7515 A.3, and the signature.
const ES256: (&str, &str) = (
    "eyJhbGciOiJFUzI1NiJ9",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
);

/// A gateway whose host knows the time and nothing else: the engine itself checks signatures.
struct Clock(u64);

impl Host for Clock {
    fn now(&self) -> u64 {
        self.0 * 1_000_000_000
    }
    fn is_inbound(&self) -> bool {
        false
    }
}

/// Whoever has a token of `joe` may predict with prod/iris, and nobody anything else.
fn plan() -> Plan {
    let keys = json!({"keys": [
        {"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
        {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    ]});
    let settings = json!({
        "authentication": {"jwtRules": [{"issuer": "joe", "jwks": keys.to_string()}]},
        "authorization": {"defaultAction": "DENY", "policies": [{
            "name": "joe",
            "models": ["prod/iris"],
            "rules": [{
                "to": [{"operation": {"operations": ["predict"]}}],
                "when": [{"key": "request.auth.claims[iss]", "values": ["joe"]}],
            }],
        }]},
        "rewrites": [{
            "name": "friendly",
            "match": {"path": "/models/{namespace}/{model}:predict", "methods": ["POST"]},
            "path": "/seldon/{namespace}/{model}/api/v1.0/predictions",
        }],
    });
    let mut errors = Errors::default();
    let plan = Plan::read(settings.to_string().as_bytes(), &mut errors);
    plan.unwrap_or_else(|| panic!("{errors}"))
}

fn token((header, signature): (&str, &str)) -> String {
    format!("{header}.{PAYLOAD}.{signature}")
}

/// What becomes of a POST with this token at this time.
fn post(path: &str, token: &str, now: u64) -> Decision {
    let bearer = format!("Bearer {token}");
    let lines: [Header<'_>; 4] = [
        (b":method", b"POST"),
        (b":path", path.as_bytes()),
        (b":authority", b"models.example.com"),
        (b"authorization", bearer.as_bytes()),
    ];
    let (plan, clock) = (plan(), Clock(now));
    let attributes = Attributes::new(&clock);
    plan.decide(&Request::new(&lines, &attributes), &mut plan.token_cache(), |_| Ok(()))
}

fn answer(decision: &Decision) -> (u32, &str) {
    decision.reply().map_or((0, ""), |reply| (reply.code, reply.body))
}

const FRIENDLY: &str = "/models/prod/iris:predict";

#[test]
fn published_tokens_reach_the_model_by_its_friendly_address() {
    for signed in [RS256, ES256] {
        let decision = post(FRIENDLY, &token(signed), EXPIRY - 1);
        assert_eq!(answer(&decision), (0, ""), "{}", signed.0);
        assert_eq!(decision.facts.model.as_deref(), Some("prod/iris"));
        assert_eq!(decision.facts.operation, Some(Operation::Predict));
        let path: &[u8] = b"/seldon/prod/iris/api/v1.0/predictions";
        let edits = &decision.forward().unwrap().edits;
        assert!(edits.added().any(|(name, value)| name == b":path" && value == path));
        assert!(edits.removed().any(|name| name == b"authorization"));
    }
}

#[test]
fn other_tokens_addresses_and_operations_do_not() {
    let valid = token(ES256);
    let mis_signed = token((ES256.0, RS256.1));
    for (path, token, now, refused) in [
        (FRIENDLY, &valid, EXPIRY + 3600, (401, "Jwt is expired")),
        (FRIENDLY, &mis_signed, EXPIRY - 1, (401, "Jwt verification fails")),
        ("/models/prod/fraud:predict", &valid, EXPIRY - 1, (403, "RBAC: access denied")),
        ("/seldon/prod/iris/prometheus", &valid, EXPIRY - 1, (403, "RBAC: access denied")),
    ] {
        assert_eq!(answer(&post(path, token, now)), refused, "{path} at {now}");
    }
    for path in ["/seldon/prod//iris", "/seldon/prod/iris%2Fx/api/v1.0/predictions"] {
        assert_eq!(answer(&post(path, &valid, EXPIRY - 1)).0, 400, "{path}");
    }
}

#[test]
fn variants_never_change() {
    let settings = json!({
        "authorization": {"defaultAction": "ALLOW"},
        "splits": [{
            "name": "iris-canary",
            "models": ["prod/iris"],
            "stickyBy": "header:x-caller",
            "variants": [{"name": "main", "weight": 75}, {"name": "canary", "weight": 25}],
        }],
    });
    let (plan, errors) = read(&settings.to_string());
    let plan = plan.unwrap_or_else(|| panic!("{errors}"));
    let clock = Clock(0);
    let variant = |caller: u32| {
        let caller = format!("https://idp.example.com/user-{caller}");
        let lines: [Header<'_>; 4] = [
            (b":method", b"POST"),
            (b":path", b"/seldon/prod/iris/api/v1.0/predictions"),
            (b":authority", b"models.example.com"),
            (b"x-caller", caller.as_bytes()),
        ];
        let attributes = Attributes::new(&clock);
        let decision =
            plan.decide(&Request::new(&lines, &attributes), &mut plan.token_cache(), |_| Ok(()));
        let mut added = decision.forward().unwrap().edits.added();
        added.any(|(name, value)| name == b"x-modelgate-variant" && value == b"canary")
    };
    // By an implementation of its own.
    let canary: Vec<u32> = (0..12).filter(|caller| variant(*caller)).collect();
    assert_eq!(canary, [5, 6, 9]);
}
