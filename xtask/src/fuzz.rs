//! `cargo xtask fuzz`: looks for inputs that an oracle of `tests/fuzzed/` does not take, target by target.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use modelgate_local::sh::{self, Log};

use crate::project::{Project, cargo};

#[path = "../../tests/fuzzed/lines.rs"]
mod lines;

/// The longest input that is made, and the longest that is taken into a corpus, in bytes.
const LONGEST: usize = 2048;
const TAKEN_IN: usize = 400;
/// The most lines that one run adds to a corpus.
const ADDED: usize = 200;
/// How often it shows where it is.
const PROGRESS: Duration = Duration::from_secs(30);

/// What is fuzzed, and for how long.
#[derive(Args, Debug)]
pub struct FuzzArgs {
    /// One target, by the name of its file in fuzz/fuzz_targets; without it all, one after the other
    target: Option<String>,
    /// How long, for each target
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// Adds what led to new code to fuzz/corpora/TARGET.txt, which `cargo xtask test` replays
    #[arg(long)]
    take_in: bool,
}

/// One target, and where its inputs are.
struct Target<'p> {
    project: &'p Project,
    name: String,
    folder: PathBuf,
}

/// What became of a run.
struct Found {
    target: String,
    inputs: String,
    /// The line of each input that an oracle did not take.
    lines: Vec<String>,
}

/// `cargo xtask fuzz`
pub fn fuzz(project: &Project, args: &FuzzArgs) -> Result<ExitCode> {
    let all = targets(project)?;
    if let Some(odd) = args.target.as_ref().filter(|name| !all.contains(name)) {
        bail!("{odd} is not a target: {}", all.join(", "));
    }
    let found = cargo().args(["fuzz", "--version"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        bail!("cargo-fuzz is missing: cargo install cargo-fuzz (it needs a C++ compiler, too)");
    }
    let mut log = Log::create(project.target.join("test-logs/fuzz.log"))?;
    println!("building the targets (minutes, the first time)");
    sh::quietly(&mut cargo_fuzz(project, "build"), &mut log)?;
    let mut runs = Vec::new();
    for name in all.into_iter().filter(|name| args.target.as_ref().is_none_or(|one| one == name)) {
        let folder = project.target.join("fuzz").join(&name);
        let target = Target { project, name, folder };
        println!("\n== {}: {} minutes", target.name, args.minutes);
        let run = target.run(args.minutes, &mut log)?;
        if args.take_in && run.lines.is_empty() {
            target.take_in(&mut log)?;
        }
        runs.push(run);
    }
    Ok(summary(&runs))
}

fn summary(runs: &[Found]) -> ExitCode {
    println!();
    for Found { target, inputs, lines } in runs {
        let verdict = if lines.is_empty() { "nothing found" } else { "FOUND" };
        println!("{target:<14}  {inputs:>12} inputs  {verdict}");
        for line in lines {
            println!("  {line}");
        }
    }
    if runs.iter().all(|run| run.lines.is_empty()) {
        return ExitCode::SUCCESS;
    }
    println!(
        "\nEach line belongs into fuzz/corpora/TARGET.txt once what it found is mended: cargo xtask test unit \
         replays it, with what is wrong."
    );
    ExitCode::FAILURE
}

/// The names of the targets, in order.
fn targets(project: &Project) -> Result<Vec<String>> {
    let folder = project.root.join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| stem(entry.path())).collect();
    names.sort();
    Ok(names)
}

/// The flags of a fuzzer need a compiler that allows them, and any does that is told to. The engine has no unsafe code,
/// for which a sanitizer would look at half the speed.
fn cargo_fuzz(project: &Project, command: &str) -> Command {
    let mut cargo = cargo();
    cargo.current_dir(project.root.join("fuzz")).env("RUSTC_BOOTSTRAP", "1");
    cargo.args(["fuzz", command, "--sanitizer=none"]);
    cargo
}

