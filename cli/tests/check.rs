//! What `modelgate check` points at: mistakes of every kind, each with the line and column of every finding.
//!
//! In `mistakes/` each mistake stands as its author would see it, and below a line `~~~~` under each place that is pointed
//! at, with the name of the finding and the beginning of what is said.
#![cfg(test)]

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::{modelgate, root};

/// Parts one case from the next; its title follows.
const TITLE: &str = "===== ";
/// Stands for a carriage return.
const RETURN: char = '\u{240d}';

struct Case {
    title: String,
    text: String,
    wanted: Vec<Wanted>,
}

/// A finding: its line, and its first and last character in it.
#[derive(Debug)]
struct Wanted {
    line: usize,
    column: usize,
    end: usize,
    says: String,
}

fn cases(table: &str) -> Vec<Case> {
    let path = root().join("cli/tests/mistakes").join(table);
    let text = std::fs::read_to_string(path).expect("a table");
    let cases = text.split(TITLE).skip(1);
    cases
        .map(|case| {
            let (title, body) = case.split_once('\n').expect("a title");
            let mut read = Case { title: title.into(), text: String::new(), wanted: Vec::new() };
            for line in body.lines() {
                let rest = line.trim_start();
                if rest.starts_with('~') {
                    let column = line.chars().count() - rest.chars().count() + 1;
                    let says = rest.trim_start_matches('~');
                    let end = column + rest.len() - says.len();
                    let line = read.text.lines().count().max(1);
                    read.wanted.push(Wanted { line, column, end, says: says.trim().into() });
                } else {
                    read.text.push_str(&line.replace(RETURN, "\r"));
                    read.text.push('\n');
                }
            }
            read
        })
        .collect()
}

/// The findings of `--format json`.
fn findings(told: &str) -> Vec<Value> {
    let told: Value = serde_json::from_str(told).expect("JSON");
    let configurations = told["configurations"].as_array().expect("a list").clone();
    let findings =
        configurations.iter().flat_map(|one| one["findings"].as_array().expect("a list"));
    findings.cloned().collect()
}

fn number(finding: &Value, field: &str) -> usize {
    let number = finding[field].as_u64().unwrap_or_else(|| panic!("no {field} in {finding}"));
    usize::try_from(number).expect("a small one")
}

/// Where in its line a finding ends: what goes on is underlined to the end of the line, what is empty where it would be.
fn end(finding: &Value, text: &str) -> usize {
    let line = number(finding, "line");
    let length = text.lines().nth(line - 1).unwrap_or_default().trim_end().chars().count();
    let within = number(finding, "endLine") == line;
    let end = if within { number(finding, "endColumn") } else { length + 1 };
    end.max(number(finding, "column") + 1)
}

fn says(finding: &Value) -> String {
    let text = |field: &str| finding[field].as_str().expect("a text");
    match text("path") {
        "" => format!("{}: {}", text("name"), text("message")),
        path => format!("{}: {path}: {}", text("name"), text("message")),
    }
}

fn differences(case: &Case, found: &[Value]) -> Vec<String> {
    let fits = |wanted: &Wanted, finding: &Value| {
        (number(finding, "line"), number(finding, "column")) == (wanted.line, wanted.column)
            && end(finding, &case.text) == wanted.end
            && says(finding).starts_with(&wanted.says)
    };
    let missing = case.wanted.iter().filter(|wanted| !found.iter().any(|one| fits(wanted, one)));
    let other = found.iter().filter(|one| !case.wanted.iter().any(|wanted| fits(wanted, one)));
    let missing = missing.map(|wanted| format!("{}: not found: {wanted:?}", case.title));
    let other = other.map(|one| format!("{}: found besides: {one}", case.title));
    missing.chain(other).collect()
}

const TABLES: [&str; 4] = ["syntax.txt", "settings.txt", "routing.txt", "resources.txt"];

#[test]
fn every_mistake_is_shown_at_its_place() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for case in TABLES.iter().flat_map(|table| cases(table)) {
        count += 1;
        assert!(!case.wanted.is_empty(), "{}: no mistake", case.title);
        let told = modelgate(&["check", "--format", "json", "-"], &case.text);
        let found = findings(&told.stdout);
        wrong.extend(differences(&case, &found));
        if found.iter().any(|one| one["severity"] == "error") {
            assert_ne!(told.status, 0, "{}", case.title);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 150, "{count} mistakes");
}

