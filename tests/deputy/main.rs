//! A caller who may use one model never reaches another's backend, however the request is spelled.
#![cfg(test)]

mod body;
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

/// What led the fuzzer to code of its own, a request in each line; CONTRIBUTING.md says how to add to it.
const CORPUS: &str = include_str!("../../fuzz/corpus.txt");

#[test]
fn what_the_fuzzer_found_reaches_no_other_model() {
    let mut sites = raw::Sites::new().unwrap();
    for line in CORPUS.lines() {
        sites.send(&unescaped(line)).unwrap_or_else(|wrong| panic!("{wrong}\n{line}"));
    }
}

/// What led the fuzzer of bodies to code of its own, likewise.
const BODIES: &str = include_str!("../../fuzz/bodies.txt");

#[test]
fn bodies_that_the_fuzzer_found_name_one_model() {
    for line in BODIES.lines() {
        body::send(&unescaped(line)).unwrap_or_else(|wrong| panic!("{wrong}\n{line}"));
    }
}

/// Bytes from what [`u8::escape_ascii`] makes of them, but for quotes, which stay as they are.
fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
            plain => plain,
        });
    }
    bytes
}

/// A folder for the fuzzer to begin with: the corpus, and honest spellings.
#[test]
#[ignore = "writes the folder MODELGATE_FUZZ_SEEDS"]
fn seeds_for_the_fuzzer() {
    let folder = std::path::PathBuf::from(std::env::var_os("MODELGATE_FUZZ_SEEDS").unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    let spellings = Spellings::new(seed()).take(400).map(|spelling| {
        let lines = lines(&spelling);
        let pseudo = lines.iter().filter(|(name, _)| name.starts_with(b":"));
        let by = |wanted: &str| pseudo.clone().find(|(name, _)| name == wanted.as_bytes());
        let values = [":method", ":authority", ":path"].map(|name| by(name).unwrap().1.as_slice());
        let headers = lines.iter().filter(|(name, _)| !name.starts_with(b":"));
        let headers = headers.map(|(name, value)| [name.as_slice(), b":", value].concat());
        values.map(<[u8]>::to_vec).into_iter().chain(headers).collect::<Vec<_>>().join(&b'\n')
    });
    let known = CORPUS.lines().chain(BODIES.lines()).map(unescaped);
    for (i, data) in known.chain(spellings).enumerate() {
        std::fs::write(folder.join(i.to_string()), data).unwrap();
    }
}

/// A line of the corpus for each file in a folder of the fuzzer's.
#[test]
#[ignore = "prints the folder MODELGATE_FUZZ_CORPUS"]
fn corpus_of_the_fuzzer() {
    let folder = std::env::var_os("MODELGATE_FUZZ_CORPUS").unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        let line = data.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'");
        assert_eq!(unescaped(&line), data);
        println!("{line}");
    }
}
