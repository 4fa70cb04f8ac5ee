//! `modelgate test` as one runs it: what is met and what is not, in each form; coverage; expectations of a log.
#![cfg(test)]

mod support;
#[path = "support/tokens.rs"]
mod tokens;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Outcome, modelgate, root};
use tokens::{jwks, token};

const UNREADABLE: i32 = 2;

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("modelgate-test-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn config() -> String {
    json!({
        "authentication": {
            "jwtRules": [
                {"issuer": "https://a.example.com", "jwks": jwks(), "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}]},
                {"issuer": "https://b.example.com", "jwksUri": "https://b.example.com/keys", "jwksCluster": "outbound|443||b.example.com"},
            ],
        },
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "suspended", "action": "DENY", "rules": [{"when": [{"key": "request.auth.claims[groups]", "values": ["suspended"]}]}]},
            {"name": "ds", "namespace": "prod", "models": ["prod/iris"], "rules": [
                {"from": [{"source": {"requestPrincipals": ["*"]}}], "to": [{"operation": {"operations": ["predict"]}}]},
                {"from": [{"source": {"remoteIpBlocks": ["10.0.0.0/8"]}}], "to": [{"operation": {"operations": ["status"]}}]},
            ]},
        ]},
        "splits": [{"name": "canary", "models": ["prod/iris"], "variants": [{"name": "main", "weight": 1}]}],
        "shadows": [{"name": "iris-v2", "models": ["prod/iris"], "cluster": "outbound|8000||iris-v2.prod.svc.cluster.local"}],
    })
    .to_string()
}

/// Runs expectations, written as the lines of a list.
fn test(folder: &Folder, expectations: &str, more: &[&str]) -> Outcome {
    folder.write("config.json", &config());
    folder.write("b.jwks", &jwks());
    folder.write("a.jwt", &token(&json!({"iss": "https://a.example.com", "sub": "alice"})));
    folder.write("b.jwt", &token(&json!({"iss": "https://b.example.com", "sub": "bob"})));
    let text = format!(
        "config: config.json\njwks: {{https://b.example.com: b.jwks}}\nexpectations:\n{expectations}"
    );
    let file = folder.write("expectations.yaml", &text);
    modelgate(&[&["test"], more, &[&file]].concat(), "")
}

const PATH: &str = "path: /seldon/prod/iris/api/v1.0/predictions";

#[test]
fn every_kind_of_expectation_is_met_or_told() {
    let folder = Folder::new("kinds");
    for (request, expect, wrong) in [
        (
            "claims: {sub: alice}",
            "decision: allowed, model: prod/iris, operation: predict, policy: prod/ds, rule: 0",
            &[][..],
        ),
        (
            "claims: {sub: alice}",
            "principal: https://a.example.com/alice, variant: main, shadows: [iris-v2]",
            &[],
        ),
        (
            "claims: {sub: alice}, headers: {x-user: eve, x-a: 1}",
            "headers: {set: {x-user: alice, x-a: 1, x-modelgate-variant: main}, removed: [authorization]}",
            &[],
        ),
        ("token: '@a.jwt'", "decision: allowed, principal: https://a.example.com/alice", &[]),
        ("token: '@b.jwt'", "decision: allowed, principal: https://b.example.com/bob", &[]),
        ("token: a.b.c", "decision: unauthenticated, status: 401, policy: none", &[]),
        ("headers: {authorization: [Basic x, Bearer a.b.c]}", "decision: unauthenticated", &[]),
        (
            "path: /seldon/prod/iris/api/v1.0/health/status, method: GET, ip: 10.1.2.3",
            "policy: prod/ds, rule: 1",
            &[],
        ),
        ("path: /seldon/prod/iris/api/v1.0/health/status, method: GET", "decision: denied", &[]),
        ("claims: {sub: alice, groups: [suspended]}", "decision: denied, policy: suspended", &[]),
        (
            "claims: {sub: alice, exp: 1795896000}, at: 2026-11-28T20:30:00Z",
            "decision: unauthenticated",
            &[],
        ),
        (
            "claims: {sub: alice}",
            "decision: denied",
            &["decision: expected denied, and it is allowed"],
        ),
        ("claims: {sub: alice}", "status: 403", &["status: expected 403, and it is none"]),
        (
            "claims: {sub: alice}",
            "model: prod/other, operation: explain",
            &[
                "model: expected prod/other, and it is prod/iris",
                "operation: expected explain, and it is predict",
            ],
        ),
        (
            "claims: {sub: alice}",
            "policy: none, rule: 1",
            &["policy: expected none, and it is prod/ds", "rule: expected 1, and it is 0"],
        ),
        (
            "claims: {sub: alice}",
            "variant: canary, shadows: []",
            &[
                "variant: expected canary, and it is main",
                "shadows: expected none, and it is iris-v2",
            ],
        ),
        (
            "claims: {sub: alice}",
            "headers: {set: {x-user: bob}, removed: [x-request-id]}",
            &["header x-user: expected bob, and it is alice"],
        ),
        (
            "claims: {sub: alice}, headers: {x-a: 1}",
            "path: /other, headers: {removed: [x-a]}",
            &[
                "header :path: expected /other, and it is /seldon/prod/iris/api/v1.0/predictions",
                "header x-a: expected to be removed, and goes on",
            ],
        ),
        (
            "method: POST",
            "principal: a/b, headers: {removed: [x]}",
            &["principal: expected a/b, and it is none", "headers: the request does not go on"],
        ),
    ] {
        let request = if request.contains("path:") {
            request.to_owned()
        } else {
            format!("{PATH}, method: POST, {}", request.replace("method: POST", "host: m"))
        };
        let list = format!("- request: {{{request}}}\n  expect: {{{expect}}}\n");
        let outcome = test(&folder, &list, &[]);
        assert_eq!(
            outcome.status,
            i32::from(!wrong.is_empty()),
            "{list}{}{}",
            outcome.stdout,
            outcome.stderr
        );
        for line in wrong {
            assert!(outcome.stdout.contains(line), "{list}: {line} in\n{}", outcome.stdout);
        }
        let told = outcome
            .stdout
            .lines()
            .filter(|line| line.starts_with("  ") && !line.starts_with("    "));
        assert_eq!(told.count(), wrong.len(), "{list}: {}", outcome.stdout);
        assert_eq!(outcome.stdout.contains("answer  "), !wrong.is_empty(), "the reasons");
    }
}