#[test]
fn the_text_underlines_what_the_json_names() {
    for case in TABLES.iter().flat_map(|table| cases(table)) {
        let text = modelgate(&["check", "-"], &case.text).stdout;
        let json = modelgate(&["check", "--format", "json", "-"], &case.text).stdout;
        for finding in findings(&json) {
            let (line, column) = (number(&finding, "line"), number(&finding, "column"));
            let place = format!("--> standard input:{line}:{column}");
            let at = text.match_indices(&place).map(|(at, _)| at);
            let mut shown = at.map(|at| text.get(at..).expect("a place").lines().skip(2));
            // Tabs are shown as blanks, and wide letters take two columns: what is meant is compared.
            let plain = |text: &str| text.replace(['\t', ' ', '*'], "");
            let source = case.text.lines().nth(line - 1).unwrap_or_default();
            let right = shown.any(|mut lines| {
                let (code, marks) =
                    (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
                let code = code.split_once('|').map_or("", |(_, code)| code);
                let marks = marks.split_once('|').map_or("", |(_, marks)| marks);
                let is_plain = source.is_ascii() && !source.contains('\t');
                let start = marks.find('^').unwrap_or(usize::MAX);
                let count = marks.matches('^').count();
                let wanted = end(&finding, &case.text) - column;
                let is_cut = code.contains("...") && plain(code) != plain(source);
                let shown =
                    plain(source).len() == plain(code).len() || code.contains('*') || is_cut;
                shown && count > 0 && (!is_plain || is_cut || (start, count) == (column, wanted))
            });
            assert!(right, "{}: {place}\n{text}", case.title);
        }
    }
}

#[test]
fn secrets_are_not_shown() {
    let keys = "authentication: {apiKeys: {keys: [{name: a, sha256: hunter2, claims: [b]}]}}";
    for text in [
        keys,
        "rewrites: [{name: 5, setHeaders: {x-plain: hunter2}}]",
        "shadows: [{name: 5, headers: {set: {x-plain: hunter2}}}]",
        "password: hunter2",
        "authentication: {jwtRules: [{issuer: 5, jwks: {keys: [{kty: oct, k: hunter2}]}}]}",
        "unknown: {in: [some, hunter2]}",
        "authorization: hunter2",
        "mode: STRICT # \nnote: [\"Bearer hunter2\", {a: 1, a: 2}]",
        // What was not read to its end.
        "password: [\"hunter2",
        "a: [b, password: \"hunter2",
        "a: b: password: hunter2",
        "api-key: |\n  hunter2\n hunter2",
        "secrets: {a: [mg_hunter2}",
    ] {
        for format in ["text", "json", "sarif", "github"] {
            let told = modelgate(&["check", "--format", format, "-"], text);
            assert_ne!(told.status, 0, "{text}");
            let told = told.stdout + &told.stderr;
            assert!(!told.contains("hunter2"), "{format}: {text}\n{told}");
        }
    }
}

#[test]
fn a_long_line_is_cut_around_its_place() {
    let hosts = "\"a.example.com\", ".repeat(10_000);
    let text =
        format!("{{\"exclude\": {{\"hosts\": [{hosts}\"b.example.com:443\", {hosts}\"c\"]}}}}");
    let told = modelgate(&["check", "-"], &text).stdout;
    let column = text.find("\"b.").expect("there") + 1;
    assert!(told.contains(&format!("--> standard input:1:{column}\n")), "{told}");
    let mut lines = told.lines().skip_while(|line| !line.contains("\"b.example.com:443\""));
    let (code, marks) = (lines.next().expect("the line"), lines.next().expect("marks"));
    assert!(told.lines().all(|line| line.len() < 200), "{told}");
    assert_eq!(code.find("\"b."), marks.find('^'), "{told}");
    assert_eq!(marks.matches('^').count(), "\"b.example.com:443\"".len(), "{told}");
}

#[test]
fn wide_letters_and_tabs_keep_the_marks_in_place() {
    let text = "exclude: {\thosts: [\"日本 .com\", b:443]}\nauthorization: {defaultAction: DENY}\n";
    let told = modelgate(&["check", "-"], text).stdout;
    let wanted = "\
1 | exclude: {    hosts: [\"日本 .com\", b:443]}
  |                       ^^^^^^^^^^^
";
    assert!(told.contains(wanted), "{told}");
    assert!(told.contains("--> standard input:1:20\n"), "{told}");
}

#[test]
fn colours_are_where_they_are_asked_for() {
    let run = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_modelgate"));
        command.args(["check", "docs/warnings.md"]).current_dir(root());
        for variable in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR"] {
            command.env_remove(variable);
        }
        let output = command.envs(variables.iter().copied()).output().expect("the command runs");
        output.stdout.contains(&0x1b)
    };
    assert!(!run(&[]), "standard output is not a terminal here");
    assert!(run(&[("CLICOLOR_FORCE", "1")]));
    assert!(!run(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

const WARNED: &str = "\
kind: WasmPlugin
metadata: {name: modelgate, namespace: gateways}
spec:
  url: oci://registry.example.com/modelgate
  phase: AUTHZ
  failStrategy: FAIL_RELOAD
  pluginConfig: {authorization: {defaultAction: DENY}}
";

#[test]
fn warnings_are_silenced_and_made_errors_by_their_names() {
    for (arguments, status, wanted) in [
        (&[][..], 0, &[("unpinned-image", "warning"), ("phase", "warning")][..]),
        (&["--allow", "phase"], 0, &[("unpinned-image", "warning")]),
        (&["--allow", "phase", "--allow", "unpinned-image"], 0, &[]),
        (&["--deny", "phase"], 1, &[("unpinned-image", "warning"), ("phase", "error")]),
        (&["--deny", "all"], 1, &[("unpinned-image", "error"), ("phase", "error")]),
        (&["--deny", "all", "--allow", "phase"], 1, &[("unpinned-image", "error")]),
        (&["--deny", "fails-open"], 0, &[("unpinned-image", "warning"), ("phase", "warning")]),
    ] {
        let arguments = [&["check", "--format", "json", "-"][..], arguments].concat();
        let told = modelgate(&arguments, WARNED);
        assert_eq!(told.status, status, "{arguments:?}");
        let found: Vec<_> = findings(&told.stdout)
            .iter()
            .map(|one| (one["name"].clone(), one["severity"].clone()))
            .collect();
        let wanted: Vec<_> =
            wanted.iter().map(|(name, severity)| ((*name).into(), (*severity).into())).collect();
        assert_eq!(found, wanted, "{arguments:?}");
    }
    let unknown = modelgate(&["check", "--allow", "phases", "-"], WARNED);
    assert!(unknown.status == 2 && unknown.stderr.contains("'phase'"), "{}", unknown.stderr);
    let both = modelgate(&["check", "--allow", "phase", "--deny", "phase", "-"], WARNED);
    assert!(both.status == 1 && both.stderr.contains("both allowed and denied"), "{}", both.stderr);
    // An error is none of the names.
    let refused = modelgate(&["check", "--allow", "phase", "-"], "mode: STRICT");
    assert_eq!(refused.status, 1);
}

#[test]
fn json_says_everything_that_the_text_says() {
    let told = modelgate(&["check", "--format", "json", "nofile.yaml", "-"], WARNED);
    assert_eq!(told.status, 2);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(told["version"], 1);
    let wanted = serde_json::json!({
        "file": "standard input",
        "kind": "WasmPlugin",
        "resource": "modelgate",
        "verdict": "accepted",
        "findings": [
            {
                "severity": "warning", "name": "unpinned-image", "path": "spec.url",
                "line": 4, "column": 8, "endLine": 4, "endColumn": 44,
                "message": "has neither a version nor a checksum: what is loaded may change by itself \
                            (oci://registry.example.com/modelgate)",
                "remedy": "the image with its digest, as cargo xtask image --push prints it; or sha256",
                "related": null,
            },
            {
                "severity": "warning", "name": "phase", "path": "spec.phase",
                "line": 5, "column": 10, "endLine": 5, "endColumn": 15,
                "message": "is behind Istio's own filters: they see the path and headers that the client \
                            sent (AUTHZ)",
                "remedy": "AUTHN",
                "related": null,
            },
        ],
    });
    assert_eq!(told["configurations"][1], wanted);
    let unreadable = &told["configurations"][0];
    assert_eq!((&unreadable["verdict"], &unreadable["kind"]), (&"unreadable".into(), &Value::Null));
    assert_eq!(unreadable["findings"][0]["line"], Value::Null);
    let twice = modelgate(&["check", "--format", "json", "-"], "mode: ENFORCE\nmode: REPORT\n");
    let related = serde_json::json!({
        "message": "given here already",
        "line": 1, "column": 1, "endLine": 1, "endColumn": 5,
    });
    let found = findings(&twice.stdout);
    assert!(found.iter().any(|one| one["related"] == related), "{found:?}");
    let aliased = "exclude: {hosts: [&host \"a:1\", *host]}\nmode: REPORT\n";
    let found = findings(&modelgate(&["check", "--format", "json", "-"], aliased).stdout);
    let related = serde_json::json!({
        "message": "used here",
        "line": 1, "column": 32, "endLine": 1, "endColumn": 37,
    });
    assert!(found.iter().any(|one| one["related"] == related), "{found:?}");
    assert!(modelgate(&["check", "-"], aliased).stdout.contains("----- used here"));
}

#[test]
fn what_breaks_the_text_has_a_remedy_where_it_can_be_told() {
    for (text, remedy) in [
        ("a:\n\tb: c\n", "spaces"),
        ("hosts: [*.example.com]\n", "quotes around a text that begins with this"),
        ("a: b: c\n", "quotes around a text with a colon"),
        ("a: [b\n", ""),
    ] {
        let found = findings(&modelgate(&["check", "--format", "json", "-"], text).stdout);
        let told = found[0]["remedy"].as_str().expect("a text");
        assert!(told.starts_with(remedy) && told.is_empty() == remedy.is_empty(), "{text}: {told}");
    }
}

#[test]
fn sarif_has_what_the_specification_requires() {
    let told = modelgate(&["check", "--format", "sarif", "nofile.yaml", "-"], WARNED);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    // 3.13.2 and 3.13.4; 3.14.6; 3.19.2.
    assert_eq!(told["version"], "2.1.0");
    let run = &told["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "modelgate");
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let ids: BTreeSet<_> = rules.iter().map(|rule| rule["id"].as_str().expect("3.49.3")).collect();
    assert_eq!(ids.len(), rules.len(), "each rule once");
    for rule in rules {
        // 3.49.9 to 3.49.11, and 3.12.3 for what a message is.
        assert!(
            rule["fullDescription"]["text"].as_str().is_some_and(|text| text.len() > 10),
            "{rule}"
        );
        let level = &rule["defaultConfiguration"]["level"];
        assert!(level == "error" || level == "warning", "{rule}");
    }
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    for result in results {
        // 3.27.5, 3.27.6, 3.27.10, 3.27.11.
        let index =
            usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().expect("3.4.3");
        assert!(uri == "nofile.yaml" || uri == "standard%20input", "{uri}");
        if uri != "nofile.yaml" {
            // 3.30.5 to 3.30.8: from 1, the end behind the last character.
            assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line > 0));
            assert!(
                place["region"]["endColumn"].as_u64() > place["region"]["startColumn"].as_u64()
            );
        }
    }
    let denied = modelgate(&["check", "--format", "sarif", "--deny", "all", "-"], WARNED);
    let denied: Value = serde_json::from_str(&denied.stdout).expect("JSON");
    assert_eq!(denied["runs"][0]["results"][0]["level"], "error");
}

#[test]
fn github_gets_a_command_for_each_finding() {
    let told = modelgate(&["check", "--format", "github", "--deny", "phase", "-"], WARNED);
    let wanted = "\
::warning file=standard input,line=4,endLine=4,col=8,endColumn=44,title=unpinned-image::spec.url: has neither
::error file=standard input,line=5,endLine=5,col=10,endColumn=15,title=phase::spec.phase: is behind Istio's own
modelgate: standard input (WasmPlugin modelgate): accepted, 1 error, 1 warning
";
    assert_eq!(told.stdout.lines().count(), wanted.lines().count(), "{}", told.stdout);
    for (told, wanted) in told.stdout.lines().zip(wanted.lines()) {
        assert!(told.starts_with(wanted), "{told}\n{wanted}");
    }
}

/// The indented blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in page.lines() {
        let last = blocks.last_mut().expect("one at least");
        match line.strip_prefix("    ") {
            Some(line) => last.extend([line, "\n"]),
            None if line.is_empty() && !last.is_empty() => last.push('\n'),
            None if !last.is_empty() => blocks.push(String::new()),
            None => {}
        }
    }
    blocks.into_iter().map(|block| format!("{}\n", block.trim_end())).collect()
}

