//! What a copy carries, and what never.

use super::super::settings::Credentials;
use super::super::settings::tests::compile;
use super::*;
use proptest::prelude::*;

const SETTINGS: &str = r#"[{"name": "iris-v2", "models": ["*"],
    "cluster": "outbound|8000||iris-v2.prod.svc.cluster.local", "path": null_or_path,
    "headers": {"set": {"X-Shadow": "true"}, "remove": ["x-internal"], "keep": ["x-user"]}}]"#;

fn copy(lines: &[(&str, &str)]) -> Vec<String> {
    let credentials = Credentials {
        headers: vec!["X-Api-Key".into(), "X-Token".into()],
        params: vec!["access_token".into()],
        identity: vec!["x-user".into(), "x-groups".into(), "x-token".into()],
    };
    let settings = SETTINGS.replace(r#" "path": null_or_path,"#, "");
    let shadows = compile(&settings, &credentials).unwrap();
    let model = Model { id: "prod/iris".into(), predictor: None };
    let lines: Vec<Header<'_>> = lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let head = shadows.copy(0, &lines, &model).unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    head.lines().map(|(n, v)| format!("{}: {}", text(n), text(v))).collect()
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
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("x_hop", "1"),
        ("x-internal", "1"),
        ("x-shadow", "forged"),
        ("x-user", "alice"),
        ("x-groups", "ds"),
        ("x-token", "s3cret"),
        ("x_api_key", "s3cret"),
        ("referer", "https://a/?access_token=s3cret"),
        ("accept-encoding", "gzip, br"),
        ("x-modelgate-shadow", "forged"),
    ]);
    assert_eq!(
        copy(&lines),
        [
            ":method: POST",
            ":path: /p?a=1",
            ":authority: iris-v2.prod.svc.cluster.local",
            ":scheme: https",
            "content-type: application/json",
            "x-request-id: r-1",
            "seldon-puid: r-1",
            "x-user: alice",
            "accept-encoding: identity",
            "x-modelgate-shadow: iris-v2",
            "x-shadow: true",
        ]
    );
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
    assert!(shadows.copy(0, &[], &model).is_none());
    assert!(shadows.copy(1, &[], &model).is_none());
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
            "connection",
            "te",
            "upgrade",
            "keep-alive",
            "transfer-encoding",
            "host",
            "expect",
            "proxy_authorization",
            "x-named",
        ])
        .prop_map(str::to_owned),
        "[a-z][a-z_-]{0,12}",
    ]
}

proptest! {
    #[test]
    fn no_credential_ever(
        names in prop::collection::vec(any_name(), 0..24),
        params in prop::collection::vec(("[a-c]{1,2}|access_token|access%5ftoken|%61ccess_token", "[a-z]{0,3}"), 0..6),
    ) {
        let query: Vec<String> = params
            .iter()
            .map(|(n, v)| if n.contains("token") { format!("{n}=s3cret") } else { format!("{n}={v}") })
            .collect();
        let path = format!("/p?{}", query.join("&"));
        let mut lines = vec![(":method", "POST"), (":path", &path), ("connection", "x-named")];
        let open = ["x-user"];
        lines.extend(names.iter().map(|name| {
            let folded = name.replace('_', "-");
            let secret = never_copied(folded.as_bytes())
                || ["x-api-key", "x-token", "x-groups", "x-named"].contains(&folded.as_str());
            (name.as_str(), if secret && !open.contains(&name.as_str()) { "s3cret" } else { "v" })
        }));
        let copied = copy(&lines);
        prop_assert!(copied.iter().all(|line| !line.contains("s3cret")), "{copied:?}");
        let plain = lines.iter().filter(|(_, v)| *v == "v").count();
        prop_assert_eq!(copied.iter().filter(|line| line.ends_with(": v")).count(), plain);
    }
}
