//! Lists whose order does not count. Each value has a digest that equal values share, and a sum of its
//! numbers that moves by no more than the tolerances let them move: only values that are near in both
//! are compared, so that a list costs what it takes to put it in order.

use super::hash::{self, mix, weight};
use super::json::Json;
use super::number::Number;
use super::place::{Labels, Place};
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

/// A value in both ways in which it may agree with another.
#[derive(Debug, Clone, Copy)]
struct Digests {
    /// With whole numbers that are names: they have to be equal. So values agree that have such numbers
    /// at the same places.
    named: Digest,
    /// With all numbers by their size: a name also agrees with a number with a fraction.
    measured: Digest,
    /// Where the names are.
    names: u64,
}

/// The shadow's values in the order of their digests.
struct Candidates {
    entries: Vec<(Digest, usize)>,
    /// Behind entry `i` the first one that is free is `next[i]`, perhaps through others.
    next: Vec<usize>,
}

impl Candidates {
    fn new(digests: &[(usize, Digests)], by: fn(&Digests) -> Digest) -> Self {
        let mut entries: Vec<_> = digests.iter().map(|(i, digests)| (by(digests), *i)).collect();
        order::sort_by(&mut entries, |(a, i), (b, j)| {
            a.hash.cmp(&b.hash).then(a.sum.total_cmp(&b.sum)).then(i.cmp(j))
        });
        let next = (0..=entries.len()).collect();
        Self { entries, next }
    }

    /// The first entry that is free and near.
    fn first(&mut self, near: &Digest) -> usize {
        let low = near.sum - near.reach;
        let lower = |(e, _): &(Digest, usize)| (e.hash, e.sum) < (near.hash, low);
        free(&mut self.next, self.entries.partition_point(lower))
    }

    /// The value of this entry, if it is near.
    fn get(&self, i: usize, near: &Digest) -> Option<usize> {
        let (digest, index) = self.entries.get(i)?;
        (digest.hash == near.hash && digest.sum - near.sum <= near.reach).then_some(*index)
    }

    fn after(&mut self, i: usize) -> usize {
        free(&mut self.next, i.saturating_add(1))
    }

    fn take(&mut self, i: usize) {
        if let Some(slot) = self.next.get_mut(i) {
            *slot = i.saturating_add(1);
        }
    }
}