#[test]
fn the_page_shows_what_the_command_says() {
    let page = std::fs::read_to_string(root().join("docs/check.md")).expect("the page");
    let blocks = blocks(&page);
    let folder = std::env::temp_dir().join(format!("modelgate-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("models.yaml"), &blocks[0]).expect("a file");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_modelgate"));
    let output = command.args(["check", "models.yaml"]).current_dir(&folder).output();
    let output = output.expect("the command runs");
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), blocks[1]);
    assert_eq!(output.status.code(), Some(1));
    std::fs::remove_dir_all(&folder).expect("the folder");
    // Every field that there is, is there to read.
    let told = modelgate(&["check", "--format", "json", "-"], WARNED);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    let configuration = told["configurations"][0].as_object().expect("an object");
    let finding = configuration["findings"][0].as_object().expect("an object");
    for field in configuration.keys().chain(finding.keys()) {
        assert!(page.contains(&format!("`{field}`")), "{field} is not documented");
    }
}

/// What `--fix` leaves of a file, what it says, and the exit status.
fn mended(text: &str) -> (String, String, i32) {
    let file = std::env::temp_dir().join(format!("modelgate-fix-{}.yaml", std::process::id()));
    std::fs::write(&file, text).expect("a file");
    let told = modelgate(&["check", "--fix", file.to_str().expect("UTF-8")], "");
    let text = std::fs::read_to_string(&file).expect("a file");
    std::fs::remove_file(&file).expect("a file");
    (text, told.stderr, told.status)
}

