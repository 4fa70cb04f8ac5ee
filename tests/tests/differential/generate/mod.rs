//! Sets of rules and policies, and requests that have a chance to meet them.

mod asks;
mod policies;
mod rules;
mod tokens;

use crate::case::{Ask, Set};
use testbed::dice::Dice;

use asks::ask;

pub use rules::OUTPUTS;

/// A set that both sides take.
pub fn set(dice: &mut Dice) -> Set {
    let tls = dice.percent(35);
    let rules = rules::rules(dice);
    let policies = policies::policies(dice, tls, &rules);
    let hops = if dice.percent(25) { 1 + u32::from(dice.percent(30)) } else { 0 };
    Set { rules, policies, hops, tls }
}

/// Requests for a set.
pub fn asks(dice: &mut Dice, set: &Set, count: usize) -> Vec<Ask> {
    let tokens = tokens::tokens(dice, &set.rules);
    (0..count).map(|_| ask(dice, set, &tokens)).collect()
}
