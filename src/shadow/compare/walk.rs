//! Goes through two JSON documents side by side and knows where model servers put predictions:
//!
//! - Seldon v1: `data.ndarray`, and `data.tensor` with `shape` and flat `values`
//! - Open Inference Protocol: `outputs`, joined by `name`, each with `datatype`, `shape`, and `data`
//!   flat or nested
//! - TensorFlow Serving: `predictions`, and `outputs` in the column format
//!
//! A row of scores is an innermost list of numbers below another list or an object (or, flat, as
//! many as the last dimension of `shape`); a list at the top has one number for each instance. A
//! string or a boolean among predictions is a label, and so is a number of an integer `datatype`. A
//! string that holds a number with a fraction is a score.

use std::collections::BTreeMap;

use super::Rules;
use super::json::Json;
use super::noise;
use super::number::{Apart, Number, all_numbers};
use super::pointer::{Followed, Step};
use super::report::{Difference, Kind, Report, brief, pointer};

/// Values that are looked at for one pair. Only lists without order need more than there are; a
/// million takes a few tens of milliseconds, in which the worker does nothing else.
pub const MAX_WORK: u32 = 1 << 20;

/// What the differences of two documents are; `None` if looking at them all is too much work and
/// none was found so far.
pub fn compare<'a>(
    rules: &Rules,
    live: &'a Json<'a>,
    shadow: &'a Json<'a>,
    report: Report,
) -> Option<Report> {
    let at = At { ignore: rules.ignore.start(), unordered: rules.unordered.start() };
    let mut walk =
        Walk { rules, report: report.unmoved(), path: Vec::new(), work: MAX_WORK, quiet: false };
    walk.pair(at, Place::Document, live, shadow);
    (walk.work > 0 || !walk.report.kinds.is_empty()).then_some(walk.report)
}

/// What a place means, by the protocols.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Document,
    Plain,
    /// `data` of Seldon v1.
    Data,
    /// `tensor` of Seldon v1.
    Tensor {
        columns: usize,
    },
    /// `outputs`.
    Outputs,
    /// One of `outputs`.
    Output {
        columns: usize,
        labels: bool,
    },
    Shape,
    /// Numbers in one list, so many in a row.
    Flat {
        columns: usize,
        labels: bool,
    },
    /// `nested`: below a list of predictions.
    Predictions {
        nested: bool,
        labels: bool,
    },
}

impl Place {
    /// The place of a member of the object at this place.
    fn member(self, name: &[u8], value: &Json<'_>) -> Self {
        let predictions = Self::Predictions { nested: false, labels: false };
        match (self, name) {
            (Self::Document, b"data") => Self::Data,
            (Self::Document, b"outputs") => Self::Outputs,
            (Self::Document, b"predictions") | (Self::Data, b"ndarray") => predictions,
            (Self::Data, b"tensor") => Self::Tensor { columns: columns(value) },
            (Self::Tensor { .. } | Self::Output { .. }, b"shape") => Self::Shape,
            (Self::Tensor { columns }, b"values") => Self::Flat { columns, labels: false },
            (Self::Output { columns, labels }, b"data") => Self::Flat { columns, labels },
            // The column format of TensorFlow, a list for each output.
            (Self::Outputs, _) => predictions,
            (Self::Predictions { labels, .. }, _) => Self::Predictions { nested: true, labels },
            _ => Self::Plain,
        }
    }

    /// The place of an element of the list at this place.
    fn element(self) -> Self {
        match self {
            Self::Shape => Self::Shape,
            Self::Outputs => Self::Predictions { nested: true, labels: false },
            Self::Flat { labels, .. } | Self::Predictions { labels, .. } => {
                Self::Predictions { nested: true, labels }
            }
            _ => Self::Plain,
        }
    }

