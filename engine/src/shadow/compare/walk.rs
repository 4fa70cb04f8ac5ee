//! Goes through two JSON documents side by side and knows where model servers put predictions:
//!
//! - Seldon v1: `data.ndarray`, and `data.tensor` with `shape` and flat `values`; `jsonData`, `strData`
//! - Open Inference Protocol: `outputs`, joined by `name`, each with `datatype`, `shape`, and `data`
//!   flat or nested
//! - TensorFlow Serving: `predictions`, and `outputs` in the column format
//! - a list at the top
//!
//! A row of scores is an innermost list of numbers below another list or an object (or, flat, as
//! many as the last dimension of `shape`), and the probabilities of one decision, in a list at the top
//! or by name. A string or a boolean among predictions is a label, and so is a number of an integer
//! `datatype`, or where no type is told one that is written as a whole number. A string that holds a
//! number with a fraction is a score, and one that holds JSON is compared by value.

use super::Rules;
use super::json::{self, Json, Members, Unread};
use super::noise::{self, Seen};
use super::number::{Apart, Measure, Number, are_probabilities};
use super::place::{Labels, Place};
use super::pointer::{Followed, Pointers, Step};
use super::report::{Difference, Found, Kind, Report, brief, pointer};
use super::steps::Steps;
use crate::order;

/// What the differences of two documents are; `None` if looking at them all is too much work and
/// none was found so far.
pub fn compare<'a>(
    rules: &Rules,
    live: &'a Json<'a>,
    shadow: &'a Json<'a>,
    report: Report,
    steps: &mut Steps,
) -> Option<Report> {
    let none = Pointers::default();
    let volatile = match &rules.volatile {
        Some(volatile) => volatile.of(live, shadow, report.not_found, steps),
        None => &none,
    };
    let at = At {
        ignore: rules.ignore.start(),
        volatile: volatile.start(),
        unordered: rules.unordered.start(),
        of_values: rules.values.start(),
        values: rules.values.ends(rules.values.start()),
        named: false,
    };
    let mut walk = Walk {
        rules,
        volatile,
        hidden: report.hides(noise::Place::WHOLE),
        report,
        path: Vec::new(),
        place: noise::Place::WHOLE,
        steps,
        quiet: false,
        embedded: false,
    };
    walk.pair(at, Place::Document, live, shadow);
    let Walk { report, steps, .. } = walk;
    (!steps.is_spent() || !report.kinds.is_empty()).then(|| report.unmoved())
}

/// Where the pointers are.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    ignore: Followed,
    volatile: Followed,
    pub(super) unordered: Followed,
    of_values: Followed,
    /// Whether the settings say that numbers are neither scores of classes nor labels.
    pub(super) values: bool,
    /// Whether the name of the member says so: of its lists, and of coordinates in its objects.
    pub(super) named: bool,
}

impl At {
    /// Steps to follow the pointers one step down: to look at one is about a sixteenth.
    fn cost(self, step: Step<'_>) -> usize {
        let bytes = match step {
            Step::Name(name) => name.len(),
            Step::Index(_) => 0,
        };
        let pointers = [self.ignore, self.volatile, self.unordered, self.of_values];
        let alive = pointers.into_iter().fold(0usize, |sum, at| sum.saturating_add(at.count()));
        alive.saturating_mul((bytes / 32).saturating_add(1)) / 16
    }
}

#[derive(Debug)]
pub(super) struct Walk<'r, 'a> {
    pub(super) rules: &'r Rules,
    /// What does not count in answers of this form.
    volatile: &'r Pointers,
    pub(super) report: Report,
    path: Vec<Step<'a>>,
    /// The end of the path, if that matters.
    pub(super) place: noise::Place,
    pub(super) steps: &'r mut Steps,
    /// Only whether there is a difference is asked.
    pub(super) quiet: bool,
    /// Whether noise of a whole list lies over this place.
    pub(super) hidden: bool,
    /// Within the text of a string.
    pub(super) embedded: bool,
}

