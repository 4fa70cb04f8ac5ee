//! What every field matches.

use super::*;

/// One rule in an ALLOW and in a DENY policy: the ALLOW lets through what the DENY refuses, as long
/// as everything that is asked for can be had.
fn matches(rule: Value, scene: &Scene) -> bool {
    let allow = policies(json!([{"action": "ALLOW", "rules": [rule.clone()]}]));
    let deny = policies(json!([{"action": "DENY", "rules": [rule.clone()]}]));
    let (allow, deny) = (scene.decide(&allow).allowed, scene.decide(&deny).allowed);
    assert_ne!(allow, deny, "{rule}");
    allow
}

/// A field of an operation and its `not` form, for each scene.
fn to(field: &str, not: &str, rows: &[(&str, &Scene, bool)]) {
    pair(rows, |name, value| json!({"to": [{"operation": {name: [value]}}]}), field, not);
}

fn from(field: &str, not: &str, rows: &[(&str, &Scene, bool)]) {
    pair(rows, |name, value| json!({"from": [{"source": {name: [value]}}]}), field, not);
}

fn when(key: &str, rows: &[(&str, &Scene, bool)]) {
    let rule = |name: &str, value: &str| json!({"when": [{"key": key, name: [value]}]});
    pair(rows, rule, "values", "notValues");
}

fn pair(rows: &[(&str, &Scene, bool)], rule: impl Fn(&str, &str) -> Value, field: &str, not: &str) {
    for (value, scene, fits) in rows {
        assert_eq!(matches(rule(field, value), scene), *fits, "{field} {value} {scene:?}");
        assert_eq!(matches(rule(not, value), scene), !fits, "{not} {value} {scene:?}");
    }
}

#[test]
fn methods() {
    let get = &Scene::get("/");
    let rows = [("GET", get, true), ("get", get, false), ("G*", get, true), ("*ET", get, true)];
    to("methods", "notMethods", &rows);
    to("methods", "notMethods", &[("*", get, true), ("POST", get, false)]);
}

#[test]
fn paths_are_matched_without_query_and_fragment() {
    let at = Scene::get;
    to(
        "paths",
        "notPaths",
        &[
            ("/a/b", &at("/a/b"), true),
            ("/a/b", &at("/a/b?x=/c"), true),
            ("/a/b", &at("/a/b#c"), true),
            ("/a/b?x", &at("/a/b?x"), false),
            ("/a/b", &at("/A/b"), false),
            ("/a/*", &at("/a/b"), true),
            ("/a/*", &at("/a"), false),
            ("*/b", &at("/a/b"), true),
            ("*/b", &at("/a/c?/b"), false),
            ("*", &at("/"), true),
            ("*", &at("*"), true),
            ("/a/*/c", &at("/a/b/c"), false),
            ("/a/{*}", &at("/a/b?c"), true),
            ("/a/{*}", &at("/a/b/c"), false),
            ("/a/{**}", &at("/a/b/c"), true),
        ],
    );
}

#[test]
fn hosts_ignore_case_and_keep_the_port() {
    let at = |host| Scene::get("/").with(":authority", host);
    let mut absent = Scene::get("/");
    absent.headers.retain(|(n, _)| n != ":authority");
    to(
        "hosts",
        "notHosts",
        &[
            ("example.com", &at("example.com"), true),
            ("example.com", &at("EXAMPLE.com"), true),
            ("EXAMPLE.com", &at("example.com"), true),
            ("example.com", &at("example.com:8443"), false),
            ("example.com:8443", &at("Example.com:8443"), true),
            ("example.com", &at("example.com."), false),
            ("*.example.com", &at("a.Example.com"), true),
            ("*.example.com", &at("example.com"), false),
            ("example.*", &at("EXAMPLE.org"), true),
            ("*", &at(""), true),
            ("*", &absent, false),
        ],
    );
}

#[test]
fn ports() {
    let scene = &Scene { destination_port: Some(8080), ..Scene::get("/") };
    to("ports", "notPorts", &[("8080", scene, true), ("80", scene, false)]);
    when("destination.port", &[("8080", scene, true), ("80", scene, false)]);
}

#[test]
fn models_are_those_that_are_reached() {
    let iris = &Scene::get("/").address(Some("prod/iris"), Operation::Predict);
    let server = &Scene::get("/").address(None, Operation::Status);
    let outside = &Scene::get("/");
    to(
        "models",
        "notModels",
        &[
            ("prod/iris", iris, true),
            ("prod/*", iris, true),
            ("prod/ir*", iris, true),
            ("*/iris", iris, true),
            ("*", iris, true),
            ("prod/fraud", iris, false),
            ("*", server, false),
            ("prod/iris", server, false),
            ("*", outside, false),
        ],
    );
}

