//! A logged request before both configurations, decided by the filter's own engine.
//!
//! A line holds no credentials. The caller that it names gets a token with issuer and subject, under keys that both
//! configurations take here; an API key likewise. Shadows take every request: what percentage of them is compared beside.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use anyhow::{Context as _, Result, bail};
use modelgate_engine::authn::TokenCache;
use modelgate_engine::authz::{Had, ListView};
use modelgate_engine::pipeline::{Decision, Next, Plan};
use modelgate_engine::request::{Attributes, Request};
use modelgate_engine::shadow::Outcome as Copied;
use modelgate_engine::telemetry::Verdict;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::ask::access_log::Logged;
use crate::ask::configuration::{self, Configuration};
use crate::ask::keys::{self, Assumed, Keys};
use crate::ask::request::{Asked, Desk, borrowed};

/// How far a log's time may go on before key sets are served again, which age.
const FRESH: u64 = 60_000_000_000;

/// Tokens that are kept.
const MOST_TOKENS: usize = 10_000;

/// What both sides share: who is assumed to have signed, and what is assumed of callers.
#[derive(Debug)]
pub struct Assumptions {
    assumed: Assumed,
    /// Claims that every token has besides issuer and subject.
    pub claims: Map<String, Value>,
    /// Whether who was let through without a logged principal had a token.
    pub authenticated: bool,
    secret: [u8; 16],
}

impl Assumptions {
    /// For these configurations.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn new(
        old: &Configuration,
        claims: Map<String, Value>,
        authenticated: bool,
    ) -> Result<Self> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).context("the system gave no random bytes")?;
        let assumed = Assumed::new(&old.settings, &Keys::default(), true)?;
        Ok(Self { assumed, claims, authenticated, secret })
    }

    fn key(&self, name: &str) -> String {
        let secret: String = self.secret.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("mg_{secret}_{name}")
    }

    /// Settings that take what is assumed.
    fn taken_by(&self, settings: &Value) -> Value {
        let mut settings = keys::with_assumed(settings, &self.assumed);
        let keys =
            settings.pointer_mut("/authentication/apiKeys/keys").and_then(Value::as_array_mut);
        for key in keys.into_iter().flatten().filter_map(Value::as_object_mut) {
            let name = key.get("name").and_then(Value::as_str).unwrap_or_default();
            let digest = Sha256::digest(self.key(name).as_bytes());
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            key.insert("sha256".to_owned(), digest.into());
        }
        let shadows = settings.get_mut("shadows").and_then(Value::as_array_mut);
        for shadow in shadows.into_iter().flatten().filter_map(Value::as_object_mut) {
            shadow.insert("percent".to_owned(), 100.into());
        }
        settings
    }
}

/// What one configuration makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// The status of the gateway's own answer.
    pub status: Option<u32>,
    /// The model, or empty.
    pub model: String,
    /// The operation, or empty.
    pub operation: &'static str,
    /// The policy or bypass that decided, or empty.
    pub policy: String,
    /// What goes upstream instead of what came: path, host, variant.
    pub route: Vec<(String, String)>,
    /// Shadows that may get a copy, with their percentages.
    pub copies: Vec<String>,
}

impl Judged {
    /// Whether it goes on, or would if decisions were carried out.
    pub fn goes_on(&self) -> bool {
        matches!(self.verdict, Verdict::Allowed | Verdict::Bypassed | Verdict::Excluded)
    }
}

/// A configuration that decides.
#[derive(Debug)]
struct Side {
    plan: Plan,
    inbound: bool,
    served: Cell<u64>,
    /// Headers that say the variant.
    variants: Vec<String>,
    /// Name and percentage of each shadow.
    percents: HashMap<String, String>,
}