    /// What a difference of two scalars is here.
    fn kind(self, live: &Json<'_>, shadow: &Json<'_>) -> Kind {
        use Json::{Bool, Number};
        match (self, live, shadow) {
            (Self::Shape, ..) => Kind::Shape,
            (
                Self::Predictions { labels, .. } | Self::Flat { labels, .. },
                Number(_),
                Number(_),
            ) => {
                if labels {
                    Kind::Class
                } else {
                    Kind::Score
                }
            }
            (Self::Predictions { .. }, Bool(_), Bool(_)) => Kind::Class,
            _ => Kind::Value,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct At {
    ignore: Followed,
    unordered: Followed,
}

struct Walk<'r, 'a> {
    rules: &'r Rules,
    report: Report,
    path: Vec<Step<'a>>,
    work: u32,
    /// Only whether there is a difference is asked.
    quiet: bool,
}

impl<'a> Walk<'_, 'a> {
    fn pair(&mut self, at: At, place: Place, live: &'a Json<'a>, shadow: &'a Json<'a>) {
        if self.quiet && !self.report.kinds.is_empty() || !self.may_look_at(1) {
            return;
        }
        match (live, shadow) {
            (Json::Object(a), Json::Object(b)) => self.objects(at, place, a, b),
            (Json::Array(a), Json::Array(b)) => self.arrays(at, place, a, b),
            (Json::Array(_) | Json::Object(_), _) | (_, Json::Array(_) | Json::Object(_)) => {
                self.found(Kind::Shape, None, Some(live), Some(shadow));
            }
            (Json::Number(a), Json::Number(b)) => {
                self.numbers(place.kind(live, shadow), (*a, *b), live, shadow);
            }
            (Json::String(a), Json::String(b)) if matches!(place, Place::Predictions { .. }) => {
                match Number::fraction(a).zip(Number::fraction(b)) {
                    Some(numbers) => self.numbers(Kind::Score, numbers, live, shadow),
                    None if a == b => {}
                    None => self.found(Kind::Class, None, Some(live), Some(shadow)),
                }
            }
            _ if live == shadow => {}
            _ => self.found(place.kind(live, shadow), None, Some(live), Some(shadow)),
        }
    }

    fn numbers(
        &mut self,
        kind: Kind,
        (a, b): (Number<'_>, Number<'_>),
        live: &Json<'_>,
        shadow: &Json<'_>,
    ) {
        let Apart { by, differ } = self.rules.tolerance.compare(a, b);
        if kind == Kind::Score {
            self.report.moved(by);
        }
        if differ {
            self.found(kind, Some(by), Some(live), Some(shadow));
        }
    }

    /// One step down, unless what lies there is ignored.
    fn down(&mut self, at: At, step: Step<'a>, visit: impl FnOnce(&mut Self, At)) {
        let at = At {
            ignore: self.rules.ignore.follow(at.ignore, step),
            unordered: self.rules.unordered.follow(at.unordered, step),
        };
        if self.rules.ignore.ends(at.ignore) {
            return;
        }
        self.path.push(step);
        visit(self, at);
        self.path.pop();
    }

    fn missing(&mut self, at: At, step: Step<'a>, live: &'a Json<'a>) {
        self.down(at, step, |walk, _| walk.found(Kind::Missing, None, Some(live), None));
    }

    fn extra(&mut self, at: At, step: Step<'a>, shadow: &'a Json<'a>) {
        self.down(at, step, |walk, _| walk.found(Kind::Extra, None, None, Some(shadow)));
    }

    fn objects(&mut self, at: At, place: Place, live: &'a Members<'a>, shadow: &'a Members<'a>) {
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
                    let place = place.member(name, x);
                    self.down(at, Step::Name(name), |walk, at| walk.pair(at, place, x, y));
                    a.next();
                    b.next();
                }
                _ => return,
            }
        }
    }

    fn arrays(&mut self, at: At, place: Place, live: &'a [Json<'a>], shadow: &'a [Json<'a>]) {
        if place == Place::Outputs
            && let (Some(_), Some(names)) = (by_name(live), by_name(shadow))
        {
            return self.outputs(at, live, shadow, names);
        }
        if self.rules.unordered.ends(at.unordered) {
            return self.bags(at, place, live, shadow);
        }
        if live.len() != shadow.len() {
            let by = live.len().abs_diff(shadow.len()) as f64;
            let (live, shadow) = (live.len(), shadow.len());
            let place = self.place();
            return self.describe(place, Kind::Shape, Some(by), || {
                (format!("{live} values"), format!("{shadow} values"))
            });
        }
        let columns = match place {
            Place::Flat { columns, labels: false } => columns,
            Place::Predictions { nested: true, labels: false } => live.len(),
            _ => 0,
        };
        // An ignored score takes no part in the decision: such rows are compared number by number.
        let rows = columns > 1
            && live.len().is_multiple_of(columns)
            && !self.rules.ignore.leads_on(at.ignore)
            && all_numbers(live)
            && all_numbers(shadow);
        if rows {
            return self.rows(columns, live, shadow);
        }
        for (i, (a, b)) in live.iter().zip(shadow).enumerate() {
            self.down(at, Step::Index(i), |walk, at| walk.pair(at, place.element(), a, b));
        }
    }

    fn rows(&mut self, columns: usize, live: &'a [Json<'a>], shadow: &'a [Json<'a>]) {
        if !self.may_look_at(live.len()) {
            return;
        }
        let mut first = 0usize;
        for (a, b) in live.chunks(columns).zip(shadow.chunks(columns)) {
            let row = self.rules.tolerance.row(a, b);
            self.report.moved(row.moved);
            if row.decides_otherwise || row.differ {
                let kind = if row.decides_otherwise { Kind::Class } else { Kind::Score };
                // Where scores differ most may be elsewhere each time: the place is the row's.
                self.path.push(Step::Index(first));
                let place = self.place();
                self.path.pop();
                self.path.push(Step::Index(first.saturating_add(row.index)));
                let values = (a.get(row.index), b.get(row.index));
                self.found_at(place, kind, Some(row.by), values.0, values.1);
                self.path.pop();
            }
            first = first.saturating_add(columns);
        }
    }

    /// Outputs of the Open Inference Protocol, in any order.
    fn outputs(
        &mut self,
        at: At,
        live: &'a [Json<'a>],
        shadow: &'a [Json<'a>],
        mut names: BTreeMap<&[u8], usize>,
    ) {
        for (i, output) in live.iter().enumerate() {
            let found = text(output, b"name").and_then(|name| names.remove(name));
            match found.and_then(|j| shadow.get(j)) {
                Some(other) => {
                    let labels = text(output, b"datatype").is_some_and(|t| {
                        t == b"BOOL" || t.starts_with(b"INT") || t.starts_with(b"UINT")
                    });
                    let place = Place::Output { columns: columns(output), labels };
                    self.down(at, Step::Index(i), |w, at| w.pair(at, place, output, other));
                }
                None => self.missing(at, Step::Index(i), output),
            }
        }
        for j in names.into_values() {
            if let Some(output) = shadow.get(j) {
                self.extra(at, Step::Index(j), output);
            }
        }
    }

    /// Lists whose order does not count: each live value takes the first equal one that is left.
    fn bags(&mut self, at: At, place: Place, live: &'a [Json<'a>], shadow: &'a [Json<'a>]) {
        // What is left, as a chain: behind place `i` comes `next[i]`, and place `j + 1` is value `j`.
        // To take one out of a list instead moves all that follow, which the work does not count.
        let mut next: Vec<usize> = (1..=shadow.len()).collect();
        next.push(usize::MAX);
        let after = |next: &[usize], i: usize| next.get(i).copied().unwrap_or(usize::MAX);
        let value = |i: usize| shadow.get(i.checked_sub(1)?);
        for (i, a) in live.iter().enumerate() {
            let (mut before, mut here) = (0, after(&next, 0));
            let mut found = false;
            while let Some(b) = value(here) {
                if self.same(at, i, place.element(), a, b) {
                    let rest = after(&next, here);
                    if let Some(link) = next.get_mut(before) {
                        *link = rest;
                    }
                    found = true;
                    break;
                }
                (before, here) = (here, after(&next, here));
            }
            if !found {
                self.missing(at, Step::Index(i), a);
            }
            if self.work == 0 {
                return;
            }
        }
        let mut here = after(&next, 0);
        while let Some(b) = value(here) {
            self.extra(at, Step::Index(here.saturating_sub(1)), b);
            here = after(&next, here);
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
        self.down(at, Step::Index(index), |walk, at| walk.pair(at, place, live, shadow));
        self.quiet = quiet;
        std::mem::replace(&mut self.report, report).kinds.is_empty()
    }

    /// Pays for looking at so many values.
    fn may_look_at(&mut self, values: usize) -> bool {
        let values = u32::try_from(values).unwrap_or(u32::MAX);
        self.work = self.work.saturating_sub(values);
        self.work > 0
    }

    fn found(
        &mut self,
        kind: Kind,
        magnitude: Option<f64>,
        live: Option<&Json<'_>>,
        shadow: Option<&Json<'_>>,
    ) {
        let place = self.place();
        self.found_at(place, kind, magnitude, live, shadow);
    }

    /// Where the walk is, if that matters.
    fn place(&self) -> noise::Place {
        match self.report.wants_places() {
            true => noise::Place::of(&self.path),
            false => noise::Place::WHOLE,
        }
    }

    fn found_at(
        &mut self,
        place: noise::Place,
        kind: Kind,
        magnitude: Option<f64>,
        live: Option<&Json<'_>>,
        shadow: Option<&Json<'_>>,
    ) {
        let show = |value: Option<&Json<'_>>| value.map_or_else(|| "nothing".into(), brief);
        self.describe(place, kind, magnitude, || (show(live), show(shadow)));
    }

    fn describe(
        &mut self,
        place: noise::Place,
        kind: Kind,
        magnitude: Option<f64>,
        values: impl FnOnce() -> (String, String),
    ) {
        let max = if self.quiet { 0 } else { self.rules.max_differences };
        self.report.add(kind, place, max, || Difference {
            kind,
            path: pointer(&self.path),
            magnitude,
            values: self.rules.show_values.then(values),
        });
    }
}

