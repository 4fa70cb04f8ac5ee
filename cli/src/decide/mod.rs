//! `modelgate decide`: what becomes of one request, and why.

mod arguments;
pub mod gateway;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::ask::configuration::Configuration;
use crate::ask::decided::Bench;
use crate::ask::{json, text};
use crate::output;

pub use arguments::Decide;
use arguments::Format;

/// Exit status where nothing was decided.
const NOT_DECIDED: u8 = 2;

impl Decide {
    /// Prints the decision; the exit status says whether the request goes on.
    pub fn run(self) -> ExitCode {
        self.decide().unwrap_or_else(|error| {
            eprintln!("modelgate: {error:#}");
            ExitCode::from(NOT_DECIDED)
        })
    }

    fn decide(&self) -> Result<ExitCode> {
        let configuration = Configuration::read(&self.config, self.resource.as_deref())?;
        let bench = Bench::new(configuration, self.keys(), self.claims.is_some())?;
        let asked = self.request(&bench)?;
        let decided = bench.decide(&asked)?;
        let beside = match &self.gateway {
            Some(url) => Some(gateway::ask(url, &asked, &decided)?),
            None => None,
        };
        match self.format {
            Format::Text => {
                let is_colored = output::is_colored();
                let page = text::page(&bench, &asked, &decided, is_colored);
                let beside = beside.as_ref().map(|beside| beside.text(is_colored));
                output::print(&format!("{page}{}", beside.unwrap_or_default()))?;
            }
            Format::Json => {
                let mut document = json::document(&bench, &asked, &decided);
                if let (Some(beside), Some(fields)) = (&beside, document.as_object_mut()) {
                    fields.insert("gateway".to_owned(), beside.json());
                }
                output::print(&format!("{document:#}\n"))?;
            }
        }
        ensure!(
            !decided.needs_body,
            "the body names the model of this request: give it with --body"
        );
        let is_alike = beside.is_none_or(|beside| beside.is_alike());
        Ok(if decided.is_allowed() && is_alike { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
