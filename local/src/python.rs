//! The Python that installs Envoy, Node and the model servers.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::sh;

/// What the model servers run on: Seldon's wrapper and MLServer from 3.9 with these pins, and up to 3.12.
const SUPPORTED: std::ops::RangeInclusive<(u32, u32)> = (3, 9)..=(3, 12);

/// A Python that can make virtual environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The interpreter itself, not a shim.
    pub path: PathBuf,
    /// As `3.11.7`.
    pub version: String,
}

/// Prints the version, the interpreter, and whether `python -m venv` would work.
const PROBE: &str = "
import sys
print('%d.%d.%d' % sys.version_info[:3])
print(sys.executable)
try:
    import venv, ensurepip
    print('venv')
except ImportError:
    print('bare')
";

/// `PYTHON`, else the first on PATH that fits.
pub fn python() -> Result<Python> {
    python_from(*SUPPORTED.start())
}

/// The same, of this version at least.
pub fn python_from(oldest: (u32, u32)) -> Result<Python> {
    let chosen = std::env::var_os("PYTHON");
    let names: Vec<OsString> = match &chosen {
        Some(python) => vec![python.clone()],
        None => ["python3", "python3.12", "python3.11", "python3.10", "python3.9"]
            .map(OsString::from)
            .into(),
    };
    let mut unfit = Vec::new();
    for name in names {
        match sh::output(Command::new(&name).args(["-c", PROBE])) {
            None => unfit.push(format!("{} cannot be run", name.to_string_lossy())),
            Some(answer) => match read(&answer, oldest) {
                Ok(python) => return Ok(python),
                Err(reason) => unfit.push(reason),
            },
        }
    }
    unfit.dedup();
    bail!(
        "no Python {}.{} to 3.12 with venv was found ({}): install one, for example with \
         `apt install python3 python3-venv`, or name one in the environment variable PYTHON",
        oldest.0,
        oldest.1,
        unfit.join("; ")
    )
}

fn read(answer: &str, oldest: (u32, u32)) -> Result<Python, String> {
    let mut lines = answer.lines();
    let (version, path) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor)))
            if (oldest..=*SUPPORTED.end()).contains(&(major, minor)) => {}
        _ => return Err(format!("{path} is version {version}")),
    }
    if lines.next() != Some("venv") {
        return Err(format!("{path} lacks venv or ensurepip, Debian's python3-venv"));
    }
    Ok(Python { path: path.into(), version: version.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_venv_decide() {
        for version in ["3.9.0", "3.12.11"] {
            let python = Python { path: "/usr/bin/python3".into(), version: version.into() };
            assert_eq!(read(&format!("{version}\n/usr/bin/python3\nvenv"), (3, 9)), Ok(python));
        }
        for (answer, reason) in [
            ("3.13.0\n/p\nvenv", "/p is version 3.13.0"),
            ("3.8.18\n/p\nvenv", "/p is version 3.8.18"),
            ("2.7.18\n/p\nvenv", "/p is version 2.7.18"),
            ("4.9.0\n/p\nvenv", "/p is version 4.9.0"),
            ("", " is version "),
            ("3.11.2\n/p\nbare", "/p lacks venv or ensurepip, Debian's python3-venv"),
        ] {
            assert_eq!(read(answer, (3, 9)), Err(reason.to_owned()));
        }
        let old = read("3.9.18\n/p\nvenv", (3, 10));
        assert_eq!(old, Err("/p is version 3.9.18".to_owned()));
    }
}
