//! How sure a figure is: confidence intervals.

use clap::ValueEnum;

/// How often an interval covers the true value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Confidence {
    /// 90 %
    #[value(name = "90")]
    Ninety,
    /// 95 %
    #[value(name = "95")]
    Ninety5,
    /// 99 %
    #[value(name = "99")]
    Ninety9,
}

impl Confidence {
    /// In percent.
    pub fn percent(self) -> u8 {
        match self {
            Self::Ninety => 90,
            Self::Ninety5 => 95,
            Self::Ninety9 => 99,
        }
    }

    /// The standard normal quantile that leaves half of the rest on either side.
    pub fn z(self) -> f64 {
        match self {
            Self::Ninety => 1.644_853_626_951_472_2,
            Self::Ninety5 => 1.959_963_984_540_054,
            Self::Ninety9 => 2.575_829_303_548_900_4,
        }
    }
}

/// A value and the interval around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure itself.
    pub value: f64,
    /// The interval's lower end.
    pub lower: f64,
    /// Its upper end; none if the observations set none.
    pub upper: Option<f64>,
    /// Whether the figure is at least `value`, and nothing says how much more.
    pub at_least: bool,
}

/// So many of so many.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Share {
    /// How many.
    pub count: f64,
    /// Of how many.
    pub of: f64,
    /// How many more there may be among those of which nobody knows.
    pub unknown: f64,
}

impl Share {
    /// The share, with Wilson's score interval (E. B. Wilson, JASA 22, 1927): it holds for shares
    /// near 0 and 1, where these are, and for few observations. None without any. Its upper end is that of a
    /// share with all that is unknown.
    pub fn estimate(self, confidence: Confidence) -> Option<Estimate> {
        let Self { count, of: n, unknown } = self;
        if n <= 0.0 {
            return None;
        }
        let z2 = confidence.z().powi(2);
        let ends = |p: f64| {
            let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
            let half =
                confidence.z() / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
            // At 0 and 1 the ends are those, but for rounding.
            let lower = if p == 0.0 { 0.0 } else { centre - half };
            (lower, if p == 1.0 { 1.0 } else { centre + half })
        };
        let p = (count / n).clamp(0.0, 1.0);
        let most = ((count + unknown) / n).clamp(0.0, 1.0);
        let upper = Some(ends(most).1);
        Some(Estimate { value: p, lower: ends(p).0, upper, at_least: false })
    }

    /// The share that it is at most, if it is known of how many.
    pub fn most(self) -> Option<f64> {
        (self.of > 0.0).then(|| ((self.count + self.unknown) / self.of).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_intervals_are_those_of_the_literature() {
        // R. G. Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
        for (count, of, lower, upper) in [
            (81.0, 263.0, 0.2553, 0.3662),
            (15.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0, 0.1611),
            (1.0, 29.0, 0.0061, 0.1718),
        ] {
            let share =
                Share { count, of, unknown: 0.0 }.estimate(Confidence::Ninety5).expect("a share");
            assert!((share.lower - lower).abs() < 5e-5, "{count} of {of}: {share:?}");
            assert!((share.upper.expect("an end") - upper).abs() < 5e-5, "{count}: {share:?}");
            assert_eq!(share.value, count / of);
            // The same seen from the other side.
            let rest = Share { count: of - count, of, unknown: 0.0 }.estimate(Confidence::Ninety5);
            let rest = rest.expect("a share");
            assert!((rest.lower - (1.0 - upper)).abs() < 5e-5, "{rest:?}");
        }
    }

    #[test]
    fn more_confidence_is_a_wider_interval_and_nothing_has_none() {
        let share = Share { count: 9.0, of: 10.0, unknown: 0.0 };
        let widths = Confidence::value_variants().iter().map(|confidence| {
            let estimate = share.estimate(*confidence).expect("a share");
            estimate.upper.expect("an end") - estimate.lower
        });
        assert!(widths.is_sorted());
        assert_eq!(Share::default().estimate(Confidence::Ninety), None);
        let all = Share { count: 5.0, of: 5.0, unknown: 0.0 }
            .estimate(Confidence::Ninety5)
            .expect("a share");
        assert_eq!(all.upper, Some(1.0));
    }
}
