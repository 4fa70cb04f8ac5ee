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
    // Each gateway took another time to start.
    let started = "envoy_server_initialization_time_ms_sum";
    let served = format!("{page}{started} 1\n");
    let admin = serve("200 OK", move |target| {
        assert_eq!(target, "/stats/prometheus");
        served.clone()
    });
    let admin = format!("http://{admin}");
    let saved = Scratch::new("started", &format!("{page}{started} 3\n"));
    let saved = saved.0.to_str().expect("UTF-8");
    let sum = json(&["-", saved, &admin], &format!("{page}{started} 2\n"));
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
fn one_gateway_is_not_added_up_twice() {
    let page = text(STATS);
    let served = page.clone();
    let started = "envoy_server_initialization_time_ms_sum 21.5\nenvoy_server_uptime";
    let admin = serve("200 OK", move |_| format!("{served}{started} 1\n"));
    let copy = Scratch::new("copy", &page);
    let other =
        Scratch::new("other-gateway", &format!("{page}{} 2\n", started.replace("21", "22")));
    let more = page.replace("\"} 410", "\"} 411");
    assert_ne!(more, page);
    let later = Scratch::new("later", &format!("{more}{started} 2\n"));
    let [copy, other, later] = [&copy, &other, &later].map(|file| file.0.to_str().expect("UTF-8"));
    let (admin, slash) = (format!("http://{admin}"), format!("http://{admin}/"));
    let whole = format!("{admin}/stats/prometheus");
    for (sources, told) in [
        ([STATS, STATS], Some("is given twice")),
        ([STATS, "./docs/../docs/report/stats.txt"], Some("are the same page")),
        ([STATS, copy], Some("are the same page")),
        (["-", copy], Some("are the same page")),
        (["-", "-"], Some("is given twice")),
        ([&admin, &slash], Some("are the same page")),
        ([&admin, &whole], Some("are the same page")),
        ([&admin, later], Some("may be a later page of the gateway")),
        ([later, &admin], Some("may be a later page of the gateway")),
        ([STATS, other], Some("may be a later page of the gateway")),
        ([&admin, other], None),
    ] {
        let reported = modelgate(&["report", sources[0], sources[1]], &page);
        assert_eq!(reported.status, if told.is_some() { 2 } else { 0 }, "{sources:?}");
        let found = told.is_none_or(|told| reported.stderr.contains(told));
        assert!(found, "{sources:?}: {}", reported.stderr);
    }
    for sources in [[&*admin, later], [STATS, other]] {
        let reported = modelgate(&["report", "--distinct", sources[0], sources[1]], "");
        assert_eq!(reported.status, 0, "{sources:?}: {}", reported.stderr);
    }
    assert_eq!(modelgate(&["report", "--distinct", STATS, copy], "").status, 2, "the same page");
}

#[test]
fn what_was_counted_of_another_model_is_taken_off() {
    let page = |uptime: u32, counts: [u32; 3]| {
        let [selected, matched, mismatched] = counts;
        format!(
            "modelgate_shadow_selected_total{{shadow=\"a\"}} {selected}\n\
             modelgate_shadow_outcomes_total{{shadow=\"a\",outcome=\"matched\"}} {matched}\n\
             modelgate_shadow_outcomes_total{{shadow=\"a\",outcome=\"mismatched\"}} {mismatched}\n\
             modelgate_shadow_differences_total{{shadow=\"a\",kind=\"class\"}} {mismatched}\n\
             envoy_server_uptime {uptime}\n"
        )
    };
    // The old model agreed; of the new one nothing was counted yet, and then that it does not.
    let before = Scratch::new("since-before", &page(100, [1000, 1000, 0]));
    let same = Scratch::new("since-same", &page(200, [1000, 1000, 0]));
    let now = Scratch::new("since-now", &page(300, [2000, 1500, 500]));
    let anew = Scratch::new("since-anew", &page(50, [2000, 2000, 0]));
    let bare = Scratch::new("since-bare", "modelgate_shadow_selected_total{shadow=\"a\"} 1\n");
    let files = [&before, &same, &now, &anew, &bare].map(|file| file.0.to_str().expect("UTF-8"));
    let [before, same, now, anew, bare] = files;
    let require = "--require=compared>=500,agreement>=0.99";
    for (arguments, status, told) in [
        (vec![same], 0, "1000 chosen, 1000 compared"),
        (vec![same, "--since", before], 1, "0 chosen, 0 compared"),
        (vec![now, "--since", before], 1, "500 of 1000"),
        (vec![now, "--since", now], 1, "0 chosen, 0 compared"),
        (vec![anew, "--since", "none"], 0, "2000 chosen, 2000 compared"),
        (vec![anew, "--since", before], 2, "envoy_server_uptime is less"),
        (vec![before, "--since", now], 2, "does not continue"),
        (vec![now, "--since", bare], 2, "whole pages"),
        (vec![now, "--since", "/no/such/page"], 2, "/no/such/page"),
        (vec![now, "--since", before, "--since", before], 2, "2 earlier pages for 1 sources"),
        (vec![now, anew, "--distinct", "--since", before], 2, "1 earlier pages for 2 sources"),
        (vec![now, anew, "--distinct", "--since", before, "--since", "none"], 1, "2500 of 3000"),
        (
            vec!["--prometheus=http://127.0.0.1:1", "--since", "1h", "--since", "2h"],
            2,
            "one --since",
        ),
        (vec!["--prometheus=http://127.0.0.1:1", "--since", before], 2, "a duration is"),
    ] {
        let judged = modelgate(&[&["report", require], &*arguments].concat(), "");
        let all = format!("{arguments:?}: {}{}", judged.stdout, judged.stderr);
        assert_eq!(judged.status, status, "{all}");
        assert!(all.contains(told), "{told}: {all}");
    }
    assert_eq!(json(&[now, "--since", before], "")["since"][0], before);
}