impl<'a> Walk<'_, 'a> {
    pub(super) fn pair(&mut self, at: At, place: Place, live: &'a Json<'a>, shadow: &'a Json<'a>) {
        if self.quiet && !self.report.kinds.is_empty() || !self.steps.take(1) {
            return;
        }
        match (live, shadow) {
            (Json::Object(a), Json::Object(b)) => self.objects(at, place, a, b),
            (Json::Array(a), Json::Array(b)) => self.arrays(at, place, a, b),
            (Json::Array(_) | Json::Object(_), _) | (_, Json::Array(_) | Json::Object(_)) => {
                self.found(Kind::Shape, None, Some(live), Some(shadow));
            }
            (Json::Number(_), Json::Number(_) | Json::Null) | (Json::Null, Json::Number(_)) => {
                if let Some(numbers) = live.score().zip(shadow.score()) {
                    let (kind, measure) =
                        place.measure(at.values || at.named, numbers.0, numbers.1);
                    self.numbers(kind, measure, numbers, live, shadow);
                }
            }
            (Json::String(a), Json::String(b)) if a != b => {
                self.steps.take(a.len().saturating_add(b.len()) / 32);
                match place {
                    Place::Predictions { labels, .. } => {
                        self.texts(at, labels, (a, b), live, shadow);
                    }
                    _ => self.found(place.kind(live, shadow), None, Some(live), Some(shadow)),
                }
            }
            (Json::String(a), Json::String(_)) => {
                self.steps.take(a.len() / 32);
            }
            _ if live == shadow => {}
            _ => self.found(place.kind(live, shadow), None, Some(live), Some(shadow)),
        }
    }

    fn numbers(
        &mut self,
        kind: Kind,
        measure: Measure,
        (a, b): (Number<'_>, Number<'_>),
        live: &Json<'_>,
        shadow: &Json<'_>,
    ) {
        self.steps.take(a.len().saturating_add(b.len()) / 32);
        let Apart { by, tells, differ } = self.rules.tolerance.compare(measure, a, b);
        if kind == Kind::Score {
            self.report.moved(by);
        }
        if tells && !differ {
            self.report.note(self.place, kind, Seen::By(by));
        }
        if differ {
            let is_name = measure == Measure::Exact
                || measure == Measure::Counted && a.is_whole() && b.is_whole();
            let seen = if is_name { self.seen(Some(shadow)) } else { Seen::By(by) };
            self.found_at(self.place, kind, (Some(by), seen), Some(live), Some(shadow));
        }
    }

    /// A value as noise sees it.
    fn seen(&mut self, shadow: Option<&Json<'_>>) -> Seen {
        match shadow {
            Some(value) if self.report.wants_places() => {
                Seen::Other(noise::digest(value, self.steps))
            }
            _ => Seen::Other(0),
        }
    }

    /// Two texts among predictions that are not the same.
    fn texts(
        &mut self,
        at: At,
        labels: Labels,
        (a, b): (&'a [u8], &'a [u8]),
        live: &Json<'_>,
        shadow: &Json<'_>,
    ) {
        if labels == Labels::Written
            && let Some(numbers) = Number::fraction(a).zip(Number::fraction(b))
        {
            return self.numbers(Kind::Score, Measure::Measured, numbers, live, shadow);
        }
        if !self.embedded
            && let Some(x) = embedded(a, self.steps)
            && let Some(y) = embedded(b, self.steps)
        {
            self.steps.take(self.path.len());
            let mut inner = Walk {
                rules: self.rules,
                volatile: self.volatile,
                report: std::mem::take(&mut self.report),
                path: self.path.clone(),
                place: self.place,
                steps: self.steps,
                quiet: self.quiet,
                hidden: self.hidden,
                embedded: true,
            };
            inner.pair(at, Place::PREDICTION, &x, &y);
            self.report = inner.report;
            return;
        }
        if !self.steps.is_spent() {
            self.found(Kind::Class, None, Some(live), Some(shadow));
        }
    }

    /// Where the pointers are one step down; `None` where that is ignored.
    pub(super) fn follow(&mut self, at: At, step: Step<'_>) -> Option<At> {
        self.steps.take(at.cost(step));
        let of_values = self.rules.values.follow(at.of_values, step);
        let at = At {
            ignore: self.rules.ignore.follow(at.ignore, step),
            volatile: self.volatile.follow(at.volatile, step),
            unordered: self.rules.unordered.follow(at.unordered, step),
            of_values,
            values: at.values || self.rules.values.ends(of_values),
            named: at.named,
        };
        let ignored = self.rules.ignore.ends(at.ignore) || self.volatile.ends(at.volatile);
        (!ignored).then_some(at)
    }

    /// One step down, unless what lies there is ignored.
    pub(super) fn down(&mut self, at: At, step: Step<'a>, visit: impl FnOnce(&mut Self, At)) {
        let Some(at) = self.follow(at, step) else { return };
        let before = self.push(step);
        visit(self, at);
        self.pop(before);
    }

    fn push(&mut self, step: Step<'a>) -> (noise::Place, bool) {
        let before = (self.place, self.hidden);
        if let Step::Name(name) = step {
            self.steps.take(name.len() / 32);
        }
        if self.report.wants_places() {
            self.place = self.place.step(step);
            self.hidden |= self.report.hides(self.place);
        }
        self.path.push(step);
        before
    }

    fn pop(&mut self, before: (noise::Place, bool)) {
        self.path.pop();
        (self.place, self.hidden) = before;
    }

    pub(super) fn missing(&mut self, at: At, step: Step<'a>, live: &'a Json<'a>) {
        self.steps.take(1);
        self.down(at, step, |walk, _| walk.found(Kind::Missing, None, Some(live), None));
    }

    pub(super) fn extra(&mut self, at: At, step: Step<'a>, shadow: &'a Json<'a>) {
        self.steps.take(1);
        self.down(at, step, |walk, _| walk.found(Kind::Extra, None, None, Some(shadow)));
    }

    fn objects(&mut self, at: At, place: Place, live: &'a Members<'a>, shadow: &'a Members<'a>) {
        let predicts = matches!(place, Place::Predictions { .. });
        if predicts && self.probabilities_by_name(at, live, shadow) {
            return;
        }
        let (mut a, mut b) = (live.iter().peekable(), shadow.iter().peekable());
        loop {
            match (a.peek(), b.peek()) {
                (Some((name, value)), other) if other.is_none_or(|(o, _)| name < o) => {
                    self.missing(at, Step::Name(name), value);
                    a.next();
                }
                (other, Some((name, value))) if other.is_none_or(|(o, _)| name < o) => {
                    self.extra(at, Step::Name(name), value);
                    b.next();
                }
                (Some((name, x)), Some((_, y))) => {
                    let member = place.member(name, x);
                    self.down(at, Step::Name(name), |walk, mut at| {
                        at.named = place.names_values(name, x, at.named);
                        walk.pair(at, member, x, y);
                    });
                    a.next();
                    b.next();
                }
                _ => return,
            }
        }
    }

    /// Whether these were the probabilities of one decision, by the names of its classes.
    fn probabilities_by_name(
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

    fn arrays(&mut self, at: At, place: Place, live: &'a [Json<'a>], shadow: &'a [Json<'a>]) {
        if place == Place::Outputs
            && let (Some(_), Some(names)) = (self.by_name(live), self.by_name(shadow))
        {
            return self.outputs(at, live, shadow, &names);
        }
        if self.rules.unordered.ends(at.unordered) {
            return self.bags(at, place, live, shadow);
        }
        let place = match place {
            Place::Document | Place::Outputs => Place::PREDICTIONS,
            place => place,
        };
        if let Place::Flat { columns, .. } = place
            && is_nested(live) != is_nested(shadow)
        {
            let (Some(a), Some(b)) = (self.flat(live, columns), self.flat(shadow, columns)) else {
                let shape = (None, Seen::Unsettled);
                let shown = |list| if is_nested(list) { "nested lists" } else { "one list" };
                return self.describe(self.place, Kind::Shape, shape, &mut || {
                    (shown(live).into(), shown(shadow).into())
                });
            };
            return self.lists(at, place, (a.len(), b.len()), &|i| {
                Some((Step::Index(i), *a.get(i)?, *b.get(i)?))
            });
        }
        self.lists(at, place, (live.len(), shadow.len()), &|i| {
            Some((Step::Index(i), live.get(i)?, shadow.get(i)?))
        });
    }

    fn lists(&mut self, at: At, place: Place, (live, shadow): (usize, usize), pair: Pairs<'_, 'a>) {
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
        let all_labels = matches!(
            place,
            Place::Flat { labels: Labels::All, .. }
                | Place::Predictions { labels: Labels::All, .. }
        );
        let written = matches!(place, Place::Predictions { labels: Labels::Written, .. })
            || matches!(place, Place::Flat { labels: Labels::Written, .. });
        // A list that holds labels beside coordinates is not one of coordinates.
        let mut at = at;
        at.named &= !(written && self.is_mixed(live, pair));
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
        if at.values || at.named || len < 2 || !self.steps.take(len) {
            return false;
        }
        let is_one = |i| pair(i).is_some_and(|p| numbers(p).is_some());
        if !(0..len).all(is_one) {
            return false;
        }
        !unsure || probabilities(len, pair)
    }

    /// Whether some numbers are written as whole ones in both, and others with a fraction.
    fn is_mixed(&mut self, len: usize, pair: Pairs<'_, 'a>) -> bool {
        self.steps.take(len);
        let whole =
            |i| Some(numbers(pair(i)?)).flatten().map(|(a, b)| a.is_whole() && b.is_whole());
        let found = || (0..len).filter_map(whole);
        found().any(|whole| whole) && found().any(|whole| !whole)
    }

    /// Whether there are labels in a row of numbers whose types are not told: such a row holds no
    /// scores, or not only scores.
    fn has_labels(&mut self, len: usize, pair: Pairs<'_, 'a>) -> bool {
        self.steps.take(len);
        let is_label =
            |i| pair(i).and_then(numbers).is_some_and(|(a, b)| a.is_whole() && b.is_whole());
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
        self.report.moved(row.moved);
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

    /// Outputs of the Open Inference Protocol, in any order: `names` has the shadow's.
    fn outputs(
        &mut self,
        at: At,
        live: &'a [Json<'a>],
        shadow: &'a [Json<'a>],
        names: &[(&[u8], usize)],
    ) {
        let mut joined = vec![false; shadow.len()];
        for (i, output) in live.iter().enumerate() {
            let name = output.text(b"name").unwrap_or_default();
            let other = names.binary_search_by(|(other, _)| (*other).cmp(name)).ok();
            let other = other.and_then(|at| names.get(at)).map_or(usize::MAX, |(_, j)| *j);
            let Some((other, joined)) = shadow.get(other).zip(joined.get_mut(other)) else {
                self.missing(at, Step::Index(i), output);
                continue;
            };
            *joined = true;
            let place = Place::output(output);
            self.down(at, Step::Index(i), |walk, mut at| {
                at.named = place.names_values(name, output, false);
                walk.pair(at, place, output, other);
            });
        }
        for (j, (output, joined)) in shadow.iter().zip(joined).enumerate() {
            if !joined {
                self.extra(at, Step::Index(j), output);
            }
        }
    }

    /// Where each output is, in the order of their names, if all are objects with names of their own and
    /// there are steps left to put them in order.
    fn by_name(&mut self, outputs: &'a [Json<'a>]) -> Option<Vec<(&'a [u8], usize)>> {
        let name = |(i, output): (usize, &'a Json<'a>)| Some((output.text(b"name")?, i));
        if !self.steps.take(outputs.len()) {
            return None;
        }
        let mut names = outputs.iter().enumerate().map(name).collect::<Option<Vec<_>>>()?;
        let bytes = names.iter().fold(0usize, |sum, (name, _)| sum.saturating_add(name.len()));
        if !self.steps.heapsort(names.len(), bytes) {
            return None;
        }
        order::sort(&mut names);
        names.windows(2).all(|pair| !matches!(pair, [a, b] if a.0 == b.0)).then_some(names)
    }

    /// The numbers of a tensor, one after the other: of one list, or of nested ones that are as long as
    /// each other at each level, and the innermost as its shape says. Others are no tensor.
    fn flat(&mut self, values: &'a [Json<'a>], columns: usize) -> Option<Vec<&'a Json<'a>>> {
        let (mut flat, mut shape) = (Vec::new(), Vec::new());
        let is_tensor = self.add_flat(values, 0, &mut shape, &mut flat);
        let fits = shape.len() == 1 || shape.last() == Some(&columns);
        (is_tensor && fits).then_some(flat)
    }

    /// Adds the numbers below a list at this level, whether the lists of each level are alike.
    fn add_flat(
        &mut self,
        values: &'a [Json<'a>],
        level: usize,
        shape: &mut Vec<usize>,
        flat: &mut Vec<&'a Json<'a>>,
    ) -> bool {
        self.steps.take(values.len().saturating_add(1));
        match shape.get(level) {
            Some(len) if *len != values.len() => return false,
            Some(_) => {}
            None => shape.push(values.len()),
        }
        let nested = matches!(values.first(), Some(Json::Array(_)));
        values.iter().all(|value| match value {
            Json::Array(inner) => {
                nested && self.add_flat(inner, level.saturating_add(1), shape, flat)
            }
            value => {
                flat.push(value);
                !nested && shape.len() == level.saturating_add(1)
            }
        })
    }

    fn found(
        &mut self,
        kind: Kind,
        magnitude: Option<f64>,
        live: Option<&Json<'_>>,
        shadow: Option<&Json<'_>>,
    ) {
        let seen = self.seen(shadow);
        self.found_at(self.place, kind, (magnitude, seen), live, shadow);
    }

    fn found_at(
        &mut self,
        place: noise::Place,
        kind: Kind,
        apart: (Option<f64>, Seen),
        live: Option<&Json<'_>>,
        shadow: Option<&Json<'_>>,
    ) {
        let show = |value: Option<&Json<'_>>| value.map_or_else(|| "nothing".into(), brief);
        self.describe(place, kind, apart, &mut || (show(live), show(shadow)));
    }

    fn describe(
        &mut self,
        place: noise::Place,
        kind: Kind,
        (magnitude, seen): (Option<f64>, Seen),
        values: &mut dyn FnMut() -> (String, String),
    ) {
        let max = if self.quiet { 0 } else { self.rules.max_differences };
        let found = Found { kind, place, seen, hidden: self.hidden };
        self.report.add(found, max, &mut || Difference {
            kind,
            path: pointer(&self.path),
            magnitude,
            values: self.rules.show_values.then(&mut *values),
        });
    }
}

/// Pairs of values in two lists, or in two objects with the same names.
type Pairs<'p, 'a> = &'p dyn Fn(usize) -> Option<(Step<'a>, &'a Json<'a>, &'a Json<'a>)>;

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

/// A list or an object in the text of a string, as some runtimes write their predictions.
pub(super) fn embedded<'a>(text: &'a [u8], steps: &mut Steps) -> Option<Json<'a>> {
    let text = text.trim_ascii();
    if !matches!(text, [b'{', .., b'}'] | [b'[', .., b']']) {
        return None;
    }
    match json::read(text, steps) {
        Ok(value) => Some(value),
        Err(Unread::Malformed) => None,
        // What it holds is not known: it is no other label for that.
        Err(Unread::TooComplex) => {
            steps.give_up();
            None
        }
    }
}

fn is_nested(values: &[Json<'_>]) -> bool {
    values.iter().any(|value| matches!(value, Json::Array(_)))
}