#[test]
fn spellings_are_mended_and_nothing_else_is() {
    for (before, after, status) in [
        // Comments, blanks and quotes stay.
        (
            "# mode\nMode:   REPORT # why\n\"authorizations\":  {'default_action': 'deny', policies: [] }\n",
            "# mode\nmode:   REPORT # why\n\"authorization\":  {'defaultAction': 'DENY', policies: [] }\n",
            0,
        ),
        // By an alias it is found twice, and mended once.
        (
            "authorization: {policies: [&p {name: a, model: [prod/iris], rules: [{}]}, {<<: *p, name: b}]}\n",
            "authorization: {policies: [&p {name: a, models: [prod/iris], rules: [{}]}, {<<: *p, name: b}]}\n",
            0,
        ),
        (
            "\u{feff}{\r\n\t\"authorization\": {\"defaultaction\": \"dEny\"}\r\n}\r\n",
            "\u{feff}{\r\n\t\"authorization\": {\"defaultAction\": \"DENY\"}\r\n}\r\n",
            0,
        ),
        // A name that is there already, or that two would have.
        ("mode: REPORT\nMode: ENFORCE\n", "mode: REPORT\nMode: ENFORCE\n", 1),
        ("modes: REPORT\nMode: ENFORCE\n", "modes: REPORT\nMode: ENFORCE\n", 1),
        // Not a matter of spelling, or written otherwise than it reads.
        ("ratelimit: 5\nmode: STRICT\n", "ratelimit: 5\nmode: STRICT\n", 1),
        ("mode: \"\\u0072eport\"\n", "mode: \"\\u0072eport\"\n", 1),
        ("mode: [\n", "mode: [\n", 2),
    ] {
        let (text, said, code) = mended(before);
        assert_eq!((text.as_str(), code), (after, status), "{said}");
        assert_eq!(said.contains(" is now "), before != after, "{said}");
    }
    let refused = modelgate(&["check", "--fix", "-"], "Mode: REPORT\n");
    assert!(
        refused.status == 1 && refused.stderr.contains("--fix is for files"),
        "{}",
        refused.stderr
    );
}
