//! What the gateways counted, for each shadow.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
pub use modelgate_engine::shadow::Outcome;
pub use modelgate_engine::shadow::compare::Kind;
pub use modelgate_engine::telemetry::metric::{
    LIVE_MILLISECONDS as LIVE, SCORE_DIFFERENCE as MOVED, SHADOW_DIFFERENCES as DIFFERENCES,
    SHADOW_MILLISECONDS as SHADOW, SHADOW_OUTCOMES as OUTCOMES, SHADOW_SELECTED as SELECTED,
};

use super::histogram::Histogram;
use super::samples::Sample;

/// Follows a shadow's name where its baseline is counted.
const BASELINE: &str = "/baseline";

/// Counters and histograms of one shadow, at one time or between two.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Requests chosen for a copy.
    pub selected: f64,
    /// What became of them: every outcome, and those that only a newer gateway knows.
    pub outcomes: BTreeMap<String, f64>,
    /// Ways in which answers differ.
    pub differences: BTreeMap<String, f64>,
    /// Milliseconds of the live model, for pairs of which both answers came.
    pub live: Histogram,
    /// Milliseconds of the shadow, for the same pairs.
    pub shadow: Histogram,
    /// Millionths by which scores moved.
    pub moved: Histogram,
}

impl Default for Counts {
    fn default() -> Self {
        let zeros = |words: &[&str]| words.iter().map(|word| ((*word).to_owned(), 0.0)).collect();
        Self {
            selected: 0.0,
            outcomes: zeros(Outcome::WORDS),
            differences: zeros(Kind::WORDS),
            live: Histogram::default(),
            shadow: Histogram::default(),
            moved: Histogram::default(),
        }
    }
}

/// A shadow and, if it has one, the live model's comparison with itself.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Counted {
    /// The shadow.
    pub shadow: Counts,
    /// Its baseline.
    pub baseline: Option<Counts>,
}

/// Every shadow by its name; the sources are added up.
///
/// # Errors
///
/// A source whose shadows have no label, or histograms that cannot be added up.
pub fn count(sources: &[Vec<Sample>]) -> Result<BTreeMap<String, Counted>> {
    count_since(sources, &[])
}

/// The same, of what each source counted since an earlier page of the same proxy, where there is one.
///
/// # Errors
///
/// As those of [`count`].
pub fn count_since(
    sources: &[Vec<Sample>],
    before: &[Option<Vec<Sample>>],
) -> Result<BTreeMap<String, Counted>> {
    let mut all: BTreeMap<String, Counts> = BTreeMap::new();
    for (i, samples) in sources.iter().enumerate() {
        let before = before.get(i).and_then(Option::as_ref);
        let before = before.map(|samples| one_source(samples)).transpose()?.unwrap_or_default();
        for (name, counts) in one_source(samples)? {
            let counts = before.get(&name).map_or_else(|| counts.clone(), |b| counts.since(b));
            all.entry(name).or_default().add(&counts)?;
        }
    }
    let mut shadows: BTreeMap<String, Counted> = BTreeMap::new();
    for (name, counts) in all {
        match name.strip_suffix(BASELINE) {
            Some(shadow) => shadows.entry(shadow.to_owned()).or_default().baseline = Some(counts),
            None => shadows.entry(name).or_default().shadow = counts,
        }
    }
    Ok(shadows)
}

/// By so much sums of a Prometheus server may be off by its arithmetic.
pub const HAIR: f64 = 1e-6;

/// Refuses a source with more outcomes than requests that were chosen, each of which has one: it holds parts of several, or
/// not all of one. Not for what was added within a time, in which copies end that were chosen before it.
///
/// # Errors
///
/// Names the shadow and its counts, or what [`count`] refuses.
pub fn check_whole(samples: &[Sample]) -> Result<()> {
    for (name, counts) in one_source(samples)? {
        let (selected, ended) = (counts.selected, counts.ended());
        ensure!(
            ended <= selected * (1.0 + HAIR) + 1.0,
            "shadow {name} has {ended} outcomes of {selected} chosen requests: the source is not one whole page of one gateway"
        );
    }
    Ok(())
}

/// Metrics that are read, each with the label that a series of it has besides the shadow's.
const METRICS: [(&str, &str); 6] = [
    (SELECTED, "shadow"),
    (OUTCOMES, "outcome"),
    (DIFFERENCES, "kind"),
    (LIVE, "le"),
    (SHADOW, "le"),
    (MOVED, "le"),
];

