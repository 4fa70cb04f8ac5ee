//! A Prometheus server as the source: what it is asked, what it gets, what it warns of.

use super::*;

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
