//! Files, addresses and standard input as sources, and what would be counted twice.

use super::*;

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
        (format!("{pairs}{shapes}"), "class-changes<=0.001", 1),
        (format!("{pairs}{}", shapes.replace("shape", "status")), "class-changes<=0.39", 1),
        (format!("{pairs}{}", shapes.replace("shape", "status")), "class-changes<=0.4", 0),
        (format!("{pairs}{}", shapes.replace("shape", "score")), "class-changes<=0.001", 0),
        (format!("{pairs}{shapes}{shapes}"), "compared>=0", 2),
        (
            format!(
                "{}{shapes}",
                pairs.replace("outcome=\"matched\"} 600", "outcome=\"matched\"} 6000")
            ),
            "compared>=0",
            2,
        ),
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
