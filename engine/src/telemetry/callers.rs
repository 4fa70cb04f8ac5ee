//! Which values of a claim have a label of their own.

use std::rc::Rc;

use super::{NONE, OTHER};
use crate::few::FewMap;

/// The longest value that has one, in bytes.
const LENGTH_MAX: usize = 128;

/// More labels than a metrics system takes from one place.
pub const MOST_CALLERS: u32 = 10_000;

/// The values of a claim that have a label: those that came first. An issuer vouches for them, not the caller.
#[derive(Debug)]
pub struct CallerLabels {
    max: u32,
    index: FewMap<Rc<str>, u32>,
    names: Vec<Rc<str>>,
}

/// A value's label: an index into [`CallerLabels`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerLabel(u32);

impl CallerLabel {
    /// Callers are not told apart.
    pub const ANY: Self = Self(0);
    /// A caller without the claim.
    pub const NONE: Self = Self(1);
    /// A value without a label of its own.
    pub const OTHER: Self = Self(2);

    pub(super) fn index(self) -> u32 {
        self.0
    }
}

impl CallerLabels {
    /// Room for so many values, [`MOST_CALLERS`] at most.
    pub fn new(max: u32) -> Self {
        Self { max: max.min(MOST_CALLERS), index: FewMap::default(), names: Vec::new() }
    }

    /// The label of a caller's value.
    pub fn of(&mut self, value: Option<&str>) -> CallerLabel {
        let Some(value) = value else { return CallerLabel::NONE };
        if let Some(label) = self.index.get(value) {
            return CallerLabel(*label);
        }
        let count = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let is_name = !value.is_empty() && !value.bytes().any(|c| c.is_ascii_control());
        if count >= self.max || value.len() > LENGTH_MAX || !is_name {
            return CallerLabel::OTHER;
        }
        let name: Rc<str> = value.into();
        self.names.push(Rc::clone(&name));
        let label = CallerLabel(count.saturating_add(3));
        self.index.insert(name, label.0);
        label
    }

    /// `None` where callers are not told apart.
    pub(super) fn name(&self, label: CallerLabel) -> Option<&str> {
        match label {
            CallerLabel::ANY => None,
            CallerLabel::NONE => Some(NONE),
            CallerLabel(label) => {
                let index = usize::try_from(label).ok().and_then(|label| label.checked_sub(3));
                Some(index.and_then(|index| self.names.get(index)).map_or(OTHER, |name| name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_values_have_labels() {
        let mut labels = CallerLabels::new(2);
        let long = "x".repeat(129);
        for _ in 0..2 {
            for (value, want) in [
                (Some("fraud"), "fraud"),
                (None, "none"),
                (Some("two\nlines"), "other"),
                (Some(""), "other"),
                (Some(&*long), "other"),
                (Some("ops"), "ops"),
                (Some("late"), "other"),
                (Some("fraud"), "fraud"),
            ] {
                let label = labels.of(value);
                assert_eq!(labels.name(label), Some(want), "{value:?}");
            }
        }
        assert_eq!(labels.name(CallerLabel::ANY), None);
    }
}
