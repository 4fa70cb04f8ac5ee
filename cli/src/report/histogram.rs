//! A histogram of Prometheus: buckets with upper bounds, and quantiles between them.

use anyhow::{Result, ensure};

use super::interval::{Confidence, Estimate};

/// How many observations were at most each bound; bounds and counts ascend.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Histogram {
    buckets: Vec<(f64, f64)>,
}

/// One bucket by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The bound of the bucket before; 0 for the first.
    pub lower: f64,
    /// Its own bound; infinite for the last.
    pub upper: f64,
    /// Observations in it.
    pub count: f64,
}

impl Histogram {
    /// From pairs of bound and cumulative count. Several with the same bound add up.
    pub fn new(mut pairs: Vec<(f64, f64)>) -> Self {
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut buckets: Vec<(f64, f64)> = Vec::with_capacity(pairs.len());
        for (bound, count) in pairs {
            match buckets.last_mut() {
                Some(last) if last.0 == bound => last.1 += count,
                _ => buckets.push((bound, count)),
            }
        }
        // Rates of a Prometheus server are floats, and may descend by a hair.
        let mut most = 0.0_f64;
        for (_, count) in &mut buckets {
            most = most.max(*count);
            *count = most;
        }
        Self { buckets }
    }

    /// Observations in all.
    pub fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }

    /// Adds another proxy's observations.
    ///
    /// # Errors
    ///
    /// The buckets have other bounds: their counts cannot be added.
    pub fn add(&mut self, other: &Self) -> Result<()> {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return Ok(());
        }
        ensure!(
            other.buckets.is_empty() || self.bounds().eq(other.bounds()),
            "the histograms of the sources have different buckets, and cannot be added up"
        );
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        Ok(())
    }

    /// What was observed since an earlier time: everything, if the proxy began anew in between.
    pub fn since(&self, before: &Self) -> Self {
        let earlier = |bound: f64| {
            before.buckets.iter().find(|(b, _)| *b == bound).map_or(0.0, |(_, count)| *count)
        };
        if self.buckets.iter().any(|(bound, count)| *count < earlier(*bound)) {
            return self.clone();
        }
        Self { buckets: self.buckets.iter().map(|(b, count)| (*b, count - earlier(*b))).collect() }
    }

    /// With so many observations more, of which nothing but their number is known.
    pub fn with_beyond(&self, more: f64) -> Self {
        let mut all = self.clone();
        if let Some((_, count)) = all.buckets.last_mut().filter(|(b, _)| b.is_infinite()) {
            *count += more;
        }
        all
    }

    /// Each bucket by itself.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let before = std::iter::once((0.0, 0.0)).chain(self.buckets.iter().copied());
        let pairs = before.zip(&self.buckets);
        pairs.map(|((lower, below), (upper, count))| Bucket {
            lower,
            upper: *upper,
            count: count - below,
        })
    }

    /// The quantile, interpolated within its bucket as Prometheus's `histogram_quantile` does, and an
    /// interval for it by order statistics: with this confidence the true quantile lies between two
    /// observations by rank (W. J. Conover, Practical Nonparametric Statistics, §3.2), and these lie
    /// somewhere in their buckets. So the interval runs from bound to bound, and also covers
    /// what interpolation gets wrong. It has no end if too few observations lie above.
    ///
    /// Where Prometheus would answer with the last bound, because the quantile lies above it, this is
    /// what the quantile is at least. Without the bucket that has no upper bound nothing is known:
    /// how many observations there were is not, either.
    pub fn quantile(&self, q: f64, confidence: Confidence) -> Option<Estimate> {
        let n = self.count();
        if n <= 0.0 || self.buckets.last()?.0 != f64::INFINITY {
            return None;
        }
        let rank = n * q;
        let half = confidence.z() * (n * q * (1.0 - q)).sqrt();
        let lower = self.bucket((rank - half).ceil()).map_or(0.0, |bucket| bucket.lower);
        let last = (rank + half).ceil();
        let upper = if last > n { None } else { self.bucket(last) };
        let upper = upper.map(|bucket| bucket.upper).filter(|bound| bound.is_finite());
        let bucket = self.bucket(rank)?;
        let at_least = bucket.upper.is_infinite();
        let value = if at_least { bucket.lower } else { self.interpolated(rank, bucket) };
        Some(Estimate { value, lower, upper, at_least })
    }

    fn interpolated(&self, rank: f64, bucket: Bucket) -> f64 {
        let below: f64 =
            self.buckets().take_while(|b| b.upper < bucket.upper).map(|b| b.count).sum();
        bucket.lower + (bucket.upper - bucket.lower) * (rank - below) / bucket.count
    }

    /// The bucket that holds the observation of this rank; the first that holds any for a rank below 1.
    fn bucket(&self, rank: f64) -> Option<Bucket> {
        let mut up_to = 0.0;
        self.buckets().find(|bucket| {
            up_to += bucket.count;
            bucket.count > 0.0 && up_to >= rank
        })
    }

    fn bounds(&self) -> impl Iterator<Item = f64> {
        self.buckets.iter().map(|(bound, _)| *bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 up to 5, 40 up to 10, 40 up to 25, 10 above.
    fn histogram() -> Histogram {
        Histogram::new(vec![(10.0, 50.0), (5.0, 10.0), (25.0, 90.0), (f64::INFINITY, 100.0)])
    }

    fn quantile(q: f64) -> Estimate {
        histogram().quantile(q, Confidence::Ninety5).expect("observations")
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        // histogram_quantile(φ, ...) of the same buckets.
        for (q, value) in [(0.05, 2.5), (0.1, 5.0), (0.3, 7.5), (0.5, 10.0), (0.7, 17.5)] {
            assert!((quantile(q).value - value).abs() < 1e-12, "{q}: {:?}", quantile(q));
        }
        assert_eq!(Histogram::default().quantile(0.5, Confidence::Ninety5), None);
        let empty = Histogram::new(vec![(1.0, 0.0), (f64::INFINITY, 0.0)]);
        assert_eq!(empty.quantile(0.5, Confidence::Ninety5), None);
    }

    #[test]
    fn what_lies_above_the_last_bound_is_at_least_that() {
        const ALL: f64 = f64::INFINITY;
        // Buckets, quantile, value, and whether it is at least that.
        let known = |buckets: &[(f64, f64)], q| {
            let estimate = Histogram::new(buckets.to_vec()).quantile(q, Confidence::Ninety5);
            estimate.map(|q| (q.value, q.at_least))
        };
        for (buckets, q, expected) in [
            (&[(5.0, 10.0), (25.0, 90.0), (ALL, 100.0)][..], 0.99, Some((25.0, true))),
            (&[(5.0, 10.0), (25.0, 90.0), (ALL, 100.0)], 0.9, Some((25.0, false))),
            (&[(5.0, 0.0), (ALL, 100.0)], 0.5, Some((5.0, true))),
            (&[(5.0, 100.0), (ALL, 100.0)], 0.5, Some((2.5, false))),
            (&[(5.0, 100.0), (ALL, 100.0)], 0.01, Some((0.05, false))),
            (&[(0.0, 100.0), (ALL, 100.0)], 0.99, Some((0.0, false))),
            (&[(0.0, 0.0), (1.0, 0.0), (2.0, 100.0), (ALL, 100.0)], 0.5, Some((1.5, false))),
            // Nothing but the last bucket, no last bucket, nothing observed, no buckets.
            (&[(ALL, 100.0)], 0.5, Some((0.0, true))),
            (&[(5.0, 10.0), (25.0, 90.0)], 0.5, None),
            (&[(5.0, 0.0), (ALL, 0.0)], 0.5, None),
            (&[], 0.5, None),
        ] {
            assert_eq!(known(buckets, q), expected, "{buckets:?} {q}");
        }
    }

    #[test]
    fn a_proxy_that_began_anew_has_no_negative_counts() {
        let anew = Histogram::new(vec![(10.0, 3.0), (f64::INFINITY, 4.0)]);
        let before = Histogram::new(vec![(10.0, 1.0), (f64::INFINITY, 100.0)]);
        assert_eq!(anew.since(&before), anew);
    }

    #[test]
    fn intervals_run_from_bound_to_bound() {
        // Ranks 41 to 60: the buckets up to 10 and up to 25.
        assert_eq!((quantile(0.5).lower, quantile(0.5).upper), (5.0, Some(25.0)));
        // Ranks 22 to 39.
        assert_eq!((quantile(0.3).lower, quantile(0.3).upper), (5.0, Some(10.0)));
        // Ranks 91 to 100, all above 25.
        assert_eq!((quantile(0.95).lower, quantile(0.95).upper), (25.0, None));
        let few = Histogram::new(vec![(5.0, 3.0), (f64::INFINITY, 3.0)]);
        let p99 = few.quantile(0.99, Confidence::Ninety5).expect("observations");
        assert_eq!((p99.lower, p99.upper), (0.0, None), "3 observations say nothing about p99");
    }

    #[test]
    fn observations_of_several_proxies_add_up() {
        let mut sum = Histogram::default();
        sum.add(&histogram()).expect("nothing yet");
        sum.add(&histogram()).expect("the same buckets");
        assert_eq!(sum.count(), 200.0);
        sum.add(&Histogram::default()).expect("nothing to add");
        assert_eq!(sum.since(&histogram()), histogram());
        assert!(sum.add(&Histogram::new(vec![(f64::INFINITY, 1.0)])).is_err());
        let twice = Histogram::new(vec![(1.0, 1.0), (1.0, 2.0), (f64::INFINITY, 3.0)]);
        assert_eq!(twice.buckets().map(|b| b.count).collect::<Vec<_>>(), [3.0, 0.0]);
    }

    #[test]
    fn counts_that_descend_by_a_hair_are_levelled() {
        let rates = Histogram::new(vec![(1.0, 2.5), (2.0, 2.499), (f64::INFINITY, 2.5)]);
        assert!(rates.buckets().all(|bucket| bucket.count >= 0.0));
    }
}
