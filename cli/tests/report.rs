//! `modelgate report` as one runs it: sources, exit statuses, JSON, the page, and the documentation.
#![cfg(test)]

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
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut target = String::new();
            stream.read_line(&mut target).expect("a request line");
            let mut line = String::new();
            while stream.read_line(&mut line).expect("a header") > 2 {
                line.clear();
            }
            let target = target.split(' ').nth(1).unwrap_or_default();
            let body = body(target);
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
            let answer = format!("{head}connection: close\r\n\r\n{body}");
            stream.get_mut().write_all(answer.as_bytes()).expect("an answer");
        }
    });
    address
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

#[test]
fn sources_are_files_addresses_and_standard_input() {
    let page = text(STATS);
    let served = page.clone();
    let admin = serve("200 OK", move |target| {
        assert_eq!(target, "/stats/prometheus");
        served.clone()
    });
    let sum = json(&["-", STATS, &format!("http://{admin}")], &page);
    let one = json(&[STATS], "");
    for pointer in
        ["/selected", "/outcomes/matched", "/milliseconds/live/count", "/baseline/selected"]
    {
        let count = |report: &Value| {
            report["shadows"][0].pointer(pointer).and_then(Value::as_u64).expect("a count")
        };
        assert_eq!(count(&sum), 3 * count(&one), "{pointer}");
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
fn a_prometheus_server_is_asked_for_sums() {
    let server = serve("200 OK", |target| {
        let (path, query) = target.split_once("?query=").expect("a query");
        assert_eq!(path, "/prom/api/v1/query");
        let series = |labels: &str, value: &str| {
            format!(r#"{{"metric":{{"shadow":"iris-v2"{labels}}},"value":[1.5,"{value}"]}}"#)
        };
        let series = if query.contains("increase") && !query.contains("%5B1h30m%5D") {
            String::new()
        } else if query.contains("modelgate_shadow_selected_total") {
            series("", "12.5")
        } else if query.contains("modelgate_shadow_outcomes_total") {
            series(r#","outcome":"matched""#, "9")
                + ","
                + &series(r#","outcome":"mismatched""#, "1")
        } else {
            String::new()
        };
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
    });
    let server = format!("http://{server}/prom/");
    for since in [&[][..], &["--since=1h30m"]] {
        let report = json(&[&["--prometheus", &server], since].concat(), "");
        let shadow = &report["shadows"][0];
        assert_eq!(shadow["selected"], 12.5, "{since:?}: {report}");
        assert_eq!(shadow["agreement"]["share"]["value"], 0.9);
        assert_eq!(shadow["milliseconds"]["live"]["p50"], Value::Null);
    }
    let refusing = serve("400 Bad Request", |_| {
        r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.to_owned()
    });
    let refused = modelgate(&["report", "--prometheus", &format!("http://{refusing}")], "");
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("parse error"), "{}", refused.stderr);
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
