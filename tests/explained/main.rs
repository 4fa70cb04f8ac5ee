//! An explanation and the decision that it is of agree, whatever the configuration and the request.
#![cfg(test)]

mod configurations;
mod dice;
#[path = "../deputy/models.rs"]
mod models;
#[path = "../deputy/spellings.rs"]
mod spellings;

use modelgate_engine::authn::Identity;
use modelgate_engine::authz::{Effect, ListView, NoPolicy, PolicyView, RuleView};
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::{Decision, Explanation, Forward, Next, Plan};
use modelgate_engine::request::{Attributes, Edits, Header, Host, Request};
use modelgate_engine::telemetry::Verdict;
use std::net::IpAddr;

use configurations::{configuration, token};
use dice::Dice;
use spellings::Spellings;

/// When all requests come, in seconds since the Unix epoch.
const NOW: u64 = 1_795_896_000;

/// Configurations, and requests under each.
const CONFIGURATIONS: u64 = 100;
const REQUESTS: usize = 400;

/// A gateway that knows where its clients are.
struct Gateway(Option<IpAddr>);

impl Host for Gateway {
    fn now(&self) -> u64 {
        NOW * 1_000_000_000
    }
    fn is_inbound(&self) -> bool {
        false
    }
    fn remote_ip(&self) -> Option<IpAddr> {
        self.0
    }
    fn peer_ip(&self) -> Option<IpAddr> {
        self.0
    }
}

/// What came about, so that a run in which nothing does is seen.
#[derive(Debug, Default)]
struct Tally {
    allowed: usize,
    denied: usize,
    unauthenticated: usize,
    refused: usize,
    bypassed: usize,
    excluded: usize,
    in_body: usize,
    by_policy: usize,
    variants: usize,
    copies: usize,
    unselected: usize,
    rewritten: usize,
}

/// A request as Envoy hands it on: names in lower case, credentials now and then.
fn lines(dice: &mut Dice, spellings: &mut Spellings) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut spelling = spellings.next().unwrap();
    if dice.once_in(10) {
        spelling.method = "POST";
        spelling.host = "chat2.example.com".to_owned();
        spelling.path = b"/openai/v1/chat/completions".to_vec();
    }
    let pseudo = [
        (&b":method"[..], spelling.method.as_bytes()),
        (b":path", &spelling.path),
        (b":authority", spelling.host.as_bytes()),
    ];
    let mut lines: Vec<(Vec<u8>, Vec<u8>)> =
        pseudo.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    for (name, value) in spelling.headers {
        lines.push((name.to_ascii_lowercase().into_bytes(), value));
    }
    let mut add = |name: &str, value: &str| lines.push((name.into(), value.into()));
    if dice.once_in(2) {
        add("authorization", &format!("Bearer {}", token(dice, NOW)));
    }
    if dice.once_in(12) {
        add("x-api-key", dice.pick(&["abc", "abcd"]));
    }
    for (name, values) in [
        ("x-request-id", &["a", "b", "c", "d", "e"][..]),
        ("x-team", &["red", "blue"]),
        ("cookie", &["variant=1", "a=b", "session=x"]),
        ("x-user", &["eve"]),
        ("x-modelgate-variant", &["canary"]),
        ("x-modelgate-shadow", &["s0"]),
        ("content-type", &["application/json"]),
    ] {
        if dice.once_in(3) {
            add(name, dice.pick(values));
        }
    }
    lines
}

