//! The readers: programs that read a file of bodies, and serde.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// Which values for `model` each reader that takes the body has. What is no text never fits a name.
pub type Readings = BTreeMap<String, Vec<String>>;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/readers/readers.py");

/// Bodies to be read.
#[derive(Debug)]
pub struct Judges {
    folder: tempfile::TempDir,
    file: BufWriter<File>,
    bodies: Vec<Readings>,
}

#[derive(Deserialize)]
struct Request {
    model: String,
}

impl Judges {
    /// Without a body.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = BufWriter::new(File::create(folder.path().join("bodies"))?);
        Ok(Self { folder, file, bodies: Vec::new() })
    }

    /// One more.
    pub fn add(&mut self, body: &[u8]) -> Result<()> {
        self.file.write_all(&u32::try_from(body.len())?.to_le_bytes())?;
        self.file.write_all(body)?;
        let mut readings = Readings::new();
        if let Ok(request) = serde_json::from_slice::<Request>(body) {
            readings.insert("serde, a struct".to_owned(), vec![request.model]);
        }
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            readings.insert("serde".to_owned(), value.get("model").map(text).into_iter().collect());
        }
        self.bodies.push(readings);
        Ok(())
    }

    /// What all readers make of them, in their order.
    pub fn judge(mut self) -> Result<Vec<Readings>> {
        self.file.flush()?;
        let bodies = self.folder.path().join("bodies");
        let tool = |name: &str| -> Result<PathBuf> {
            Ok(std::env::var_os(name).with_context(|| format!("{name} is not set"))?.into())
        };
        let mut python = Command::new(tool("READERS_VENV")?.join("bin/python"));
        python.arg(SCRIPT);
        let go = Command::new(tool("GOJSON")?.join("gojson"));
        let programs = [python, go].map(|mut program| -> Result<_> {
            program.arg(&bodies).stdout(Stdio::piped());
            Ok(std::thread::spawn(move || program.spawn()?.wait_with_output()))
        });
        for program in programs {
            let output =
                program?.join().map_err(|_| anyhow::anyhow!("a reader's thread died"))??;
            ensure!(output.status.success(), "a reader ended with {}", output.status);
            let lines = output.stdout.split(|c| *c == b'\n').filter(|line| !line.is_empty());
            let read: Vec<BTreeMap<String, Vec<Value>>> =
                lines.map(serde_json::from_slice).collect::<Result<_, _>>()?;
            ensure!(read.len() == self.bodies.len(), "{} bodies were read", read.len());
            for (readings, found) in self.bodies.iter_mut().zip(read) {
                let found = found.into_iter();
                readings.extend(found.map(|(name, all)| (name, all.iter().map(text).collect())));
            }
        }
        Ok(self.bodies)
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| format!("not a text: {value}"), str::to_owned)
}
