//! `modelgate diff` as one runs it: what changed in words, and what it does to logged requests.
#![cfg(test)]

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::{Outcome, modelgate};

const ISSUER: &str = "https://idp.example.com";

/// Files of one test.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("modelgate-diff-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    }

    fn diff(&self, old: &Value, new: &Value, log: Option<&str>, arguments: &[&str]) -> Outcome {
        let (old, new) =
            (self.write("old.json", &old.to_string()), self.write("new.json", &new.to_string()));
        let log = log.map(|log| self.write("access.log", log));
        let mut all = vec!["diff", &old, &new];
        if let Some(log) = &log {
            all.extend(["--access-log", log]);
        }
        all.extend(arguments);
        modelgate(&all, "")
    }

    fn json(&self, old: &Value, new: &Value, log: &str, arguments: &[&str]) -> Value {
        let outcome = self.diff(old, new, Some(log), &[arguments, &["--format=json"]].concat());
        assert!(outcome.status < 2, "{}", outcome.stderr);
        serde_json::from_str(&outcome.stdout).expect("JSON")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Callers with a token predict; ops is asked for by a group.
fn settings() -> Value {
    json!({
        "authentication": {
            "jwtRules": [{"issuer": ISSUER, "audiences": ["models"], "jwksUri": "https://idp.example.com/jwks.json", "jwksCluster": "outbound|443||idp.example.com"}],
            "apiKeys": {"keys": [{"name": "batch", "sha256": "46dd7df58ec5bba2f35a5a8f5a6c0adb7e7a37efe2d9e4d0aa1a9ee3ee2e1f24"}]},
        },
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "all", "namespace": "prod", "models": ["prod/*"], "rules": [{
                "from": [{"source": {"requestPrincipals": ["*"]}}], "to": [{"operation": {"operations": ["predict"]}}],
            }]},
            {"name": "ops", "namespace": "dev", "models": ["dev/*"], "rules": [{"when": [{"key": "request.auth.claims[groups]", "values": ["ops"]}]}]},
            {"name": "llm", "namespace": "llm", "models": ["llm/*"], "rules": [{}]},
        ]},
        "targets": {"families": ["seldon-v1", "openai"], "openai": [{"namespace": "llm", "hosts": ["llm.example.com"]}]},
        "splits": [{"name": "s", "models": ["prod/split"], "stickyBy": "principal", "variants": [{"name": "main", "weight": 100}, {"name": "canary", "weight": 0}]}],
        "shadows": [{"name": "two", "models": ["prod/iris"], "percent": 10, "cluster": "outbound|8000||two.prod.svc.cluster.local"}],
    })
}

fn line(model: &str, principal: Option<&str>, decision: &str) -> String {
    let code = if decision == "allowed" { 200 } else { 403 };
    let details =
        if code == 200 { "via_upstream" } else { "rbac_access_denied_matched_policy[none]" };
    let line = json!({
        "start_time": "2026-11-28T20:00:00.123Z", "method": "POST", "path": format!("/seldon/{model}/api/v1.0/predictions"),
        "authority": "models.example.com", "response_code": code, "response_code_details": details,
        "request_id": "7d1f2e1c-0000-4000-8000-000000000001", "downstream_remote_address": "192.0.2.7:50412",
        "modelgate_model": model, "modelgate_operation": "predict", "modelgate_decision": decision,
        "modelgate_principal": principal.map(|name| format!("{ISSUER}/{name}")),
    });
    format!("{line}\n")
}

fn groups(found: &Value) -> Vec<String> {
    let groups = found["requests"]["groups"].as_array().expect("groups");
    let text = |group: &Value| {
        let part = |pointer: &str| {
            group.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned()
        };
        format!(
            "{} {} {} {}: {} {} -> {} {}",
            group["count"],
            part("/otherwise"),
            part("/model"),
            group["callers"],
            part("/old/outcome"),
            part("/old/policy"),
            part("/new/outcome"),
            part("/new/policy"),
        )
    };
    groups.iter().map(text).collect()
}

