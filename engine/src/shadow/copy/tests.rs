//! What a copy carries, and what never.

use super::super::settings::Credentials;
use super::super::settings::tests::compile;
use super::*;
use proptest::prelude::*;

fn credentials() -> Credentials {
    Credentials {
        headers: vec!["X-Api-Key".into(), "X-Token".into()],
        params: vec!["access_token".into()],
        identity: vec!["x-user".into(), "x-groups".into(), "x-team".into(), "x-token".into()],
    }
}

/// The copies for a shadow with these further settings, and for its baseline.
fn both(settings: &str, lines: &[(&str, &str)]) -> [Vec<String>; 2] {
    let settings = format!(
        r#"[{{"name": "iris-v2", "models": ["*"], "cluster": "outbound|8000||iris-v2.prod.svc",
            "compare": {{"baselineCluster": "outbound|8000||iris.prod.svc"}}, {settings}}}]"#
    );
    let shadows = compile(&settings, &credentials()).unwrap();
    let model = Model { id: "prod/iris".into(), predictor: None };
    let lines: Vec<Header<'_>> = lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    [0, 1].map(|shadow| {
        let head = shadows.prepare_copy(ShadowId::new(shadow), &lines, &model, 0).unwrap();
        head.lines().map(|(n, v)| format!("{}: {}", text(n), text(v))).collect()
    })
}

const SETTINGS: &str = r#""query": {"keep": ["a"]},
    "headers": {"set": {"X-Shadow": "true", "Authorization": "Bearer own"},
                "remove": ["x-internal", "accept-language"],
                "keep": ["x-user", "x-shop-*", "x-te*", "x-internal"]}"#;

fn copy(lines: &[(&str, &str)]) -> Vec<String> {
    let [shadow, _] = both(SETTINGS, lines);
    shadow
}

const BASE: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "gateway"),
    (":path", "/p?access_token=s3cret&a=1"),
];

#[test]
fn carries_what_a_model_needs_and_no_more() {
    let mut lines = BASE.to_vec();
    lines.extend([
        ("content-type", "application/json"),
        ("content-length", "12"),
        ("x-request-id", "r-1"),
        ("seldon-puid", "r-1"),
        ("te", "trailers"),
        ("connection", "close, X-Hop, B3"),
        ("b3", "0"),
        ("x-hop", "1"),
        ("x_hop", "1"),
        ("x-internal", "1"),
        ("accept", "application/json"),
        ("accept-language", "cy"),
        ("x-shadow", "forged"),
        ("x-user", "alice"),
        ("x-groups", "ds"),
        ("x-team", "vision"),
        ("x-tenant", "blue"),
        ("x-shop-cart", "1"),
        ("x_shop_cart", "2"),
        ("x-token", "s3cret"),
        ("x_api_key", "s3cret"),
        ("authorization", "Bearer s3cret"),
        ("referer", "https://a/?access_token=s3cret"),
        ("accept-encoding", "gzip, br"),
        ("x-modelgate-shadow", "forged"),
        ("baggage", "user=alice"),
        ("x-note", "1"),
    ]);
    let [shadow, baseline] = both(SETTINGS, &lines);
    let mark = |line: &String| line.starts_with("x-modelgate-shadow: iris-v2");
    let common = [
        "content-type: application/json",
        "x-request-id: r-1",
        "seldon-puid: r-1",
        "accept: application/json",
        "x-user: alice",
        "x-tenant: blue",
        "x-shop-cart: 1",
        "x_shop_cart: 2",
        "accept-encoding: identity",
    ];
    let head = [":method: POST", ":path: /p?a=1", ":authority: iris-v2.prod.svc", ":scheme: https"];
    let own = ["authorization: Bearer own", "x-shadow: true"];
    let (marks, lines): (Vec<String>, Vec<String>) = shadow.into_iter().partition(mark);
    assert_eq!(lines, [&head[..], &common, &own].concat());
    assert!(marks.len() == 1 && marks.iter().all(|mark| mark.contains(": iris-v2;")), "{marks:?}");
    // The live model gets the same, but nothing that is set for the shadow: it may choose the shadow's model.
    let head = [":method: POST", ":path: /p?a=1", ":authority: iris.prod.svc", ":scheme: https"];
    let (marks, lines): (Vec<String>, Vec<String>) = baseline.into_iter().partition(mark);
    assert_eq!(lines, [&head[..], &common].concat());
    assert!(marks.iter().all(|mark| mark.contains(": iris-v2/baseline;")), "{marks:?}");
}

