//! From the text that an operator wrote to a [`Plan`], with everything that is wrong on the way.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use super::Plan;
use super::route::Routes;
use crate::authn::Authenticator;
use crate::authz::{Authorizer, Conditions, ModelNames, Models};
use crate::config::types::{self, PluginConfig};
use crate::config::{Errors, Path};
use crate::header::{Classes, folded};
use crate::order;
use crate::quota::Quotas;
use crate::rewrite::Rewrites;
use crate::routing::host::Hosts;
use crate::routing::{ROUTING_HEADERS, Targets};
use crate::sanitize::Sanitizer;
use crate::shadow::{Credentials, Shadows};
use crate::split::{self, Splits};
use crate::usage::Usage;

impl Plan {
    /// The key of the marks of copies: the text that was read.
    pub(crate) fn seal_with(&mut self, text: &[u8]) {
        if let Some(shadows) = Rc::get_mut(&mut self.shadows) {
            shadows.seal_with(text);
        }
    }

    /// Compiles settings. Every part is compiled before the first failure counts, so that all
    /// errors are reported.
    pub(crate) fn compile(settings: &PluginConfig, errors: &mut Errors) -> Option<Self> {
        let root = Path::ROOT;
        let names = names(&settings.targets);
        let targets = Targets::compile(&settings.targets, &root.field("targets"), errors);
        let body_models = body_models(&settings.targets, &root.field("targets"), errors);
        let rewrites = root.field("rewrites");
        let rewrites = Rewrites::compile(&settings.rewrites, targets.as_ref(), &rewrites, errors);
        let authentication = root.field("authentication");
        let authenticator =
            Authenticator::compile(&settings.authentication, &authentication, errors);
        let source = settings.source_address;
        let authorizer =
            Authorizer::compile(&settings.authorization, &settings.bypass, source, names, errors);
        let credentials = credentials(&settings.authentication, authenticator.as_ref());
        let (shadows, limits) = (&settings.shadows, &settings.shadow_limits);
        let compiled = Shadows::compile(shadows, limits, &credentials, names, &root, errors);
        let when = conditions(shadows, source, &root.field("shadows"), errors);
        let excluded = excluded(&settings.exclude, &root.field("exclude"), errors);
        check_peers(&settings.trusted_peers, &root.field("trustedPeers"), errors);
        let rules = settings.authentication.jwt_rules.iter();
        let context = split::Context {
            source_address: source,
            names,
            credentials: &credentials,
            cookies: rules.flat_map(|rule| &rule.from_cookies).map(String::as_str).collect(),
        };
        let splits = Splits::compile(&settings.splits, &context, &root.field("splits"), errors);
        let quotas = root.field("quotas");
        let quotas = Quotas::compile(&settings.quotas, source, names, &quotas, errors);
        let usage = usage(settings, quotas.is_some());
        let usage = Usage::compile(&usage, names, &root.field("usage"), errors);
        let (authenticator, splits) = (authenticator?, splits?);
        let outputs = authenticator.output_headers().iter().map(Vec::as_slice);
        let own = Sanitizer::new(outputs.clone().chain(splits.headers()));
        check_rewrite_matches(settings, &own, &root.field("rewrites"), errors);
        let claims = Sanitizer::new(outputs.clone());
        let by_client = SetByClient { claims: &claims, splits: &splits, credentials: &credentials };
        by_client.check(settings, &root.field("rewrites"), errors);
        let (rewrites, rewritten) = (rewrites?, set_by_rewrites(settings, &credentials));
        Some(Self {
            mode: settings.mode,
            excluded,
            trusted_peers: settings.trusted_peers.clone(),
            routes: RefCell::new(Routes::new(!rewrites.read_headers())),
            rewrites,
            targets: targets?,
            sanitizer: Sanitizer::new(outputs.chain(splits.headers()).chain(rewritten)),
            selectors: selectors(settings),
            authenticator,
            authorizer: authorizer?,
            splits,
            shadows: Rc::new(compiled?),
            when: when?,
            body_models: body_models?,
            body: settings.targets.body.clone(),
            token_cache: settings.authentication.token_cache.clone(),
            telemetry: settings.telemetry.clone(),
            usage,
            quotas: quotas?,
            named_models: named_models(settings),
        })
    }
}

