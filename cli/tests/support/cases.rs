//! The cases of `cli/tests/convert/`: Istio's resources, and what is said of their conversion.

use std::path::Path;

/// A case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name, with the file's before it.
    pub name: String,
    /// `exact`, `remarks` or `refused`.
    pub verdict: String,
    /// Arguments of the command.
    pub arguments: Vec<String>,
    /// Parts of what has to be said, or behind `never: ` must not be.
    pub told: Vec<String>,
    /// The resources, with `$JWKS`, `$OTHER` and `$PORT` in them.
    pub text: String,
}

/// Every case of a folder, in the order of the files' names.
pub fn read(folder: &Path) -> std::io::Result<Vec<Case>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let text = std::fs::read_to_string(&file)?;
        for part in text.split("# === ").filter(|part| !part.trim().is_empty()) {
            let mut lines = part.lines();
            let head = lines.next().unwrap_or_default();
            let (name, verdict) = head.split_once(": ").unwrap_or((head, ""));
            let said: Vec<&str> = lines.map_while(|line| line.strip_prefix("# ")).collect();
            let (arguments, told): (Vec<&str>, Vec<&str>) =
                said.into_iter().partition(|line| line.starts_with("--"));
            cases.push(Case {
                name: format!("{}/{name}", stem.clone().unwrap_or_default()),
                verdict: verdict.to_owned(),
                arguments: arguments
                    .iter()
                    .flat_map(|line| line.split(' '))
                    .map(str::to_owned)
                    .collect(),
                told: told.into_iter().map(str::to_owned).collect(),
                text: part.split_once('\n').map_or("", |(_, rest)| rest).to_owned(),
            });
        }
    }
    Ok(cases)
}
