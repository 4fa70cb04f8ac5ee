//! `modelgate decide` as one runs it: what it decides, what it says of it, and what it never shows.
#![cfg(test)]

mod support;
#[path = "support/tokens.rs"]
mod tokens;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::{Outcome, modelgate, root};
use tokens::{jwks, token};

const UNREADABLE: i32 = 2;

/// Everything that has a say, in one configuration.
fn settings() -> Value {
    json!({
        "exclude": {"hosts": ["grafana.example.com"]},
        "authentication": {
            "jwtRules": [
                {"issuer": "https://a.example.com", "jwks": jwks(), "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}]},
                {"issuer": "https://b.example.com", "jwksUri": "https://b.example.com/keys", "jwksCluster": "outbound|443||b.example.com"},
            ],
            // The SHA-256 of a key of these tests.
            "apiKeys": {"keys": [{"name": "batch", "sha256": "46dd7df58ec5bba2f35a5a8f5a6c0adb7e7a37efe2d9e4d0aa1a9ee3ee2e1f24"}]},
        },
        "bypass": [{"name": "docs", "to": [{"operation": {"operations": ["docs"]}}]}],
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "interns", "action": "DENY", "rules": [{"when": [{"key": "request.auth.claims[groups]", "values": ["interns"]}]}]},
            {"name": "inside", "action": "DENY", "models": ["prod/secret"], "rules": [{"from": [{"source": {"notIpBlocks": ["10.0.0.0/8"]}}]}]},
            {"name": "ds", "models": ["prod/iris"], "rules": [{
                "from": [{"source": {"requestPrincipals": ["*"]}}],
                "to": [{"operation": {"operations": ["predict"]}}],
                "when": [{"key": "request.headers[x-team]", "values": ["red"]}],
            }]},
            {"name": "llm", "models": ["llm/small"], "rules": [{}]},
            {"name": "secret", "models": ["prod/secret"], "rules": [{}]},
        ]},
        "targets": {"families": ["seldon-v1", "openai"], "openai": [{"namespace": "llm", "hosts": ["llm.example.com"]}]},
        "rewrites": [{"name": "friendly", "match": {"path": "/models/{namespace}/{model}:predict"}, "path": "/seldon/{namespace}/{model}/api/v1.0/predictions"}],
        "splits": [{"name": "canary", "models": ["prod/iris"], "stickyBy": "principal", "variants": [{"name": "main", "weight": 1}]}],
        "shadows": [{"name": "iris-v2", "models": ["prod/iris"], "cluster": "outbound|8000||iris-v2.prod.svc.cluster.local"}],
        "quotas": [
            {"name": "team", "models": ["prod/iris"], "requests": 60, "tokens": 5000, "by": "claim:team", "perModel": true, "window": "60s"},
            {"name": "free", "models": ["prod/*"], "requests": 5, "when": [{"key": "request.auth.claims[tier]", "values": ["free"]}]},
        ],
    })
}

fn decide(arguments: &[&str]) -> Outcome {
    modelgate(&[&["decide", "-"], arguments].concat(), &settings().to_string())
}

const PREDICT: &str = "/seldon/prod/iris/api/v1.0/predictions";
const ALICE: &str = r#"{"sub": "alice"}"#;

