//! The names of metrics, with their tags.

/// A counter of requests chosen for a copy.
pub const SHADOW_SELECTED: &str = "modelgate_shadow_selected_total";
/// A counter of what became of them, by `outcome`.
pub const SHADOW_OUTCOMES: &str = "modelgate_shadow_outcomes_total";
/// A counter of the ways in which answers differ, by `kind`.
pub const SHADOW_DIFFERENCES: &str = "modelgate_shadow_differences_total";
/// A histogram of [`Histogram::Live`].
pub const LIVE_MILLISECONDS: &str = "modelgate_shadow_live_milliseconds";
/// A histogram of [`Histogram::Shadow`].
pub const SHADOW_MILLISECONDS: &str = "modelgate_shadow_milliseconds";
/// A histogram of [`Histogram::ScoreDifference`].
pub const SCORE_DIFFERENCE: &str = "modelgate_shadow_score_difference_millionths";

/// A metric's name with its tags, as Istio's bootstrap takes them out again for every tag in
/// `extraStatTags`: `model=.=prod/iris;.;modelgate_requests_total`.
pub fn metric_name(metric: &str, tags: &[(&str, &str)]) -> String {
    let mut name = String::new();
    for (tag, value) in tags {
        name.push_str(tag);
        name.push_str("=.=");
        // The separator inside a value would end it early and start a tag of the value's choosing.
        name.push_str(&value.replace(";.;", "_"));
        name.push_str(";.;");
    }
    name.push_str(metric);
    name
}

/// The name of a gauge that is 1 while this version of the module runs.
pub fn build_info() -> String {
    metric_name("modelgate_build_info", &[("version", env!("CARGO_PKG_VERSION"))])
}

/// A histogram of [`Histogram::TimeToFirstToken`], after OpenTelemetry's `gen_ai.server.time_to_first_token`.
const TIME_TO_FIRST_TOKEN: &str = "modelgate_gen_ai_time_to_first_token_milliseconds";
/// A histogram of [`Histogram::TimePerOutputToken`], after OpenTelemetry's `gen_ai.server.time_per_output_token`.
const TIME_PER_OUTPUT_TOKEN: &str = "modelgate_gen_ai_time_per_output_token_milliseconds";

/// A distribution over a shadow's pairs, or over a model's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Histogram {
    /// How long the live model took, in milliseconds.
    Live,
    /// How long the shadow took, in milliseconds.
    Shadow,
    /// The largest difference of two scores at the same place, in millionths.
    ScoreDifference,
    /// How long it took until something generated came, in milliseconds.
    TimeToFirstToken,
    /// How long it was from one event with something generated to the next, in the mean of an answer, in milliseconds.
    TimePerOutputToken,
}

impl Histogram {
    /// The metric's name for a shadow or a model.
    pub fn name(self, of: &str) -> String {
        let (tag, metric) = match self {
            Self::Live => ("shadow", LIVE_MILLISECONDS),
            Self::Shadow => ("shadow", SHADOW_MILLISECONDS),
            Self::ScoreDifference => ("shadow", SCORE_DIFFERENCE),
            Self::TimeToFirstToken => ("model", TIME_TO_FIRST_TOKEN),
            Self::TimePerOutputToken => ("model", TIME_PER_OUTPUT_TOKEN),
        };
        metric_name(metric, &[(tag, of)])
    }
}

/// What a shadow holds at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gauge {
    /// Copies that were sent and not answered.
    InFlight,
    /// Bytes of copies and answers.
    BufferedBytes,
}

impl Gauge {
    /// The metric's name for a shadow.
    pub fn name(self, shadow: &str) -> String {
        let metric = match self {
            Self::InFlight => "modelgate_shadow_in_flight",
            Self::BufferedBytes => "modelgate_shadow_buffered_bytes",
        };
        metric_name(metric, &[("shadow", shadow)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_end_its_tag() {
        assert_eq!(metric_name("m", &[("model", "a;.;b")]), "model=.=a_b;.;m");
    }
}
