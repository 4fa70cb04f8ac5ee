//! AuthorizationPolicy: policies, at the gateway and of the models' pods behind it.
//!
//! | file | what it does |
//! |---|---|
//! | `rule` | rules as Istio writes them |
//! | `view` | what a clause means at the gateway |
//! | `carry` | rules that decide the same there |
//! | `both` | rules of the gateway and of pods, where both must allow |
//! | `tokens` | who calls, where pods check tokens themselves |
//! | `addresses` | models and operations of paths |

mod addresses;
mod both;
mod carry;
mod rule;
mod tokens;
mod view;

use serde_json::{Map, Value, json};

use super::authentication::Checks;
use super::document::Document;
use super::gateway::{Gateway, Scope};
use super::part::{Converted, Done, Part, Remark, Way, Whence, Workload};
use super::{pods, remarks};
use addresses::Tables;
use carry::{Action, Carrier};
use pods::Pods;
use rule::Rule;
use view::View;

/// The kind.
pub const KIND: &str = "AuthorizationPolicy";

/// What is known besides the policies.
#[derive(Debug)]
pub struct Around<'a, 'd> {
    /// The gateway.
    pub gateway: &'a Gateway,
    /// Pods that are known to serve models.
    pub workloads: &'a [Workload],
    /// Who checks tokens.
    pub checks: &'a Checks<'d>,
    /// `authentication.jwtRules` of the output.
    pub rules: &'a [Value],
    /// `targets` of the output.
    pub targets: &'a Value,
    /// Headers that routes set or take off.
    pub changed: &'a [String],
    /// The first object of all, for what is said of the whole.
    pub first: Option<Whence>,
}

/// A policy on its way.
#[derive(Debug)]
struct Policy<'d> {
    document: &'d Document,
    /// Another name than the document's.
    name: String,
    action: Action,
    dry_run: bool,
    /// The models whose pods it is for; none: it is the gateway's.
    pods: Option<Vec<String>>,
    /// The models that are its scope in the output; empty: every request is.
    models: Vec<String>,
    /// Whether some of these models' pods do not have it.
    is_part: bool,
    /// Whether it holds for every pod besides.
    is_also: bool,
    /// As they are written.
    given: Vec<Rule>,
    rules: Vec<Rule>,
    whence: Vec<Whence>,
}

impl Policy<'_> {
    fn allows(&self) -> bool {
        self.action == Action::Allow && !self.dry_run
    }

    fn is_gateways(&self) -> bool {
        self.pods.is_none()
    }
}

/// What the AuthorizationPolicies among these become.
pub fn convert<'d>(
    documents: impl Iterator<Item = &'d Document>,
    around: &Around<'_, 'd>,
) -> Converted {
    let mut converted = Converted::default();
    let mut policies = Vec::new();
    for document in documents {
        converted.objects.push(Whence::of(document));
        policies.extend(one(document, around, &mut converted.remarks));
    }
    parts_of_pods(&mut policies, &mut converted.remarks);
    let tables = match Tables::new(around.targets) {
        Ok(tables) => tables,
        // The engine's reasons are told of the whole.
        Err(_) => return converted,
    };
    let is_closed = policies.iter().any(|policy| policy.allows() && policy.is_gateways());
    for policy in policies.iter_mut().filter(|policy| policy.action == Action::Allow) {
        name(policy, &tables, &mut converted.remarks);
    }
    layers(&mut policies, around, &mut converted.remarks);
    for policy in policies.iter_mut().filter(|policy| policy.action == Action::Allow) {
        scope(policy, is_closed);
    }
    policies.sort_by(|a, b| {
        let key = |p: &Policy<'_>| (p.document.namespace.clone(), p.name.clone());
        key(a).cmp(&key(b))
    });
    converted.parts.push(Part {
        at: "authorization.defaultAction".to_owned(),
        way: Way::Setting,
        value: json!(if is_closed { "DENY" } else { "ALLOW" }),
        whence: Vec::new(),
    });
    if !is_closed {
        let first = around.first.clone().or_else(|| converted.objects.first().cloned());
        converted.remarks.extend(first.as_ref().map(stays_closed));
    }
    let (guards, refused) = tokens::guards(around.checks, around.rules);
    converted.parts.extend(policies.iter().map(part).chain(guards));
    converted.remarks.extend(refused);
    converted
}