#[test]
fn what_is_no_expectation_is_told_with_its_path() {
    let folder = Folder::new("wrong");
    for (list, told) in [
        ("- request: {path: /x}\n", "expectations[0].expect: is missing"),
        ("- expect: {decision: allowed}\n", "expectations[0].request: is missing"),
        (
            "- request: {path: /}\n  expect: {decision: limited}\n",
            "expectations[0].expect.decision: is unknown (limited): one of allowed",
        ),
        (
            "- request: {path: /x}\n  expect: {descision: denied}\n",
            "expectations[0].expect.descision: is not a field here: one of decision",
        ),
        (
            "- request: {path: /x}\n  expect: {decision: forbidden}\n",
            "expectations[0].expect.decision: is unknown (forbidden): one of allowed",
        ),
        (
            "- request: {path: /x, port: http}\n  expect: {}\n",
            "expectations[0].request.port: is not a port (http)",
        ),
        ("- request: {path: /x, at: noon}\n  expect: {}\n", "expectations[0].request.at"),
        ("- request: {method: GET}\n  expect: {}\n", "expectations[0].request.path: is missing"),
        ("- request: {path: /x, token: a, claims: {}}\n  expect: {}\n", "stands beside token"),
        (
            "- request: {curl: wget x}\n  expect: {}\n",
            "expectations[0].request.curl: no curl line: it does not begin with curl",
        ),
        (
            "- request: {path: /x}\n  expect: {}\n  also: 1\n",
            "expectations[0].also: is not a field here",
        ),
        ("- request: {path: /x, token: '@no.jwt'}\n  expect: {}\n", "no.jwt"),
        ("  []\n", "it holds no expectation"),
        ("- {\n", "it is not YAML"),
    ] {
        let outcome = test(&folder, list, &[]);
        assert_eq!(outcome.status, UNREADABLE, "{list}: {}", outcome.stdout);
        assert!(outcome.stderr.contains(told), "{list}: {told} in\n{}", outcome.stderr);
    }
    let alone = folder.write("alone.yaml", "- request: {path: /x}\n  expect: {decision: denied}\n");
    assert!(modelgate(&["test", &alone], "").stderr.contains("it names no configuration"));
    let config = folder.write("config.json", &config());
    assert_eq!(modelgate(&["test", &alone, "--config", &config], "").status, 0);
    let refused = folder.write("refused.yaml", "authorization: {defaultAction: MAYBE}");
    let outcome = modelgate(&["test", &alone, "--config", &refused], "");
    assert_eq!(outcome.status, UNREADABLE);
    assert!(outcome.stderr.contains("refused.yaml:1:32"), "{}", outcome.stderr);
}