/// Headers by which credentials and identities travel that no rule names, and places of tokens in a
/// query.
#[test]
fn nobody_has_to_know_the_names_of_credentials() {
    let names = [
        "x-api-key",
        "api-key",
        "ocp-apim-subscription-key",
        "x-goog-api-key",
        "x-auth-token",
        "x-access-token",
        "x-id-token",
        "x-forwarded-access-token",
        "x-forwarded-authorization",
        "x-auth-request-access-token",
        "x-amzn-oidc-accesstoken",
        "x-amzn-oidc-data",
        "x-amz-security-token",
        "x-goog-iap-jwt-assertion",
        "cf-access-jwt-assertion",
        "x-ms-token-aad-access-token",
        "dpop",
        "private-token",
        "x-vault-token",
        "x-client-cert",
        "x-forwarded-user",
        "x-forwarded-email",
        "kubeflow-userid",
        "x-forwarded-path",
        "x-original-path",
        "authorization",
        "proxy-authorization",
        "proxy_authorization",
        "cookie",
        "x-forwarded-client-cert",
        "referer",
        "x-original-url",
        "x-forwarded-uri",
        "x-forwarded-for",
        "forwarded",
        "baggage",
        "user-agent",
        "grpc-tags-bin",
        "grpc-metadata-authorization",
        "origin",
        "x_request_id",
        "x-envoy-peer-metadata",
    ];
    for name in names {
        let lines = [(":method", "POST"), (":path", "/p"), (name, "s3cret")];
        for copy in both(r#""percent": 1"#, &lines) {
            assert!(copy.iter().all(|line| !line.contains("s3cret")), "{name}: {copy:?}");
        }
    }
    for query in ["access_token", "api_key", "key", "token", "sig", "code", "x", "%61"] {
        let path = format!("/p?{query}=s3cret&{query}");
        for copy in both(r#""percent": 1"#, &[(":method", "POST"), (":path", &path)]) {
            assert_eq!(copy.get(1).map(String::as_str), Some(":path: /p"));
        }
    }
}

#[test]
fn what_a_copy_carries_by_itself() {
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-encoding", "gzip"),
        ("inference-header-content-length", "145"),
        ("accept", "application/json"),
        ("accept-language", "cy"),
        ("ce-id", "1"),
        ("ce-type", "org.kubeflow.serving.inference.request"),
        ("grpc-timeout", "1S"),
        ("grpc-encoding", "gzip"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=b"),
        ("b3", "0"),
        ("x-b3-traceid", "1"),
        ("x-b3-spanid", "2"),
        ("x-b3-parentspanid", "3"),
        ("x-b3-sampled", "1"),
        ("x-b3-flags", "1"),
        ("x-request-id", "r"),
        ("seldon-puid", "r"),
        ("seldon", "iris"),
        ("namespace", "prod"),
        ("seldon-model", "iris"),
        ("x-seldon-route", ":iris_1:"),
    ] {
        let lines = [(":method", "POST"), (":path", "/p"), (name, value)];
        for copy in both(r#""percent": 1"#, &lines) {
            assert!(copy.contains(&format!("{name}: {value}")), "{name}: {copy:?}");
        }
    }
}