/// Without a policy that allows at the gateway, Istio lets everything through.
fn stays_closed(first: &Whence) -> Remark {
    Remark {
        origin: first.origin.clone(),
        object: first.object.clone(),
        field: "spec".to_owned(),
        reason: "leaves addresses open that no ALLOW policy is for: metrics, admin and unknown operations of models stay closed there all the same, unless a policy names them in `operations`".to_owned(),
        done: Done::Stricter,
    }
}

/// Reads a policy, and what it means at the gateway; none if nothing of it is carried over.
fn one<'d>(
    document: &'d Document,
    around: &Around<'_, '_>,
    remarks: &mut Vec<Remark>,
) -> Option<Policy<'d>> {
    let (pods, is_part, is_also, view) = place(document, around, remarks)?;
    let dry_run = is_dry_run(document);
    let action = match document.text("/spec/action").unwrap_or("ALLOW") {
        "ALLOW" | "" => Action::Allow,
        "DENY" => Action::Deny,
        "AUDIT" => Action::Audit,
        "CUSTOM" if dry_run => {
            let reason = "asks an external authorizer, for trial";
            remarks.push(Remark::new(document, "spec.action", Done::LeftOut, reason));
            return None;
        }
        "CUSTOM" => {
            let reason = "asks an external authorizer, and a filter cannot: Istio's own does, before modelgate. --keep says that it stays there";
            remarks.push(Remark::new(document, "spec.action", Done::Refused, reason));
            return None;
        }
        other => {
            let reason = format!("is none of Istio's actions: {other}");
            remarks.push(Remark::new(document, "spec.action", Done::Refused, reason));
            return None;
        }
    };
    let given = rules(document, remarks)?;
    let mut carrier = Carrier {
        view: &view,
        namespace: &document.namespace,
        action,
        is_enforced: !dry_run,
        losses: Vec::new(),
    };
    let mut carried = Vec::new();
    for (i, rule) in &given {
        carrier.losses.clear();
        carried.extend(carrier.rule(rule));
        for (field, reason, done) in &carrier.losses {
            let dot = if field.is_empty() { "" } else { "." };
            let field = format!("spec.rules[{i}]{dot}{field}");
            remarks.push(Remark::new(document, &field, *done, reason));
        }
    }
    if let View::Pods { tokens: view::Tokens::Nobody, .. } = view
        && given.iter().any(|(_, rule)| rule.asks_for_token())
    {
        let reason = "asks for a token, and these pods see none: they have no RequestAuthentication, or the gateway takes tokens off. It never fits in Istio either";
        remarks.push(Remark::new(document, "spec.rules", Done::LeftOut, reason));
    }
    // One that matches nothing refuses nothing, and counts nothing.
    if carried.is_empty() && action != Action::Allow {
        return None;
    }
    Some(Policy {
        document,
        name: document.name.clone(),
        action,
        dry_run,
        models: pods.clone().unwrap_or_default(),
        pods,
        is_part,
        is_also,
        given: given.into_iter().map(|(_, rule)| rule).collect(),
        rules: carried,
        whence: vec![Whence::of(document)],
    })
}

type Place = (Option<Vec<String>>, bool, bool, View);

fn place(document: &Document, around: &Around<'_, '_>, remarks: &mut Vec<Remark>) -> Option<Place> {
    match around.gateway.scope(document) {
        Scope::Gateway { also } => {
            if also {
                remarks.push(remarks::also(document));
            }
            let is_root = document.namespace == around.gateway.root;
            Some((None, false, also && is_root, View::Gateway))
        }
        Scope::Workloads { namespace, labels } => {
            let found = pods::select(namespace.as_deref(), &labels, around.workloads);
            let Some(found) = found else {
                remarks.push(remarks::of_others(document, around.gateway, around.workloads));
                return None;
            };
            remarks.push(remarks::at_pods(document));
            if found.is_kserve && around.targets.get("kserve").is_none() {
                let reason = "is for an InferenceService, and its hosts are not known: KServe's ConfigMap inferenceservice-config says them";
                remarks.push(Remark::new(document, "spec.selector", Done::Refused, reason));
                return None;
            }
            let view = view(&found.models, found.prefix.clone(), around);
            let Pods { models, is_part, .. } = found;
            Some((Some(models), is_part, false, view))
        }
        Scope::Elsewhere(to) => {
            remarks.push(remarks::attached(document, &to));
            None
        }
    }
}