impl Side {
    fn new(configuration: &Configuration, assumptions: &Assumptions) -> Result<Self> {
        let settings = &configuration.settings;
        let plan = configuration::plan(&assumptions.taken_by(settings));
        let list = |name: &str| settings.get(name).and_then(Value::as_array).into_iter().flatten();
        let header = |split: &Value| {
            let named = split.get("header").and_then(Value::as_str);
            named.unwrap_or("x-modelgate-variant").to_ascii_lowercase()
        };
        let percent = |shadow: &Value| {
            let name = shadow.get("name")?.as_str()?.to_owned();
            Some((name, shadow.get("percent").map_or("100".to_owned(), Value::to_string)))
        };
        Ok(Self {
            plan: plan.with_context(|| configuration.name.clone())?,
            inbound: configuration.inbound,
            served: Cell::new(0),
            variants: list("splits").map(header).collect(),
            percents: list("shadows").filter_map(percent).collect(),
        })
    }

    fn decide(
        &self,
        asked: &mut Asked,
        model: Option<&str>,
        cache: &mut TokenCache,
        assumed: &Assumed,
    ) -> Result<Judged> {
        if asked.at.abs_diff(self.served.get()) > FRESH {
            Keys::default().serve(&self.plan, assumed, asked.at)?;
            self.served.set(asked.at);
        }
        asked.connection.inbound = self.inbound;
        let lines = asked.lines()?;
        let headers = borrowed(&lines);
        let desk = Desk(asked);
        let attributes = Attributes::new(&desk);
        let request = Request::new(&headers, &attributes);
        // Which shadows, not what their copies hold.
        let decision = self.plan.decide(&request, cache, |_| Err(Copied::OverBudget));
        let Decision { facts, next } = decision;
        let decision = match next {
            Next::AwaitModel(awaited) => {
                let Some(logged) = model else { bail!(BODY) };
                // As the body named it: without the namespace, or as a whole.
                let bare = logged.split_once('/').map_or(logged, |(_, name)| name);
                let decided = self
                    .plan
                    .decide_model(&request, &awaited, bare, facts, |_| Err(Copied::OverBudget));
                if decided.facts.model.as_deref() != Some(logged) {
                    bail!(BODY);
                }
                decided
            }
            next => Decision { facts, next },
        };
        Ok(self.judged(&decision))
    }

    fn judged(&self, decision: &Decision) -> Judged {
        let facts = &decision.facts;
        let is_route = |name: &[u8]| {
            matches!(name, b":path" | b":authority")
                || self.variants.iter().any(|header| header.as_bytes() == name)
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let edits = decision.forward().map(|forward| &forward.edits);
        let added = edits.into_iter().flat_map(|edits| edits.added());
        let route =
            added.filter(|(name, _)| is_route(name)).map(|(name, value)| (text(name), text(value)));
        let copies =
            decision.forward().map(|forward| forward.copies.as_slice()).unwrap_or_default();
        let shadows = self.plan.shadows();
        let own = copies.iter().map(|(id, _)| *id).filter(|id| !shadows.is_baseline(*id));
        let names = own.filter_map(|id| shadows.get(id)).map(|shadow| {
            let percent = self.percents.get(&*shadow.name).map_or("100", String::as_str);
            format!("{} ({percent} %)", shadow.name)
        });
        let mut route: Vec<_> = route.collect();
        route.sort();
        Judged {
            verdict: facts.verdict,
            status: decision.reply().map(|reply| reply.code),
            model: facts.model.as_deref().unwrap_or_default().to_owned(),
            operation: facts.operation.map_or("", |operation| operation.as_str()),
            policy: self.plan.decided_by(facts).to_owned(),
            route,
            copies: names.collect::<BTreeSet<_>>().into_iter().collect(),
        }
    }
}

/// Why a line says too little.
pub const BODY: &str = "the body names the model, and the line does not hold it";

/// Both configurations.
#[derive(Debug)]
pub struct Judge<'a> {
    assumptions: &'a Assumptions,
    settings: &'a Value,
    sides: [Side; 2],
    caches: [TokenCache; 2],
    tokens: HashMap<String, String>,
}

