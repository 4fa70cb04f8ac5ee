//! `modelgate completions` and `modelgate man`: what shells and `man` know of the command, made from its own help.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use clap_complete::Shell;

use crate::output;

/// Completions: the command's arguments.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn run(self, mut command: Command) -> Result<ExitCode> {
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        output::print(&String::from_utf8(script)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Manual pages: the command's arguments.
#[derive(Debug, Args)]
pub struct Man {
    /// A verb, as `check` or `key new`; without one, the page of the command.
    #[arg(conflicts_with = "dir")]
    verb: Vec<String>,
    /// Writes every page into this folder: modelgate.1, modelgate-check.1, ...
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Man {
    /// Prints the page, or writes them all.
    ///
    /// # Errors
    ///
    /// There is no such verb, or the page cannot be written.
    pub fn run(self, mut command: Command) -> Result<ExitCode> {
        if let Some(dir) = &self.dir {
            let written =
                std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
            written.with_context(|| dir.display().to_string())?;
            return Ok(ExitCode::SUCCESS);
        }
        command.build();
        let mut page = &command;
        for verb in &self.verb {
            let verbs: Vec<_> = page.get_subcommands().map(Command::get_name).collect();
            let found = page.find_subcommand(verb);
            page = found.with_context(|| {
                format!("there is no verb {verb}; there are {}", verbs.join(", "))
            })?;
        }
        let mut text = Vec::new();
        clap_mangen::Man::new(page.clone()).render(&mut text)?;
        output::print(&String::from_utf8(text)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