/// The metric that a series of this name is of, or that it ends in, and its label. Of a histogram only the buckets
/// are read.
fn metric_of(name: &str) -> Option<(&str, &'static str)> {
    let is_of = |metric: &&str, label: &str| match label {
        "le" => name.strip_suffix("_bucket").is_some_and(|name| name.ends_with(metric)),
        _ => name.ends_with(metric),
    };
    let (metric, label) = METRICS.iter().find(|(metric, label)| is_of(metric, label))?;
    let end = if *label == "le" { "_bucket".len() } else { 0 };
    name.get(..name.len().checked_sub(metric.len() + end)?).map(|before| (before, *label))
}

/// Whether a series of this name is read: a counter's, or a part of a histogram's.
pub fn is_read(name: &str) -> bool {
    metric_of(name).is_some_and(|(before, _)| before.is_empty())
}

/// Refuses series from which Envoy has not taken the tags out, or not all, what cannot be a count, and what is there twice.
fn check(samples: &[Sample]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for sample in samples {
        let Sample { name, value, .. } = sample;
        let Some((before, label)) = metric_of(name) else { continue };
        let missing = ["shadow", label].into_iter().find(|label| sample.label(label).is_empty());
        ensure!(
            before.is_empty() && missing.is_none(),
            "{name} does not have the labels of its metric{}: list all tags of modelgate in the gateway's \
             meshConfig.defaultConfig.extraStatTags, and restart it",
            missing.map(|label| format!(" (no {label})")).unwrap_or_default()
        );
        ensure!(value.is_finite() && *value >= 0.0, "{name} cannot be {value}: it counts");
        ensure!(
            seen.insert((name, &sample.labels)),
            "{name} is there twice with the same labels: a source is one whole page of one gateway"
        );
    }
    Ok(())
}

fn one_source(samples: &[Sample]) -> Result<BTreeMap<String, Counts>> {
    check(samples)?;
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    let mut buckets: BTreeMap<(&str, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for sample in samples {
        let shadow = sample.label("shadow");
        match sample.name.as_str() {
            SELECTED => counts.entry(shadow.to_owned()).or_default().selected += sample.value,
            OUTCOMES => {
                let outcomes = &mut counts.entry(shadow.to_owned()).or_default().outcomes;
                *outcomes.entry(sample.label("outcome").to_owned()).or_default() += sample.value;
            }
            DIFFERENCES => {
                let kinds = &mut counts.entry(shadow.to_owned()).or_default().differences;
                *kinds.entry(sample.label("kind").to_owned()).or_default() += sample.value;
            }
            name => {
                if let Some(metric @ (LIVE | SHADOW | MOVED)) = name.strip_suffix("_bucket") {
                    let le = sample.label("le");
                    let bound = le.parse().ok().filter(|bound: &f64| !bound.is_nan());
                    let bound = bound.with_context(|| format!("{name}: {le:?} is not a bound"))?;
                    buckets.entry((shadow, metric)).or_default().push((bound, sample.value));
                }
            }
        }
    }
    for ((shadow, metric), pairs) in buckets {
        let entry = counts.entry(shadow.to_owned()).or_default();
        let histogram = match metric {
            LIVE => &mut entry.live,
            SHADOW => &mut entry.shadow,
            _ => &mut entry.moved,
        };
        *histogram = Histogram::new(pairs);
    }
    Ok(counts)
}

impl Counts {
    /// Copies with this outcome.
    pub fn outcome(&self, outcome: Outcome) -> f64 {
        self.outcomes.get(outcome.as_str()).copied().unwrap_or_default()
    }

    /// Mismatches of this kind.
    pub fn kind(&self, kind: Kind) -> f64 {
        self.differences.get(kind.as_str()).copied().unwrap_or_default()
    }

    /// Every outcome with its count, in the order in which the engine declares them.
    pub fn by_outcome(&self) -> Vec<(&str, f64)> {
        in_order(&self.outcomes, Outcome::WORDS)
    }

    /// Every kind of difference with its count, likewise.
    pub fn by_kind(&self) -> Vec<(&str, f64)> {
        in_order(&self.differences, Kind::WORDS)
    }

    /// Copies that have their outcome.
    pub fn ended(&self) -> f64 {
        self.outcomes.values().sum()
    }

    /// Copies whose answer was compared.
    pub fn compared(&self) -> f64 {
        self.outcome(Outcome::Matched) + self.outcome(Outcome::Mismatched)
    }

    /// Adds another source's counts.
    fn add(&mut self, other: &Self) -> Result<()> {
        self.selected += other.selected;
        for (mine, more) in
            [(&mut self.outcomes, &other.outcomes), (&mut self.differences, &other.differences)]
        {
            for (name, count) in more {
                *mine.entry(name.clone()).or_default() += count;
            }
        }
        self.live.add(&other.live)?;
        self.shadow.add(&other.shadow)?;
        self.moved.add(&other.moved)
    }

    /// What was counted since an earlier time.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            selected: added(self.selected, before.selected),
            outcomes: minus(&self.outcomes, &before.outcomes),
            differences: minus(&self.differences, &before.differences),
            live: self.live.since(&before.live),
            shadow: self.shadow.since(&before.shadow),
            moved: self.moved.since(&before.moved),
        }
    }
}

