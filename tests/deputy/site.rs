//! A gateway for one caller, who may use one model and whatever is no model: what becomes of a
//! request, and whether it reaches only what was authorized.

use std::collections::BTreeSet;
use std::fmt::Debug;

use modelgate_engine::authn::TokenCache;
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::{Decision, Facts, Forward, Plan};
use modelgate_engine::request::{Attributes, Header, Host, Request};

use serde_json::{Value, json};

use super::routes::{Sent, reached};

/// The shared configuration, in which `prod/iris` is the caller's model.
const CONFIG: &str = include_str!("site.json");

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

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered by the gateway.
    Refused,
    /// It goes on, to the caller's own model.
    Own,
    /// It goes on, and no model's backend gets it.
    NoModel,
}

/// The gateway.
#[derive(Debug)]
pub struct Site {
    own: String,
    plan: Plan,
    /// The same but for a rule that never applies, and for which headers have to be looked at: it
    /// remembers nothing of where requests go.
    forgetful: Plan,
    cache: TokenCache,
}

impl Site {
    /// The shared configuration, for a caller of this model.
    pub fn new(own: &str) -> Result<Self, String> {
        Self::with(
            own,
            &CONFIG.replace("\"models\": [\"prod/iris\"]", &format!("\"models\": [\"{own}\"]")),
        )
    }

    /// Another configuration, in which the caller may use only this model.
    pub fn with(own: &str, config: &str) -> Result<Self, String> {
        let read = |config: &str| {
            let mut errors = Errors::default();
            Plan::read(config.as_bytes(), &mut errors).ok_or_else(|| errors.to_string())
        };
        let mut settings: Value =
            serde_json::from_str(config).map_err(|error| error.to_string())?;
        let never = json!({"path": "/never", "headers": [{"name": "x-never", "value": "never"}]});
        let never = json!({"name": "never", "match": never, "path": "/elsewhere"});
        match settings.get_mut("rewrites").and_then(Value::as_array_mut) {
            Some(rewrites) => rewrites.push(never),
            None => settings["rewrites"] = json!([never]),
        }
        let (plan, forgetful) = (read(config)?, read(&settings.to_string())?);
        let cache = plan.token_cache();
        Ok(Self { own: own.to_owned(), plan, forgetful, cache })
    }

    /// Decides a request of these lines, pseudo-headers included, and follows it. The error says
    /// which other model it reached.
    pub fn send(&mut self, lines: &[Header<'_>]) -> Result<Outcome, String> {
        let attributes = Attributes::new(&Nowhere);
        let request = Request::new(lines, &attributes);
        let decision = self.plan.decide(&request, &mut self.cache, |_| Ok(()));
        let fresh = self.forgetful.decide(&request, &mut self.cache, |_| Ok(()));
        for remembered in [&decision, &self.plan.decide(&request, &mut self.cache, |_| Ok(()))] {
            let (remembered, fresh) = (seen(remembered), seen(&fresh));
            if remembered != fresh {
                return Err(format!("remembered: {remembered:?}\n  anew: {fresh:?}"));
            }
        }
        let Some(Forward { edits, .. }) = decision.forward() else { return Ok(Outcome::Refused) };
        let kept = lines.iter().copied();
        let kept = kept.filter(|(name, _)| !edits.removed().any(|removed| removed == *name));
        let mut models = reached(&sent(kept.chain(edits.added())));
        match decision.facts.model.as_deref() {
            Some(model) if model != self.own => Err(format!("{model} was authorized")),
            Some(own) => {
                models.remove(own);
                expect_none(models, own)?;
                Ok(Outcome::Own)
            }
            None => {
                expect_none(models, "no model")?;
                Ok(Outcome::NoModel)
            }
        }
    }
}

/// All that shows of a decision.
fn seen(decision: &Decision) -> impl PartialEq + Debug {
    let Facts { verdict, model, operation, .. } = &decision.facts;
    let edits = decision.forward().map(|forward| &forward.edits);
    (*verdict, model.clone(), *operation, decision.reply(), edits)
}

/// Whether some route takes the request, as it came, to a model that is not the caller's: then the
/// gateway has something to prevent.
pub fn is_aimed_at_another(own: &str, lines: &[Header<'_>]) -> bool {
    reached(&sent(lines.iter().copied())).iter().any(|model| model != own)
}

fn expect_none(models: BTreeSet<String>, authorized: &str) -> Result<(), String> {
    if models.is_empty() {
        Ok(())
    } else {
        Err(format!("authorized: {authorized}; reached: {models:?}"))
    }
}

fn sent<'a>(lines: impl Iterator<Item = Header<'a>>) -> Sent {
    let mut sent = Sent::default();
    for (name, value) in lines {
        match name {
            b":path" => sent.path = value.to_vec(),
            b":authority" => sent.authority = value.to_vec(),
            _ => sent.headers.push((name.to_vec(), value.to_vec())),
        }
    }
    sent
}
