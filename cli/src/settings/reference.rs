//! `docs/configuration.md`: every setting with its type, default and meaning, and examples.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use modelgate_engine::config::PluginConfig;
use modelgate_engine::config::describe::{Field, Settings, Shape};

use super::{default, inner, text, words};

/// What the settings have in common.
const PREAMBLE: &str = include_str!("preamble.md");

/// The reference in Markdown. `example` is a whole `pluginConfig` in YAML: each setting at its top
/// level becomes the example of its chapter.
pub fn markdown(example: &str) -> String {
    let root = PluginConfig::described();
    let mut page = Page { out: PREAMBLE.to_owned(), places: BTreeMap::new() };
    page.table(&root, "");
    for field in &root.fields {
        let _ = write!(page.out, "\n## {}\n\n{}\n", field.name, text(field.about));
        if let Some(example) = excerpt(example, &field.name) {
            let _ = write!(page.out, "\n```yaml\n{example}```\n");
        }
        match inner(&field.shape) {
            Some(settings) => page.settings(settings, &at("", field)),
            None => page.words(&field.shape),
        }
    }
    page.out
}

struct Page {
    out: String,
    /// Where settings are described that occur in several places.
    places: BTreeMap<&'static str, String>,
}

impl Page {
    fn settings(&mut self, settings: &Settings, place: &str) {
        self.places.insert(settings.name, place.to_owned());
        self.table(settings, place);
        for field in &settings.fields {
            let below = inner(&field.shape);
            let Some(below) = below.filter(|below| !self.places.contains_key(below.name)) else {
                continue;
            };
            let place = at(place, field);
            let _ = write!(self.out, "\n### {place}\n\n{}\n", text(below.about));
            self.settings(below, &place);
        }
    }

    fn table(&mut self, settings: &Settings, place: &str) {
        self.out.push_str("\n| | | default | |\n|---|---|---|---|\n");
        for field in &settings.fields {
            let kind = match inner(&field.shape) {
                None => words(&field.shape),
                Some(below) => {
                    // Where it stands first, which may be beside this one.
                    let same = |other: &&Field| {
                        inner(&other.shape).is_some_and(|other| other.name == below.name)
                    };
                    let first = at(place, settings.fields.iter().find(same).unwrap_or(field));
                    let place = self.places.get(below.name).unwrap_or(&first);
                    format!("[{}](#{})", words(&field.shape), anchor(place))
                }
            };
            let default = match default(field) {
                Some(default) => format!("`{default}`"),
                None if field.default.is_none() => "required".to_owned(),
                None => String::new(),
            };
            let mut about = text(field.about).replace("\n\n", " ");
            if let Shape::Words(words) = &field.shape {
                for word in words {
                    let _ = write!(about, " `{}`: {}", word.word, text(word.about));
                }
            }
            let (name, about) = (&field.name, about.replace('|', "\\|"));
            let _ = writeln!(self.out, "| `{name}` | {kind} | {default} | {about} |");
        }
    }

    fn words(&mut self, shape: &Shape) {
        if let Shape::Words(words) = shape {
            self.out.push('\n');
            for word in words {
                let _ = writeln!(self.out, "- `{}`: {}", word.word, text(word.about));
            }
        }
    }
}

/// The place of a field, as errors write it but for the numbers.
fn at(place: &str, field: &Field) -> String {
    let dot = if place.is_empty() { "" } else { "." };
    let many = if matches!(field.shape, Shape::List(_)) { "[]" } else { "" };
    format!("{place}{dot}{}{many}", field.name)
}

/// The fragment by which a heading is found: letters, digits and `-`.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
}

/// The lines of a top-level field, comments before it included.
fn excerpt(example: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = example.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))?;
    let (before, from) = lines.split_at_checked(at)?;
    let comments = before.iter().rev().take_while(|line| line.starts_with('#')).count();
    let below = |line: &&&str| line.is_empty() || line.starts_with([' ', '-']);
    let body = from.iter().skip(1).take_while(below).count();
    let taken = lines.iter().skip(at - comments).take(comments + 1 + body);
    let mut excerpt = String::new();
    for line in taken {
        excerpt.push_str(line);
        excerpt.push('\n');
    }
    Some(format!("{}\n", excerpt.trim_end()))
}
