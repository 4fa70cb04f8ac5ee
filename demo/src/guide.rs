//! Leads through the steps: says what is going to happen, has it happen, and keeps the score.

use std::collections::BTreeMap;

use anyhow::Result;
use testbed::client::Response;

use crate::ask::Ask;
use crate::screen::Screen;
use crate::variables::{Place, Variables};

/// What an answer has to be.
#[derive(Debug, Clone)]
pub struct Expected {
    status: u16,
    text: String,
    decision: &'static str,
}

impl Expected {
    /// 200 with this text in the body.
    pub fn allowed(text: &str) -> Self {
        Self { status: 200, text: text.to_owned(), decision: "allowed" }
    }

    /// 403 by a policy, or for want of one.
    pub fn denied() -> Self {
        Self { status: 403, text: "RBAC: access denied".to_owned(), decision: "denied" }
    }

    /// 401 with this text.
    pub fn unauthenticated(text: &str) -> Self {
        Self { status: 401, text: text.to_owned(), decision: "unauthenticated" }
    }

    /// 400: the address is ambiguous.
    pub fn refused() -> Self {
        Self { status: 400, text: String::new(), decision: "refused" }
    }
}

/// The guide through one tour.
#[derive(Debug)]
pub struct Guide {
    /// Where the tour is shown.
    pub screen: Screen,
    step: u32,
    title: String,
    wrong: Vec<String>,
    decisions: BTreeMap<&'static str, u64>,
}

impl Guide {
    /// At the beginning of the tour.
    pub fn new(screen: Screen) -> Self {
        Self {
            screen,
            step: 0,
            title: String::new(),
            wrong: Vec::new(),
            decisions: BTreeMap::new(),
        }
    }

    /// Begins a step.
    pub fn step(&mut self, title: &str, introduction: &str) -> Result<()> {
        self.step += 1;
        title.clone_into(&mut self.title);
        self.screen.heading(&format!("{}. {title}", self.step))?;
        self.screen.text(introduction)?;
        Ok(())
    }

    /// Sends a request and shows it with its answer. No answer at all is as unexpected.
    pub async fn ask(
        &mut self,
        variables: &Variables,
        ask: &Ask,
        expected: &Expected,
    ) -> Result<Option<Response>> {
        self.screen.command(&ask.curl())?;
        self.screen.gap()?;
        self.count(ask.to(), expected, 1);
        let answer = match ask.send(variables).await {
            Ok(answer) => answer,
            Err(error) => {
                self.check(false, &format!("expected {}, but: {error:#}", expected.status))?;
                return Ok(None);
            }
        };
        let text = answer.text();
        let note = format!("after {:.1} ms", answer.elapsed.as_secs_f64() * 1000.0);
        self.screen.answer(answer.status, &note, &text)?;
        let Expected { status, text: part, .. } = expected;
        if answer.status == *status && text.contains(part.as_str()) {
            self.check(true, &status.to_string())?;
        } else {
            let with = if part.is_empty() { String::new() } else { format!(" with `{part}`") };
            self.check(false, &format!("expected {status}{with}, got {}", answer.status))?;
        }
        Ok(Some(answer))
    }

    /// Takes note of requests that are expected to be decided this way.
    pub fn count(&mut self, to: Place, expected: &Expected, requests: u64) {
        if to == Place::Gateway {
            *self.decisions.entry(expected.decision).or_default() += requests;
        }
    }

    /// How many requests the gateway had to decide in which way so far.
    pub fn decisions(&self) -> &BTreeMap<&'static str, u64> {
        &self.decisions
    }

    /// Says whether something is as expected.
    pub fn check(&mut self, good: bool, text: &str) -> Result<()> {
        self.screen.verdict(good, text)?;
        if !good {
            self.wrong.push(format!("{}. {}: {text}", self.step, self.title));
        }
        Ok(())
    }

    /// Gives the reason.
    pub fn why(&mut self, text: &str) -> Result<()> {
        self.screen.gap()?;
        self.screen.text(text)?;
        Ok(())
    }

    /// How many steps there were.
    pub fn steps(&self) -> u32 {
        self.step
    }

    /// What did not go as expected.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }
}
