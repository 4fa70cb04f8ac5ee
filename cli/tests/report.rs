//! `modelgate report` as one runs it: exit statuses, JSON, the page, the documentation, and every kind of source.
#![cfg(test)]

#[path = "report/prometheus.rs"]
mod prometheus;
#[path = "report/sources.rs"]
mod sources;
mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};

use serde_json::Value;
use support::{modelgate, root};

/// What a gateway said of a shadow with a baseline.
const STATS: &str = "docs/report/stats.txt";

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("a file of the project")
}

fn json(arguments: &[&str], input: &str) -> Value {
    let reported = modelgate(&[&["report", "--format=json"], arguments].concat(), input);
    assert_eq!((reported.status, reported.stderr.as_str()), (0, ""));
    serde_json::from_str(&reported.stdout).expect("JSON")
}

/// A server that answers every request with this status and what `body` makes of its target.
fn serve(status: &'static str, body: impl Fn(&str) -> String + Send + 'static) -> SocketAddr {
    serve_heads(move |target, _| (status, body(target)))
}

/// A server whose status and body depend on the target and the header lines, which are in lower case.
fn serve_heads(
    answer: impl Fn(&str, &str) -> (&'static str, String) + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut target = String::new();
            stream.read_line(&mut target).expect("a request line");
            let mut head = String::new();
            while stream.read_line(&mut head).expect("a header") > 2 {}
            let target = target.split(' ').nth(1).unwrap_or_default();
            let (status, body) = answer(target, &head.to_ascii_lowercase());
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
            let answer = format!("{head}connection: close\r\n\r\n{body}");
            stream.get_mut().write_all(answer.as_bytes()).expect("an answer");
        }
    });
    address
}