fn view(models: &[String], prefix: Option<String>, around: &Around<'_, '_>) -> View {
    let tokens = tokens::known(around.checks, models);
    let (gateway, changed) = (around.gateway.principal.clone(), around.changed.to_vec());
    View::Pods { prefix, gateway, tokens, changed }
}

/// The rules with their numbers, but for those that are nothing.
fn rules(document: &Document, remarks: &mut Vec<Remark>) -> Option<Vec<(usize, Rule)>> {
    let mut rules = Vec::new();
    let given = document.get("/spec/rules").as_array().into_iter().flatten().enumerate();
    for (i, value) in given.filter(|(_, value)| !value.is_null()) {
        match Rule::read(value) {
            Ok(rule) => rules.push((i, rule)),
            Err((field, reason)) => {
                let dot = if field.is_empty() { "" } else { "." };
                let field = format!("spec.rules[{i}]{dot}{field}");
                remarks.push(Remark::new(document, &field, Done::Refused, reason));
                return None;
            }
        }
    }
    Some(rules)
}

/// By the annotation, as Go reads a boolean.
fn is_dry_run(document: &Document) -> bool {
    let annotation = document.text("/metadata/annotations/istio.io~1dry-run");
    annotation.is_some_and(|text| ["1", "t", "T", "TRUE", "true", "True"].contains(&text))
}

/// Policies that only some of a model's pods have: at the gateway all of them are one.
fn parts_of_pods(policies: &mut Vec<Policy<'_>>, remarks: &mut Vec<Remark>) {
    let allows = |policy: &Policy<'_>| policy.allows() && !policy.is_gateways();
    let touching = |one: &Policy<'_>, other: &Policy<'_>| {
        let (one, other) = (one.models.iter(), other.models.iter());
        let mut pairs = one.flat_map(|one| other.clone().map(move |other| (one, other)));
        pairs.any(|(one, other)| pods::overlap(one, other))
    };
    let mut left_out = Vec::new();
    for (i, policy) in policies.iter().enumerate().filter(|(_, policy)| policy.is_part) {
        let others = policies.iter().enumerate().filter(|(j, other)| *j != i && allows(other));
        let others: Vec<&Policy<'_>> =
            others.map(|(_, other)| other).filter(|other| touching(policy, other)).collect();
        let (done, reason) = match (policy.action, others.is_empty()) {
            (Action::Allow, false) if others.iter().all(|other| other.is_part) => (
                Done::Refused,
                "is for some of a model's pods, as others are for others of them, and at the gateway they are one: --keep says which stay with Istio",
            ),
            (Action::Allow, false) => (
                Done::LeftOut,
                "is for some of a model's pods, and at the gateway they are one: what it allows besides is not allowed here",
            ),
            _ => (
                Done::Stricter,
                "is for some of a model's pods, and at the gateway they are one: it holds for all of them here",
            ),
        };
        remarks.push(Remark::new(policy.document, "spec.selector", done, reason));
        if done == Done::LeftOut {
            left_out.push(i);
        }
    }
    let mut i = 0;
    policies.retain(|_| {
        i += 1;
        !left_out.contains(&(i - 1))
    });
}

/// Gives an ALLOW policy the models and operations of its paths.
fn name(policy: &mut Policy<'_>, tables: &Tables, remarks: &mut Vec<Remark>) {
    let mut wide = false;
    for rule in &mut policy.rules {
        let (named, is_wide) = tables.name(rule);
        *rule = named;
        wide |= is_wide;
    }
    if wide && !policy.dry_run {
        let reason = "would open every operation: metrics, admin and unknown ones of models stay closed, unless it names them in `operations`";
        remarks.push(Remark::new(policy.document, "spec.rules", Done::Stricter, reason));
    }
}

/// Moves models that all rules name into the policy. Without a policy that allows everywhere, that would open the rest.
fn scope(policy: &mut Policy<'_>, is_closed: bool) {
    if policy.is_gateways() && is_closed {
        policy.models = addresses::scope(&policy.rules).unwrap_or_default();
    }
    let models = policy.models.clone();
    addresses::within(&mut policy.rules, &models);
}