/// Hosts of other applications, if there are any.
fn excluded(settings: &types::Exclude, path: &Path<'_>, errors: &mut Errors) -> Option<Hosts> {
    match settings.hosts.as_slice() {
        [] => None,
        hosts => Some(Hosts::compile(hosts, &path.field("hosts"), errors)),
    }
}

/// Whose answers are read: those of `usage`, and of quotas that count tokens.
fn usage(settings: &PluginConfig, are_right: bool) -> types::Usage {
    let mut usage = settings.usage.clone();
    let quotas = settings.quotas.iter().filter(|quota| are_right && quota.tokens.is_some());
    usage.models.extend(quotas.flat_map(|quota| &quota.models).cloned());
    usage
}

/// What models may be called.
fn names(targets: &types::Targets) -> ModelNames {
    match targets.openai.is_empty() && targets.body_models.is_empty() {
        true => ModelNames::Objects,
        false => ModelNames::Texts,
    }
}

/// The conditions of each shadow.
fn conditions(
    shadows: &[types::Shadow],
    source: types::SourceAddress,
    list: &Path<'_>,
    errors: &mut Errors,
) -> Option<Vec<Conditions>> {
    let read: Vec<Option<Conditions>> = shadows
        .iter()
        .enumerate()
        .map(|(i, shadow)| {
            let path = list.index(i);
            Conditions::compile(&shadow.when, &path.field("when"), source, errors)
        })
        .collect();
    read.into_iter().collect()
}

/// The models of which bodies name adapters, and what may be kept back of bodies.
fn body_models(targets: &types::Targets, path: &Path<'_>, errors: &mut Errors) -> Option<Models> {
    let limits = path.field("body");
    if targets.body.max_kept.0 == 0 {
        errors.add(&limits.field("maxKept"), "is 0", "a size, as 1MiB");
    }
    if targets.body.total.0 < targets.body.max_kept.0 {
        let fix = "at least targets.body.maxKept, which holds for one request";
        errors.add(&limits.field("total"), "is less than one request may take", fix);
    }
    // These are models of addresses: their names are those of objects.
    let path = path.field("bodyModels");
    Models::compile(&targets.body_models, ModelNames::Objects, &path, errors)
}

/// Headers that rewrites set, and no client may.
fn set_by_rewrites<'s>(
    settings: &'s PluginConfig,
    credentials: &Credentials,
) -> impl Iterator<Item = &'s [u8]> {
    let set = settings.rewrites.iter().flat_map(|rewrite| &rewrite.set_headers.0);
    set.map(|(name, _)| name.as_bytes()).filter(|name| {
        let plain = folded(name);
        let is_same = |other: &String| folded(other.as_bytes()) == plain;
        let stays = Classes::of(&plain).any(Classes::RESERVED.or(Classes::CLIENT));
        !stays && !credentials.headers.iter().any(is_same)
    })
}

/// Routing headers that rewrites set.
fn selectors(settings: &PluginConfig) -> Vec<&'static [u8]> {
    let sets = |name: &[u8]| {
        let mut set = settings.rewrites.iter().flat_map(|rewrite| &rewrite.set_headers.0);
        set.any(|(set, _)| set.as_bytes().eq_ignore_ascii_case(name))
    };
    ROUTING_HEADERS.into_iter().filter(|name| sets(name)).collect()
}

/// Where credentials travel, for what copies must not carry. Identity headers are taken as they are
/// written: what is wrong with a rule does not make its headers unknown.
fn credentials(
    settings: &types::Authentication,
    authenticator: Option<&Authenticator>,
) -> Credentials {
    let texts = |names: &[Vec<u8>]| {
        names.iter().map(|name| String::from_utf8_lossy(name)).map(Cow::into_owned).collect()
    };
    let headers = authenticator.map(|a| texts(a.credential_headers())).unwrap_or_default();
    let params = authenticator.map(|a| texts(a.credential_params())).unwrap_or_default();
    let identity = settings.jwt_rules.iter().flat_map(|rule| {
        let claims = rule.output_claim_to_headers.iter().map(|output| &output.header);
        claims.chain(&rule.output_payload_to_header)
    });
    Credentials { headers, params, identity: identity.cloned().collect() }
}