#[test]
fn pipelines_read_the_results() {
    let folder = Folder::new("formats");
    let list = format!(
        "- name: good & <well>\n  request: {{{PATH}, method: POST, claims: {{sub: alice}}}}\n  expect: {{decision: allowed}}\n\
         - name: 'bad #1'\n  request: {{{PATH}, method: POST}}\n  expect: {{decision: allowed}}\n"
    );
    let junit = test(&folder, &list, &["--format", "junit", "--coverage"]);
    assert_eq!(junit.status, 1);
    for part in [
        "<testsuites name=\"modelgate\" tests=\"2\" failures=\"1\" errors=\"0\">",
        "name=\"good &amp; &lt;well&gt;\"/>",
        "<failure message=\"decision: expected allowed, and it is denied\">",
        "from[0].source.requestPrincipals: wants *; had nothing",
        ": met 1 of 2 policies",
        "</testsuites>",
    ] {
        assert!(junit.stdout.contains(part), "{part} in\n{}", junit.stdout);
    }
    let tap = test(&folder, &list, &["--format", "tap", "--coverage"]);
    assert_eq!(tap.status, 1);
    let points: Vec<&str> = tap.stdout.lines().filter(|l| l.contains("ok ")).collect();
    assert!(tap.stdout.starts_with("TAP version 14\n1..2\n"), "{}", tap.stdout);
    assert!(points.first().is_some_and(|p| p.starts_with("ok 1 - ")), "{points:?}");
    assert!(
        points.iter().any(|p| p.starts_with("not ok 2 - ") && p.ends_with("bad \\#1")),
        "{points:?}"
    );
    assert!(tap.stdout.contains("  message: \"decision: expected allowed, and it is denied\""));
}

#[test]
fn coverage_tells_what_no_expectation_has_met() {
    let folder = Folder::new("coverage");
    let predict = format!(
        "- request: {{{PATH}, method: POST, claims: {{sub: alice}}}}\n  expect: {{decision: allowed}}\n"
    );
    let anonymous =
        format!("- request: {{{PATH}, method: POST}}\n  expect: {{decision: denied}}\n");
    let once = test(&folder, &predict, &["--coverage"]);
    for line in [
        "met 1 of 2 policies, 1 of 3 rules, 0 of 5 clauses",
        "  DENY suspended: never matched",
        "  ALLOW prod/ds, rule 0, from[0].source.requestPrincipals: never failed",
        "  ALLOW prod/ds, rule 0, to[0].operation.operations: never failed",
        "  ALLOW prod/ds, rule 1: never matched",
    ] {
        assert!(once.stdout.contains(line), "{line} in\n{}", once.stdout);
    }
    // Files of one configuration count together.
    let other =
        folder.write("other.yaml", &format!("config: config.json\nexpectations:\n{anonymous}"));
    let two = test(&folder, &predict, &["--coverage", &other]);
    assert_eq!(two.stdout.matches(": met ").count(), 1, "{}", two.stdout);
    assert!(two.stdout.contains("1 of 5 clauses"), "{}", two.stdout);
    let both = test(&folder, &format!("{predict}{anonymous}"), &["--coverage"]);
    assert!(both.stdout.contains("1 of 5 clauses"), "{}", both.stdout);
    assert!(!both.stdout.contains("requestPrincipals: never failed"), "{}", both.stdout);
}

const LOG: &str = r#"2026-11-28T20:00:00.1Z	info	Envoy proxy is ready
{"start_time": "2026-11-28T20:00:00Z", "method": "POST", "path": "/seldon/prod/iris/api/v1.0/predictions?access_token=secret", "authority": "models.example.com", "response_code": 200, "response_code_details": "via_upstream", "downstream_remote_address": "192.0.2.7:50412", "downstream_local_address": "10.0.0.5:8443", "modelgate_model": "prod/iris", "modelgate_operation": "predict", "modelgate_decision": "allowed", "modelgate_policy": "prod/ds", "modelgate_principal": "https://a.example.com/alice", "modelgate_shadow": "iris-v2"}
[2026-11-28T20:00:01Z] "POST /seldon/prod/iris/api/v1.0/predictions HTTP/1.1" 403 - rbac_access_denied_matched_policy[none] - "-" 0 19 0 - "192.0.2.7" "curl" "7d1f" "models.example.com" "-" - - 10.0.0.5:8443 192.0.2.7:50413 - -

{"start_time": "2026-11-28T20:00:01Z", "method": "POST", "path": "/seldon/prod/iris/api/v1.0/predictions", "authority": "other.example.com", "response_code": 429, "response_code_details": "modelgate_quota_exceeded[free-tier]", "downstream_remote_address": "192.0.2.7:50415", "downstream_local_address": "10.0.0.5:8443", "modelgate_model": "prod/iris", "modelgate_operation": "predict", "modelgate_decision": "limited", "modelgate_policy": "free-tier", "modelgate_principal": "https://a.example.com/alice"}
[2026-11-28T20:00:02Z] "POST /seldon/prod/iris/api/v1.0/predictions HTTP/1.1" 403 - rbac_access_denied_matched_policy[none] - "-" 0 19 0 - "192.0.2.7" "curl" "7d20" "models.example.com" "-" - - 10.0.0.5:8443 192.0.2.7:50414 - -
"#;

