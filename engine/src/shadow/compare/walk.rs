//! Goes through two JSON documents side by side and knows where model servers put predictions:
//!
//! - Seldon v1: `data.ndarray`, and `data.tensor` with `shape` and flat `values`; `jsonData`, `strData`
//! - Open Inference Protocol: `outputs`, joined by `name`, each with `datatype`, `shape`, and `data`
//!   flat or nested
//! - TensorFlow Serving: `predictions`, and `outputs` in the column format
//! - a list at the top

mod rows;
mod tensors;

use super::Rules;
use super::hash::{self, PathHash};
use super::json::{self, Json, Members, Unread};
use super::kind::Kind;
use super::noise::Seen;
use super::number::{Apart, Measure, Number};
use super::place::{Labels, Numbers, Place};
use super::pointer::{Followed, Pointers, Step};
use super::report::{Difference, Found, Report, brief, pointer};
use crate::steps::Steps;
use tensors::is_nested;

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
    let (volatile, is_refusal) = match &rules.volatile {
        Some(volatile) => volatile.of(live, shadow, report.refused > 0, steps),
        None => (&none, false),
    };
    let at = At {
        ignore: rules.ignore.start(),
        volatile: volatile.start(),
        unordered: rules.unordered.start(),
        of_values: rules.values.start(),
        numbers: Numbers::default().below(rules.values.ends(rules.values.start())),
    };
    let mut walk = Walk {
        rules,
        volatile,
        // That there is no such model is said with its name, and nothing else.
        unsaid: is_refusal && report.refused != 404,
        hidden: report.hides(PathHash::WHOLE),
        report,
        path: Vec::new(),
        place: PathHash::WHOLE,
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
    /// What numbers are here.
    pub(super) numbers: Numbers,
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
    /// Whether there is no saying of what is volatile: why both refuse may name the model, or not.
    unsaid: bool,
    pub(super) report: Report,
    path: Vec<Step<'a>>,
    /// The end of the path, if that matters.
    pub(super) place: PathHash,
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
                    let (kind, measure) = place.measure(at.numbers, numbers.0, numbers.1);
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
        let Apart { by, tells, differ, is_name } = self.rules.tolerance.compare(measure, a, b);
        if kind == Kind::Score {
            self.report.note_score_delta(by);
        }
        if tells && !differ {
            self.report.note(self.place, kind, Seen::By(by));
        }
        if differ {
            let seen = if is_name { self.seen(Some(shadow)) } else { Seen::By(by) };
            self.found_at(self.place, kind, (Some(by), seen), Some(live), Some(shadow));
        }
    }

    /// A value as noise sees it.
    fn seen(&mut self, shadow: Option<&Json<'_>>) -> Seen {
        match shadow {
            Some(value) if self.report.wants_places() => {
                Seen::Other(hash::digest(value, self.steps))
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
        if let Some(((a, class), (b, other))) = classified(a).zip(classified(b))
            && class == other
        {
            return self.numbers(Kind::Score, Measure::Measured, (a, b), live, shadow);
        }
        if !self.embedded
            && let Some(x) = embedded(a, self.steps)
            && let Some(y) = embedded(b, self.steps)
        {
            self.steps.take(self.path.len());
            let mut inner = Walk {
                rules: self.rules,
                volatile: self.volatile,
                unsaid: self.unsaid,
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
            numbers: at.numbers.below(self.rules.values.ends(of_values)),
        };
        let ignored =
            self.rules.ignore.ends(at.ignore) || !self.unsaid && self.volatile.ends(at.volatile);
        (!ignored).then_some(at)
    }

    /// Whether a setting, or what differs by nature, is about this place or something in it.
    pub(super) fn is_told_of(&self, at: At) -> bool {
        at.numbers.are_values()
            || self.rules.ignore.leads_on(at.ignore)
            || self.rules.values.leads_on(at.of_values)
            || self.volatile.leads_on(at.volatile)
    }

    /// One step down, unless what lies there is ignored.
    pub(super) fn down(&mut self, at: At, step: Step<'a>, visit: impl FnOnce(&mut Self, At)) {
        let Some(at) = self.follow(at, step) else { return };
        let before = self.push(step);
        self.hidden |= self.unsaid && self.volatile.ends(at.volatile);
        visit(self, at);
        self.pop(before);
    }

    fn push(&mut self, step: Step<'a>) -> (PathHash, bool) {
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

    fn pop(&mut self, before: (PathHash, bool)) {
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
        if predicts && self.probabilities_by_name(at, place, live, shadow) {
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
                        at.numbers = at.numbers.member(place, name, x);
                        walk.pair(at, member, x, y);
                    });
                    a.next();
                    b.next();
                }
                _ => return,
            }
        }
    }

    fn arrays(&mut self, at: At, place: Place, live: &'a [Json<'a>], shadow: &'a [Json<'a>]) {
        if place == Place::Outputs
            && let (Some(_), Some(names)) = (self.by_name(live), self.by_name(shadow))
        {
            return self.outputs(at, live, shadow, &names);
        }
        let unordered = self.rules.unordered.ends(at.unordered);
        let alike = !matches!(place, Place::Flat { .. }) || is_nested(live) == is_nested(shadow);
        let (a, b) = match place {
            Place::Flat { columns, .. } if !alike => {
                (self.flat(live, columns), self.flat(shadow, columns))
            }
            _ if unordered => (Some(live.iter().collect()), Some(shadow.iter().collect())),
            _ => {
                let place = match place {
                    Place::Document | Place::Outputs => Place::PREDICTIONS,
                    place => place,
                };
                return self.lists(at, place, (live.len(), shadow.len()), &|i| {
                    Some((Step::Index(i), live.get(i)?, shadow.get(i)?))
                });
            }
        };
        match (a, b) {
            (Some(a), Some(b)) if unordered => self.bags(at, place, &a, &b),
            (Some(a), Some(b)) => self.lists(at, place, (a.len(), b.len()), &|i| {
                Some((Step::Index(i), *a.get(i)?, *b.get(i)?))
            }),
            _ => {
                let shape = (None, Seen::Unsettled);
                let shown = |list| if is_nested(list) { "nested lists" } else { "one list" };
                self.describe(self.place, Kind::Shape, shape, &mut || {
                    (shown(live).into(), shown(shadow).into())
                });
            }
        }
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
        place: PathHash,
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
        place: PathHash,
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

/// What Triton writes of a class that was asked for, `score:index` or `score:index:label`: the score, and what stands
/// behind it.
fn classified(text: &[u8]) -> Option<(Number<'_>, &[u8])> {
    let (score, class) = text.split_at_checked(text.iter().position(|c| *c == b':')?)?;
    let index = class.get(1..)?.split(|c| *c == b':').next()?;
    let is_index = !index.is_empty() && index.iter().all(u8::is_ascii_digit);
    Number::fraction(score).filter(|_| is_index).map(|score| (score, class))
}