impl<'a> Walk<'_, 'a> {
    /// Each live value takes the first equal one that is left.
    pub(super) fn bags(
        &mut self,
        at: At,
        place: Place,
        live: &[&'a Json<'a>],
        shadow: &[&'a Json<'a>],
    ) {
        let before = self.steps.left();
        let mut a = self.digests(at, place, live);
        let b = self.digests(at, place, shadow);
        let names = a.first().or(b.first()).map(|(_, digests)| digests.names);
        let alike = a.iter().chain(&b).all(|(_, digests)| Some(digests.names) == names);
        let ways: &[fn(&Digests) -> Digest] =
            if alike { &[Digests::named] } else { &[Digests::named, Digests::measured] };
        if !self.steps.heapsort(b.len().saturating_mul(ways.len()).saturating_add(a.len()), 0) {
            return;
        }
        // In the order of their sums the first one that is near leaves the others to those behind.
        order::sort_by(&mut a, |(i, a), (j, b)| {
            let by_hash = a.named.hash.cmp(&b.named.hash);
            by_hash.then(a.named.sum.total_cmp(&b.named.sum)).then(i.cmp(j))
        });
        // Values whose digests and sums are alike, and which differ, are compared in vain.
        let mut vain = before.saturating_sub(self.steps.left()).saturating_mul(4);
        let mut candidates: Vec<_> = ways.iter().map(|way| Candidates::new(&b, *way)).collect();
        let mut partners = (vec![false; live.len()], vec![false; shadow.len()]);
        for (index, digests) in &a {
            for (of, way) in ways.iter().zip(&mut candidates) {
                let near = &of(digests);
                let mut i = way.first(near);
                while let Some(other) = way.get(i, near) {
                    let (Some(x), Some(y)) = (live.get(*index), shadow.get(other)) else { break };
                    let paid = self.steps.left();
                    if partners.1.get(other) == Some(&true) {
                        way.take(i);
                    } else if self.same(at, *index, place.element(), x, y) {
                        way.take(i);
                        for (partners, i) in [(&mut partners.0, *index), (&mut partners.1, other)] {
                            if let Some(slot) = partners.get_mut(i) {
                                *slot = true;
                            }
                        }
                        break;
                    }
                    vain = vain.saturating_sub(paid.saturating_sub(self.steps.left()));
                    if vain == 0 {
                        return self.steps.give_up();
                    }
                    i = way.after(i);
                }
                if partners.0.get(*index) == Some(&true) {
                    break;
                }
            }
        }
        if partners.0.contains(&false) || partners.1.contains(&false) {
            // What else is in it may be in other places each time.
            self.report.unsettle(self.place);
        }
        for (i, (value, matched)) in live.iter().zip(partners.0).enumerate() {
            if !matched {
                self.missing(at, Step::Index(i), value);
            }
        }
        for (i, (value, matched)) in shadow.iter().zip(partners.1).enumerate() {
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
        let inner = std::mem::replace(&mut self.report, report);
        let is_same = inner.kinds.is_empty();
        if let Some(moved) = inner.max_score_delta.filter(|_| is_same) {
            self.report.note_score_delta(moved);
        }
        is_same
    }

    fn digests(&mut self, at: At, place: Place, values: &[&Json<'_>]) -> Vec<(usize, Digests)> {
        let mut digests = Vec::new();
        for (index, value) in values.iter().enumerate() {
            // Where an index is ignored or named, the place counts and not the value alone.
            let Some(at) = self.follow(at, Step::Index(index)) else { continue };
            digests.push((index, self.digest(at, place.element(), value, 1)));
        }
        digests
    }

    /// The digests of a value at this place. What [`Walk::pair`] finds equal has the same hash in one of
    /// the two ways, and sums within reach. `seed` stands for the way from the list to the value.
    fn digest(&mut self, at: At, place: Place, value: &Json<'_>, seed: u64) -> Digests {
        let mut all = Digests::of(seed);
        if !self.steps.take(1) {
            return all;
        }
        match value {
            Json::Null => all = Digests::of(mix(seed, 1)),
            Json::Bool(set) => all = Digests::of(mix(seed, 2 + u64::from(*set))),
            Json::Number(number) => {
                let exact = place.is_exact(at.numbers, *number, self.rules.tolerance.absolute);
                all = self.number(*number, exact, seed);
            }
            Json::String(text) => {
                self.steps.take(text.len() / 32);
                let predicts = matches!(place, Place::Predictions { .. });
                let written = matches!(place, Place::Predictions { labels: Labels::Written, .. });
                let number = Number::fraction(text).filter(|_| written);
                if let Some(number) = number {
                    all = self.number(number, false, mix(seed, 4));
                } else if predicts
                    && !self.embedded
                    && let Some(inner) = embedded(text, self.steps)
                {
                    self.embedded = true;
                    all = self.digest(at, Place::PREDICTION, &inner, mix(seed, 5));
                    self.embedded = false;
                } else {
                    let text = hash::text(text);
                    all = Digests::of(mix(seed, text));
                }
            }
            // Flat and nested data are the same: they are compared, not put in order.
            Json::Array(_) if matches!(place, Place::Flat { .. }) => {
                all = Digests::of(mix(seed, 6))
            }
            Json::Array(items) => {
                let bag = self.rules.unordered.ends(at.unordered);
                all = Digests::of(mix(seed, 7));
                for (i, item) in items.iter().enumerate() {
                    let Some(at) = self.follow(at, Step::Index(i)) else { continue };
                    let seed = mix(seed, if bag { 0 } else { i as u64 });
                    all.add(self.digest(at, place.element(), item, seed));
                }
            }
            Json::Object(members) => {
                all = Digests::of(mix(seed, 8));
                for (name, value) in members {
                    self.steps.take(name.len() / 32);
                    let Some(mut at) = self.follow(at, Step::Name(name)) else { continue };
                    at.numbers = at.numbers.member(place, name, value);
                    let seed = mix(seed, hash::text(name));
                    all.add(self.digest(at, place.member(name, value), value, seed));
                }
            }
        }
        all
    }

    /// `exact`: no other whole number agrees with it.
    fn number(&mut self, number: Number<'_>, exact: bool, seed: u64) -> Digests {
        self.steps.take(number.len() / 32);
        let value = number.value();
        if !value.is_finite() {
            // Equal to itself alone.
            let kind = 10 + u64::from(value.is_nan()) + 2 * u64::from(value > 0.0);
            return Digests::of(mix(seed, kind));
        }
        let mut all = Digests::of(mix(seed, 14));
        // Larger ones are alike here; sums of them stay finite.
        let value = value.clamp(-1e300, 1e300);
        let weight = weight(seed);
        all.measured.sum = value * weight;
        // A sum of doubles is not exact.
        let reach = self.rules.tolerance.reach(value) + value.abs() * 1e-9;
        all.measured.reach = reach.min(2e300) * weight;
        match number.whole().filter(|_| exact) {
            Some(whole) => {
                let whole = mix(whole as u64, (whole >> 64) as u64);
                all.named.hash = mix(all.named.hash, whole);
                all.names = seed;
            }
            None => all.named = all.measured,
        }
        all
    }
}

impl Digests {
    fn named(&self) -> Digest {
        self.named
    }

    fn measured(&self) -> Digest {
        self.measured
    }

    fn of(hash: u64) -> Self {
        let digest = Digest { hash, sum: 0.0, reach: 0.0 };
        Self { named: digest, measured: digest, names: 0 }
    }

    fn add(&mut self, other: Self) {
        self.named.add(other.named);
        self.measured.add(other.measured);
        self.names = self.names.wrapping_add(other.names);
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