#[test]
fn parts_of_what_was_counted_are_no_yes() {
    let pairs = "modelgate_shadow_selected_total{shadow=\"s\"} 1000\n\
                 modelgate_shadow_outcomes_total{shadow=\"s\",outcome=\"matched\"} 600\n\
                 modelgate_shadow_outcomes_total{shadow=\"s\",outcome=\"mismatched\"} 400\n";
    let shapes = "modelgate_shadow_differences_total{shadow=\"s\",kind=\"shape\"} 400\n";
    let scores = |count: u32| {
        let bucket = "modelgate_shadow_score_difference_millionths_bucket{shadow=\"s\",le=";
        format!("{bucket}\"500\"}} {count}\n{bucket}\"+Inf\"}} {count}\n")
    };
    let mangled = "kind___class____modelgate_shadow_differences_total{shadow=\"s\"} 400\n";
    for (page, condition, status) in [
        (format!("{pairs}{mangled}"), "class-changes<=0.001", 2),
        (pairs.to_owned(), "class-changes<=0.001", 1),
        (format!("{pairs}{shapes}"), "class-changes<=0.001", 0),
        (format!("{pairs}{shapes}{}", scores(600)), "score-p99<=0.01", 1),
        (format!("{pairs}{shapes}{}", scores(600)), "score-p99>=0", 1),
        (format!("{pairs}{shapes}{}", scores(1000)), "score-p99<=0.01", 0),
    ] {
        let require = format!("--require=compared>=1000,{condition}");
        let judged = modelgate(&["report", "-", &require], &page);
        let all = format!("{page}{condition}: {}{}", judged.stdout, judged.stderr);
        assert_eq!(judged.status, status, "{all}");
    }
}

