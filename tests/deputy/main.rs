//! A caller who may use one model never reaches another's backend, however the request is spelled.
#![cfg(test)]

#[path = "../fuzzed/lines.rs"]
mod lines;
mod models;
mod raw;
mod rewrites;
mod routes;
mod site;
mod spellings;

use modelgate_engine::request::Header;

use crate::site::{Outcome, Site, is_aimed_at_another};
use crate::spellings::{Spelling, Spellings};

/// Each kind of model, as the only one that a caller may use.
const CALLERS: [&str; 6] =
    ["prod/iris", "seldon-mesh/iris", "prod/flower", "prod/chat", "prod/llama", "prod/nosuch"];

/// In all.
const SPELLINGS: usize = 1_000_000;

/// What became of many requests.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    own: usize,
    no_model: usize,
    aimed_at_another: usize,
    wrong: Vec<String>,
}

/// The lines as a filter in Envoy gets them: names in lower case, the absolute form taken apart.
fn lines(spelling: &Spelling) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (host, path) = match spelling.path.strip_prefix(b"http://") {
        Some(rest) => rest.split_at(rest.iter().position(|c| *c == b'/').unwrap_or(rest.len())),
        None => (spelling.host.as_bytes(), &*spelling.path),
    };
    let pseudo = [(":method", spelling.method.as_bytes()), (":path", path), (":authority", host)];
    let pseudo = pseudo.map(|(name, value)| (name.into(), value.to_vec()));
    let headers = spelling.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase().into(), value.clone()));
    pseudo.into_iter().chain(headers).collect()
}

fn borrowed(lines: &[(Vec<u8>, Vec<u8>)]) -> Vec<Header<'_>> {
    lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}

fn shown(lines: &[(Vec<u8>, Vec<u8>)]) -> String {
    let line = |(name, value): &(Vec<u8>, Vec<u8>)| {
        format!("  {}: {}\n", name.escape_ascii(), value.escape_ascii())
    };
    lines.iter().map(line).collect()
}

fn run(own: &str, seed: u64, count: usize) -> Tally {
    let mut site = Site::new(own).unwrap();
    let mut tally = Tally::default();
    for spelling in Spellings::new(seed).take(count) {
        let lines = lines(&spelling);
        let borrowed = borrowed(&lines);
        match site.send(&borrowed) {
            Ok(Outcome::Refused) => tally.refused += 1,
            Ok(Outcome::Own) => tally.own += 1,
            Ok(Outcome::NoModel) => tally.no_model += 1,
            Err(error) => tally.wrong.push(format!("{error}\n{}", shown(&lines))),
        }
        tally.aimed_at_another += usize::from(is_aimed_at_another(own, &borrowed));
    }
    tally
}

/// `MODELGATE_SEED` gives other spellings than those of every run.
fn seed() -> u64 {
    let seed = std::env::var("MODELGATE_SEED").ok();
    seed.map_or(1, |seed| seed.parse().unwrap())
}

#[test]
fn a_million_spellings_reach_no_other_model() {
    let seed = seed();
    println!("seed {seed}");
    let count = SPELLINGS / CALLERS.len();
    let tallies = std::thread::scope(|scope| {
        let runs = CALLERS.map(|own| scope.spawn(move || (own, run(own, seed, count))));
        runs.map(|run| run.join().unwrap())
    });
    for (own, tally) in tallies {
        let some: Vec<&str> = tally.wrong.iter().take(10).map(String::as_str).collect();
        assert!(
            some.is_empty(),
            "{} times for a caller of {own}:\n{}",
            tally.wrong.len(),
            some.concat()
        );
        println!("{own}: {tally:?}");
        // The spellings are of use only while they get through, and while they aim at something.
        let enough = count / 50;
        assert!(tally.own > enough / 4 && tally.no_model > enough, "{own}: {tally:?}");
        assert!(tally.aimed_at_another > 10 * enough, "{own}: {tally:?}");
    }
}

#[test]
fn what_the_fuzzer_found_reaches_no_other_model() {
    let mut sites = raw::Sites::new().unwrap();
    for line in include_str!("../../fuzz/corpora/address.txt").lines() {
        let data = lines::unescaped(line).unwrap();
        assert_eq!(lines::escaped(&data), line);
        sites.send(&data).unwrap_or_else(|wrong| panic!("{wrong}\n{line}"));
    }
}