#[test]
fn a_baseline_may_have_a_path_of_its_own() {
    let lines = [(":method", "POST"), (":path", "/p?a=1&b=2")];
    let settings = r#""path": "/x/{model}", "query": {"keep": ["b"]},
        "compare": {"baselineCluster": "live", "baselinePath": "/v1/{model}"}"#;
    let settings = format!(r#"[{{"name": "s", "models": ["*"], "cluster": "c", {settings}}}]"#);
    let shadows = compile(&settings, &credentials()).unwrap();
    let model = Model { id: "prod/iris".into(), predictor: None };
    let lines: Vec<Header<'_>> = lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let paths = [0, 1].map(|shadow| {
        let head = shadows.prepare_copy(ShadowId::new(shadow), &lines, &model, 0).unwrap();
        head.lines().nth(1).map(|(_, path)| String::from_utf8_lossy(path).into_owned())
    });
    assert_eq!(paths.map(Option::unwrap), ["/x/iris?b=2", "/v1/iris?b=2"]);
}

#[test]
fn grpc_keeps_its_trailers() {
    let mut lines = BASE.to_vec();
    lines.extend([("content-type", "application/grpc"), ("te", "trailers")]);
    assert!(copy(&lines).contains(&"te: trailers".to_owned()));
}

#[test]
fn without_a_path_there_is_no_copy() {
    let shadows =
        compile(r#"[{"name": "a", "models": ["*"], "cluster": "c"}]"#, &Credentials::default())
            .unwrap();
    let model = Model { id: "prod/iris".into(), predictor: None };
    assert!(shadows.prepare_copy(ShadowId::new(0), &[], &model, 0).is_none());
    assert!(shadows.prepare_copy(ShadowId::new(1), &[], &model, 0).is_none());
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-forwarded-client-cert",
            "x-envoy-peer-metadata",
            "x-api-key",
            "x_api_key",
            "x-token",
            "x-groups",
            "x_groups",
            "x-team",
            "connection",
            "te",
            "upgrade",
            "keep-alive",
            "transfer-encoding",
            "host",
            "expect",
            "proxy_authorization",
            "x-named",
            "x-shop-named",
            "x-shop-a",
            "x-internal",
            "x-user",
            "content-type",
            "accept",
            "traceparent",
            "x-tea",
            "x_te",
        ])
        .prop_map(str::to_owned),
        "[a-z][a-z_-]{0,12}",
    ]
}

proptest! {
    /// A second reading of what may be carried: what is not on this list is a secret.
    #[test]
    fn nothing_but_what_is_named(
        names in prop::collection::vec(any_name(), 0..24),
        params in prop::collection::vec(("[a-c]{1,2}|access_token|access%5ftoken|%61", "[a-z]{0,3}"), 0..6),
    ) {
        let query: Vec<String> = params
            .iter()
            .map(|(n, v)| if ["a", "%61"].contains(&n.as_str()) { format!("{n}={v}") } else { format!("{n}=s3cret") })
            .collect();
        let path = format!("/p?{}", query.join("&"));
        let mut lines = vec![(":method", "POST"), (":path", &path), ("connection", "x-shop-named")];
        lines.extend(names.iter().map(|name| {
            let folded = name.replace('_', "-");
            let own = ["content-type", "accept", "traceparent", "b3", "seldon", "namespace"];
            let plain = own.contains(&name.as_str())
                || folded == "x-user"
                || (folded.starts_with("x-shop-") && folded != "x-shop-named")
                || (folded.starts_with("x-te") && folded != "x-team");
            (name.as_str(), if plain { "v" } else { "s3cret" })
        }));
        let copied = copy(&lines);
        prop_assert!(copied.iter().all(|line| !line.contains("s3cret")), "{copied:?}");
        let plain = lines.iter().filter(|(_, v)| *v == "v").count();
        prop_assert_eq!(copied.iter().filter(|line| line.ends_with(": v")).count(), plain);
    }
}