impl<'a> Judge<'a> {
    /// Compiles both.
    ///
    /// # Errors
    ///
    /// The engine refuses one of them.
    pub fn new(
        old: &'a Configuration,
        new: &Configuration,
        assumptions: &'a Assumptions,
    ) -> Result<Self> {
        let sides = [Side::new(old, assumptions)?, Side::new(new, assumptions)?];
        let caches = [sides[0].plan.token_cache(), sides[1].plan.token_cache()];
        Ok(Self { assumptions, settings: &old.settings, sides, caches, tokens: HashMap::new() })
    }

    /// The request with what its caller is assumed to have carried, and who that is.
    ///
    /// # Errors
    ///
    /// None that can be.
    pub fn caller(&mut self, logged: &mut Logged) -> Result<String> {
        let principal = logged.own("principal").map(str::to_owned);
        let principal = match principal {
            Some(principal) => principal,
            None if self.assumptions.authenticated && logged.went_on() => {
                let rules = self.settings.pointer("/authentication/jwtRules/0/issuer");
                format!("{}/somebody", rules.and_then(Value::as_str).unwrap_or("issuer"))
            }
            None => return Ok(String::new()),
        };
        match principal.rsplit_once('/') {
            Some(("apikey", name)) => {
                keys::place_key(self.settings, &self.assumptions.key(name), &mut logged.asked);
            }
            Some((issuer, subject)) => {
                let token = self.token(&principal, issuer, subject)?;
                keys::place(self.settings, &token, &mut logged.asked);
            }
            None => {}
        }
        Ok(principal)
    }

    fn token(&mut self, principal: &str, issuer: &str, subject: &str) -> Result<String> {
        if let Some(token) = self.tokens.get(principal) {
            return Ok(token.clone());
        }
        let mut claims = self.assumptions.claims.clone();
        claims.insert("iss".to_owned(), json!(issuer));
        claims.insert("sub".to_owned(), json!(subject));
        let payload = keys::payload(self.settings, &claims);
        let token = self.assumptions.assumed.sign(&Map::new(), &payload)?;
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens.clear();
        }
        self.tokens.insert(principal.to_owned(), token.clone());
        Ok(token)
    }

    /// What both make of it, the old one first.
    ///
    /// # Errors
    ///
    /// The line does not hold what decides.
    pub fn decide(&mut self, asked: &mut Asked, model: Option<&str>) -> Result<[Judged; 2]> {
        let ([old, new], [one, other]) = (&self.sides, &mut self.caches);
        let assumed = &self.assumptions.assumed;
        Ok([old.decide(asked, model, one, assumed)?, new.decide(asked, model, other, assumed)?])
    }

    /// What policies look for in both, and such a line does not hold, or not of this request.
    ///
    /// # Errors
    ///
    /// Those of [`Judge::decide`].
    pub fn hangs_on(&self, asked: &Asked) -> Result<BTreeSet<String>> {
        let lines = asked.lines()?;
        let headers = borrowed(&lines);
        let desk = Desk(asked);
        let attributes = Attributes::new(&desk);
        let request = Request::new(&headers, &attributes);
        let mut keys = BTreeSet::new();
        for side in &self.sides {
            let (_, explanation) = side.plan.explain(&request, &mut side.plan.token_cache());
            let policies = explanation.policies.into_iter().flat_map(|seen| seen.list);
            for rule in policies.flat_map(|policy| policy.rules) {
                let lists = rule.from.iter().chain(&rule.to).chain([&rule.when]);
                keys.extend(lists.flat_map(missing));
            }
        }
        Ok(keys)
    }
}

/// Of clauses that found nothing, what they look for.
fn missing(list: &ListView) -> impl Iterator<Item = String> {
    let nothing = |had: &Had| match had {
        Had::Values(values) => values.is_empty(),
        Had::Unknown => true,
        Had::Hidden(lines) => *lines == 0,
    };
    list.clauses.iter().filter(move |clause| nothing(&clause.had)).map(|clause| {
        let path = clause.path.trim_start_matches("when ").trim_end_matches(" notValues");
        path.rsplit_once("].").map_or(path, |(_, field)| field).to_owned()
    })
}
