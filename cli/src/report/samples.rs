//! Prometheus's text format, as Envoy writes it at `/stats/prometheus`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

/// One value of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
    /// Whether the page says that it is a counter's, or a histogram's: those never fall.
    pub counts: bool,
}

impl Sample {
    /// The value of a label, empty if there is none: to Prometheus the two are the same.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Reads a page. Anything that is not the text format is an error with its line: an error page of a
/// proxy must not be taken for a gateway without shadows.
pub fn parse(page: &str) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut counted = "";
    for (number, line) in page.lines().enumerate() {
        let line = line.trim();
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let name = kind.strip_suffix(" counter").or_else(|| kind.strip_suffix(" histogram"));
            counted = name.unwrap_or_default().trim();
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match sample(line) {
            Some(sample) => {
                let counts = !counted.is_empty() && is_part(&sample.name, counted);
                samples.push(Sample { counts, ..sample });
            }
            None => {
                let start: String = line.chars().take(60).collect();
                bail!("line {} is not a metric in Prometheus's text format: {start:?}", number + 1);
            }
        }
    }
    samples.first().context("there is no metric in it")?;
    Ok(samples)
}

/// Whether a series is that of a metric, or of one of a histogram's parts.
fn is_part(series: &str, metric: &str) -> bool {
    let part = series.strip_prefix(metric);
    part.is_some_and(|part| matches!(part, "" | "_bucket" | "_count" | "_sum"))
}

/// `name{key="value",...} number`, and perhaps a timestamp, which is of no use here.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, mut rest) = line.split_at_checked(end)?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(legal) {
        return None;
    }
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        (labels, rest) = read_labels(inner)?;
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value, counts: false })
}

/// `key="value",...}` with `\\`, `\"` and `\n` escaped in values, and what follows.
fn read_labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (key, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => match chars.next()? {
                    'n' => value.push('\n'),
                    escaped => value.push(escaped),
                },
                c => value.push(c),
            }
        }
        labels.insert(key.trim().to_owned(), value);
        rest = chars.as_str().trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_text_format() {
        let page = "# TYPE a counter\n\
                    a{model=\"prod/iris\",q=\"x\\\"y,{} \\\\\\n\"} 3\n\n\
                    a{ model=\"none\", } 4 1395066363000\n\
                    b 1.5\n\
                    c{} +Inf\r\n";
        let samples = parse(page).expect("the text format");
        let shown: Vec<(&str, &str, f64)> =
            samples.iter().map(|s| (s.name.as_str(), s.label("model"), s.value)).collect();
        assert_eq!(
            shown,
            [("a", "prod/iris", 3.0), ("a", "none", 4.0), ("b", "", 1.5), ("c", "", f64::INFINITY)]
        );
        assert_eq!(samples[0].label("q"), "x\"y,{} \\\n");
        let counts: Vec<bool> = samples.iter().map(|sample| sample.counts).collect();
        assert_eq!(counts, [true, true, false, false]);
        let page =
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 2\nhot 3\n# TYPE g gauge\ng 1\n";
        let counts: Vec<bool> =
            parse(page).expect("the text format").iter().map(|sample| sample.counts).collect();
        assert_eq!(counts, [true, true, false, false]);
    }

    #[test]
    fn refuses_what_is_no_metrics_page() {
        for (page, told) in [
            ("<html>\n502 Bad Gateway", "line 1 "),
            ("a 1\nupstream connect error", "line 2 "),
            ("a{b=\"c\"", "line 1 "),
            ("a{b=\"c} 1", "line 1 "),
            ("a{b=c} 1", "line 1 "),
            ("a{b=\"c\"}", "line 1 "),
            ("a one", "line 1 "),
            ("{} 1", "line 1 "),
            ("# nothing\n", "no metric"),
            ("", "no metric"),
        ] {
            let error = parse(page).expect_err(page).to_string();
            assert!(error.contains(told), "{page:?}: {error}");
        }
    }
}