type Members<'a> = [(std::borrow::Cow<'a, [u8]>, Json<'a>)];

/// A member of an object.
fn member<'j, 'a>(object: &'j Json<'a>, name: &[u8]) -> Option<&'j Json<'a>> {
    let Json::Object(members) = object else { return None };
    let i = members.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
    members.get(i).map(|(_, value)| value)
}

fn text<'j>(object: &'j Json<'_>, name: &[u8]) -> Option<&'j [u8]> {
    match member(object, name)? {
        Json::String(text) => Some(text),
        _ => None,
    }
}

/// How long the rows of a tensor are: the last dimension of its `shape`; 0 where it has no rows.
fn columns(tensor: &Json<'_>) -> usize {
    let Some(Json::Array(shape)) = member(tensor, b"shape") else { return 0 };
    match shape.as_slice() {
        [_, .., Json::Number(last)] => last.size().unwrap_or(0),
        _ => 0,
    }
}

/// Where each output is, if all are objects with names of their own.
fn by_name<'j>(outputs: &'j [Json<'_>]) -> Option<BTreeMap<&'j [u8], usize>> {
    let mut names = BTreeMap::new();
    for (i, output) in outputs.iter().enumerate() {
        if names.insert(text(output, b"name")?, i).is_some() {
            return None;
        }
    }
    Some(names)
}