/// The known ones first, then the others.
fn in_order<'c>(counts: &'c BTreeMap<String, f64>, words: &[&str]) -> Vec<(&'c str, f64)> {
    let mut all: Vec<_> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    all.sort_by_key(|(name, _)| words.iter().position(|word| word == name).unwrap_or(words.len()));
    all
}

/// What was added to a counter; one that fell began anew with its proxy.
fn added(now: f64, before: f64) -> f64 {
    if now < before { now } else { now - before }
}

fn minus(now: &BTreeMap<String, f64>, before: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let earlier = |name: &String| before.get(name).copied().unwrap_or_default();
    now.iter().map(|(name, value)| (name.clone(), added(*value, earlier(name)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::parse;

    const PAGE: &str = r#"
modelgate_requests_total{model="prod/iris",operation="predict",decision="allowed"} 12
modelgate_shadow_selected_total{shadow="iris-v2"} 10
modelgate_shadow_outcomes_total{shadow="iris-v2",outcome="matched"} 7
modelgate_shadow_outcomes_total{shadow="iris-v2",outcome="mismatched"} 2
modelgate_shadow_differences_total{shadow="iris-v2",kind="class"} 2
modelgate_shadow_milliseconds_bucket{shadow="iris-v2",le="10"} 5
modelgate_shadow_milliseconds_bucket{shadow="iris-v2",le="+Inf"} 9
modelgate_shadow_milliseconds_sum{shadow="iris-v2"} 250
modelgate_shadow_selected_total{shadow="iris-v2/baseline"} 10
modelgate_shadow_outcomes_total{shadow="iris-v2/baseline",outcome="matched"} 10
modelgate_shadow_selected_total{shadow="other"} 1
modelgate_shadow_outcomes_total{shadow="other",outcome="lost_in_space"} 1
"#;

    fn sources(pages: &[&str]) -> Vec<Vec<Sample>> {
        pages.iter().map(|page| parse(page).expect("metrics")).collect()
    }

    #[test]
    fn shadows_are_told_apart_and_baselines_put_beside_them() {
        let shadows = count(&sources(&[PAGE])).expect("counts");
        assert_eq!(shadows.keys().collect::<Vec<_>>(), ["iris-v2", "other"]);
        let iris = &shadows["iris-v2"];
        assert_eq!((iris.shadow.selected, iris.shadow.compared()), (10.0, 9.0));
        assert_eq!(iris.shadow.kind(Kind::Class), 2.0);
        assert_eq!(iris.shadow.shadow.count(), 9.0);
        assert_eq!(iris.baseline.as_ref().map(Counts::ended), Some(10.0));
        assert_eq!(shadows["other"].shadow.ended(), 1.0, "an outcome of a newer gateway counts");
    }

    #[test]
    fn replicas_add_up_and_times_are_subtracted() {
        let one = count(&sources(&[PAGE])).expect("counts");
        let two = count(&sources(&[PAGE, PAGE])).expect("counts");
        let (one, two) = (&one["iris-v2"].shadow, &two["iris-v2"].shadow);
        assert_eq!((two.selected, two.compared(), two.shadow.count()), (20.0, 18.0, 18.0));
        assert_eq!(&two.since(one), one);
    }

    #[test]
    fn what_cannot_be_a_count_is_refused() {
        let (shadow, bucket) = ("{shadow=\"a\"}", "modelgate_shadow_milliseconds_bucket");
        for (line, refused) in [
            (format!("{SELECTED}{shadow} 3"), false),
            (format!("{SELECTED}{shadow} -3"), true),
            (format!("{SELECTED}{shadow} NaN"), true),
            (format!("{OUTCOMES}{{shadow=\"a\",outcome=\"matched\"}} +Inf"), true),
            (format!("{DIFFERENCES}{{shadow=\"a\",kind=\"class\"}} -0.5"), true),
            (format!("{bucket}{{shadow=\"a\",le=\"5\"}} NaN"), true),
            (format!("{bucket}{{shadow=\"a\",le=\"NaN\"}} 3"), true),
            (format!("{bucket}{{shadow=\"a\",le=\"x\"}} 3"), true),
            (format!("{bucket}{shadow} 3"), true),
            (format!("{SELECTED}{shadow} 3\n{SELECTED}{shadow} 3"), true),
            (
                format!("{bucket}{{shadow=\"a\",le=\"5\"}} 1\n{bucket}{{le=\"5\",shadow=\"a\"}} 1"),
                true,
            ),
            (format!("{SELECTED}{{shadow=\"a\"}} 3\n{SELECTED}{{shadow=\"b\"}} 3"), false),
            ("envoy_something{quantile=\"0.5\"} NaN".to_owned(), false),
            ("modelgate_shadow_milliseconds_sum{shadow=\"a\"} NaN".to_owned(), false),
        ] {
            assert_eq!(count(&sources(&[&line])).is_err(), refused, "{line}");
        }
    }

    #[test]
    fn each_chosen_request_has_one_outcome() {
        for (selected, matched, timeout, refused) in
            [(10, 7, 3, false), (10, 11, 0, false), (10, 7, 5, true), (0, 12, 0, true)]
        {
            let page = format!(
                "{SELECTED}{{shadow=\"a\"}} {selected}\n{OUTCOMES}{{shadow=\"a\",outcome=\"matched\"}} {matched}\n\
                 {OUTCOMES}{{shadow=\"a\",outcome=\"timeout\"}} {timeout}\n"
            );
            let whole = check_whole(&parse(&page).expect("metrics"));
            assert_eq!(whole.is_err(), refused, "{page}: {whole:?}");
        }
    }

    #[test]
    fn a_gateway_without_the_tags_is_told_what_to_do() {
        for series in [
            "shadow___iris_v2____modelgate_shadow_selected_total",
            "modelgate_shadow_selected_total",
            "shadow___a____modelgate_shadow_selected_total{shadow=\"a\"}",
            "kind___class____modelgate_shadow_differences_total{shadow=\"a\"}",
            "modelgate_shadow_differences_total{shadow=\"a\"}",
            "shadow___a____modelgate_shadow_differences_total{kind=\"class\"}",
            "modelgate_shadow_differences_total{kind=\"class\"}",
            "outcome___matched____modelgate_shadow_outcomes_total{shadow=\"a\"}",
            "modelgate_shadow_outcomes_total{shadow=\"a\"}",
            "shadow___a____modelgate_shadow_milliseconds_bucket{le=\"1\"}",
            "shadow___a____modelgate_shadow_live_milliseconds_bucket{le=\"1\"}",
            "x_modelgate_shadow_score_difference_millionths_bucket{le=\"1\",shadow=\"a\"}",
            "modelgate_shadow_score_difference_millionths_bucket{le=\"1\"}",
        ] {
            let page = format!("modelgate_shadow_selected_total{{shadow=\"a\"}} 3\n{series} 10\n");
            let error = count(&sources(&[&page])).expect_err(series).to_string();
            assert!(error.contains("extraStatTags"), "{series}: {error}");
        }
        let page = "modelgate_shadow_milliseconds_sum 3\nenvoy_modelgate_shadow_in_flight 1\n";
        assert_eq!(count(&sources(&[page])).expect("no shadow").len(), 0);
    }

    #[test]
    fn what_was_counted_before_is_taken_off_per_source() {
        let more = PAGE.replace(
            "selected_total{shadow=\"iris-v2\"} 10",
            "selected_total{shadow=\"iris-v2\"} 15",
        );
        let more = more.replace("outcome=\"matched\"} 7", "outcome=\"matched\"} 11");
        let pages = sources(&[&more, PAGE]);
        let before = [Some(sources(&[PAGE]).remove(0)), None];
        let counted = count_since(&pages, &before).expect("counts");
        let iris = &counted["iris-v2"].shadow;
        assert_eq!((iris.selected, iris.outcome(Outcome::Matched)), (15.0, 11.0));
        assert_eq!((iris.outcome(Outcome::Mismatched), iris.kind(Kind::Class)), (2.0, 2.0));
    }
}
