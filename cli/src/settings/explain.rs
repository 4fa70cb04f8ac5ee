//! `modelgate explain`: what a setting means, without leaving the terminal.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use modelgate_engine::config::PluginConfig;
use modelgate_engine::config::describe::{Field, Settings, Shape};

use super::{default, inner, text, words};
use crate::output;

/// Columns of a line.
const WIDTH: usize = 100;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Explain {
    /// A setting, as `authentication.jwtRules.issuer`; without one, the whole configuration.
    #[arg(default_value = "", hide_default_value = true)]
    setting: String,
    /// Everything below it as well.
    #[arg(long, short)]
    recursive: bool,
}

impl Explain {
    /// Prints what is known of the setting.
    ///
    /// # Errors
    ///
    /// There is no such setting.
    pub fn run(self) -> Result<ExitCode> {
        output::print(&explain(&self.setting, self.recursive)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The text about a setting, whose path may be written as errors write it (`shadows[0].name`).
///
/// # Errors
///
/// There is no such setting.
pub fn explain(path: &str, recursive: bool) -> Result<String> {
    let mut here = PluginConfig::described();
    let mut field: Option<Field> = None;
    let mut place = String::from("pluginConfig");
    for name in path.split('.').filter(|name| !name.is_empty()) {
        let name = name.split('[').next().unwrap_or(name);
        let known = || here.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = here.fields.iter().find(|field| field.name == name).cloned();
        let found = found.with_context(|| format!("{place} has no {name}; it has {}", known()))?;
        place = if field.is_none() { name.to_owned() } else { format!("{place}.{name}") };
        match inner(&found.shape) {
            Some(settings) => here = settings.clone(),
            None => here.fields.clear(),
        }
        field = Some(found);
    }
    if path.trim_matches('.').is_empty() && !path.is_empty() {
        bail!("{path} names no setting, as authentication.jwtRules does");
    }
    let mut out = String::new();
    match &field {
        None => {
            let _ = writeln!(out, "{place}: object\n");
            wrap(&mut out, &text(here.about), 0);
        }
        Some(field) => {
            let _ = writeln!(out, "{place}: {}\n", kind(field));
            about(&mut out, field, 0);
        }
    }
    fields(&mut out, &here, 0, recursive);
    Ok(out)
}

fn fields(out: &mut String, settings: &Settings, indent: usize, recursive: bool) {
    for field in &settings.fields {
        let _ = writeln!(out, "\n{:indent$}{}: {}", "", field.name, kind(field));
        about(out, field, indent.saturating_add(4));
        if let Some(below) = inner(&field.shape).filter(|_| recursive) {
            fields(out, below, indent.saturating_add(4), recursive);
        }
    }
}

/// What it holds, and what its absence means.
fn kind(field: &Field) -> String {
    let shape = words(&field.shape);
    match default(field) {
        Some(default) => format!("{shape}, default {default}"),
        None if field.default.is_none() => format!("{shape}, required"),
        None => shape,
    }
}

fn about(out: &mut String, field: &Field, indent: usize) {
    wrap(out, &text(field.about), indent);
    if let Shape::Words(words) = &field.shape {
        for word in words {
            wrap(out, &format!("{}: {}", word.word, text(word.about)), indent.saturating_add(2));
        }
    }
}

/// Paragraphs, broken between words.
fn wrap(out: &mut String, text: &str, indent: usize) {
    for paragraph in text.split("\n\n") {
        let mut column = 0;
        for word in paragraph.split_whitespace() {
            let end = column + 1 + word.chars().count();
            if column == 0 || end > WIDTH {
                if column > 0 {
                    out.push('\n');
                }
                let _ = write!(out, "{:indent$}{word}", "");
                column = indent + word.chars().count();
            } else {
                let _ = write!(out, " {word}");
                column = end;
            }
        }
        out.push('\n');
    }
}
