//! A caller who may use one model by its name in the body never reaches another, however the address and the body are
//! spelled: as Python's, Go's and Rust's readers of JSON and RapidJSON read the very bytes that are let through. Needs
//! `READERS_VENV` and `GOJSON`.
//!
//! `MODELGATE_SEED` and `MODELGATE_BODIES` choose what is generated and how much; the same seed gives the same bodies.

mod bodies;
mod judges;
mod site;

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use bodies::{Spelling, spelling};
use judges::Judges;
use site::{Outcome, Site};
use testbed::dice::Dice;

const SEED: u64 = 2026;
const BODIES: usize = 1_000_000;

/// Of so many each body is shown to the readers, also those that no server gets: else nobody knew whether what is
/// generated is worth refusing.
const ALL_SHOWN: usize = 20_000;

/// What became of them.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    let_through: usize,
    without_model: usize,
    /// Refused, though some reader finds another model there than the caller's.
    aimed_at_another: usize,
}

fn number<T: std::str::FromStr>(name: &str, usual: T) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    Ok(std::env::var(name).ok().map(|text| text.parse()).transpose()?.unwrap_or(usual))
}

#[test]
fn no_reader_finds_another_model_in_what_is_let_through() -> Result<()> {
    let (seed, count) = (number("MODELGATE_SEED", SEED)?, number("MODELGATE_BODIES", BODIES)?);
    println!("seed {seed}, {count} bodies");
    let site = Site::new()?;
    let mut dice = Dice::new(seed, 0);
    let mut tally = Tally::default();
    let mut judges = Judges::new()?;
    let mut wrong = Vec::new();
    let mut shown: Vec<(Spelling, Option<String>)> = Vec::new();
    for number in 0..count {
        let spelling = spelling(&mut dice);
        let own = match site.send(&spelling, &mut dice)? {
            Outcome::Refused => {
                tally.refused += 1;
                None
            }
            Outcome::WithoutModel => {
                ensure!(!spelling.is_prediction(), "a prediction without a model: {spelling:?}");
                tally.without_model += 1;
                continue;
            }
            Outcome::Own(model) => {
                tally.let_through += 1;
                Some(model)
            }
        };
        if own.is_some() || number < ALL_SHOWN {
            judges.add(&spelling.body)?;
            shown.push((spelling, own));
        }
    }
    for ((spelling, own), readings) in shown.iter().zip(judges.judge()?) {
        let others = readings.iter().filter(|(_, found)| match own {
            // Whoever takes the body has to find this one model, and nothing besides.
            Some(own) => found.len() != 1 || found.first() != Some(own),
            None => found.iter().any(|model| *model != spelling.own),
        });
        let others: Vec<_> = others.collect();
        match own {
            Some(_) if !others.is_empty() => wrong.push(format!("{spelling:?}\n  {others:?}")),
            None => tally.aimed_at_another += usize::from(!others.is_empty()),
            Some(_) => {}
        }
    }
    println!("{tally:?}");
    let some: String = wrong.iter().take(5).fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    });
    ensure!(wrong.is_empty(), "{} times another model:\n{some}", wrong.len());
    // The bodies are of use only while they get through, and while they aim at something.
    ensure!(tally.let_through > count / 4 && tally.without_model > count / 2000, "{tally:?}");
    ensure!(tally.aimed_at_another > ALL_SHOWN.min(count) / 20, "{tally:?}");
    Ok(())
}