/// An empty vector, with these members before its own.
fn vector(notes: &str) -> String {
    format!(r#"{{"status":"success",{notes}"data":{{"resultType":"vector","result":[]}}}}"#)
}

/// A file for one test, gone with it.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("modelgate-report-{}-{name}", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).expect("a file");
        Self(file)
    }

    fn option(&self, option: &str) -> String {
        format!("--{option}={}", self.0.display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_json_is_what_it_was() {
    let expected: Value = serde_json::from_str(&text("cli/tests/report.json")).expect("JSON");
    let found = json(&[STATS, "--require=agreement>0.6,compared>=400,p95-ratio<=3"], "");
    assert!(
        found == expected,
        "if this is as it should be, it belongs into report.json:\n{found:#}"
    );
}

/// Conditions as the documentation and the help show them.
fn shown_conditions() -> Vec<String> {
    let help = modelgate(&["report", "--help"], "").stdout;
    let texts = [text("README.md"), text("docs/report.md"), help];
    let commands = texts.iter().flat_map(|text| text.split("modelgate report").skip(1));
    let conditions = commands.map(|command| {
        let block = command.split("\n\n").next().unwrap_or_default();
        let quoted = block.split("--require '").skip(1).filter_map(|rest| rest.split('\'').next());
        quoted.collect::<Vec<_>>().join(",")
    });
    conditions.filter(|conditions| !conditions.is_empty()).collect()
}

#[test]
fn conditions_that_are_shown_fail_what_was_hardly_compared() {
    let page = |outcomes: &[(&str, u32)]| {
        let selected: u32 = outcomes.iter().map(|(_, count)| count).sum();
        let mut page = format!("modelgate_shadow_selected_total{{shadow=\"a\"}} {selected}\n");
        for (outcome, count) in outcomes {
            let labels = format!("{{shadow=\"a\",outcome=\"{outcome}\"}}");
            page.push_str(&format!("modelgate_shadow_outcomes_total{labels} {count}\n"));
        }
        for (metric, bound) in [("live_milliseconds", 5), ("milliseconds", 5)] {
            for le in [bound.to_string(), "+Inf".to_owned()] {
                let labels = format!("{{shadow=\"a\",le=\"{le}\"}}");
                page.push_str(&format!("modelgate_shadow_{metric}_bucket{labels} 2000\n"));
            }
        }
        page
    };
    let down = page(&[("matched", 1000), ("shadow_failed", 20), ("breaker_open", 100_000)]);
    let unread = page(&[("matched", 1000), ("uncomparable", 1500)]);
    let well = page(&[("matched", 2000), ("timeout", 2), ("orphaned", 3)]);
    let conditions = shown_conditions();
    assert!(conditions.len() >= 4, "{conditions:?}");
    for shown in &conditions {
        for (page, status) in [(&down, 1), (&unread, 1), (&well, 0)] {
            let judged = modelgate(&["report", "-", "--require", shown], page);
            assert_eq!(judged.status, status, "{shown}: {}{}", judged.stdout, judged.stderr);
        }
    }
    // Who leaves them out is told.
    let some = "agreement-lower>=0.99,compared>=1000";
    for (page, conditions, told) in [
        (&down, some, Some("No condition limits failures, and 100020 of 101020")),
        (&unread, some, Some("No condition limits drops, and 1500 of 2500")),
        (&unread, "agreement-lower>=0.99,drops>=0", Some("No condition limits drops")),
        (&unread, "agreement-lower>=0.99,drops<1", None),
        (&unread, "compared>=1", None),
        (&well, some, None),
    ] {
        let judged = modelgate(&["report", "-", "--require", conditions], page);
        let (status, line) = (judged.status, judged.stdout.replace("\n  ", " "));
        assert_eq!(status, 0, "{conditions}: {line}");
        assert_eq!(line.contains("No condition limits"), told.is_some(), "{conditions}: {line}");
        assert!(told.is_none_or(|told| line.contains(told)), "{conditions}: {line}");
    }
}

#[test]
fn what_is_no_metrics_page_gives_no_report() {
    let proxy = serve("200 OK", |_| "<html>Sign in</html>".to_owned());
    let down = serve("503 Service Unavailable", |_| "no healthy upstream".to_owned());
    let untagged = "shadow___iris_v2____modelgate_shadow_selected_total 3\n";
    for (source, input, told) in [
        ("no/such/file", "", "no/such/file"),
        ("-", "", "no metric"),
        ("-", untagged, "extraStatTags"),
        (&format!("http://{proxy}"), "", "line 1"),
        (&format!("http://{down}"), "", "no healthy upstream"),
        ("http://127.0.0.1:1", "", "http://127.0.0.1:1"),
    ] {
        let reported = modelgate(&["report", source, "--require=agreement>=0"], input);
        assert_eq!((reported.status, reported.stdout.as_str()), (2, ""), "{source}");
        assert!(reported.stderr.contains(told), "{source}: {}", reported.stderr);
    }
}

#[test]
fn the_exit_status_is_the_verdict() {
    let nothing = "modelgate_requests_total 3\n";
    for (arguments, status) in [
        (&[STATS][..], 0),
        (&[STATS, "--require=agreement>=0.68,failures<=0.02"], 0),
        (&[STATS, "--require=agreement>=0.68", "--require=failures<=0.01"], 1),
        (&[STATS, "--require=agreement>=0.99"], 1),
        (&[STATS, "--require=compared<1", "--shadow=iris-v3"], 0),
        (&[STATS, "--require=drops<=1", "--shadow=iris-v3"], 1),
        (&["-"], 0),
        (&["-", "--require=compared>=0"], 1),
        (&[STATS, "--require=agreement"], 2),
        (&[STATS, "--require="], 2),
        (&[STATS, "--confidence=101"], 2),
        (&[STATS, "--since=1h"], 2),
        (&[STATS, "--html=/no/such/folder/report.html"], 2),
        (&[], 2),
    ] {
        let reported = modelgate(&[&["report"], arguments].concat(), nothing);
        let all = format!("{arguments:?}: {}{}", reported.stdout, reported.stderr);
        assert_eq!(reported.status, status, "{all}");
    }
}

#[test]
fn only_the_shadows_that_are_asked_for_are_shown() {
    let page = "modelgate_shadow_selected_total{shadow=\"a\"} 1\n\
                modelgate_shadow_selected_total{shadow=\"b\"} 2\n\
                modelgate_shadow_selected_total{shadow=\"c\"} 3\n";
    let names = |arguments: &[&str]| -> Vec<String> {
        let report = json(&[&["-"], arguments].concat(), page);
        let shadows = report["shadows"].as_array().expect("a list");
        shadows.iter().map(|shadow| shadow["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&[]), ["a", "b", "c"]);
    assert_eq!(names(&["--shadow=c", "--shadow=a"]), ["a", "c"]);
}

#[test]
fn names_from_the_metrics_are_escaped_in_the_page() {
    let page = "modelgate_shadow_selected_total{shadow=\"<script>alert('\\\"&')</script>\"} 1\n\
                modelgate_shadow_outcomes_total{shadow=\"<script>alert('\\\"&')</script>\",\
                outcome=\"<img src=x onerror=alert(1)>\"} 1\n";
    let folder = std::env::temp_dir().join(format!("modelgate-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("report.html");
    let reported = modelgate(&["report", "-", "--html", file.to_str().expect("UTF-8")], page);
    assert_eq!(reported.status, 0, "{}", reported.stderr);
    let html = std::fs::read_to_string(&file).expect("the page");
    std::fs::remove_dir_all(&folder).expect("the folder");
    let name = "&lt;script&gt;alert('&quot;&amp;')&lt;/script&gt;";
    assert!(html.contains(&format!("<article data-shadow=\"{name}\">")), "{html}");
    for raw in ["<script", "<img", "alert('\""] {
        assert!(!html.contains(raw), "{raw} in {html}");
    }
}

#[test]
fn what_has_no_upper_bound_is_shown_and_judged_as_that() {
    let page = "modelgate_shadow_selected_total{shadow=\"a\"} 50\n\
        modelgate_shadow_outcomes_total{shadow=\"a\",outcome=\"mismatched\"} 50\n\
        modelgate_shadow_score_difference_millionths_bucket{shadow=\"a\",le=\"3600000\"} 0\n\
        modelgate_shadow_score_difference_millionths_bucket{shadow=\"a\",le=\"+Inf\"} 50\n";
    let file = std::env::temp_dir().join(format!("modelgate-open-{}.html", std::process::id()));
    let html = format!("--html={}", file.display());
    let judged = modelgate(&["report", "-", "--require=score-p99<=5,score-p99>=3", &html], page);
    let shown = std::fs::read_to_string(&file).expect("the page");
    std::fs::remove_file(&file).expect("the page");
    assert_eq!(judged.status, 1, "{}{}", judged.stdout, judged.stderr);
    for line in [
        "NOT met  a: score-p99<=5 (it is at least 3.6, with no upper bound)",
        "met      a: score-p99>=3 (it is at least 3.6, with no upper bound)",
        "> 3.6 (3.6 or more)",
    ] {
        assert!(judged.stdout.contains(line), "{line}: {}", judged.stdout);
    }
    let cell = "<data data-figure=\"score-p99\" value=\"3.6\" data-at-least>&gt; 3.6</data>";
    assert!(shown.contains(cell), "{shown}");
    assert!(shown.contains("<td>at least 3.6, with no upper bound</td>"), "{shown}");
    let value = json(&["-", "--require=score-p99>=3"], page);
    let p99 = &value["shadows"][0]["scoreDifference"]["p99"];
    assert_eq!((&p99["value"], &p99["atLeast"]), (&3.6.into(), &true.into()), "{p99}");
    assert_eq!(value["verdict"]["requirements"][0]["atLeast"], true, "{value}");
}

/// Commands of a Markdown file's console blocks, and what they print.
fn sessions(markdown: &str) -> Vec<(Vec<String>, String)> {
    let blocks = markdown.split("```console\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    blocks
        .filter_map(|block| {
            let (command, output) = block.split_once('\n')?;
            let words = command.strip_prefix("$ modelgate ")?.split(' ');
            let words = words.map(|word| word.trim_matches('\'').to_owned()).collect();
            Some((words, output.to_owned()))
        })
        .collect()
}

#[test]
fn the_sessions_of_the_documentation_are_true() {
    let sessions = sessions(&text("docs/report.md"));
    assert!(sessions.len() >= 2, "no session was found");
    for (words, expected) in sessions {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (output, status) = match expected.split_once("$ echo $?\n") {
            Some((output, status)) => (output, status.trim().parse().expect("a status")),
            None => (expected.as_str(), 0),
        };
        let reported = modelgate(&words, "");
        assert_eq!(reported.stderr, "");
        assert_eq!(reported.stdout, output, "{words:?}");
        assert_eq!(reported.status, status, "{words:?}");
    }
}