#[test]
fn every_stage_is_told_with_its_reason() {
    for (arguments, status, told) in [
        (
            &[
                "--path",
                "/models/prod/iris:predict",
                "--method",
                "POST",
                "--claims",
                ALICE,
                "--header",
                "x-team: red",
            ][..],
            0,
            &[
                "rewrite       \u{2713} friendly: applies",
                "path /seldon/prod/iris/api/v1.0/predictions",
                "address       prod/iris, predict (seldon-v1)",
                "NOT CHECKED",
                "\u{b7} DENY interns: no rule matches",
                "when request.auth.claims[groups]: wants interns; had nothing",
                "\u{2713} ALLOW ds: rule 0 matches: allowed",
                "variant       \u{2713} canary: main in x-modelgate-variant, by the principal https://a.example.com/alice",
                "quotas        \u{2713} team: at most 60 requests and 5000 tokens in 60 s",
                "by claim:[team], which is not there: counted with all who lack it, for each model",
                "\u{b7} free: its conditions do not hold",
                "shadows       \u{2713} iris-v2: gets a copy",
                "- authorization (authentication)",
                "+ x-user: alice (authentication)",
                "+ x-modelgate-variant: main (split)",
                "answer        allowed by ds, rule 0: it goes on",
            ][..],
        ),
        (
            &[
                "--path",
                PREDICT,
                "--method",
                "POST",
                "--claims",
                ALICE,
                "--header",
                "x-team: blue",
                "--header",
                "X_User: eve",
            ],
            1,
            &[
                "x_user is taken off: it is for claims, which only the gateway writes",
                "when request.headers[x-team]: wants red; had blue",
                "answer        denied: 403 RBAC: access denied",
            ],
        ),
        (
            &["--path", "/seldon/prod/iris/prometheus", "--claims", ALICE],
            1,
            &[
                "prod/iris, metrics, which only its name opens",
                "to[0].operation.operations: wants predict; had metrics",
                "opened by a rule that names them",
            ],
        ),
        (
            &["--path", "/seldon/prod/iris/api/v1.0/doc/"],
            0,
            &["\u{2713} docs", "answer        bypassed by docs"],
        ),
        (
            &["--path", "https://grafana.example.com/x"],
            0,
            &["excluded      the host is one of exclude.hosts", "answer        excluded"],
        ),
        (
            &["--path", "/seldon/prod/iris%2Fx/predict"],
            1,
            &["no server may see it", "answer        refused: 400"],
        ),
        // What is not given cannot be had, and a DENY holds then.
        (
            &["--path", "/seldon/prod/secret/predict", "--method", "POST"],
            1,
            &["DENY inside: rule 0 matches: denied", "denied by inside, rule 0"],
        ),
        (
            &["--path", "/seldon/prod/secret/predict", "--method", "POST", "--ip", "10.1.2.3"],
            0,
            &["allowed by secret"],
        ),
        (
            &[
                "--path",
                "https://llm.example.com/v1/chat/completions",
                "--body",
                r#"{"model": "small"}"#,
            ],
            0,
            &["allowed by llm, rule 0; the body names small"],
        ),
        (
            &[
                "--path",
                "https://llm.example.com/v1/chat/completions",
                "--body",
                r#"{"model": "large"}"#,
            ],
            1,
            &["llm/large, predict", "answer        denied"],
        ),
        (
            &["--path", "https://llm.example.com/v1/chat/completions", "--body", "{}"],
            1,
            &["the body names no model"],
        ),
        (
            &[
                "--curl",
                "curl -X POST https://x.example.com/seldon/prod/iris/api/v1.0/predictions -H 'x-team: red' -u a:b",
                "--claims",
                ALICE,
            ],
            0,
            &["request       POST /seldon/prod/iris/api/v1.0/predictions on x.example.com"],
        ),
        (
            &[
                "--access-log",
                r#"{"start_time": "2026-11-28T20:00:00Z", "method": "POST", "path": "/seldon/prod/iris/predict", "authority": "m"}"#,
            ],
            1,
            &[
                "credentials   none, at any of these places: header authorization \"Bearer \", parameter access_token, API key in header x-api-key",
            ],
        ),
        (
            &["--path", PREDICT, "--key", "nobodys"],
            1,
            &["API key", "answer        unauthenticated: 401"],
        ),
    ] {
        let outcome = decide(arguments);
        assert_eq!(outcome.status, status, "{arguments:?}: {}{}", outcome.stdout, outcome.stderr);
        for text in told {
            assert!(outcome.stdout.contains(text), "{arguments:?}: {text} in\n{}", outcome.stdout);
        }
        let as_json = decide(&[arguments, &["--format", "json"]].concat());
        assert_eq!(as_json.status, status, "{arguments:?}");
        let document: Value = serde_json::from_str(&as_json.stdout).expect("JSON");
        assert_eq!(document["allowed"], status == 0, "{document:#}");
        assert!(outcome.stdout.contains(document["decision"].as_str().expect("a word")));
    }
}

