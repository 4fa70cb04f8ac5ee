//! The module and Envoy's own filters, given the same rules, policies and requests. Needs `ENVOY` and
//! `MODELGATE_WASM`.
//!
//! `MODELGATE_SEED` and `MODELGATE_PAIRS` choose what is generated and how much; the same seed gives the
//! same pairs. A disagreement that no row of docs/istio.md explains is made small and printed, ready to
//! be given back in `MODELGATE_REPLAY`.

mod answer;
mod arena;
mod case;
mod certificates;
mod connections;
mod differences;
mod documented;
mod generate;
mod keys;
mod shrink;
mod token;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use arena::{Arena, Side};
use case::{Ask, Set};
use certificates::Certificates;
use differences::{Case, explain, explain_without_removal};
use testbed::dice::Dice;
use tokio::task::JoinSet;

/// What is generated unless the environment says otherwise.
const SEED: u64 = 2026;
const PAIRS: usize = 20_000;

/// Sets that share an Envoy, and requests for each of them.
const SETS: usize = 100;
const ASKS: usize = 50;

/// Sets whose requests are sent at the same time.
const AT_ONCE: usize = 6;

/// Tells what a run does, past the test harness, which keeps what a test prints until it fails.
macro_rules! say {
    ($($text:tt)*) => { writeln!(std::io::stderr(), $($text)*)? };
}

/// What was compared.
#[derive(Debug, Default)]
struct Tally {
    pairs: usize,
    statuses: BTreeMap<u16, usize>,
    explained: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.pairs += other.pairs;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (name, count) in other.explained {
            *self.explained.entry(name).or_default() += count;
        }
    }
}

fn from_environment<T: std::str::FromStr>(name: &str, default: T) -> Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_and_modelgate_decide_alike() -> Result<()> {
    let certificates = Arc::new(Certificates::new()?);
    if let Ok(text) = std::env::var("MODELGATE_REPLAY") {
        let (set, ask): (Set, Ask) = serde_json::from_str(&text)?;
        let mut tally = Tally::default();
        let wrong = compare(&certificates, &[(set, vec![ask])], &mut tally).await?;
        if !wrong.is_empty() {
            bail!(shrink::report(&certificates, wrong).await?);
        }
        say!("alike, or explained: {tally:?}");
        return Ok(());
    }
    let seed = from_environment("MODELGATE_SEED", SEED)?;
    let pairs = from_environment("MODELGATE_PAIRS", PAIRS)?;
    let start = Instant::now();
    let mut tally = Tally::default();
    for batch in 0.. {
        if tally.pairs >= pairs {
            break;
        }
        let sets = (pairs - tally.pairs).div_ceil(ASKS).min(SETS);
        let made: Vec<(Set, Vec<Ask>)> = (0..sets)
            .map(|i| {
                let mut dice = Dice::new(seed, batch * 1_000 + i as u64);
                let set = generate::set(&mut dice);
                let asks = generate::asks(&mut dice, &set, ASKS);
                (set, asks)
            })
            .collect();
        let wrong = compare(&certificates, &made, &mut tally).await?;
        if !wrong.is_empty() {
            let shown = shrink::report(&certificates, wrong).await?;
            bail!("after {} pairs, seed {seed}:\n{shown}", tally.pairs);
        }
        if pairs > PAIRS {
            let seconds = start.elapsed().as_secs();
            say!("seed {seed}: {} of {pairs} pairs alike, {seconds} s", tally.pairs);
        }
    }
    say!(
        "seed {seed}: {} pairs in {} s\nby status: {:?}",
        tally.pairs,
        start.elapsed().as_secs(),
        tally.statuses
    );
    for (name, count) in &tally.explained {
        say!("{count:7} differ by: {name}");
    }
    for status in [200, 401, 403] {
        let met = tally.statuses.get(&status).copied().unwrap_or_default();
        ensure!(met * 20 >= tally.pairs, "too little variety: {:?}", tally.statuses);
    }
    Ok(())
}

/// Sends every request to both sides; what is neither alike nor explained comes back.
async fn compare(
    certificates: &Arc<Certificates>,
    made: &[(Set, Vec<Ask>)],
    tally: &mut Tally,
) -> Result<Vec<Case>> {
    let sets: Vec<Set> = made.iter().map(|(set, _)| set.clone()).collect();
    let arena = Arena::start(&sets, certificates).await?;
    let mut left = made.iter().cloned().enumerate();
    let mut running = JoinSet::new();
    let arena = Arc::new(arena);
    let mut wrong = Vec::new();
    loop {
        while running.len() < AT_ONCE {
            let Some((i, (set, asks))) = left.next() else { break };
            let arena = Arc::clone(&arena);
            running.spawn(async move { compare_set(&arena, i, &set, &asks).await });
        }
        let Some(compared) = running.join_next().await else { break };
        let (differ, tallied) = compared??;
        wrong.extend(differ);
        tally.add(tallied);
    }
    drop(arena);
    let (wrong, explained) = explain_without_removal(certificates, wrong).await?;
    for name in explained {
        *tally.explained.entry(name).or_default() += 1;
    }
    Ok(wrong)
}

/// The same for the requests under one set.
async fn compare_set(
    arena: &Arena,
    i: usize,
    set: &Set,
    asks: &[Ask],
) -> Result<(Vec<Case>, Tally)> {
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    let mut known = BTreeMap::new();
    let mut texts = Vec::new();
    let mut requests = Vec::new();
    for ask in asks {
        let tokens = ask.tokens.iter().map(|token| {
            if let Some(text) = known.get(token) {
                return Ok(String::clone(text));
            }
            let text = token.text()?;
            known.insert(token, text.clone());
            Ok(text)
        });
        let tokens = tokens.collect::<Result<Vec<_>>>()?;
        requests.push((ask.client.clone(), ask.with(&tokens)?));
        texts.push(tokens);
    }
    let (native, ours) = tokio::try_join!(
        arena.answers(Side::Native, i, &requests),
        arena.answers(Side::Modelgate, i, &requests),
    )?;
    for (((ask, texts), native), ours) in asks.iter().zip(texts).zip(native).zip(ours) {
        tally.pairs += 1;
        *tally.statuses.entry(native.status).or_default() += 1;
        if native == ours {
            continue;
        }
        let case = Case { set: set.clone(), ask: ask.clone(), texts, native, ours };
        match explain(arena, i, &case).await? {
            Some(names) => {
                for name in names {
                    *tally.explained.entry(name).or_default() += 1;
                }
            }
            None => wrong.push(case),
        }
    }
    Ok((wrong, tally))
}
