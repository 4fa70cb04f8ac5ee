//! Lists of numbers: which of them are rows of scores, and what they decide.
//!
//! A row of scores is an innermost list of numbers below another list or an object (or, flat, as
//! many as the last dimension of `shape`), and the probabilities of one decision, in a list at the top
//! or by name. A string or a boolean among predictions is a label, and so is a number of an integer
//! `datatype`, or where no type is told a whole one that one of the answers writes as such. A string that holds a
//! number with a fraction is a score, and one that holds JSON is compared by value. Probabilities may also stand
//! each beside the label that both answers give it, as `{"label": "P", "score": 0.51}` or `["P", 0.51]`.

use super::{At, Walk};
use crate::shadow::compare::json::{Json, Members};
use crate::shadow::compare::kind::Kind;
use crate::shadow::compare::noise::Seen;
use crate::shadow::compare::number::{Number, are_probabilities};
use crate::shadow::compare::place::{Labels, Place, is_coordinate};
use crate::shadow::compare::pointer::Step;

impl<'a> Walk<'_, 'a> {
    /// Whether these were the probabilities of one decision, by the names of its classes.
    pub(super) fn probabilities_by_name(
        &mut self,
        at: At,
        place: Place,
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
        // A forecast of classes by their names is a decision, a box by its coordinates is not.
        let mut at = at;
        at.numbers = at.numbers.within(!live.iter().all(|(name, _)| is_coordinate(name)));
        let written = place.labels() == Some(Labels::Written);
        let fits = self.is_row(at, written, live.len(), pair) && probabilities(live.len(), pair);
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
        at.numbers = at.numbers.within(written && self.is_mixed(live, pair));
        let left_out = self.left_out(at, live, pair);
        let rest: Pairs<'_, 'a> = &|i| masked(&left_out, i, pair(i)?);
        // Of scores beside their labels, the name of the list says nothing.
        let labelled = are_labelled(live, rest);
        let mut of_row = at;
        of_row.numbers = at.numbers.within(labelled);
        let rows = columns > 1
            && !all_labels
            && live.is_multiple_of(columns)
            && self.is_row(of_row, written, live, rest)
            && (!(unsure || labelled) || probabilities(live, rest));
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
    /// it is `null` on both sides. `written`: no type is told.
    fn is_row(&mut self, at: At, written: bool, len: usize, pair: Pairs<'_, 'a>) -> bool {
        if at.numbers.are_values() || len < 2 || !self.steps.take(len) {
            return false;
        }
        let mut is_one = |i| {
            pair(i).is_some_and(|(step, live, shadow)| {
                let are_plain = live.score().is_some() && shadow.score().is_some();
                are_plain || written && self.are_scores(at, step, live, shadow)
            })
        };
        (0..len).all(&mut is_one)
    }

    /// Whether two values that are no numbers are scores: texts, or numbers each beside the same label, of which no
    /// setting says anything.
    fn are_scores(
        &mut self,
        at: At,
        step: Step<'a>,
        live: &'a Json<'a>,
        shadow: &'a Json<'a>,
    ) -> bool {
        if let (Json::String(_), Json::String(_)) = (live, shadow) {
            // They are read for each question that is asked of the row.
            return self.steps.take(8) && numbers((step, live, shadow)).is_some();
        }
        let Some(((a, _), (b, _))) = labelled(live).zip(labelled(shadow)) else { return false };
        let bytes = a.iter().chain(&b).fold(0usize, |sum, text| sum.saturating_add(text.len()));
        self.steps.take((bytes / 32).saturating_add(2));
        a == b && self.follow(at, step).is_some_and(|at| !self.is_told_of(at))
    }

    /// Whether some numbers are labels, and others are not.
    fn is_mixed(&mut self, len: usize, pair: Pairs<'_, 'a>) -> bool {
        self.steps.take(len);
        let plain = |i| pair(i).and_then(|(_, live, shadow)| live.score().zip(shadow.score()));
        let whole = |i| plain(i).map(|(a, b)| a.are_whole(b));
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
    score(live).zip(score(shadow))
}

fn score<'a>(value: &'a Json<'a>) -> Option<Number<'a>> {
    /// What is longer is no number that a server writes as text.
    const LONGEST: usize = 64;
    match value {
        Json::String(text) if text.len() <= LONGEST => Number::fraction(text),
        value => value.score().or_else(|| labelled(value).map(|(_, number)| number)),
    }
}

/// A number beside a text and nothing else: the names of both, if they have any, and the text.
fn labelled<'a>(value: &'a Json<'a>) -> Option<([&'a [u8]; 3], Number<'a>)> {
    let none = &b""[..];
    let (first, a, second, b) = match value {
        Json::Array(items) => match items.as_slice() {
            [a, b] => (none, a, none, b),
            _ => return None,
        },
        Json::Object(members) => match members.as_slice() {
            [(first, a), (second, b)] => (&**first, a, &**second, b),
            _ => return None,
        },
        _ => return None,
    };
    match (a, b) {
        (Json::String(label), Json::Number(number))
        | (Json::Number(number), Json::String(label)) => Some(([first, second, label], *number)),
        _ => None,
    }
}

/// Whether there are scores beside labels, which are a row only if they are probabilities.
fn are_labelled(len: usize, pair: Pairs<'_, '_>) -> bool {
    (0..len).filter_map(pair).any(|(_, live, _)| labelled(live).is_some())
}

/// Whether these are the probabilities of one decision in both answers, and not written as labels are.
/// `null` is written for no probability that is one.
fn probabilities(len: usize, pair: Pairs<'_, '_>) -> bool {
    let all = || (0..len).filter_map(|i| numbers(pair(i)?));
    are_probabilities(all().map(|p| p.0.value()))
        && are_probabilities(all().map(|p| p.1.value()))
        && all().any(|(a, b)| !(a.is_whole() && b.is_whole()))
}
