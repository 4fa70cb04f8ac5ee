//! The command as one runs it: exit statuses, messages, and the examples of the documentation.
#![cfg(test)]

mod support;
#[path = "support/tokens.rs"]
mod tokens;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{modelgate, root};

const UNREADABLE: i32 = 2;

/// Files of a folder of the project, with this extension.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(root().join(folder)).expect("a folder of the project");
    let paths = listed.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

/// The YAML examples of a Markdown file.
fn examples(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in markdown.lines() {
        match &mut block {
            None if line == "```yaml" => block = Some(String::new()),
            None => {}
            Some(_) if line == "```" => blocks.extend(block.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert_eq!(block, None, "an example without an end");
    blocks
}

#[test]
fn the_version_is_that_of_the_command() {
    let asked = modelgate(&["--version"], "");
    assert_eq!(asked.stdout, concat!("modelgate ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_reader_may_leave_early() {
    for arguments in [
        &["check", "wasmplugin/gateway.yaml"][..],
        &["explain", "--recursive"],
        &["schema"],
        &["report", "docs/report/stats.txt"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_modelgate"))
            .args(arguments)
            .current_dir(root())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the command ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{arguments:?}: {said}");
    }
}

#[test]
fn the_shipped_resources_are_accepted() {
    let shipped = files("wasmplugin", "yaml");
    assert!(!shipped.is_empty());
    for file in shipped {
        let checked = modelgate(&["check", file.to_str().expect("UTF-8")], "");
        assert_eq!(checked.status, 0, "{}", checked.stdout);
        assert!(checked.stdout.trim_end().ends_with(": accepted"), "{}", checked.stdout);
        assert_eq!(checked.stdout.lines().count(), 1, "a warning: {}", checked.stdout);
    }
}

#[test]
fn the_examples_of_the_documentation_are_accepted() {
    let mut found = 0;
    let mut pages = [files(".", "md"), files("docs", "md"), files("wasmplugin", "md")].concat();
    // Examples of the first are parts of one that is accepted as a whole, those of the second values for Helm, which are
    // checked as it renders them.
    pages.retain(|page| !page.ends_with("configuration.md") && !page.ends_with("helm.md"));
    for file in pages {
        let text = std::fs::read_to_string(&file).expect("a file of the project");
        for example in examples(&text) {
            found += 1;
            let checked = modelgate(&["check", "-"], &example);
            assert_eq!(checked.stderr, "", "{}: {example}", file.display());
            assert_eq!(checked.status, 0, "{}: {}", file.display(), checked.stdout);
            assert!(!checked.stdout.contains("warning"), "{}: {}", file.display(), checked.stdout);
        }
    }
    assert!(found > 0, "no example was found");
}

#[test]
fn the_rules_for_each_provider_are_accepted_without_a_warning() {
    let mut pages = files("docs/providers", "md");
    // An index, without a rule of its own.
    pages.retain(|page| !page.ends_with("README.md"));
    assert!(!pages.is_empty(), "there are no pages");
    let index = std::fs::read_to_string(root().join("docs/providers/README.md")).expect("an index");
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page");
        let examples = examples(&text);
        assert!(!examples.is_empty(), "{} has no rule", page.display());
        for example in examples {
            let checked = modelgate(&["check", "-"], &example);
            assert_eq!(checked.stdout, "standard input: accepted\n", "{}", page.display());
        }
        let name = page.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        assert!(index.contains(&format!("]({name})")), "the index does not name {name}");
    }
}

#[test]
fn every_error_of_every_file_is_told() {
    let checked = modelgate(
        &["check", "no-such-file.yaml", "-", "wasmplugin/gateway.yaml"],
        "authorization: {defaultAction: MAYBE}\nshadow: []\n",
    );
    assert_eq!(checked.status, UNREADABLE);
    assert!(checked.stderr.contains("no-such-file.yaml cannot be read: "), "{}", checked.stderr);
    for line in [
        "error: authorization.defaultAction: is unknown (MAYBE)",
        " --> standard input:1:32",
        "  = help: one of ALLOW, DENY",
        "error: shadow: is not a field here",
        " --> standard input:2:1",
        "standard input: refused, 2 errors",
        "wasmplugin/gateway.yaml (WasmPlugin modelgate): accepted",
    ] {
        let told = checked.stdout.lines().any(|told| told == line);
        assert!(told, "{line} in\n{}", checked.stdout);
    }
}

#[test]
fn the_exit_status_tells_a_refused_configuration_from_an_unreadable_one() {
    for (input, status) in [
        ("authorization: {defaultAction: DENY}", 0),
        ("{}", 1),
        ("kind: WasmPlugin\nspec: {}", 1),
        ("mode: [", UNREADABLE),
        ("mode: ENFORCE\nmode: REPORT", UNREADABLE),
        ("kind: Gateway", UNREADABLE),
        ("", UNREADABLE),
    ] {
        let checked = modelgate(&["check", "-"], input);
        assert_eq!(checked.status, status, "{input:?}: {}{}", checked.stdout, checked.stderr);
    }
}

#[test]
fn a_new_key_comes_with_an_entry_that_the_filter_takes() {
    let made = modelgate(&["key", "new", "nightly-batch"], "");
    assert_eq!(made.status, 0, "{}", made.stderr);
    let last = made.stdout.lines().last().expect("a line");
    let entry = last.strip_prefix("- ").expect("an entry of a list");
    let config = format!("authentication: {{apiKeys: {{keys: [{entry}]}}}}");
    assert_eq!(modelgate(&["check", "-"], &config).status, 0, "{config}");

    let refused = modelgate(&["key", "new", "nightly/batch"], "");
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("name: "), "{}", refused.stderr);
    assert_eq!(refused.stdout, "", "a key was shown whose entry would be refused");
}

/// Every verb, with those below it.
const VERBS: [&[&str]; 13] = [
    &["check"],
    &["convert"],
    &["decide"],
    &["test"],
    &["run"],
    &["diff"],
    &["explain"],
    &["schema"],
    &["key"],
    &["key", "new"],
    &["report"],
    &["completions"],
    &["man"],
];

/// The examples of a verb's help, continued lines joined.
fn help_examples(verb: &[&str]) -> Vec<String> {
    let help = modelgate(&[verb, &["--help"]].concat(), "");
    assert_eq!(help.status, 0, "{verb:?}: {}", help.stderr);
    let examples = help.stdout.split("Example").nth(1).unwrap_or_default().replace("\\\n", "");
    let lines = examples.lines().skip(1).filter_map(|line| line.strip_prefix("  "));
    lines.filter(|line| line.contains("modelgate ")).map(str::to_owned).collect()
}

/// An example without what is not at hand: what a cluster sends is read from standard input, a gateway is a page that it
/// wrote, and nothing is shown by a pager. Nothing remains of one that asks a server, which `report.rs` stands up, or of a
/// gateway, which the tests with Envoy stand up.
fn runnable(example: &str) -> Option<String> {
    let of_cluster = !example.starts_with("modelgate ");
    let of_modelgate =
        example.rsplit_once("| modelgate ").filter(|_| of_cluster).map(|(_, rest)| rest);
    let line = of_modelgate.map_or(example.to_owned(), |rest| format!("modelgate {rest}"));
    let line = line.replace(" | man -l -", "").replace("http://localhost:15000", "now.txt");
    (line.starts_with("modelgate ")
        && !line.contains("--prometheus")
        && !line.starts_with("modelgate run"))
    .then_some(line)
}

#[test]
fn the_examples_of_the_help_run() {
    let folder = std::env::temp_dir().join(format!("modelgate-examples-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("wasmplugin")).expect("a folder");
    let read = |file: &str| std::fs::read_to_string(root().join(file)).expect("a file");
    let write = |file: &str, text: String| std::fs::write(folder.join(file), text).expect("a file");
    let (plugin, page) = (read("wasmplugin/gateway.yaml"), read("docs/report/stats.txt"));
    write("wasmplugin/gateway.yaml", plugin.clone());
    let claims = serde_json::json!({
        "iss": "https://idp.example.com", "aud": "models", "sub": "app", "groups": ["applications"],
    });
    std::fs::create_dir_all(folder.join("docs")).expect("a folder");
    std::fs::create_dir_all(folder.join("deploy/native")).expect("a folder");
    let native = ["deploy/native/authentication.yaml", "deploy/native/authorization.yaml"];
    native.iter().for_each(|file| write(file, read(file)));
    let native = native.map(read).join("---\n");
    write("docs/expectations.yaml", read("docs/expectations.yaml"));
    let log = "{\"method\": \"GET\", \"path\": \"/x\", \"authority\": \"m\"}\n".to_owned();
    write("access.log", log.clone());
    // Nothing changed: others would end with 1.
    write("old.yaml", plugin.clone());
    write("new.yaml", plugin.clone());
    write("token.jwt", tokens::token(&claims));
    write("jwks.json", tokens::jwks());
    write("before.txt", format!("{page}envoy_server_uptime{{}} 100\n"));
    write("now.txt", format!("{page}envoy_server_uptime{{}} 200\n"));
    let bin = Path::new(env!("CARGO_BIN_EXE_modelgate")).parent().expect("a folder");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    for verb in VERBS {
        let examples = help_examples(verb);
        let lines: Vec<String> = examples.iter().filter_map(|line| runnable(line)).collect();
        assert!(
            !lines.is_empty() || verb == ["key", "new"] || verb == ["run"],
            "{verb:?} has no example: {examples:?}"
        );
        for line in lines {
            let mut child = Command::new("sh")
                .args(["-c", &line])
                .env("PATH", &path)
                .current_dir(&folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a shell");
            let input = match verb {
                ["report"] => &page,
                ["convert"] => &native,
                ["diff"] if line.ends_with("--access-log -") => &log,
                _ => &plugin,
            };
            // Some read nothing.
            let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
            let output = child.wait_with_output().expect("it ends");
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&said));
        }
    }
    std::fs::remove_dir_all(&folder).expect("the folder");
}

#[test]
fn shells_and_man_know_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let script = modelgate(&["completions", shell], "");
        assert_eq!(script.status, 0, "{shell}: {}", script.stderr);
        for word in VERBS.iter().flat_map(|verb| verb.iter()).chain(&["sarif", "deny"]) {
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
    }
    let bash = Command::new("bash").args(["-n"]).stdin(Stdio::piped()).spawn();
    let mut bash = bash.expect("bash");
    let script = modelgate(&["completions", "bash"], "").stdout;
    let mut input = bash.stdin.take().expect("a pipe");
    input.write_all(script.as_bytes()).expect("a script");
    drop(input);
    assert!(bash.wait().expect("bash ends").success(), "the script is not one of bash");
    for verb in VERBS {
        let page = modelgate(&[&["man"], verb].concat(), "");
        assert_eq!(page.status, 0, "{verb:?}: {}", page.stderr);
        assert!(
            page.stdout.contains(&format!(".TH modelgate-{}", verb.join("-"))),
            "{verb:?}: {}",
            page.stdout
        );
    }
    assert!(modelgate(&["man"], "").stdout.contains("modelgate\\-check"));
    assert_eq!(modelgate(&["man", "nothing"], "").status, 1);
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_str().expect("UTF-8");
    assert_eq!(modelgate(&["man", "--dir", dir], "").status, 0);
    for verb in VERBS {
        let page = folder.path().join(format!("modelgate-{}.1", verb.join("-")));
        assert!(page.is_file(), "{}", page.display());
    }
    assert_eq!(modelgate(&["man", "--dir", "Cargo.toml/man"], "").status, 1);
}
