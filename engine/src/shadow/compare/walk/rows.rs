//! Lists of numbers: which of them are rows of scores, and what they decide.
//!
//! A row of scores is an innermost list of numbers below another list or an object (or, flat, as
//! many as the last dimension of `shape`), and the probabilities of one decision, in a list at the top
//! or by name. A string or a boolean among predictions is a label, and so is a number of an integer
//! `datatype`, or where no type is told a whole one that one of the answers writes as such. A string that holds a
//! number with a fraction is a score, and one that holds JSON is compared by value.

use super::{At, Walk};
use crate::shadow::compare::json::{Json, Members};
use crate::shadow::compare::kind::Kind;
use crate::shadow::compare::noise::Seen;
use crate::shadow::compare::number::{Number, are_probabilities};
use crate::shadow::compare::place::{Labels, Place};
use crate::shadow::compare::pointer::Step;

impl<'a> Walk<'_, 'a> {
    /// Whether these were the probabilities of one decision, by the names of its classes.
    pub(super) fn probabilities_by_name(
        &mut self,
        at: At,
        live: &'a Members<'a>,
        shadow: &'a Members<'a>,
    ) -> bool {
        let pair = |i: usize| {
            let ((name, a), (_, b)) = (live.get(i)?, shadow.get(i)?);
            Some((Step::Name(name), a, b))
        };
        if live.len() != shadow.len() || live.iter().zip(shadow).any(|(a, b)| a.0 != b.0) {
            return false;
        }
        let left_out = self.left_out(at, live.len(), &pair);
        let pair: Pairs<'_, 'a> = &|i| masked(&left_out, i, pair(i)?);
        let fits = self.is_row(at, live.len(), pair, true);
        if fits {
            self.row(live.len(), pair);
        }
        fits
    }

    pub(super) fn lists(
        &mut self,
        at: At,
        place: Place,
        (live, shadow): (usize, usize),
        pair: Pairs<'_, 'a>,
    ) {
        if live != shadow {
            let by = live.abs_diff(shadow) as f64;
            let apart = (Some(by), Seen::Unsettled);
            return self.describe(self.place, Kind::Shape, apart, &mut || {
                (format!("{live} values"), format!("{shadow} values"))
            });
        }
        // How long the rows are, and whether only probabilities make one.
        let (columns, unsure) = match place {
            Place::Flat { columns: 0, .. } | Place::Predictions { nested: false, .. } => {
                (live, true)
            }
            Place::Flat { columns, .. } => (columns, false),
            Place::Predictions { nested: true, .. } => (live, false),
            _ => (0, false),
        };
        let all_labels = place.labels() == Some(Labels::All);
        let written = place.labels() == Some(Labels::Written);
        let mut at = at;
        at.numbers = at.numbers.list(written && self.is_mixed(live, pair));
        let left_out = self.left_out(at, live, pair);
        let rest: Pairs<'_, 'a> = &|i| masked(&left_out, i, pair(i)?);
        let rows = columns > 1
            && !all_labels
            && live.is_multiple_of(columns)
            && self.is_row(at, live, rest, unsure);
        let columns = if rows { columns } else { live };
        let mut first = 0;
        while first < live {
            let row: Pairs<'_, 'a> = &|i| rest(first.saturating_add(i));
            if rows && !(written && self.has_labels(columns, row)) {
                self.row(columns, row);
            } else {
                let each = |i: usize| pair(first.saturating_add(i));
                for (step, a, b) in (0..columns).filter_map(each) {
                    self.down(at, step, |walk, at| walk.pair(at, place.element(), a, b));
                }
            }
            first = first.saturating_add(columns);
        }
    }

    /// Which elements are ignored; empty where none can be.
    fn left_out(&mut self, at: At, len: usize, pair: Pairs<'_, 'a>) -> Vec<bool> {
        if !self.rules.ignore.leads_on(at.ignore) || !self.steps.take(len) {
            return Vec::new();
        }
        let mut is_left_out = |i| pair(i).is_some_and(|(step, ..)| self.follow(at, step).is_none());
        (0..len).map(&mut is_left_out).collect()
    }

    /// Whether these are numbers that are compared as a decision. An ignored score takes no part in it:
    /// it is `null` on both sides.
    fn is_row(&mut self, at: At, len: usize, pair: Pairs<'_, 'a>, unsure: bool) -> bool {
        if at.numbers.are_values() || len < 2 || !self.steps.take(len) {
            return false;
        }
        let is_one = |i| pair(i).is_some_and(|p| numbers(p).is_some());
        if !(0..len).all(is_one) {
            return false;
        }
        !unsure || probabilities(len, pair)
    }

    /// Whether some numbers are labels, and others are not.
    fn is_mixed(&mut self, len: usize, pair: Pairs<'_, 'a>) -> bool {
        self.steps.take(len);
        let whole = |i| Some(numbers(pair(i)?)).flatten().map(|(a, b)| a.are_whole(b));
        let found = || (0..len).filter_map(whole);
        found().any(|whole| whole) && found().any(|whole| !whole)
    }

    /// Whether there are labels in a row of numbers whose types are not warned: such a row holds no
    /// scores, or not only scores.
    fn has_labels(&mut self, len: usize, pair: Pairs<'_, 'a>) -> bool {
        self.steps.take(len);
        let is_label = |i| pair(i).and_then(numbers).is_some_and(|(a, b)| a.are_whole(b));
        (0..len).any(is_label) && !probabilities(len, pair)
    }

    fn row(&mut self, len: usize, pair: Pairs<'_, 'a>) {
        let mut bytes = 0usize;
        for (a, b) in (0..len).filter_map(|i| numbers(pair(i)?)) {
            bytes = bytes.saturating_add(a.len()).saturating_add(b.len());
        }
        if !self.steps.take(len.saturating_add(bytes / 32)) {
            return;
        }
        let none = (Number::Null, Number::Null);
        let row = self.rules.tolerance.row(len, &|i| pair(i).and_then(numbers).unwrap_or(none));
        self.report.note_score_delta(row.max_score_delta);
        let differ = row.decides_otherwise || row.differ;
        if !(differ || row.tells && self.report.places.is_some()) {
            return;
        }
        let kind = if row.decides_otherwise { Kind::Class } else { Kind::Score };
        let seen = match row.decides_otherwise {
            true => Seen::Row(row.by, row.winner),
            false => Seen::By(row.by),
        };
        let (Some((first, ..)), Some((step, a, b))) = (pair(0), pair(row.index)) else { return };
        // Where scores differ most may be elsewhere each time: the place is the row's.
        let before = self.push(first);
        let place = self.place;
        self.pop(before);
        if !differ {
            return self.report.note(place, kind, seen);
        }
        let before = self.push(step);
        self.found_at(place, kind, (Some(row.by), seen), Some(a), Some(b));
        self.pop(before);
    }
}