/// Names of fields, but for those of claims, at any depth.
fn fields(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                found.push(name.clone());
                if name != "claims" {
                    fields(member, found);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn the_page_names_every_field() {
    let page = std::fs::read_to_string(root().join("docs/decide.md")).expect("a page");
    let page = page.split_once("## JSON").expect("a section").1;
    let mut found = Vec::new();
    for arguments in [
        &[
            "--path",
            "/models/prod/iris:predict",
            "--method",
            "POST",
            "--claims",
            ALICE,
            "--header",
            "x-team: red",
            "--header",
            "x-user: eve",
        ][..],
        &["--path", PREDICT, "--key", "nobodys"],
        &["--path", "https://llm.example.com/v1/chat/completions", "--body", "{}"],
        &["--path", "/seldon/prod/secret/predict"],
    ] {
        let told = decide(&[arguments, &["--format", "json"]].concat()).stdout;
        fields(&serde_json::from_str(&told).expect("JSON"), &mut found);
    }
    found.sort_unstable();
    found.dedup();
    assert!(found.len() > 60, "{found:?}");
    let is_named = |name: &String| {
        page.contains(&format!("`{name}`"))
            || page.contains(&format!(".{name}`"))
            || page.contains(&format!("\"{name}\""))
    };
    let missing: Vec<&String> = found.iter().filter(|name| !is_named(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn bad_input_is_told_precisely() {
    for (arguments, told) in [
        (
            &["--path", "/x", "--header", "x-team"][..],
            "--header: there is no name, or no colon behind it: NAME: VALUE",
        ),
        (&["--path", "/x", "--token", "abc"], "--token: it is no JSON Web Token"),
        (&["--path", "/x", "--token", "@no/such/file"], "no/such/file"),
        (&["--path", "/x", "--claims", "[]"], "--claims: they are no JSON object"),
        (&["--path", "/x", "--at", "noon"], "--at: noon is not a time"),
        (&["--path", "/x", "--ip", "10.0.0.0/8"], "--ip"),
        (
            &["--path", "/x", "--jwks", "https://c.example.com=jwks.json"],
            "keys of https://c.example.com are not fetched",
        ),
        (&["--path", "/x", "--jwks", "jwks.json"], "ISSUER=FILE"),
        (&["--path", "/x\ny"], "holds a character that no proxy takes"),
        (
            &[
                "--path",
                "https://llm.example.com/v1/chat/completions",
                "--method",
                "POST",
                "--header",
                "content-type: application/json",
            ],
            "give it with --body",
        ),
        (&["--curl", "wget x"], "--curl: it does not begin with curl"),
        (&["--access-log", "{}"], "--access-log: it tells of no request"),
        (
            &["--path", "/x", "--resource", "other"],
            "standard input holds no other: there are a pluginConfig",
        ),
        (&["--path", "/x", "--gateway", "localhost"], "it is no address"),
        (&[], "--path"),
    ] {
        let outcome = decide(arguments);
        assert_eq!(outcome.status, UNREADABLE, "{arguments:?}: {}", outcome.stdout);
        assert!(outcome.stderr.contains(told), "{arguments:?}: {told} in\n{}", outcome.stderr);
    }
    let refused =
        modelgate(&["decide", "-", "--path", "/"], "authorization: {defaultAction: MAYBE}");
    assert_eq!(refused.status, UNREADABLE);
    assert!(refused.stderr.contains("--> standard input:1:32"), "{}", refused.stderr);
}

#[test]
fn one_of_several_configurations_is_chosen() {
    let plugin = |name: &str, action: &str| {
        format!(
            "kind: WasmPlugin\nmetadata: {{name: {name}}}\nspec:\n  pluginConfig: &{name}\n    authorization: {{defaultAction: {action}}}\n"
        )
    };
    let both =
        format!("{}---\n{}---\nkind: Service\n", plugin("one", "ALLOW"), plugin("two", "DENY"));
    for (name, status) in [("one", 0), ("two", 1)] {
        let arguments = ["decide", "-", "--path", "/x", "--resource", name];
        assert_eq!(modelgate(&arguments, &both).status, status, "{name}");
    }
    let outcome = modelgate(&["decide", "-", "--path", "/x"], &both);
    assert_eq!(outcome.status, UNREADABLE);
    assert!(
        outcome.stderr.contains("--resource which one: WasmPlugin one, WasmPlugin two"),
        "{}",
        outcome.stderr
    );
}

/// A file of this test alone.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("modelgate-decide-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("a file");
    path
}

#[test]
fn signatures_are_checked_where_keys_are_at_hand() {
    let red = ["--path", PREDICT, "--method", "POST", "--header", "x-team: red", "--token"];
    let of = |issuer: &str| token(&json!({"iss": issuer, "sub": "alice"}));
    let forged = |token: &str| format!("{}AAAA", token.get(..token.len() - 4).expect("a token"));
    let set = file("jwks.json", &jwks());
    let other = format!("https://b.example.com={}", set.display());
    let (a, b) = (of("https://a.example.com"), of("https://b.example.com"));
    for (token, more, status, told) in [
        (a.clone(), &[][..], 0, "verified"),
        (forged(&a), &[], 1, "Jwt verification fails (bad_signature)"),
        // Those of the configuration are never assumed.
        (forged(&a), &["--assume-verified"], 1, "Jwt verification fails"),
        (b.clone(), &[], 1, "Jwks remote fetch is failed (keys_unavailable)"),
        (b.clone(), &["--jwks", &other], 0, "verified"),
        (forged(&b), &["--jwks", &other], 1, "Jwt verification fails"),
        (forged(&b), &["--assume-verified"], 0, "accepted, its signature NOT CHECKED"),
        (of("https://c.example.com"), &["--assume-verified"], 1, "Jwt issuer is not configured"),
        (
            token(&json!({"iss": "https://a.example.com", "sub": "alice", "exp": 1_795_896_000})),
            &["--at", "2026-11-28T20:05:00Z"],
            1,
            "Jwt is expired",
        ),
        (
            token(&json!({"iss": "https://a.example.com", "sub": "alice", "exp": 1_795_896_000})),
            &["--at", "2026-11-28T19:55:00Z"],
            0,
            "verified",
        ),
    ] {
        let outcome = decide(&[&red[..], &[&token], more].concat());
        assert_eq!(outcome.status, status, "{more:?}: {}{}", outcome.stdout, outcome.stderr);
        assert!(outcome.stdout.contains(told), "{more:?}: {told} in\n{}", outcome.stdout);
    }
    std::fs::remove_file(set).expect("the file");
}

#[test]
fn credentials_are_never_shown() {
    let token = token(&json!({"iss": "https://a.example.com", "sub": "alice"}));
    let signature = token.rsplit('.').next().expect("a token");
    let query = format!("{PREDICT}?access_token={token}&x=1");
    let bearer = format!("authorization: Bearer {token}");
    let mut config = settings();
    config["authorization"]["policies"][2]["rules"][0]["when"] = json!([
        {"key": "request.headers[authorization]", "values": ["Bearer wanted-secret"]},
        {"key": "request.headers[cookie]", "values": ["session=wanted-secret"]},
        {"key": "request.headers[:path]", "values": ["/nowhere"]},
    ]);
    config["rewrites"] = json!([{"name": "r", "match": {"path": "/{rest=**}"}, "setHeaders": {"x-backend-token": "set-secret"}}]);
    for format in ["text", "json"] {
        for credentials in [
            &["--path", &query][..],
            &["--path", PREDICT, "--header", &bearer],
            &["--path", PREDICT, "--header", "cookie: session=cookie-secret"],
            &["--path", PREDICT, "--key", "key-secret"],
            &["--path", &format!("{query}x&q=query-secret")],
            &["--path", "https://user:user-secret@models.example.com/x"],
            &["--path", "/x", "--host", "user:user-secret@models.example.com"],
            &["--path", PREDICT, "--header", "authorization: Basic basic-secret"],
        ] {
            let arguments =
                [&["decide", "-", "--method", "POST", "--format", format], credentials].concat();
            let outcome = modelgate(&arguments, &config.to_string());
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(!said.is_empty());
            for secret in ["-secret", signature] {
                assert!(!said.contains(secret), "{credentials:?}: {secret} in\n{said}");
            }
        }
    }
}

/// A server that gives one answer, whatever it is asked, with its own address for URL; what it was asked.
fn gateway(answer: &str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = answer.replace("URL", &url);
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
            request.extend(byte);
        }
        stream.write_all(answer.as_bytes()).expect("an answer");
        String::from_utf8(request).expect("UTF-8")
    });
    (url, asked)
}

#[test]
fn a_gateway_is_asked_the_same_and_differences_are_marked() {
    let denied = "HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\n\r\nRBAC: access denied";
    let answered =
        "HTTP/1.1 200 OK\r\nx-envoy-upstream-service-time: 3\r\ncontent-length: 2\r\n\r\n{}";
    let path = ["--path", "/seldon/prod/other/predict?x=1", "--host", "models.example.com"];
    for (answer, status, marked) in [(denied, 1, 0), (answered, 1, 3)] {
        let (url, asked) = gateway(answer);
        let outcome = decide(&[&path[..], &["--header", "x-a: b", "--gateway", &url]].concat());
        assert_eq!(outcome.status, status, "{}{}", outcome.stdout, outcome.stderr);
        let differ = outcome.stdout.lines().filter(|line| line.starts_with('\u{2260}')).count();
        assert_eq!(differ, marked, "{}", outcome.stdout);
        let asked = asked.join().expect("a request");
        assert!(asked.starts_with("GET /seldon/prod/other/predict?x=1 HTTP/1.1\r\n"), "{asked}");
        for line in ["host: models.example.com\r\n", "x-a: b\r\n"] {
            assert!(asked.to_ascii_lowercase().contains(line), "{asked}");
        }
    }
    // Without a host of its own the request has the gateway's, which is in the challenge.
    let refused = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm=\"URL/seldon/prod/iris/predict\", \
                   error=\"invalid_token\"\r\ncontent-length: 22\r\n\r\nJwt verification fails";
    let good = token(&json!({"iss": "https://a.example.com", "sub": "alice"}));
    for (host, marked) in [(&[][..], 0), (&["--host", "models.example.com"], 1)] {
        let (url, asked) = gateway(refused);
        let forged = format!("{}AAAA", good.get(..good.len() - 4).expect("a token"));
        let request =
            ["--path", "/seldon/prod/iris/predict", "--token", &forged, "--gateway", &url];
        let outcome = decide(&[&request[..], host].concat());
        let differ = outcome.stdout.lines().filter(|line| line.starts_with('\u{2260}')).count();
        assert_eq!(differ, marked, "{}", outcome.stdout);
        asked.join().expect("a request");
    }
    // What goes on by both is alike, whatever the model says.
    let (url, asked) = gateway(answered);
    let arguments =
        ["--path", "/seldon/prod/iris/api/v1.0/doc/", "--gateway", &url, "--format", "json"];
    let outcome = decide(&arguments);
    assert_eq!(outcome.status, 0, "{}", outcome.stdout);
    asked.join().expect("a request");
    let document: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(document["gateway"]["alike"], true, "{document:#}");
}

#[test]
fn the_examples_of_the_page_say_what_it_says() {
    let page = std::fs::read_to_string(root().join("docs/decide.md")).expect("a page");
    let mut blocks = Vec::new();
    for line in page.lines() {
        match line.strip_prefix("    ") {
            Some(text) if text.starts_with("$ modelgate ") => blocks.push(vec![text]),
            Some(text) => {
                if let Some(block) = blocks.last_mut() {
                    block.push(text);
                }
            }
            None if line.is_empty() => {}
            None => blocks.push(Vec::new()),
        }
    }
    blocks.retain(|block| !block.is_empty() && block.first().is_some_and(|l| l.starts_with("$ ")));
    assert!(!blocks.is_empty(), "the page has no example");
    for block in blocks {
        let text = block.join("\n");
        let text = text.strip_prefix("$ ").expect("a prompt").replace("\\\n", "");
        let (command, said) = text.split_once('\n').expect("what it says");
        let bin = std::path::Path::new(env!("CARGO_BIN_EXE_modelgate")).parent().expect("a folder");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
        let output = std::process::Command::new("sh")
            .args(["-c", command])
            .env("PATH", path)
            .current_dir(root())
            .output()
            .expect("a shell");
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        let lines =
            |text: &str| text.lines().map(str::trim_end).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(&told), lines(said), "{command}\n{told}");
    }
}