#[test]
fn one_pod_is_not_scraped_twice() {
    let server = serve("200 OK", |target| {
        if !target.contains("count+by") && !target.contains("count%20by") {
            return vector("");
        }
        let series =
            |labels: &str| format!(r#"{{"metric":{{"shadow":"a",{labels}}},"value":[1.5,"1"]}}"#);
        let one = series(r#""instance":"10.0.0.1:15020","kubernetes_pod_name":"gw-1""#);
        let two = series(r#""instance":"10.0.0.1:15090","pod":"gw-1""#);
        vector("").replace("[]", &format!("[{one},{two}]"))
    });
    let server = format!("--prometheus=http://{server}");
    let refused = modelgate(&["report", &server], "");
    assert!(
        refused.status == 2 && refused.stderr.contains("gw-1 is scraped twice"),
        "{}",
        refused.stderr
    );
    assert_eq!(modelgate(&["report", &server, "--distinct"], "").status, 0);
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
fn a_prometheus_server_is_asked_for_sums() {
    let server = serve("200 OK", |target| {
        let (path, query) = target.split_once("?query=").expect("a query");
        assert_eq!(path, "/prom/api/v1/query");
        let series = |labels: &str, value: &str| {
            format!(r#"{{"metric":{{"shadow":"iris-v2"{labels}}},"value":[1.5,"{value}"]}}"#)
        };
        let is_other = query.contains("increase") && !query.contains("%5B1h30m%5D");
        let series = if is_other || query.starts_with("count") {
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
fn a_prometheus_server_gets_the_headers_that_it_asks_for_from_files() {
    let server = serve_heads(|_, head| {
        if head.contains("authorization: bearer t0ken\r\n")
            && head.contains("x-scope-orgid: ml\r\n")
        {
            ("200 OK", vector(""))
        } else {
            ("401 Unauthorized", "a token is needed".to_owned())
        }
    });
    let server = format!("--prometheus=http://{server}");
    let (token, wrong) = (Scratch::new("token", "t0ken\n"), Scratch::new("wrong", "other"));
    let tenant = Scratch::new("tenant", "# of the tenant\n\nx-scope-orgid:  ml \n");
    let both = Scratch::new("both", "authorization: Bearer t0ken\nX-Scope-OrgID: ml");
    for (options, status) in [
        (vec![], 2),
        (vec![token.option("bearer-token-file")], 2),
        (vec![tenant.option("header-file")], 2),
        (vec![wrong.option("bearer-token-file"), tenant.option("header-file")], 2),
        (vec![token.option("bearer-token-file"), tenant.option("header-file")], 0),
        (vec![both.option("header-file")], 0),
    ] {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let reported = modelgate(&[&["report", &server], &*options].concat(), "");
        assert_eq!(reported.status, status, "{options:?}: {}", reported.stderr);
        assert_eq!(reported.stderr.contains("401"), status == 2, "{}", reported.stderr);
        assert!(!reported.stderr.contains("t0ken"), "{}", reported.stderr);
    }
}

#[test]
fn a_token_follows_no_redirect() {
    let elsewhere = serve_heads(|_, head| {
        assert!(!head.contains("t0ken"), "{head}");
        ("200 OK", vector(""))
    });
    let away = format!("302 Found\r\nlocation: http://{elsewhere}/api/v1/query");
    let away: &'static str = Box::leak(away.into_boxed_str());
    let server = serve_heads(move |_, _| (away, String::new()));
    let server = format!("--prometheus=http://{server}");
    let headers = Scratch::new("redirected", "x-token: t0ken");
    let reported = modelgate(&["report", &server, &headers.option("header-file")], "");
    assert_eq!(reported.status, 2, "{}", reported.stderr);
    assert!(reported.stderr.contains("it answers 302"), "{}", reported.stderr);
}

#[test]
fn files_that_hold_no_header_are_told_without_what_they_hold() {
    let server = serve("200 OK", |_| vector(""));
    let server = format!("--prometheus=http://{server}");
    for (name, option, held, told) in [
        ("empty", "bearer-token-file", " \n", "it is empty"),
        ("two", "bearer-token-file", "s3cret s3cret", "not one token"),
        ("curl", "header-file", "s3cret", "line 1: it is not a header"),
        ("spaced", "header-file", "\nx s3cret: 1", "line 2: it does not begin with"),
        ("control", "header-file", "x: s3cret\u{1}", "cannot stand in a header"),
    ] {
        let file = Scratch::new(name, held);
        let reported = modelgate(&["report", &server, &file.option(option)], "");
        assert_eq!(reported.status, 2, "{name}");
        assert!(reported.stderr.contains(told), "{name}: {}", reported.stderr);
        assert!(!reported.stderr.contains("s3cret"), "{name}: {}", reported.stderr);
    }
    let missing = modelgate(&["report", &server, "--bearer-token-file=/no/such/file"], "");
    assert!(missing.status == 2 && missing.stderr.contains("/no/such/file"));
    let (one, two) = (Scratch::new("one", "a"), Scratch::new("other", "authorization: Basic b"));
    let twice = [&*one.option("bearer-token-file"), &two.option("header-file")];
    let twice = modelgate(&[&["report", &*server], &twice[..]].concat(), "");
    assert!(twice.status == 2 && twice.stderr.contains("as well"), "{}", twice.stderr);
    let file = one.option("bearer-token-file");
    assert_eq!(modelgate(&["report", STATS, &file], "").status, 2, "without --prometheus");
}

#[test]
fn what_prometheus_warns_of_is_shown_and_leaves_no_verdict() {
    let answers = [
        (r#""warnings":["store \u001b[2J is down"],"#, "warning: store \u{fffd}[2J is down", 2),
        (r#""infos":["not a counter"],"#, "info: not a counter", 0),
    ];
    for (notes, told, status) in answers {
        let server = serve("200 OK", move |_| vector(notes));
        let server = format!("--prometheus=http://{server}");
        let shadow = ["report", &server, "--shadow=iris-v2"];
        let shown = modelgate(&shadow, "");
        assert_eq!(shown.status, 0, "{}", shown.stderr);
        assert_eq!(shown.stderr.matches(told).count(), 1, "{}", shown.stderr);
        // Met by the figures: but of how many gateways?
        let judged = modelgate(&[&shadow[..], &["--require=compared<1"]].concat(), "");
        assert_eq!(judged.status, status, "{}", judged.stdout);
        assert_eq!(judged.stdout.contains("cannot be told"), status == 2, "{}", judged.stdout);
        let json = [&shadow[..], &["--require=compared<1", "--format=json"]].concat();
        let json: Value = serde_json::from_str(&modelgate(&json, "").stdout).expect("JSON");
        let met = if status == 2 { Value::Null } else { Value::Bool(true) };
        assert_eq!(json["verdict"]["met"], met, "{json}");
        assert_eq!(json["warnings"].as_array().map(Vec::len), Some(usize::from(status == 2)));
    }
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
