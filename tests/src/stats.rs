//! What `/stats/prometheus` says, as samples with labels.

use std::collections::BTreeMap;

/// One line of the exposition format.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// All samples of one page.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    samples: Vec<Sample>,
}

impl Stats {
    /// Reads a page; lines that are no samples are passed over.
    pub fn parse(page: &str) -> Self {
        Self { samples: page.lines().filter_map(sample).collect() }
    }

    /// The samples with this name and at least these labels.
    pub fn select<'s>(
        &'s self,
        name: &'s str,
        labels: &'s [(&'s str, &'s str)],
    ) -> impl Iterator<Item = &'s Sample> {
        self.samples.iter().filter(move |s| {
            s.name == name
                && labels.iter().all(|(key, value)| s.labels.get(*key).is_some_and(|v| v == value))
        })
    }

    /// The sum of [`select`](Self::select); 0 if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.select(name, labels).fold(0.0, |sum, sample| sum + sample.value)
    }

    /// The counters of modelgate.
    pub fn totals(&self) -> Vec<Sample> {
        self.starting_with("modelgate_").filter(|s| s.name.ends_with("_total")).cloned().collect()
    }

    /// The samples whose name starts with `prefix`.
    pub fn starting_with<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s Sample> {
        self.samples.iter().filter(move |s| s.name.starts_with(prefix))
    }
}

/// `name{key="value",...} number`.
fn sample(line: &str) -> Option<Sample> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, labels(rest.strip_suffix('}')?)?),
        None => (series, BTreeMap::new()),
    };
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

/// `key="value",...` with `\\`, `\"` and `\n` escaped in values.
fn labels(text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    escaped => value.push(escaped),
                },
                (_, c) => value.push(c),
            }
        };
        labels.insert(key.to_owned(), value);
        rest = after.get(end + 1..)?.trim_start_matches(',');
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_labels_with_escapes() {
        let page = "# TYPE a counter\na{model=\"prod/iris\",q=\"x\\\"y,{}\"} 3\na{model=\"none\"} 4\nb 1.5\n";
        let stats = Stats::parse(page);
        assert_eq!(stats.sum("a", &[]), 7.0);
        assert_eq!(stats.sum("a", &[("model", "prod/iris")]), 3.0);
        assert_eq!(stats.sum("a", &[("q", "x\"y,{}")]), 3.0);
        assert_eq!(stats.sum("b", &[]), 1.5);
        assert_eq!(stats.starting_with("a").count(), 2);
    }
}