#[test]
fn the_exit_status_is_that_of_diff() {
    let files = Files::new("status");
    let mut reordered = settings();
    reordered["authorization"]["policies"].as_array_mut().expect("a list").reverse();
    let same = files.diff(
        &settings(),
        &reordered,
        Some(&line("prod/iris", Some("alice"), "allowed")),
        &[],
    );
    assert_eq!(same.status, 0, "{}{}", same.stdout, same.stderr);
    assert!(same.stdout.contains("The configurations say the same."), "{}", same.stdout);
    let mut changed = settings();
    changed["shadows"][0]["percent"] = 25.into();
    let differs = files.diff(&settings(), &changed, None, &[]);
    assert_eq!(differs.status, 1, "{}", differs.stderr);
    assert!(differs.stdout.contains("~ shadows[two].percent: 10 -> 25\n"), "{}", differs.stdout);
    for (old, new, log) in [
        (json!({"mode": "MAYBE"}), settings(), None),
        (settings(), json!({"authorization": []}), None),
        (settings(), settings(), Some("")),
        // Nothing of it is a request: that is no good news.
        (settings(), settings(), Some("127.0.0.1 - - \"GET / HTTP/1.0\" 200 1\n")),
    ] {
        let trouble = files.diff(&old, &new, log, &[]);
        assert_eq!(trouble.status, 2, "{}", trouble.stdout);
        assert!(trouble.stderr.starts_with("modelgate: "), "{}", trouble.stderr);
    }
    let gzip = files.0.join("access.log.gz");
    std::fs::write(&gzip, [0x1f, 0x8b, 8, 0]).expect("a file");
    let (old, gzip) = (files.write("a.json", &settings().to_string()), gzip.display().to_string());
    let compressed = modelgate(&["diff", &old, &old, "--access-log", &gzip], "");
    assert_eq!(compressed.status, 2, "{}", compressed.stdout);
    assert!(compressed.stderr.contains("is compressed"), "{}", compressed.stderr);
    let none = modelgate(&["diff", "none.yaml", "-"], "");
    assert_eq!(none.status, 2);
}

#[test]
fn requests_that_are_decided_routed_or_copied_otherwise_are_grouped() {
    let files = Files::new("groups");
    let mut log = String::new();
    for (model, who, times) in [
        ("prod/iris", "alice", 3),
        ("prod/iris", "bob", 2),
        ("prod/split", "alice", 2),
        ("prod/other", "bob", 4),
    ] {
        for _ in 0..times {
            let _ = write!(log, "{}", line(model, Some(who), "allowed"));
        }
    }
    log.push_str(&line("prod/iris", None, "denied"));
    let mut new = settings();
    let deny = json!({"name": "bob", "namespace": "prod", "action": "DENY", "rules": [{"from": [{"source": {"requestPrincipals": ["*/bob"]}}]}]});
    new["authorization"]["policies"].as_array_mut().expect("a list").push(deny);
    new["splits"][0]["variants"] =
        json!([{"name": "main", "weight": 0}, {"name": "canary", "weight": 100}]);
    new["shadows"][0]["percent"] = 25.into();
    let found = files.json(&settings(), &new, &log, &[]);
    let of = |name: &str, times: u32| format!("{{\"{ISSUER}/{name}\":{times}}}");
    assert_eq!(
        groups(&found),
        [
            format!(
                "4 decided prod/other {}: allowed prod/all -> denied (403) prod/bob",
                of("bob", 4)
            ),
            format!(
                "2 decided prod/iris {}: allowed prod/all -> denied (403) prod/bob",
                of("bob", 2)
            ),
            format!(
                "2 routed prod/split {}: prod/split predict (x-modelgate-variant=main) prod/all -> prod/split predict (x-modelgate-variant=canary) prod/all",
                of("alice", 2)
            ),
            format!(
                "3 copied prod/iris {}: two (10 %) prod/all -> two (25 %) prod/all",
                of("alice", 3)
            ),
        ]
    );
    let requests = &found["requests"];
    assert_eq!(
        (&requests["read"], &requests["differ"], &requests["same"], &requests["notJudged"]),
        (&json!(12), &json!(11), &json!(1), &json!(0))
    );
    let first = &requests["groups"][0]["examples"];
    assert_eq!(
        first[0],
        json!({"line": 8, "request": "POST models.example.com/seldon/prod/other/api/v1.0/predictions"})
    );
    let text = files.diff(&settings(), &new, Some(&log), &["--groups", "1"]).stdout;
    for told in [
        "Of 12 requests 11 would be decided, routed or copied otherwise, 1 as before; 0 cannot be judged.",
        "decided otherwise: 6\n          4  prod/other predict: allowed by prod/all -> denied (403) by prod/bob\n             by https://idp.example.com/bob (4)\n             line 8: POST",
        "and 1 smaller groups, 2 requests: --groups shows more",
    ] {
        assert!(text.contains(told), "{told} in\n{text}");
    }
}