#[test]
fn explanations_agree_with_decisions() {
    let seed = std::env::var("MODELGATE_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut tally = Tally::default();
    let mut taken = 0;
    for round in 0..CONFIGURATIONS {
        let mut dice = Dice::new(seed, round);
        let settings = configuration(&mut dice);
        let mut errors = Errors::default();
        let Some(plan) = Plan::read(settings.to_string().as_bytes(), &mut errors) else {
            panic!("{errors}\n{settings:#}")
        };
        taken += 1;
        let mut spellings = Spellings::new(seed ^ (round << 20));
        for _ in 0..REQUESTS {
            let lines = lines(&mut dice, &mut spellings);
            let borrowed: Vec<Header<'_>> = lines.iter().map(|(n, v)| (&**n, &**v)).collect();
            let ip = dice.pick(&["", "10.1.2.3", "192.0.2.1"]).parse().ok();
            let gateway = Gateway(ip);
            let attributes = Attributes::new(&gateway);
            let request = Request::new(&borrowed, &attributes);
            let body = dice.pick(&["llama", "sql", "iris"]);
            let wrong = compare(&plan, &request, body, &mut tally);
            assert!(wrong.is_none(), "{}\n{lines:?}\n{settings:#}", wrong.unwrap_or_default());
        }
    }
    println!("seed {seed}, {taken} configurations: {tally:?}");
    let enough = [
        tally.allowed,
        tally.denied,
        tally.unauthenticated,
        tally.refused,
        tally.bypassed,
        tally.excluded,
        tally.in_body,
        tally.by_policy,
        tally.variants,
        tally.copies,
        tally.unselected,
        tally.rewritten,
    ];
    assert!(enough.iter().all(|count| *count > 50), "too little variety: {tally:?}");
}

fn compare(plan: &Plan, request: &Request<'_>, named: &str, tally: &mut Tally) -> Option<String> {
    let decided = plan.decide(request, &mut plan.token_cache(), |_| Ok(()));
    let (explained, why) = plan.explain(request, &mut plan.token_cache());
    if seen(&decided) != seen(&explained) {
        return Some(format!("decided {}\nexplained {}", seen(&decided), seen(&explained)));
    }
    let edits = decided.edits().cloned();
    if let Some(wrong) = check(plan, &explained, &why, edits.as_ref(), tally) {
        return Some(format!("{wrong}\n{why:?}\n{}", seen(&decided)));
    }
    let Next::AwaitModel(awaited) = decided.next else { return None };
    tally.in_body += 1;
    let again = plan.decide(request, &mut plan.token_cache(), |_| Ok(()));
    let decided = plan.decide_model(request, &awaited, named, decided.facts, |_| Ok(()));
    let (explained, why) = plan.explain_model(request, &awaited, named, again.facts, why);
    if seen(&decided) != seen(&explained) {
        return Some(format!("decided {}\nexplained {}", seen(&decided), seen(&explained)));
    }
    check(plan, &explained, &why, None, tally)
        .map(|wrong| format!("{wrong}\n{why:?}\n{}", seen(&decided)))
}

/// All that shows of a decision.
fn seen(decision: &Decision) -> String {
    let facts = &decision.facts;
    let who = facts.identity.as_deref().and_then(Identity::principal);
    let copies = decision.forward().map(|Forward { copies, set_cookie, .. }| {
        let copies: Vec<_> =
            copies.iter().map(|(id, copy)| (*id, copy.as_ref().map(|_| ()).ok())).collect();
        (copies, set_cookie.clone())
    });
    format!(
        "{:?}",
        (
            facts.verdict,
            &facts.model,
            facts.operation,
            who,
            facts.policy,
            facts.rule,
            &facts.effects,
            decision.reply(),
            decision.edits(),
            copies,
        )
    )
}

/// What of an explanation contradicts the decision.
fn check(
    plan: &Plan,
    decision: &Decision,
    why: &Explanation,
    edits: Option<&Edits>,
    tally: &mut Tally,
) -> Option<String> {
    let facts = &decision.facts;
    let verdict = facts.verdict;
    count(verdict, tally);
    let is_refused_address =
        decision.reply().is_some_and(|reply| reply.details == "modelgate_refused_address");
    let reason = why.route.refusal.map(|refusal| refusal.reason);
    if reason.is_some() && decision.reply().map(|reply| reply.body) != reason {
        return Some("refused for another reason".to_owned());
    }
    // What of a body's head cannot be read is told by the answer alone.
    let of_head = decision.reply().is_some_and(|reply| reply.body.contains("in the body"));
    if is_refused_address && reason.is_none() && !of_head {
        return Some("refused without a reason".to_owned());
    }
    if why.route.excluded != (verdict == Verdict::Excluded) {
        return Some("excluded or not".to_owned());
    }
    let address = why.route.address.as_ref();
    if reason.is_none() && facts.operation != address.map(|address| address.operation) {
        return Some("another operation".to_owned());
    }
    let is_awaited = matches!(decision.next, Next::AwaitModel(_)) || of_head;
    let model = address.and_then(|address| Some(&address.model.as_ref()?.id));
    let is_in_body = address.is_some_and(|address| address.in_body.is_some());
    if reason.is_none() && !is_in_body && !is_awaited && facts.model.as_ref() != model {
        return Some("another model".to_owned());
    }
    tally.rewritten += usize::from(why.route.path.is_some());
    credentials(decision, why)
        .or_else(|| policies(decision, why, tally))
        .or_else(|| carried_out(plan, decision, why, edits, tally))
}

fn count(verdict: Verdict, tally: &mut Tally) {
    *match verdict {
        Verdict::Allowed => &mut tally.allowed,
        Verdict::Denied => &mut tally.denied,
        Verdict::Unauthenticated => &mut tally.unauthenticated,
        Verdict::Refused => &mut tally.refused,
        Verdict::Bypassed => &mut tally.bypassed,
        // Quotas are asked when a request is decided, and none of these has one.
        Verdict::Excluded | Verdict::Limited | Verdict::Error => &mut tally.excluded,
    } += 1;
}

fn credentials(decision: &Decision, why: &Explanation) -> Option<String> {
    let Some(view) = &why.credentials else { return None };
    let refused = decision.facts.verdict == Verdict::Unauthenticated;
    let accepted = view.tokens.last().is_some_and(|token| token.refused.is_none());
    let identified = accepted || matches!(view.api_key, Some(Ok(_)));
    if identified && refused && view.api_key.is_none() {
        return Some("a good token is refused".to_owned());
    }
    if decision.facts.identity.is_some() != (identified && !refused) {
        return Some("identified or not".to_owned());
    }
    let told: Vec<&str> = view.tokens.iter().filter_map(|token| token.refused).collect();
    let of_key = view.api_key.as_ref().and_then(|key| key.as_ref().err());
    let body = decision.reply().map(|reply| reply.body).unwrap_or_default();
    let is_told = told.contains(&body) || of_key.is_some_and(|why| *why == body);
    // An API key beside a token is told of by the answer.
    (refused && !is_told && view.api_key.is_none()).then(|| format!("{body} is not told of"))
}

fn policies(decision: &Decision, why: &Explanation, tally: &mut Tally) -> Option<String> {
    let Some(view) = &why.policies else { return None };
    if matches!(decision.next, Next::AwaitModel(_)) {
        return Some("policies were asked before the model was known".to_owned());
    }
    let facts = &decision.facts;
    let matched = |policy: &&PolicyView| policy.matched.is_some();
    let effects: Vec<_> =
        view.list.iter().filter(matched).map(|policy| (policy.id, policy.effect)).collect();
    if effects != facts.effects {
        return Some("other effects".to_owned());
    }
    let decides = |policy: &&PolicyView| matches!(policy.effect, Effect::Allowed | Effect::Denied);
    let decisive = view.list.iter().filter(matched).find(decides);
    let is_denied = facts.verdict == Verdict::Denied;
    match decisive {
        Some(policy) => {
            tally.by_policy += 1;
            if (Some(policy.id), policy.matched) != (facts.policy, facts.rule) {
                return Some("another policy decided".to_owned());
            }
            if is_denied != (policy.effect == Effect::Denied) {
                return Some("the policy that decided has another effect".to_owned());
            }
        }
        None => {
            let allows = NoPolicy::Default { allows: true };
            let goes_on = view.without == NoPolicy::Bypassed || view.without == allows;
            if facts.policy.is_some() || goes_on == is_denied {
                return Some(format!("without a policy: {:?}", view.without));
            }
        }
    }
    view.list.iter().find_map(|policy| {
        let first = policy.rules.iter().position(|rule| rule.matches).filter(|_| policy.asked);
        if first != policy.matched {
            return Some(format!("another rule of policy {:?}", policy.id));
        }
        let wrong = policy.rules.iter().position(|rule| rule.matches != by_clauses(rule));
        wrong.map(|rule| format!("the clauses of rule {rule} of {:?} say otherwise", policy.id))
    })
}

/// Whether a rule matches, by what is said of its clauses.
fn by_clauses(rule: &RuleView) -> bool {
    let all = |list: &ListView| list.clauses.iter().all(|clause| clause.holds);
    let names = |list: &ListView| list.clauses.iter().any(|c| c.path.ends_with(".operations"));
    let from = rule.from.is_empty() || rule.from.iter().any(all);
    let to = match rule.naming {
        true => rule.to.iter().any(|list| names(list) && all(list)),
        false => rule.to.is_empty() || rule.to.iter().any(all),
    };
    from && to && all(&rule.when)
}

fn carried_out(
    plan: &Plan,
    decision: &Decision,
    why: &Explanation,
    edits: Option<&Edits>,
    tally: &mut Tally,
) -> Option<String> {
    if let Some(edits) = edits {
        let gone = edits.removed().map(|name| (name.to_vec(), None));
        let came = edits.added().map(|(name, value)| (name.to_vec(), Some(value.to_vec())));
        let told = why.edits.iter().map(|edit| (edit.name.clone(), edit.value.clone()));
        if gone.chain(came).collect::<Vec<_>>() != told.collect::<Vec<_>>() {
            return Some("other edits".to_owned());
        }
        for choice in why.splits.iter().filter_map(|split| split.chosen.as_ref()) {
            tally.variants += 1;
            let written = edits.added().filter(|(name, _)| *name == choice.header.as_bytes());
            if written.last().map(|(_, value)| value) != Some(choice.variant.as_bytes()) {
                return Some("another variant".to_owned());
            }
        }
    }
    let forward = decision.forward()?;
    let shadows = plan.shadows();
    let copied = forward.copies.iter().map(|(id, _)| *id);
    let copied: Vec<_> = copied.filter(|id| !shadows.is_baseline(*id)).collect();
    let selected = why.shadows.iter().filter(|(view, _)| view.unselected.is_none());
    let selected: Vec<_> = selected.map(|(view, _)| view.id).collect();
    tally.copies += copied.len();
    tally.unselected += why.shadows.len() - selected.len();
    (copied != selected).then(|| format!("copies for {copied:?}, told of {selected:?}"))
}
