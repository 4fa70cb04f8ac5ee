//! A decision with its reasons: headers first, and what the body names behind them, as the filter has it.

use anyhow::Result;
use modelgate_engine::body::ModelReader;
use modelgate_engine::pipeline::{Decision, Explanation, Next, Plan};
use modelgate_engine::request::{Attributes, Request};
use modelgate_engine::telemetry::Verdict;

use super::configuration::{self, Configuration};
use super::keys::{self, Assumed, Keys};
use super::request::{Asked, Desk, borrowed};

/// A configuration and the keys of its issuers, ready for requests.
#[derive(Debug)]
pub struct Bench {
    /// The configuration.
    pub configuration: Configuration,
    /// The same, compiled.
    pub plan: Plan,
    /// Whose signatures are assumed to be right.
    pub assumed: Assumed,
    keys: Keys,
}

/// What was decided, and why.
#[derive(Debug)]
pub struct Decided {
    /// The decision of the engine.
    pub decision: Decision,
    /// Its reasons.
    pub explanation: Explanation,
    /// The model that the body names, where it is the body's to say.
    pub named_in_body: Option<String>,
    /// Whether the body was needed and is not there: then nothing is known of what the model decides.
    pub needs_body: bool,
    /// What changes of the headers, as they are sent.
    pub set_cookie: Option<Vec<u8>>,
}

impl Bench {
    /// Compiles the configuration. With `all`, every signature is assumed to be right.
    ///
    /// # Errors
    ///
    /// The engine refuses it.
    pub fn new(configuration: Configuration, keys: Keys, all: bool) -> Result<Self> {
        let assumed = Assumed::new(&configuration.settings, &keys, all)?;
        let plan = match all {
            true => configuration::plan(&keys::with_assumed(&configuration.settings, &assumed))?,
            false => configuration.plan()?,
        };
        Ok(Self { configuration, plan, assumed, keys })
    }

    /// Decides a request.
    ///
    /// # Errors
    ///
    /// It is none that a proxy would take, or keys cannot be had.
    pub fn decide(&self, asked: &Asked) -> Result<Decided> {
        self.keys.serve(&self.plan, &self.assumed, asked.at)?;
        let mut asked = self.assumed.signed(asked)?;
        asked.connection.inbound |= self.configuration.inbound;
        let lines = asked.lines()?;
        let headers = borrowed(&lines);
        let desk = Desk(&asked);
        let attributes = Attributes::new(&desk);
        let request = Request::new(&headers, &attributes);
        let mut cache = self.plan.token_cache();
        let (decision, explanation) = self.plan.explain(&request, &mut cache);
        let Decision { facts, next } = decision;
        let Next::AwaitModel(awaited) = next else {
            let set_cookie = match &next {
                Next::Forward(forward) => forward.set_cookie.clone(),
                Next::Reply(_) | Next::AwaitModel(_) => None,
            };
            let decision = Decision { facts, next };
            return Ok(Decided {
                decision,
                explanation,
                named_in_body: None,
                needs_body: false,
                set_cookie,
            });
        };
        let Some(body) = &asked.body else {
            let decision = Decision { facts, next: Next::AwaitModel(awaited) };
            return Ok(Decided {
                decision,
                explanation,
                named_in_body: None,
                needs_body: true,
                set_cookie: None,
            });
        };
        let mut reader = ModelReader::default();
        let read = reader.read(body).and_then(|()| reader.finish());
        let (decision, explanation, named) = match read {
            Err(refusal) => (self.plan.refuse_body(facts, refusal), explanation, None),
            Ok(model) => {
                let (decision, explanation) =
                    self.plan.explain_model(&request, &awaited, model, facts, explanation);
                (decision, explanation, Some(model.to_owned()))
            }
        };
        let set_cookie = decision.forward().and_then(|forward| forward.set_cookie.clone());
        Ok(Decided { decision, explanation, named_in_body: named, needs_body: false, set_cookie })
    }
}

impl Decided {
    /// Whether the request goes on, or would if decisions were carried out.
    pub fn is_allowed(&self) -> bool {
        matches!(
            self.decision.facts.verdict,
            Verdict::Allowed | Verdict::Bypassed | Verdict::Excluded
        )
    }

    /// The variant, where a split chooses one.
    pub fn variant(&self) -> Option<&str> {
        if !self.is_allowed() {
            return None;
        }
        let chosen = self.explanation.splits.iter().find_map(|split| split.chosen.as_ref());
        chosen.map(|choice| choice.variant.as_str())
    }

    /// The names of the shadows that get a copy, as access logs have them.
    pub fn shadows<'p>(&self, plan: &'p Plan) -> Vec<&'p str> {
        let copies = self.decision.forward().map(|forward| &forward.copies);
        let of_shadow = copies.into_iter().flatten().map(|(id, _)| *id);
        let own = of_shadow.filter(|id| !plan.shadows().is_baseline(*id));
        own.filter_map(|id| Some(&*plan.shadows().get(id)?.name)).collect()
    }
}
