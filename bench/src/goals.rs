//! The goals that the gateway's figures are held against.

use serde_json::{Value, json};

use crate::comparison::{Measured, before_of};
use crate::figures::Series;

/// The CPU time of a request in `variant` is to be at most `limit` times that in `against`.
#[derive(Debug, Clone, Copy)]
struct Goal {
    what: &'static str,
    variant: &'static str,
    against: &'static str,
    limit: f64,
}

const GOALS: [Goal; 5] = [
    Goal {
        what: "a token seen before, 10 policies and a rewrite: no dearer than Envoy's own filters with a token cache",
        variant: "modelgate",
        against: "native-cached",
        limit: 1.0,
    },
    Goal {
        what: "the same: at most half of what istiod's configuration of Envoy's own filters costs",
        variant: "modelgate",
        against: "native",
        limit: 0.5,
    },
    Goal {
        what: "10,000 policies over 10,000 models: within 5 % of 10",
        variant: "modelgate-10000",
        against: "modelgate",
        limit: 1.05,
    },
    Goal {
        what: "the first sight of an RS256 token: no dearer than Envoy's own filters",
        variant: "modelgate-uncached",
        against: "native",
        limit: 1.0,
    },
    Goal {
        what: "the first sight of an ES256 token: no dearer than Envoy's own filters",
        variant: "modelgate-uncached-es256",
        against: "native-es256",
        limit: 1.0,
    },
];

/// A goal that both variants were measured for.
#[derive(Debug)]
pub struct Outcome {
    goal: &'static Goal,
    ratio: Series,
    least: f64,
}

/// The goals that this run can judge.
pub fn judge(measured: &[Measured]) -> Vec<Outcome> {
    let cpu = |name: &str| measured.iter().find(|m| m.name == name).map(|m| &m.cpu);
    GOALS
        .iter()
        .filter_map(|goal| {
            let (cpu, against) = (cpu(goal.variant)?, cpu(goal.against)?);
            Some(Outcome { goal, ratio: cpu.over(against), least: cpu.least() / against.least() })
        })
        .collect()
}

/// What a variant costs, against the same with the module of another commit.
#[derive(Debug)]
pub struct Change<'a> {
    variant: &'a str,
    ratio: Series,
    least: f64,
}

/// Every variant that was measured with both modules.
pub fn changes(measured: &[Measured]) -> Vec<Change<'_>> {
    measured
        .iter()
        .filter_map(|now| {
            let name = before_of(&now.name);
            let before = measured.iter().find(|m| m.name == name)?;
            let (ratio, least) = (now.cpu.over(&before.cpu), now.cpu.least() / before.cpu.least());
            Some(Change { variant: &now.name, ratio, least })
        })
        .collect()
}

impl Change<'_> {
    /// One line for people.
    pub fn line(&self) -> String {
        let Self { variant, ratio, least: cheapest } = self;
        let ((least, most), median) = (ratio.range(), ratio.median());
        format!(
            "{variant} = {median:.3} x {} (rounds {least:.3} to {most:.3}, cheapest rounds {cheapest:.3})",
            before_of(variant)
        )
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let (least, most) = self.ratio.range();
        json!({
            "variant": self.variant,
            "ratio": {"median": self.ratio.median(), "least": least, "most": most},
            "ratio_of_cheapest_rounds": self.least,
        })
    }
}

impl Outcome {
    /// Whether the median of the rounds keeps the limit, and the cheapest round of each variant too:
    /// on a busy machine one of the two alone says little.
    fn met(&self) -> bool {
        self.ratio.median().max(self.least) <= self.goal.limit
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let Goal { what, variant, against, limit } = self.goal;
        let (least, most) = self.ratio.range();
        let met = if self.met() { "met    " } else { "NOT MET" };
        let (median, cheapest) = (self.ratio.median(), self.least);
        format!(
            "{met} {what}\n        {variant} = {median:.2} x {against} (goal <= {limit:.2}; rounds {least:.2} to {most:.2}, cheapest rounds {cheapest:.2})"
        )
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let Goal { what, variant, against, limit } = self.goal;
        let (least, most) = self.ratio.range();
        json!({
            "goal": what,
            "variant": variant,
            "against": against,
            "limit": limit,
            "ratio": {"median": self.ratio.median(), "least": least, "most": most},
            "ratio_of_cheapest_rounds": self.least,
            "met": self.met(),
        })
    }
}
