//! Tensors of the Open Inference Protocol: outputs are joined by name, and their data are flat or nested.

use super::{At, Walk};
use crate::order;
use crate::shadow::compare::json::Json;
use crate::shadow::compare::place::Place;
use crate::shadow::compare::pointer::Step;

impl<'a> Walk<'_, 'a> {
    /// Outputs of the Open Inference Protocol, in any order: `names` has the shadow's.
    pub(super) fn outputs(
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
                at.numbers = at.numbers.member(place, name, output);
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
    pub(super) fn by_name(&mut self, outputs: &'a [Json<'a>]) -> Option<Vec<(&'a [u8], usize)>> {
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
    pub(super) fn flat(
        &mut self,
        values: &'a [Json<'a>],
        columns: usize,
    ) -> Option<Vec<&'a Json<'a>>> {
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
}

/// Whether a list holds lists.
pub(super) fn is_nested(values: &[Json<'_>]) -> bool {
    values.iter().any(|value| matches!(value, Json::Array(_)))
}
