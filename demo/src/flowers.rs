//! Questions for the models.

use crate::models::Flower;

/// A versicolor, about which both models agree.
pub const VERSICOLOR: Flower = [6.0, 2.7, 4.2, 1.3];

/// How many questions make up a comparison.
pub const MANY: u32 = 200;
