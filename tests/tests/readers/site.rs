//! A gateway whose caller may use one model of a host, and one adapter of a deployment.

use anyhow::{Result, anyhow};
use modelgate_engine::body::ModelReader;
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::{Decision, Next, Plan};
use modelgate_engine::request::{Attributes, Host, Request};
use serde_json::json;

use crate::bodies::{OWN, Spelling};
use testbed::dice::Dice;

/// What became of a request with its whole body.
#[derive(Debug)]
pub enum Outcome {
    /// The server has no whole body.
    Refused,
    /// It goes on without a model: a list, the server's health.
    WithoutModel,
    /// It goes on, with this model in its body.
    Own(String),
}

/// The gateway.
#[derive(Debug)]
pub struct Site(Plan);

/// A gateway that knows nothing of its connections.
struct Nowhere;

impl Host for Nowhere {
    fn now(&self) -> u64 {
        0
    }
    fn is_inbound(&self) -> bool {
        false
    }
}

impl Site {
    /// Whatever is no model may be used as well.
    pub fn new() -> Result<Self> {
        let config = json!({
            "targets": {
                "families": ["seldon-v1", "kserve", "openai"],
                "kserve": {"hostTemplate": "{name}-{namespace}.kserve.example.com", "namespaces": ["prod"], "services": ["prod/chat"]},
                "openai": [{"namespace": "llm", "hosts": ["models.example.com"]}],
                "bodyModels": ["prod/llama", "prod/chat"],
            },
            "authorization": {"defaultAction": "DENY", "policies": [
                {"name": "own", "models": [format!("llm/{OWN}"), format!("prod/llama/{OWN}"), format!("prod/chat/{OWN}")], "rules": [{}]},
                {"name": "no-model", "rules": [{"to": [{"operation": {"operations": ["metadata", "status"]}}]}]},
            ]},
        });
        let mut errors = Errors::default();
        let plan = Plan::read(config.to_string().as_bytes(), &mut errors);
        plan.map(Self).ok_or_else(|| anyhow!("{errors}"))
    }

    /// Sends a request, its body in chunks of any size.
    pub fn send(&self, spelling: &Spelling, dice: &mut Dice) -> Result<Outcome> {
        let Spelling { method, host, path, headers, body, .. } = spelling;
        let mut lines: Vec<(&[u8], &[u8])> = vec![
            (b":method", method.as_bytes()),
            (b":path", path.as_bytes()),
            (b":authority", host.as_bytes()),
        ];
        lines.extend(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let attributes = Attributes::new(&Nowhere);
        let request = Request::new(&lines, &attributes);
        let mut cache = self.0.token_cache();
        let Decision { facts, next } = self.0.decide(&request, &mut cache, |_| Ok(()));
        let awaited = match next {
            Next::AwaitModel(awaited) => awaited,
            Next::Reply(_) => return Ok(Outcome::Refused),
            Next::Forward(_) => return Ok(Outcome::WithoutModel),
        };
        let mut reader = ModelReader::default();
        let (mut rest, mut facts, mut model) = (body.as_slice(), Some(facts), None);
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at((1 + dice.below(40)).min(rest.len()));
            rest = behind;
            if reader.read(chunk).is_err() {
                return Ok(Outcome::Refused);
            }
            if let Some((facts, name)) =
                facts.take_if(|_| reader.model().is_some()).zip(reader.model())
            {
                let decision = self.0.decide_model(&request, &awaited, name, facts, |_| Ok(()));
                if decision.reply().is_some() {
                    return Ok(Outcome::Refused);
                }
                model = Some(name.to_owned());
            }
        }
        Ok(match (reader.finish(), model) {
            (Ok(_), Some(model)) => Outcome::Own(model),
            _ => Outcome::Refused,
        })
    }
}
