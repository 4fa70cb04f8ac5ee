//! From what an operator writes to quotas, with every error at its path.

use std::time::Duration;

use super::{By, Quota, Quotas};
use crate::authz::{Conditions, ModelNames, Models};
use crate::config::types::{self, SourceAddress};
use crate::config::{Errors, Path};
use crate::header::is_name;
use crate::routing::Operation;
use crate::time::nanos;
use crate::usage::claim_names;

/// How many quotas there may be: each can take 650 KiB of the proxy's memory.
pub const MOST: usize = 32;

/// How long a quota's name may be, in bytes.
pub const MOST_NAMES: usize = 64;

/// A month.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

impl Quotas {
    /// Compiles the quotas at `path`; `None` after at least one error was recorded.
    pub(crate) fn compile(
        settings: &[types::Quota],
        source: SourceAddress,
        names: ModelNames,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        errors.scope(|errors| {
            let own = settings.iter().map(|quota| quota.name.as_str());
            errors.duplicate(path, Some("name"), own, "a name of its own: counts belong to it");
            if settings.len() > MOST {
                errors.add(path, "has more quotas than are counted", "at most 32");
            }
            let quotas = settings
                .iter()
                .enumerate()
                .filter_map(|(i, quota)| compile(quota, source, names, &path.index(i), errors));
            Self(quotas.collect())
        })
    }
}

fn compile(
    settings: &types::Quota,
    source: SourceAddress,
    names: ModelNames,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<Quota> {
    let name = &settings.name;
    if name.is_empty() || name.len() > MOST_NAMES || name.contains(char::is_control) {
        let fix = "1 to 64 bytes, none of them a control character";
        errors.add_value(&path.field("name"), "is no name of a quota", name, fix);
    }
    if settings.requests.is_none() && settings.tokens.is_none() {
        errors.add(path, "limits nothing", "requests, tokens, or both");
    }
    for (field, limit) in [("requests", settings.requests), ("tokens", settings.tokens)] {
        if limit == Some(0) {
            let fix = "1 or more; who may send nothing is denied by a policy";
            errors.add(&path.field(field), "is 0", fix);
        }
    }
    if settings.window < Duration::from_secs(1) || settings.window > LONGEST {
        errors.add(&path.field("window"), "is out of range", "1s to 744h, which is 31 days");
    }
    let models = Models::compile_some(&settings.models, names, &path.field("models"), errors);
    let when = Conditions::compile(&settings.when, &path.field("when"), source, errors);
    let operations = operations(&settings.operations, &path.field("operations"), errors);
    let by = by(&settings.by, &path.field("by"), errors);
    if settings.scope == types::Scope::Global {
        let fix = "POD, and Envoy's own rate limit filter for all gateways together";
        errors.add_value(&path.field("scope"), "is not supported by this version", "GLOBAL", fix);
    }
    Some(Quota {
        name: name.as_str().into(),
        models: models?,
        operations,
        when: when?,
        by: by?,
        per_model: settings.per_model,
        requests: settings.requests,
        tokens: settings.tokens,
        window: nanos(settings.window),
    })
}

fn operations(words: &[String], path: &Path<'_>, errors: &mut Errors) -> Vec<Operation> {
    let possible = || format!("some of {}", Operation::WORDS.join(", "));
    if words.is_empty() {
        errors.add(path, "is empty", possible());
    }
    let mut read = Vec::new();
    for (i, word) in words.iter().enumerate() {
        match Operation::from_word(word) {
            Some(operation) => read.push(operation),
            None => errors.add_value(&path.index(i), "is unknown", word, possible()),
        }
    }
    read
}

fn by(text: &str, path: &Path<'_>, errors: &mut Errors) -> Option<By> {
    let by = match text.split_once(':') {
        None if text == "principal" => Some(By::Principal),
        None if text == "none" => Some(By::All),
        Some(("claim", name)) => claim_names(name).map(By::Claim),
        Some(("header", name)) if is_name(name) => {
            Some(By::Header(name.to_ascii_lowercase().into_bytes()))
        }
        _ => None,
    };
    if by.is_none() {
        let fix = "principal, claim:<name>, header:<name> or none";
        errors.add_value(path, "is nothing to count by", text, fix);
    }
    by
}