/// A rewrite is chosen by what the client sent: a header that only the gateway sets is forged there,
/// unless the client may be another gateway.
fn check_rewrite_matches(
    settings: &PluginConfig,
    own: &Sanitizer,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let rewrites = settings.rewrites.iter().enumerate();
    for (i, rewrite) in rewrites.filter(|_| settings.trusted_peers.is_empty()) {
        let path = list.index(i);
        let path = path.field("match");
        let headers = path.field("headers");
        for (j, header) in rewrite.r#match.headers.iter().enumerate() {
            if own.owns(header.name.as_bytes()) {
                let fix = "a header of the client's; for claims, a split or a policy with when";
                let path = headers.index(j);
                errors.add_value(&path.field("name"), "is the gateway's to set", &header.name, fix);
            }
        }
    }
}

/// Headers that a rewrite may not set, or not with text of the client's: it is carried out after all else.
struct SetByClient<'a> {
    /// What says who is calling, and what only the gateway says.
    claims: &'a Sanitizer,
    splits: &'a Splits,
    credentials: &'a Credentials,
}

impl SetByClient<'_> {
    fn check(&self, settings: &PluginConfig, list: &Path<'_>, errors: &mut Errors) {
        for (i, rewrite) in settings.rewrites.iter().enumerate() {
            let path = list.index(i);
            let set = path.field("setHeaders");
            for (name, value) in &rewrite.set_headers.0 {
                let plain = folded(name.as_bytes());
                if self.claims.owns(name.as_bytes()) || Classes::of(&plain).any(Classes::PROXY) {
                    let fix = "a header of your own: claims and what the proxy says come from nobody else";
                    errors.add(&set.field(name), "is not a rewrite's to set", fix);
                } else if value.contains('{') && self.is_trusted(&plain) {
                    let fix = "a value without variables: a client writes what they stand for";
                    errors.add(&set.field(name), "may not hold what a client writes", fix);
                }
            }
            let remove = path.field("removeHeaders");
            for (j, name) in rewrite.remove_headers.iter().enumerate() {
                if self.claims.owns(name.as_bytes()) {
                    let fix =
                        "leave it out: a client's own goes, and the gateway's is meant to arrive";
                    errors.add_value(&remove.index(j), "is the gateway's to set", name, fix);
                }
            }
        }
    }

    /// Whether servers take this header's word for what the gateway has decided.
    fn is_trusted(&self, plain: &[u8]) -> bool {
        let same = |name: &[u8]| *folded(name) == *plain;
        Classes::of(plain).any(Classes::TRUSTED)
            || self.credentials.headers.iter().any(|name| same(name.as_bytes()))
            || self.splits.headers().any(same)
    }
}

fn check_peers(peers: &[String], path: &Path<'_>, errors: &mut Errors) {
    for (i, peer) in peers.iter().enumerate() {
        if !peer.starts_with("spiffe://") || peer.contains('*') {
            let fix = "a whole SPIFFE id, as spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway";
            errors.add_value(&path.index(i), "is not a SPIFFE id", peer, fix);
        }
    }
}

/// Every `namespace/name` that stands in the configuration without a `*`.
fn named_models(settings: &PluginConfig) -> Vec<String> {
    let policies = settings.authorization.policies.iter();
    let operations = policies.clone().flat_map(|policy| &policy.rules).flat_map(|rule| &rule.to);
    let fixed = settings.targets.fixed.iter().map(|fixed| &fixed.model);
    let models = policies
        .flat_map(|policy| &policy.models)
        .chain(operations.flat_map(|to| &to.operation.models))
        .chain(settings.splits.iter().flat_map(|split| &split.models))
        .chain(settings.shadows.iter().flat_map(|shadow| &shadow.models))
        .chain(&settings.usage.models)
        .chain(settings.quotas.iter().flat_map(|quota| &quota.models))
        .chain(fixed)
        .filter(|model| !model.contains('*'));
    order::distinct(models.cloned())
}
