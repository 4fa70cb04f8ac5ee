//! Rounds in which each of several has its turn: what disturbs one of them disturbs its neighbours, and a ratio of two that ran
//! within seconds of each other hides less than one of their medians.

use anyhow::Result;

/// Gives each its turn in every round, beginning with another one each time.
pub fn take<T>(
    rounds: usize,
    all: &mut [T],
    mut measure: impl FnMut(&mut T) -> Result<()>,
) -> Result<()> {
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for turn in 0..all.len() {
            if let Some(one) = all.get_mut((round + turn) % all.len()) {
                measure(one)?;
            }
        }
    }
    Ok(())
}
