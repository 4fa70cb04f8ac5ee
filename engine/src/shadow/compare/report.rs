//! What was found different, for counters and for one line of the log.

use std::fmt;
use std::rc::Rc;

use super::hash::PathHash;
use super::json::Json;
use super::kind::Kind;
use super::noise::{Excuse, Noise, Seen};
use super::pointer::Step;

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Which way.
    pub kind: Kind,
    /// Where, as a JSON pointer into the live answer (for `extra`, into the shadow's); names escaped.
    pub path: String,
    /// By how much numbers differ, or lists in length.
    pub magnitude: Option<f64>,
    /// The live value and the shadow's, escaped and cut.
    pub values: Option<(String, String)>,
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Each kind once, in the order of appearance.
    pub kinds: Vec<Kind>,
    /// The first of the differences.
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub more: u32,
    /// The largest difference of two scores at the same place, tolerated or not; absent where no
    /// values were compared.
    pub max_score_delta: Option<f64>,
    /// The status with which both refuse; 0 where they do not.
    pub refused: u16,
    /// Differences that are noise are left out by it.
    pub known: Option<Rc<Noise>>,
    /// Where differences were, if that is asked for.
    pub places: Option<Noise>,
    /// The first place, as a JSON pointer, where there is no saying whether they differ: the live model
    /// does not agree with itself there.
    pub unsettled: Option<String>,
}

/// A difference as noise sees it.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Which way.
    pub kind: Kind,
    /// Where.
    pub place: PathHash,
    /// How.
    pub seen: Seen,
    /// Whether noise of a whole answer or list lies over the place.
    pub hidden: bool,
}

/// Characters of a value or of a name that a line shows.
const SHOWN: usize = 64;

/// Tokens of a path that a line shows.
const STEPS_SHOWN: usize = 16;

impl Report {
    /// Whether places were without a partner, whose scores nobody compared.
    pub fn is_partial(&self) -> bool {
        let is_place = |kind: &Kind| matches!(kind, Kind::Shape | Kind::Missing | Kind::Extra);
        self.kinds.iter().any(is_place)
    }

    /// Whether the places of differences matter.
    pub fn wants_places(&self) -> bool {
        self.known.is_some() || self.places.is_some()
    }

    /// Whether noise of a whole answer or list lies at this place.
    pub fn hides(&self, place: PathHash) -> bool {
        self.known.as_ref().is_some_and(|noise| noise.hides(place))
    }

    /// Takes note of how far a model is from itself, if that is asked for.
    pub fn note(&mut self, place: PathHash, kind: Kind, seen: Seen) {
        if let Some(places) = &mut self.places {
            places.add(place, kind, seen);
        }
    }

    /// Takes note of a place below which the live model does not agree with itself, if that is asked for.
    pub fn unsettle(&mut self, place: PathHash) {
        self.note(place, Kind::Shape, Seen::Unsettled);
    }

    /// Takes note of a difference that is no noise; describes it while there are fewer than `max`.
    pub fn add(&mut self, found: Found, max: u32, describe: &mut dyn FnMut() -> Difference) {
        let Found { kind, place, seen, hidden } = found;
        self.note(place, kind, seen);
        let excuse =
            self.known.as_ref().map_or(Excuse::None, |noise| noise.excuse(place, kind, seen));
        match excuse {
            Excuse::Full => return,
            Excuse::None if !hidden => {}
            Excuse::None | Excuse::Unknown => {
                if self.unsettled.is_none() {
                    self.unsettled = Some(describe().path);
                }
                return;
            }
        }
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
        if u32::try_from(self.differences.len()).is_ok_and(|n| n < max) {
            self.differences.push(describe());
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// What agrees has not moved, also if there are no scores in it.
    #[must_use]
    pub fn unmoved(mut self) -> Self {
        if self.kinds.is_empty() && self.unsettled.is_none() {
            self.max_score_delta = Some(self.max_score_delta.unwrap_or(0.0));
        }
        self
    }

    /// Takes note of how far two scores are apart: as far as can be where only one of them is a number.
    pub fn note_score_delta(&mut self, by: f64) {
        let by = if by.is_nan() { f64::INFINITY } else { by };
        self.max_score_delta = Some(self.max_score_delta.unwrap_or(0.0).max(by));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, difference) in self.differences.iter().enumerate() {
            let Difference { kind, path, magnitude, values } = difference;
            write!(f, "{}{}", if i == 0 { "" } else { "; " }, kind.as_str())?;
            if !path.is_empty() {
                write!(f, " at {path}")?;
            }
            if let Some(by) = magnitude {
                write!(f, " by {}", rounded(*by))?;
            }
            if let Some((live, shadow)) = values {
                write!(f, ", live {live}, shadow {shadow}")?;
            }
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; {more} more"),
        }
    }
}

/// Four digits: a margin says no more, and a double written in full may have three hundred.
fn rounded(by: f64) -> String {
    let short = format!("{by:.3e}");
    match short.parse::<f64>() {
        Ok(n) if n == 0.0 || (1e-4..1e6).contains(&n) => n.to_string(),
        Ok(n) if n.is_finite() => format!("{n:e}"),
        _ => short,
    }
}

/// Text that others chose, so that no terminal and no log reader obeys it.
pub fn escaped(text: &[u8]) -> String {
    let shown = text.get(..SHOWN.saturating_mul(4)).unwrap_or(text);
    let text = String::from_utf8_lossy(shown);
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

/// A JSON pointer (RFC 6901).
pub fn pointer(steps: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in steps.iter().take(STEPS_SHOWN) {
        out.push('/');
        match step {
            Step::Name(name) => out.push_str(&escaped(name).replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => out.push_str(&index.to_string()),
        }
    }
    if steps.len() > STEPS_SHOWN {
        out.push_str("/...");
    }
    out
}

/// A value in few characters.
pub fn brief(value: &Json<'_>) -> String {
    match value {
        Json::Null => "null".into(),
        Json::Bool(b) => b.to_string(),
        Json::Number(n) => escaped(n.to_string().as_bytes()),
        Json::String(s) => format!("\"{}\"", escaped(s)),
        Json::Array(items) => format!("a list of {}", items.len()),
        Json::Object(members) => format!("an object of {}", members.len()),
    }
}
