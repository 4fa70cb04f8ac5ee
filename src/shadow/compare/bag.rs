//! Lists whose order does not count. Each value has a digest that equal values share, and a sum of its
//! numbers that moves by no more than the tolerances let them move: only values that are near in both
//! are compared, so that a list costs what it takes to put it in order.

use super::json::Json;
use super::noise;
use super::number::Number;
use super::place::{Labels, Place, names_values};
use super::pointer::Step;
use super::walk::{At, Walk, embedded};
use crate::order;

/// What a value is, but for how large its numbers are.
#[derive(Debug, Clone, Copy)]
struct Digest {
    /// Of all that has to be equal.
    hash: u64,
    /// The numbers, each times a weight of its place.
    sum: f64,
    /// How far the sum of a value that agrees may be away.
    reach: f64,
}

#[derive(Debug)]
struct Entry {
    index: usize,
    digest: Digest,
}

const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(a: u64, b: u64) -> u64 {
    let mixed = (a ^ b.wrapping_mul(PRIME)).wrapping_mul(PRIME);
    mixed ^ (mixed >> 29)
}

/// Between a half and one.
fn weight(seed: u64) -> f64 {
    0.5 + (seed >> 33) as f64 / (1u64 << 32) as f64
}

impl<'a> Walk<'_, 'a> {
    /// Each live value takes the first equal one that is left.
    pub(super) fn bags(
        &mut self,
        at: At,
        place: Place,
        live: &'a [Json<'a>],
        shadow: &'a [Json<'a>],
    ) {
        let before = self.steps.left();
        let a = self.digests(at, place, live);
        let b = self.digests(at, place, shadow);
        // Values whose digests and sums are alike, and which differ, are compared in vain.
        let mut vain = before.saturating_sub(self.steps.left()).saturating_mul(4);
        // Behind entry `i` the first one that is free is `next[i]`, perhaps through others.
        let mut next: Vec<usize> = (0..=b.len()).collect();
        let mut matched = (vec![false; live.len()], vec![false; shadow.len()]);
        for Entry { index, digest } in &a {
            let low = digest.sum - digest.reach;
            let lower = |e: &Entry| (e.digest.hash, e.digest.sum) < (digest.hash, low);
            let mut i = free(&mut next, b.partition_point(lower));
            while let Some(entry) = b.get(i).filter(|e| {
                e.digest.hash == digest.hash && e.digest.sum - digest.sum <= digest.reach
            }) {
                let (Some(x), Some(y)) = (live.get(*index), shadow.get(entry.index)) else { break };
                let paid = self.steps.left();
                if self.same(at, *index, place.element(), x, y) {
                    if let Some(slot) = next.get_mut(i) {
                        *slot = i.saturating_add(1);
                    }
                    for (matched, i) in [(&mut matched.0, *index), (&mut matched.1, entry.index)] {
                        if let Some(slot) = matched.get_mut(i) {
                            *slot = true;
                        }
                    }
                    break;
                }
                vain = vain.saturating_sub(paid.saturating_sub(self.steps.left()));
                if vain == 0 {
                    return self.steps.give_up();
                }
                i = free(&mut next, i.saturating_add(1));
            }
        }
        for (i, (value, matched)) in live.iter().zip(matched.0).enumerate() {
            if !matched {
                self.missing(at, Step::Index(i), value);
            }
        }
        for (i, (value, matched)) in shadow.iter().zip(matched.1).enumerate() {
            if !matched {
                self.extra(at, Step::Index(i), value);
            }
        }
    }

    fn same(
        &mut self,
        at: At,
        index: usize,
        place: Place,
        live: &'a Json<'a>,
        shadow: &'a Json<'a>,
    ) -> bool {
        let report = std::mem::take(&mut self.report);
        let quiet = std::mem::replace(&mut self.quiet, true);
        let hidden = std::mem::replace(&mut self.hidden, false);
        self.down(at, Step::Index(index), |walk, at| walk.pair(at, place, live, shadow));
        (self.quiet, self.hidden) = (quiet, hidden);
        std::mem::replace(&mut self.report, report).kinds.is_empty()
    }

    /// In the order of hash, sum and index.
    fn digests(&mut self, at: At, place: Place, values: &[Json<'_>]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (index, value) in values.iter().enumerate() {
            // Where an index is ignored or named, the place counts and not the value alone.
            let Some(at) = self.follow(at, Step::Index(index)) else { continue };
            entries.push(Entry { index, digest: self.digest(at, place.element(), value, 1) });
        }
        self.steps.sort(entries.len(), 0);
        order::sort_by(&mut entries, |a, b| {
            let by_sum = a.digest.sum.total_cmp(&b.digest.sum);
            a.digest.hash.cmp(&b.digest.hash).then(by_sum).then(a.index.cmp(&b.index))
        });
        entries
    }

    /// The digest of a value at this place. What [`Walk::pair`] finds equal has the same hash, and sums
    /// within reach. `seed` stands for the way from the list to the value.
    fn digest(&mut self, at: At, place: Place, value: &Json<'_>, seed: u64) -> Digest {
        let mut all = Digest { hash: seed, sum: 0.0, reach: 0.0 };
        if !self.steps.take(1) {
            return all;
        }
        match value {
            Json::Null => all.hash = mix(seed, 1),
            Json::Bool(set) => all.hash = mix(seed, 2 + u64::from(*set)),
            Json::Number(number) => self.number(&mut all, *number, seed),
            Json::String(text) => {
                self.steps.take(text.len() / 32);
                let predicts = matches!(place, Place::Predictions { .. });
                let written = matches!(place, Place::Predictions { labels: Labels::Written, .. });
                if let Some(number) = Number::fraction(text).filter(|_| written) {
                    self.number(&mut all, number, mix(seed, 4));
                } else if predicts
                    && !self.embedded
                    && let Some(inner) = embedded(text, self.steps)
                {
                    self.embedded = true;
                    all = self.digest(at, Place::PREDICTION, &inner, mix(seed, 5));
                    self.embedded = false;
                } else {
                    all.hash = mix(seed, noise::Place::WHOLE.step(Step::Name(text)).bits());
                }
            }
            // Flat and nested data are the same: they are compared, not put in order.
            Json::Array(_) if matches!(place, Place::Flat { .. }) => all.hash = mix(seed, 6),
            Json::Array(items) => {
                let bag = self.rules.unordered.ends(at.unordered);
                all.hash = mix(seed, 7);
                for (i, item) in items.iter().enumerate() {
                    let Some(at) = self.follow(at, Step::Index(i)) else { continue };
                    let seed = mix(seed, if bag { 0 } else { i as u64 });
                    all.add(self.digest(at, place.element(), item, seed));
                }
            }
            Json::Object(members) => {
                all.hash = mix(seed, 8);
                for (name, value) in members {
                    self.steps.take(name.len() / 32);
                    let Some(mut at) = self.follow(at, Step::Name(name)) else { continue };
                    at.values |= matches!(place, Place::Predictions { .. }) && names_values(name);
                    let seed = mix(seed, noise::Place::WHOLE.step(Step::Name(name)).bits());
                    all.add(self.digest(at, place.member(name, value), value, seed));
                }
            }
        }
        all
    }

    fn number(&mut self, all: &mut Digest, number: Number<'_>, seed: u64) {
        self.steps.take(number.len() / 32);
        let value = number.value();
        if !value.is_finite() {
            // Equal to itself alone.
            all.hash = mix(seed, 10 + u64::from(value.is_nan()) + 2 * u64::from(value > 0.0));
            return;
        }
        all.hash = mix(seed, 14);
        // Larger ones are alike here; sums of them stay finite.
        let value = value.clamp(-1e300, 1e300);
        let weight = weight(seed);
        all.sum = value * weight;
        // A sum of doubles is not exact.
        all.reach = (self.rules.tolerance.reach(value) + value.abs() * 1e-9).min(2e300) * weight;
    }
}

impl Digest {
    fn add(&mut self, other: Self) {
        self.hash = self.hash.wrapping_add(other.hash);
        self.sum += other.sum;
        self.reach += other.reach;
    }
}

/// The first free entry at or behind `i`; the way there is shortened for the next time.
fn free(next: &mut [usize], i: usize) -> usize {
    let at = |next: &[usize], i: usize| next.get(i).copied().unwrap_or(i);
    let mut end = i;
    while at(next, end) != end {
        end = at(next, end);
    }
    let mut here = i;
    while here != end {
        let then = at(next, here);
        if let Some(slot) = next.get_mut(here) {
            *slot = end;
        }
        here = then;
    }
    end
}
