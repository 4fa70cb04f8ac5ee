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
    for (number, line) in page.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match sample(line) {
            Some(sample) => samples.push(sample),
            None => {
                let start: String = line.chars().take(60).collect();
                bail!("line {} is not a metric in Prometheus's text format: {start:?}", number + 1);
            }
        }
    }
    samples.first().context("there is no metric in it")?;
    Ok(samples)
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
    Some(Sample { name: name.to_owned(), labels, value })
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