#[test]
fn what_a_line_does_not_hold_is_counted_and_named() {
    let files = Files::new("unjudged");
    let mut new = settings();
    new["authorization"]["policies"][1]["rules"][0]["when"][0]["values"] = json!(["nobody"]);
    let llm = |model: &str| {
        let mut line: Value =
            serde_json::from_str(&line(model, Some("alice"), "allowed")).expect("JSON");
        line["path"] = "/v1/chat/completions".into();
        line["authority"] = "llm.example.com".into();
        format!("{line}\n")
    };
    let log = [
        line("dev/x", Some("alice"), "allowed"),
        "Envoy says something\n".to_owned(),
        llm("none"),
        llm("llm/small"),
        line("prod/iris", Some("alice"), "allowed"),
    ]
    .concat();
    let found = files.json(&settings(), &new, &log, &[]);
    let unjudged: Vec<(u64, &str)> = found["requests"]["unjudged"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["count"].as_u64().expect("a number"), one["why"].as_str().expect("a text")))
        .collect();
    assert_eq!(
        unjudged,
        [
            (1, "no line of an access log that can be read"),
            (1, "the body names the model, and the line does not hold it"),
            (
                1,
                "the old configuration decides otherwise than the gateway did: by claims, headers or else what the line does not hold"
            ),
        ],
    );
    assert_eq!(found["requests"]["same"], 2);
    // With the claims that it had.
    let found = files.json(&settings(), &new, &log, &["--claims", r#"{"groups": ["ops"]}"#]);
    let [group] = &groups(&found)[..] else { panic!("{found}") };
    assert!(
        group.starts_with("1 decided dev/x ")
            && group.ends_with("allowed dev/ops -> denied (403) "),
        "{group}"
    );
    assert_eq!(found["requests"]["notJudged"], 2);
}

#[test]
fn callers_of_the_default_format_are_assumed_where_one_says_so() {
    let files = Files::new("text");
    let logged = r#"[2026-11-28T20:00:00.123Z] "POST /seldon/prod/iris/api/v1.0/predictions HTTP/1.1" 200 - via_upstream - "-" 12 19 1 - "10.1.2.3" "curl/8.5" "7d1f2e1c-0000-4000-8000-000000000001" "models.example.com" "10.0.0.9:8000" outbound|8000||iris.prod.svc.cluster.local - 10.0.0.5:8443 192.0.2.7:50412 models.example.com default
"#;
    let mut new = settings();
    new["authorization"]["policies"][0]["models"] = json!(["prod/x"]);
    let found = files.json(&settings(), &new, logged, &[]);
    assert_eq!(
        (&found["requests"]["notJudged"], &found["requests"]["differ"]),
        (&json!(1), &json!(0))
    );
    let found = files.json(&settings(), &new, logged, &["--assume-authenticated"]);
    assert_eq!(
        (&found["requests"]["notJudged"], &found["requests"]["differ"]),
        (&json!(0), &json!(1))
    );
}

#[test]
fn an_api_key_that_is_taken_away_is_noticed() {
    let files = Files::new("key");
    let logged = line("prod/iris", None, "allowed")
        .replace("\"modelgate_principal\":null", "\"modelgate_principal\":\"apikey/batch\"");
    let mut new = settings();
    new["authentication"].as_object_mut().expect("a section").remove("apiKeys");
    let found = files.json(&settings(), &new, &logged, &[]);
    assert_eq!(groups(&found).len(), 1, "{found}");
    assert_eq!(found["requests"]["notJudged"], 0, "{found}");
    let changes = found["changes"].to_string();
    assert!(changes.contains("apiKeys") && !changes.contains("46dd7df5"), "{changes}");
}