#[test]
fn operations_are_known_wherever_there_is_a_territory() {
    let iris = &Scene::get("/").address(Some("prod/iris"), Operation::Predict);
    let server = &Scene::get("/").address(None, Operation::Status);
    let outside = &Scene::get("/");
    to(
        "operations",
        "notOperations",
        &[
            ("predict", iris, true),
            ("explain", iris, false),
            ("*", iris, true),
            ("status", server, true),
            ("*", server, true),
            ("*", outside, false),
            ("predict", outside, false),
        ],
    );
}

#[test]
fn peers() {
    let iris = &Scene::get("/").peer("spiffe://td/ns/prod/sa/iris");
    let nobody = &Scene::get("/");
    let principals = [
        ("td/ns/prod/sa/iris", iris, true),
        ("td/ns/*", iris, true),
        ("*/sa/iris", iris, true),
        ("*", iris, true),
        ("*", nobody, false),
        ("td/ns/prod/sa/iri", iris, false),
    ];
    from("principals", "notPrincipals", &principals);
    when("source.principal", &principals);
    let namespaces =
        [("prod", iris, true), ("pr*", iris, true), ("pr.d", iris, false), ("*", nobody, false)];
    from("namespaces", "notNamespaces", &namespaces);
    when("source.namespace", &namespaces);
    let accounts =
        [("prod/iris", iris, true), ("dev/iris", iris, false), ("prod/iris", nobody, false)];
    from("serviceAccounts", "notServiceAccounts", &accounts);
    when("source.serviceAccount", &accounts);
}

#[test]
fn service_accounts_are_resolved_by_the_policys_namespace() {
    let rules = json!([{"from": [{"source": {"serviceAccounts": ["iris"]}}],
        "when": [{"key": "source.serviceAccount", "values": ["iris"]}]}]);
    let authorizer = policies(json!([{"namespace": "prod", "rules": rules}]));
    for (peer, allowed) in
        [("spiffe://td/ns/prod/sa/iris", true), ("spiffe://td/ns/dev/sa/iris", false)]
    {
        assert_eq!(Scene::get("/").peer(peer).decide(&authorizer).allowed, allowed, "{peer}");
    }
}

#[test]
fn request_principals() {
    let user = &Scene::get("/").identity("https://idp.example", "u", json!({}));
    let nobody = &Scene::get("/");
    let mut nameless = user.clone();
    nameless.identity.as_mut().unwrap().subject = None;
    let rows = [
        ("https://idp.example/u", user, true),
        ("https://idp.example/*", user, true),
        ("*/u", user, true),
        ("*", user, true),
        ("*", nobody, false),
        ("*", &nameless, false),
        ("https://idp.example/v", user, false),
    ];
    from("requestPrincipals", "notRequestPrincipals", &rows);
    when("request.auth.principal", &rows);
}

#[test]
fn claims() {
    let claims =
        json!({"aud": ["a", "b"], "azp": "p", "n": 1, "g": {"h": ["x"]}, "foo.com/r": "s"});
    let user = &Scene::get("/").identity("i", "s", claims);
    let nobody = &Scene::get("/");
    when("request.auth.audiences", &[("a", user, true), ("c", user, false), ("*", nobody, false)]);
    when("request.auth.presenter", &[("p", user, true), ("q", user, false)]);
    when("request.auth.claims[g][h]", &[("x", user, true), ("y", user, false)]);
    when("request.auth.claims[foo.com/r]", &[("s", user, true)]);
    when("request.auth.claims[n]", &[("1", user, false), ("*", user, false)]);
}

#[test]
fn addresses() {
    let scene = &Scene {
        remote_ip: Some("192.0.2.7".parse().unwrap()),
        destination_ip: Some("2001:db8::1".parse().unwrap()),
        ..Scene::get("/").header("x-forwarded-for", "192.0.2.7, 10.1.2.3")
    };
    let source = [
        ("10.0.0.0/8", scene, true),
        ("10.1.2.3", scene, true),
        ("192.0.2.7", scene, false),
        ("::/0", scene, false),
    ];
    from("ipBlocks", "notIpBlocks", &source);
    when("source.ip", &source);
    let remote = [("192.0.2.0/24", scene, true), ("10.0.0.0/8", scene, false)];
    from("remoteIpBlocks", "notRemoteIpBlocks", &remote);
    when("remote.ip", &remote);
    when("destination.ip", &[("2001:db8::/32", scene, true), ("0.0.0.0/0", scene, false)]);
}

#[test]
fn server_names() {
    let scene = &Scene { sni: Some("a.example".into()), ..Scene::get("/") };
    let plain = &Scene::get("/");
    when(
        "connection.sni",
        &[
            ("a.example", scene, true),
            ("*.example", scene, true),
            ("A.example", scene, false),
            ("*", scene, true),
            ("*", plain, false),
        ],
    );
}