impl Target<'_> {
    /// The corpus as text.
    fn corpus(&self) -> PathBuf {
        self.project.root.join("fuzz/corpora").join(format!("{}.txt", self.name))
    }

    /// A folder of this name, empty if it is to be.
    fn folder(&self, name: &str, empty: bool) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if empty && folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// The lines of the corpus, a file for each.
    fn seeds(&self) -> Result<PathBuf> {
        let folder = self.folder("seeds", true)?;
        let corpus = read(&self.corpus())?;
        for (i, line) in corpus.lines().enumerate() {
            let data = lines::unescaped(line);
            let data = data.with_context(|| format!("{}:{}", self.corpus().display(), i + 1))?;
            std::fs::write(folder.join(i.to_string()), data)?;
        }
        Ok(folder)
    }

    fn run(&self, minutes: u64, log: &mut Log) -> Result<Found> {
        let artifacts = self.folder("found", true)?;
        let mut fuzz = cargo_fuzz(self.project, "run");
        fuzz.arg(&self.name).arg(self.folder("corpus", false)?).arg(self.seeds()?).arg("--");
        fuzz.arg(format!("-max_total_time={}", minutes.saturating_mul(60)));
        fuzz.arg(format!("-max_len={LONGEST}")).args(["-timeout=20", "-print_final_stats=1"]);
        fuzz.arg(format!("-artifact_prefix={}/", artifacts.display()));
        let dictionary = format!("fuzz/dictionaries/{}.txt", self.name);
        let dictionary = self.project.root.join(dictionary);
        if dictionary.exists() {
            fuzz.arg(format!("-dict={}", dictionary.display()));
        }
        let (ended_well, inputs) = watch(&mut fuzz, log)?;
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(&artifacts)?.flatten() {
            lines.push(lines::escaped(&std::fs::read(entry.path())?));
        }
        if !ended_well && lines.is_empty() {
            bail!("the fuzzer of {} ended: {}", self.name, log.path().display());
        }
        Ok(Found { target: self.name.clone(), inputs, lines })
    }

    /// Adds to the corpus the fewest inputs that reach all code that was reached.
    fn take_in(&self, log: &mut Log) -> Result<()> {
        let fewest = self.folder("fewest", true)?;
        let mut merge = cargo_fuzz(self.project, "run");
        merge.arg(&self.name).arg(&fewest).arg(self.seeds()?).arg(self.folder("corpus", false)?);
        sh::quietly(merge.args(["--", "-set_cover_merge=1"]), log)?;
        let text = read(&self.corpus())?;
        let mut added = Vec::new();
        for entry in std::fs::read_dir(&fewest)?.flatten() {
            let data = std::fs::read(entry.path())?;
            let line = lines::escaped(&data);
            if data.len() <= TAKEN_IN && !text.lines().any(|known| known == line) {
                added.push(line);
            }
        }
        added.sort_by_key(|line| (line.len(), line.clone()));
        added.truncate(ADDED);
        println!("{} lines are added to {}", added.len(), self.project.show(&self.corpus()));
        let lines = text.lines().chain(added.iter().map(String::as_str));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        std::fs::write(self.corpus(), text).context("writing the corpus")
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Runs a fuzzer and shows where it is. Whether it ended well, and how many inputs there were.
fn watch(fuzz: &mut Command, log: &mut Log) -> Result<(bool, String)> {
    let (mut shown, mut inputs) = (Instant::now(), String::from("no"));
    let status = sh::follow(fuzz, log, |line| {
        let Some(line) = line else { return };
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            number.trim().clone_into(&mut inputs);
        }
        if line.starts_with('#') && shown.elapsed() > PROGRESS {
            shown = Instant::now();
            println!("   {line}");
        }
    })?;
    Ok((status.success(), inputs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_corpus_that_is_replayed() {
        let project = Project::open().unwrap();
        let tests = ["tests/fuzzed/main.rs", "tests/deputy/main.rs"];
        let replayed = tests.map(|path| read(&project.root.join(path)).unwrap()).concat();
        let manifest = read(&project.root.join("fuzz/Cargo.toml")).unwrap();
        let all = targets(&project).unwrap();
        assert!(all.len() >= 10);
        for name in all {
            let target = Target { project: &project, folder: PathBuf::new(), name };
            let name = &target.name;
            assert!(replayed.contains(&format!("{name}.txt\"")), "{name} is not replayed");
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not built");
            for line in read(&target.corpus()).unwrap().lines() {
                assert_eq!(lines::escaped(&lines::unescaped(line).unwrap()), line);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_line_and_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        let line = lines::escaped(&all);
        assert!(!line.contains('\n') && line.is_ascii());
        assert_eq!(lines::unescaped(&line), Some(all));
        for odd in ["\\", "\\x", "\\x4", "\\xzz", "\\q"] {
            assert_eq!(lines::unescaped(odd), None, "{odd}");
        }
    }
}