#[test]
fn a_log_makes_expectations_that_are_met() {
    let folder = Folder::new("write");
    folder.write("config.json", &config());
    let log = folder.write("access.log", LOG);
    let made = modelgate(&["test", "--write", &log, "--config", "config.json"], "");
    assert_eq!(made.status, 0, "{}", made.stderr);
    assert_eq!(made.stdout.matches("- name:").count(), 3, "the same again: {}", made.stdout);
    assert!(!made.stdout.contains("secret"), "{}", made.stdout);
    let passed = "1 line is passed over, as no line of an access log: ";
    assert!(made.stderr.contains(passed) && made.stderr.contains("line 1: "), "{}", made.stderr);
    for line in [
        "config: \"config.json\"",
        "    # the query is left out: it may hold a token",
        "    claims: {\"iss\":\"https://a.example.com\",\"sub\":\"alice\"} # and others, which the log does not tell",
        "    # claims: the log does not tell who called",
        "    # model: the log does not tell",
        "    status: 403",
        "    shadows: [\"iris-v2\"]",
    ] {
        assert!(made.stdout.lines().any(|l| l == line), "{line} in\n{}", made.stdout);
    }
    let file = folder.write("made.yaml", &made.stdout);
    let ran = modelgate(&["test", &file], "");
    assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(modelgate(&["test", "--write", "-"], LOG).status, 0);
    for (log, told) in [
        (
            "\nGET / 200\n",
            "no line is one of an access log: standard input, line 2: it is neither JSON nor",
        ),
        ("\u{1f}\u{8b}", "neither JSON nor"),
        ("\n\n", "standard input holds no line"),
        (&"x".repeat(100_000), "line 1: it is neither JSON nor"),
    ] {
        let wrong = modelgate(&["test", "--write", "-"], log);
        assert_eq!(wrong.status, UNREADABLE);
        assert!(wrong.stderr.contains(told), "{}", wrong.stderr);
    }
}

#[test]
fn the_schema_knows_every_field() {
    let schema: Value =
        serde_json::from_str(&modelgate(&["test", "--schema"], "").stdout).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let read = |path: &Path| -> Value {
        let text = std::fs::read_to_string(path).expect("a file");
        serde_saphyr::from_str(&text).expect("YAML")
    };
    let shipped = read(&root().join("docs/expectations.yaml"));
    assert!(validator.is_valid(&shipped), "{:?}", validator.iter_errors(&shipped).next());
    let mut wrong = shipped;
    wrong["expectations"][0]["expect"]["descision"] = "denied".into();
    assert!(!validator.is_valid(&wrong));
    // What the reader names as fields, where one is wrong, the schema has, too.
    let folder = Folder::new("schema");
    for (list, pointer) in [
        ("- request: {path: /x, x: 1}\n  expect: {}\n", "/request"),
        ("- request: {path: /x}\n  expect: {x: 1}\n", "/expect"),
        ("- request: {path: /x}\n  expect: {headers: {x: 1}}\n", "/expect/properties/headers"),
    ] {
        let said = test(&folder, list, &[]).stderr;
        let known = said.trim().rsplit_once("one of ").expect("fields").1.to_owned();
        let mut known: Vec<&str> = known.split(", ").collect();
        let at = format!("/anyOf/1/items/properties{pointer}/properties");
        let mut fields: Vec<&str> = schema
            .pointer(&at)
            .and_then(Value::as_object)
            .expect("fields")
            .keys()
            .map(String::as_str)
            .collect();
        known.sort_unstable();
        fields.sort_unstable();
        assert_eq!(known, fields, "{pointer}");
    }
}

#[test]
fn the_shipped_expectations_are_met_and_the_page_shows_them() {
    let outcome = modelgate(&["test", "docs/expectations.yaml"], "");
    assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
    let page = std::fs::read_to_string(root().join("docs/expectations.md")).expect("a page");
    let file = std::fs::read_to_string(root().join("docs/expectations.yaml")).expect("a file");
    let shown = page.split_once("    config: ").expect("an example").1;
    let shown = shown.split_once("\n\n").expect("its end").0;
    for line in shown.lines().skip(1) {
        let line = line.strip_prefix("    ").expect("indented");
        assert!(file.lines().any(|other| other == line), "{line} is not in the file");
    }
    let (_, example) = page.split_once("    $ modelgate ").expect("an example");
    let (command, said) = example.split_once('\n').expect("what it says");
    let said = said.split_once("\n\n").expect("its end").0;
    let arguments: Vec<&str> = command.split(' ').collect();
    let told = modelgate(&arguments, "").stdout;
    let said: Vec<&str> =
        said.lines().map(|line| line.strip_prefix("    ").expect("indented")).collect();
    assert_eq!(told.lines().collect::<Vec<_>>(), said, "{told}");
}