#[test]
fn headers_are_matched_line_by_line() {
    let twice = &Scene::get("/?q").header("x-team", "ds").header("x-team", "ops");
    let joined = &Scene::get("/").header("x-team", "ds,ops");
    let empty = &Scene::get("/").header("x-team", "");
    let none = &Scene::get("/");
    when(
        "request.headers[X-Team]",
        &[
            ("ds", twice, true),
            ("ops", twice, true),
            ("ds,ops", twice, false),
            ("ds", joined, false),
            ("ds*", joined, true),
            ("DS", twice, false),
            ("*", empty, true),
            ("*", none, false),
            ("x", empty, false),
        ],
    );
    when(
        "request.headers[host]",
        &[("models.example", none, true), ("MODELS.example", none, false)],
    );
    when("request.headers[:path]", &[("/?q", twice, true), ("/", twice, false)]);
}

#[test]
fn headers_are_seen_after_authentication() {
    let mut scene = Scene::get("/").header("authorization", "Bearer x").header("x-user", "forged");
    scene.edits.remove(b"authorization");
    scene.edits.set(b"x-user", b"u");
    when("request.headers[authorization]", &[("*", &scene, false)]);
    when("request.headers[x-user]", &[("u", &scene, true), ("forged", &scene, false)]);
}

#[test]
fn a_written_x_forwarded_for_chooses_no_address() {
    let mut scene = Scene::get("/").header("x-forwarded-for", "10.1.2.3");
    scene.edits.set(b"x-forwarded-for", b"192.0.2.1");
    from("ipBlocks", "notIpBlocks", &[("10.1.2.3", &scene, true)]);
}

#[test]
fn values_and_not_values_must_both_hold() {
    let rule =
        json!({"when": [{"key": "request.headers[a]", "values": ["x*"], "notValues": ["xy"]}]});
    for (value, fits) in [("x", true), ("xy", false), ("y", false)] {
        assert_eq!(matches(rule.clone(), &Scene::get("/").header("a", value)), fits, "{value}");
    }
}

#[test]
fn fields_are_anded_and_lists_ored() {
    let rule = json!({
        "from": [{"source": {"requestPrincipals": ["i/a"]}}, {"source": {"requestPrincipals": ["i/b"]}}],
        "to": [{"operation": {"methods": ["GET"], "paths": ["/a", "/b"]}}, {"operation": {"methods": ["POST"]}}],
        "when": [{"key": "request.headers[x]", "values": ["1"]}, {"key": "request.headers[y]", "values": ["1"]}],
    });
    let right = Scene::get("/b").identity("i", "b", json!({})).header("x", "1").header("y", "1");
    assert!(matches(rule.clone(), &right));
    assert!(matches(rule.clone(), &right.clone().with(":method", "POST").with(":path", "/c")));
    for wrong in [
        right.clone().with(":path", "/c"),
        right.clone().with(":method", "PUT"),
        right.clone().identity("i", "c", json!({})),
        right.clone().with("x", "2"),
        right.clone().with("y", "2"),
    ] {
        assert!(!matches(rule.clone(), &wrong), "{wrong:?}");
    }
    assert!(matches(json!({}), &Scene::get("/")));
}

#[test]
fn trust_domains() {
    let iris = &Scene::get("/").peer("spiffe://td/ns/prod/sa/iris");
    let nobody = &Scene::get("/");
    let rows = [
        ("td", iris, true),
        ("t*", iris, true),
        ("*d", iris, true),
        ("*", iris, true),
        ("tda", iris, false),
        ("td", nobody, false),
        ("*", nobody, false),
    ];
    from("trustDomains", "notTrustDomains", &rows);
    when("source.trustDomain", &rows);
    // Beside service accounts, as in Istio.
    let both =
        json!({"from": [{"source": {"trustDomains": ["td"], "serviceAccounts": ["prod/iris"]}}]});
    assert!(matches(both, iris));
}

/// A certificate of which not all names are known: what is looked for may be there.
#[test]
fn names_that_cannot_be_had_are_found_by_what_refuses() {
    let mut scene = Scene::get("/").peer("spiffe://td/ns/prod/sa/iris");
    scene.peer.as_mut().unwrap().all_known = false;
    for (field, value, allow, deny) in [
        ("principals", "td/ns/prod/sa/iris", true, true),
        ("principals", "td/ns/prod/sa/other", false, true),
        ("notPrincipals", "td/ns/prod/sa/other", false, true),
        ("notPrincipals", "td/ns/prod/sa/iris", false, false),
    ] {
        let rule = json!({"from": [{"source": {field: [value]}}]});
        let decide = |action: &str| {
            let policy = json!([{"action": action, "rules": [rule]}]);
            scene.decide(&policies(policy)).policy.is_some()
        };
        assert_eq!((decide("ALLOW"), decide("DENY")), (allow, deny), "{field} {value}");
    }
}