/// Where both the gateway and pods have ALLOW policies, both must allow.
fn layers<'d>(policies: &mut Vec<Policy<'d>>, around: &Around<'_, '_>, remarks: &mut Vec<Remark>) {
    let of = |policies: &[Policy<'d>], gateways: bool| -> Vec<usize> {
        let fits = |p: &Policy<'_>| p.allows() && p.is_gateways() == gateways;
        policies.iter().enumerate().filter(|(_, p)| fits(p)).map(|(i, _)| i).collect()
    };
    if of(policies, true).is_empty() || of(policies, false).is_empty() {
        return;
    }
    let of_pods = policies.iter().filter(|p| p.allows()).flat_map(|p| p.pods.iter().flatten());
    let mut models: Vec<String> = of_pods.cloned().collect();
    models.sort();
    models.dedup();
    let everywhere: Vec<Policy<'d>> = policies
        .iter()
        .filter(|policy| policy.allows() && policy.is_also)
        .filter_map(|policy| at_pods(policy, &models, around, remarks))
        .collect();
    policies.extend(everywhere);
    let mut gateways: Vec<(Rule, String)> = Vec::new();
    let mut whence: Vec<Whence> = Vec::new();
    for policy in of(policies, true).into_iter().filter_map(|i| policies.get(i)) {
        let rules = policy.rules.iter().map(|r| (r.clone(), policy.document.namespace.clone()));
        gateways.extend(rules);
        whence.extend(policy.whence.clone());
    }
    for i in of(policies, false) {
        let Some(policy) = policies.get_mut(i) else { continue };
        match both::pairs(&gateways, &policy.rules, &policy.document.namespace) {
            Ok(rules) => policy.rules = both::of_models(rules, &policy.models),
            Err(reason) => {
                let remark = Remark::new(policy.document, "spec.rules", Done::Refused, reason);
                remarks.push(remark);
            }
        }
        policy
            .whence
            .extend(whence.iter().filter(|w| w.object != policy.document.object()).cloned());
    }
    for i in of(policies, true) {
        if let Some(policy) = policies.get_mut(i) {
            both::leave(&mut policy.rules, &models);
        }
    }
    // What is left of one that has rules may be nothing: the others close what it has left.
    policies.retain(|policy| {
        !(policy.is_gateways()
            && policy.allows()
            && policy.rules.is_empty()
            && !policy.given.is_empty())
    });
}

/// A policy of the root namespace, as the pods of these models have it.
fn at_pods<'d>(
    policy: &Policy<'d>,
    models: &[String],
    around: &Around<'_, '_>,
    remarks: &mut Vec<Remark>,
) -> Option<Policy<'d>> {
    let view = view(models, None, around);
    let mut carrier = Carrier {
        view: &view,
        namespace: &policy.document.namespace,
        action: policy.action,
        is_enforced: true,
        losses: Vec::new(),
    };
    let rules: Vec<Rule> = policy.given.iter().filter_map(|rule| carrier.rule(rule)).collect();
    for (field, reason, done) in &carrier.losses {
        let reason = format!("{reason}, at the pods of {}", models.join(", "));
        remarks.push(Remark::new(policy.document, &format!("spec.rules.{field}"), *done, reason));
    }
    (!rules.is_empty()).then(|| Policy {
        document: policy.document,
        name: format!("{}-models", policy.name),
        action: policy.action,
        dry_run: false,
        pods: Some(models.to_vec()),
        models: models.to_vec(),
        is_part: false,
        is_also: false,
        given: Vec::new(),
        rules,
        whence: policy.whence.clone(),
    })
}

/// It as an entry of `authorization.policies`.
fn part(policy: &Policy<'_>) -> Part {
    let mut made = Map::new();
    made.insert("name".to_owned(), json!(policy.name));
    made.insert("namespace".to_owned(), json!(policy.document.namespace));
    let action = match policy.action {
        Action::Allow => "ALLOW",
        Action::Deny => "DENY",
        Action::Audit => "AUDIT",
    };
    made.insert("action".to_owned(), json!(action));
    // AUDIT only counts anyway.
    if policy.dry_run && policy.action != Action::Audit {
        made.insert("dryRun".to_owned(), json!(true));
    }
    if !policy.models.is_empty() {
        made.insert("models".to_owned(), json!(policy.models));
    }
    if !policy.rules.is_empty() {
        made.insert("rules".to_owned(), policy.rules.iter().map(Rule::value).collect());
    }
    Part {
        at: "authorization.policies".to_owned(),
        way: Way::Entry,
        value: Value::Object(made),
        whence: policy.whence.clone(),
    }
}
