//! A Prometheus server's HTTP API: instant queries.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use ureq::http::{HeaderName, HeaderValue};

use super::counts::{DIFFERENCES, LIVE, MOVED, OUTCOMES, SELECTED, SHADOW};
use super::samples::Sample;
use super::source::get;

/// A window of PromQL, as `1h` or `1h30m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window(String);

impl std::str::FromStr for Window {
    type Err = String;

    /// It becomes part of a query, so only what the grammar of PromQL's durations allows.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mut parts = 0;
        while !rest.is_empty() {
            let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let unit = ["ms", "s", "m", "h", "d", "w", "y"]
                .iter()
                .filter_map(|unit| digits.strip_prefix(unit))
                .min_by_key(|after| after.len());
            match unit {
                Some(after) if digits.len() < rest.len() => rest = after,
                _ => return Err("a duration is written as 30m, 1h or 1h30m".to_owned()),
            }
            parts += 1;
        }
        if parts == 0 {
            Err("a duration is written as 1h".to_owned())
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a server answers.
#[derive(Debug, Default)]
pub struct Answers {
    /// What it knows.
    pub samples: Vec<Sample>,
    /// Its `warnings`, each once: with one, it does not vouch for what it answers. A store that could not be asked is
    /// left out of the sums.
    pub warnings: Vec<String>,
    /// Its `infos`, each once: remarks on the query, whose answer is whole.
    pub infos: Vec<String>,
}

/// What the server knows of all gateways together: now, or what was added within the window.
pub fn read(
    server: &str,
    since: Option<&Window>,
    headers: &[(HeaderName, HeaderValue)],
    is_distinct: bool,
) -> Result<Answers> {
    let address = format!("{}/api/v1/query", server.trim_end_matches('/'));
    let mut answers = Answers::default();
    if !is_distinct {
        let query = format!("count by ({TARGET}) ({SELECTED})");
        let mut targets = Answers::default();
        let answer = get(&address, &[("query", &query)], headers)?;
        targets.add(SELECTED, &answer).with_context(|| format!("{address}: {query}"))?;
        check_apart(&targets.samples)?;
        answers.warnings = targets.warnings;
    }
    for (metric, labels) in [
        (SELECTED.to_owned(), "shadow"),
        (OUTCOMES.to_owned(), "shadow, outcome"),
        (DIFFERENCES.to_owned(), "shadow, kind"),
        (format!("{LIVE}_bucket"), "shadow, le"),
        (format!("{SHADOW}_bucket"), "shadow, le"),
        (format!("{MOVED}_bucket"), "shadow, le"),
    ] {
        let query = query(&metric, labels, since);
        let answer = get(&address, &[("query", &query)], headers)?;
        let read = answers.add(&metric, &answer);
        read.with_context(|| format!("{address}: {query}"))?;
    }
    Ok(answers)
}

/// Labels that say which proxy a series is of, as those who scrape pods name them.
const TARGET: &str = "shadow, cluster, namespace, kubernetes_namespace, pod, kubernetes_pod_name, pod_name, instance";

/// Refuses a proxy that is scraped twice, by its annotations and by a PodMonitor for one: sums hold its copies twice.
/// Two series of a shadow are of one proxy if they name the same pod, or no pod and the same instance.
fn check_apart(targets: &[Sample]) -> Result<()> {
    let mut seen: BTreeMap<[&str; 4], f64> = BTreeMap::new();
    for target in targets {
        let first = |names: &[&str]| {
            let labels = names.iter().map(|name| target.label(name));
            labels.max_by_key(|label| !label.is_empty()).unwrap_or_default()
        };
        let pod = first(&["pod_name", "kubernetes_pod_name", "pod"]);
        let (kind, name) = match pod {
            "" => ("instance", target.label("instance")),
            pod => ("pod", pod),
        };
        let namespace = first(&["kubernetes_namespace", "namespace"]);
        let (shadow, cluster) = (target.label("shadow"), target.label("cluster"));
        if name.is_empty() {
            continue;
        }
        let place = if kind == "pod" { namespace } else { "" };
        let found = seen.entry([shadow, cluster, place, name]).or_default();
        *found += target.value;
        ensure!(
            *found <= 1.0,
            "the {kind} {name} is scraped twice: its copies would count twice. Scrape gateways by their annotations or \
             by a PodMonitor, not by both; if these are different gateways, say so with --distinct"
        );
    }
    Ok(())
}

impl Answers {
    fn add(&mut self, metric: &str, answer: &str) -> Result<()> {
        let answer: Value = serde_json::from_str(answer).context("the answer is no JSON")?;
        self.samples.extend(vector(metric, &answer)?);
        for (name, notes) in [("warnings", &mut self.warnings), ("infos", &mut self.infos)] {
            let told = answer.get(name).and_then(Value::as_array).into_iter().flatten();
            for note in told {
                let note = note.as_str().map_or_else(|| note.to_string(), str::to_owned);
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
        Ok(())
    }
}

fn query(metric: &str, labels: &str, since: Option<&Window>) -> String {
    match since {
        None => format!("sum by ({labels}) ({metric})"),
        Some(window) => format!("sum by ({labels}) (increase({metric}[{window}]))"),
    }
}

/// The samples of an instant vector, without the metric's name, which a sum does not have.
fn vector(metric: &str, answer: &Value) -> Result<Vec<Sample>> {
    let kind = answer.pointer("/data/resultType").and_then(Value::as_str);
    ensure!(kind == Some("vector"), "the answer is not a vector of Prometheus's HTTP API");
    let series = answer.pointer("/data/result").and_then(Value::as_array);
    series.into_iter().flatten().map(|series| sample(metric, series)).collect()
}

fn sample(metric: &str, series: &Value) -> Result<Sample> {
    let labels = series.get("metric").and_then(Value::as_object).context("a series has labels")?;
    let labels =
        labels.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.into())));
    let value =
        series.pointer("/value/1").and_then(Value::as_str).context("a series has a value")?;
    let value = value.parse().with_context(|| format!("{value} is not a number"))?;
    Ok(Sample { name: metric.to_owned(), labels: labels.collect(), value, counts: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_promql() {
        for good in ["30m", "1h", "1h30m", "250ms", "7d", "1y2w"] {
            assert_eq!(good.parse::<Window>().expect(good).to_string(), good);
        }
        for bad in ["", "1", "h", "1 h", "-1h", "1h]) or vector(1", "1.5h", "1h30", "1hour"] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
        let hour = "1h".parse().expect("a window");
        assert_eq!(
            query(OUTCOMES, "shadow, outcome", Some(&hour)),
            "sum by (shadow, outcome) (increase(modelgate_shadow_outcomes_total[1h]))"
        );
    }

    #[test]
    fn a_proxy_that_is_scraped_twice_is_refused() {
        let target = |labels: &[(&str, &str)], value| {
            let all = [("shadow", "a")].iter().chain(labels);
            let labels =
                all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Sample { name: SELECTED.to_owned(), labels, value, counts: true }
        };
        let annotated = [("kubernetes_namespace", "istio"), ("kubernetes_pod_name", "gw-1")];
        let monitored = [("namespace", "istio"), ("pod", "gw-1"), ("instance", "10.0.0.1:15090")];
        for (one, other, told) in [
            (target(&annotated, 1.0), target(&monitored, 1.0), Some("pod gw-1")),
            (target(&monitored, 1.0), target(&monitored, 1.0), Some("pod gw-1")),
            (target(&monitored, 2.0), target(&[("pod", "gw-2")], 1.0), Some("pod gw-1")),
            (target(&[("instance", "h:1")], 2.0), target(&[], 1.0), Some("instance h:1")),
            (target(&monitored, 1.0), target(&[("namespace", "b"), ("pod", "gw-1")], 1.0), None),
            (
                target(&monitored, 1.0),
                target(&[("namespace", "istio"), ("pod", "gw-2")], 1.0),
                None,
            ),
            (target(&[("pod", "p"), ("cluster", "x")], 1.0), target(&[("pod", "p")], 1.0), None),
            (target(&[("instance", "h:1")], 1.0), target(&[("instance", "h:2")], 1.0), None),
            (
                target(&[("instance", "h:1")], 1.0),
                target(&[("instance", "h:1"), ("shadow", "b")], 1.0),
                None,
            ),
            // Federated sums have no such labels.
            (target(&[], 2.0), target(&[], 1.0), None),
        ] {
            let targets = [one, other];
            let found = check_apart(&targets).map_err(|error| error.to_string());
            let is_told = told.map_or(found.is_ok(), |told| {
                found.as_ref().is_err_and(|error| error.contains(told))
            });
            assert!(is_told, "{targets:?}: {found:?}");
        }
    }

    #[test]
    fn vectors_are_read_and_anything_else_is_refused() {
        let answer = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"shadow":"iris-v2","le":"+Inf"},"value":[1435781451.781,"12.5"]}]}}"#;
        let read = |metric: &str, answer: &str| {
            let mut answers = Answers::default();
            answers.add(metric, answer).map(|()| answers)
        };
        let samples = read("m_bucket", answer).expect("a vector").samples;
        assert_eq!((samples[0].name.as_str(), samples[0].value), ("m_bucket", 12.5));
        assert_eq!((samples[0].label("shadow"), samples[0].label("le")), ("iris-v2", "+Inf"));
        let none = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(read("m", none).expect("an empty vector").samples, []);
        let noted = none.replacen('{', r#"{"warnings":["a","a"],"infos":["b"],"#, 1);
        let noted = read("m", &noted).expect("a vector with notes");
        assert_eq!((noted.warnings, noted.infos), (vec!["a".to_owned()], vec!["b".to_owned()]));
        for bad in [
            "<html>",
            "{}",
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            r#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}"#,
            r#"{"data":{"resultType":"vector","result":[{"metric":{}}]}}"#,
        ] {
            assert!(read("m", bad).is_err(), "{bad}");
        }
    }
}