/// Where `source.address` is the peer itself, nothing that stands in `x-forwarded-for` counts; where it
/// is the client, what Envoy appended does, and it appends its own address for 127.0.0.1.
#[test]
fn the_peer_is_found_behind_what_envoy_appends_for_it() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    for (peer, forwarded, destination, source) in [
        (Some("127.0.0.1"), "10.0.0.9", "127.0.0.1", "127.0.0.1"),
        (Some("10.1.2.3"), "10.1.2.3", "10.0.0.9", "10.1.2.3"),
        (None, "192.0.2.1, 10.0.0.9", "127.0.0.1", "127.0.0.1"),
        (None, "192.0.2.1, 127.0.0.2", "127.0.0.1", "127.0.0.2"),
        (None, "192.0.2.1, 10.0.0.9", "::1", "::1"),
        (None, "192.0.2.1, 10.1.2.3", "10.0.0.9", "10.1.2.3"),
    ] {
        let mut scene = Scene::get("/").header("x-forwarded-for", forwarded);
        scene.peer_ip = peer.map(ip);
        scene.destination_ip = Some(ip(destination));
        for value in ["127.0.0.1", "127.0.0.2", "10.0.0.9", "10.1.2.3", "::1"] {
            let rule = json!({"from": [{"source": {"ipBlocks": [value]}}]});
            assert_eq!(matches(rule, &scene), value == source, "{forwarded} {destination} {value}");
        }
        scene.inbound = true;
        let rule = json!([{"rules": [{"from": [{"source": {"ipBlocks": [source]}}]}]}]);
        assert!(!scene.decide(&policies(rule)).allowed, "inbound");
    }
}

/// With one byte more at its end, each of these is still something, and `*` in a DENY finds it.
#[test]
fn a_star_finds_any_bytes_where_it_refuses() {
    let deny = |rule: Value| policies(json!([{"action": "DENY", "rules": [rule]}]));
    let not = policies(json!([{"rules": [{"to": [{"operation": {"notPaths": ["*"]}}]}]}]));
    let rules = [
        json!({"to": [{"operation": {"paths": ["*"]}}]}),
        json!({"to": [{"operation": {"hosts": ["*"]}}]}),
        json!({"to": [{"operation": {"methods": ["*"]}}]}),
        json!({"when": [{"key": "request.headers[x]", "values": ["*"]}]}),
        json!({"when": [{"key": "connection.sni", "values": ["*"]}]}),
        json!({"from": [{"source": {"principals": ["*"]}}]}),
    ];
    let rules: Vec<_> = rules.into_iter().map(deny).collect();
    for byte in 1..=255u8 {
        let value = [b"/x", &[byte][..]].concat();
        let odd = Odd { value: value.clone() };
        let attributes = Attributes::new(&odd);
        let names: [&[u8]; 4] = [b":path", b":authority", b":method", b"x"];
        let headers = names.map(|name| (name, value.as_slice()));
        let request = Request::new(&headers, &attributes);
        let edits = Edits::default();
        let subject = Subject { request: &request, edits: &edits, address: None, identity: None };
        for (i, rule) in rules.iter().enumerate() {
            assert!(rule.decide(&subject, false).policy.is_some(), "{i} {byte:#x}");
        }
        assert!(!not.decide(&subject, false).allowed, "{byte:#x}");
    }
}

/// A connection whose names are these bytes.
struct Odd {
    value: Vec<u8>,
}

impl Host for Odd {
    fn now(&self) -> u64 {
        0
    }
    fn is_inbound(&self) -> bool {
        false
    }
    fn sni(&self) -> Option<Vec<u8>> {
        Some(self.value.clone())
    }
    fn peer(&self) -> Option<Rc<Peer>> {
        let uri_sans = vec![self.value.clone()];
        Some(Rc::new(Peer { uri_sans, ..Peer::named([]) }))
    }
}

#[test]
fn a_star_finds_any_text_of_a_token_where_it_refuses() {
    let scene = Scene::get("/").identity("a\nb", "c\n", json!({"team": "\n"}));
    for rule in [
        json!({"from": [{"source": {"requestPrincipals": ["*"]}}]}),
        json!({"when": [{"key": "request.auth.claims[team]", "values": ["*"]}]}),
    ] {
        let deny = policies(json!([{"action": "DENY", "rules": [rule]}]));
        assert!(scene.decide(&deny).policy.is_some(), "{rule}");
    }
}