/// Pairs of values in two lists, or in two objects with the same names.
pub(super) type Pairs<'p, 'a> = &'p dyn Fn(usize) -> Option<(Step<'a>, &'a Json<'a>, &'a Json<'a>)>;

/// A pair of a list, or nulls in the place of one that is left out.
fn masked<'a>(
    left_out: &[bool],
    i: usize,
    (step, live, shadow): (Step<'a>, &'a Json<'a>, &'a Json<'a>),
) -> Option<(Step<'a>, &'a Json<'a>, &'a Json<'a>)> {
    match left_out.get(i) {
        Some(true) => Some((step, &Json::Null, &Json::Null)),
        _ => Some((step, live, shadow)),
    }
}

fn numbers<'a>(
    (_, live, shadow): (Step<'a>, &'a Json<'a>, &'a Json<'a>),
) -> Option<(Number<'a>, Number<'a>)> {
    live.score().zip(shadow.score())
}

/// Whether these are the probabilities of one decision in both answers, and not written as labels are.
/// `null` is written for no probability that is one.
fn probabilities(len: usize, pair: Pairs<'_, '_>) -> bool {
    let all = || (0..len).filter_map(|i| numbers(pair(i)?));
    are_probabilities(all().map(|p| p.0.value()))
        && are_probabilities(all().map(|p| p.1.value()))
        && all().any(|(a, b)| !(a.is_whole() && b.is_whole()))
}
