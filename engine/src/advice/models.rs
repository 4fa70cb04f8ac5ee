//! Which models this configuration can yield, and which paths lead to them.

use super::{Advisor, TRIES_ALL};
use crate::config::types::{self, Family, KServe, Policy, Rewrite, Targets};
use crate::config::{Path, Warning};
use crate::matcher::StringMatch;

/// Where models come from.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    /// `None`: any.
    namespaces: Option<Vec<&'a str>>,
    /// `None`: any.
    name: Option<&'a str>,
    /// Whether names are labels, without dots.
    labels: bool,
    /// Whether a name is the body's: that of no object, which could have adapters.
    pub(super) by_body: bool,
    /// What the path begins with; `None`: any path may lead there.
    root: Option<&'a str>,
}

const ANY: Origin<'static> =
    Origin { namespaces: None, name: None, labels: false, by_body: false, root: None };

/// Every family, fixed route and rewrite.
pub(super) fn origins<'a>(targets: &'a Targets, rewrites: &'a [Rewrite]) -> Vec<Origin<'a>> {
    let mut origins = Vec::new();
    for family in &targets.families {
        let mut origin = ANY;
        match family {
            Family::SeldonV1 => origin.root = Some(&targets.seldon_prefix),
            Family::SeldonV2 => {
                let namespaces = targets.seldon_v2.iter().map(|one| one.namespace.as_str());
                origin.namespaces = Some(namespaces.collect());
            }
            // Those that are listed, and no others.
            Family::KServe if !targets.kserve.services.is_empty() => {
                origins.extend(targets.kserve.services.iter().map(|service| named(service)));
                continue;
            }
            Family::KServe => {
                let list = &targets.kserve.namespaces;
                origin.labels = true;
                origin.namespaces =
                    limits(&targets.kserve).then(|| list.iter().map(String::as_str).collect());
            }
            Family::LlmIsvc => {
                origin.namespaces = Some(targets.llmisvc.iter().map(String::as_str).collect());
            }
            Family::OpenAi => {
                let namespaces = targets.openai.iter().map(|one| one.namespace.as_str());
                origin.namespaces = Some(namespaces.collect());
                origin.by_body = true;
            }
        }
        origins.push(origin);
    }
    origins.extend(targets.fixed.iter().map(|fixed| named(&fixed.model)));
    for target in rewrites.iter().filter_map(|rewrite| rewrite.target.as_ref()) {
        let literal = |text: &'a str| (!text.contains('{')).then_some(text);
        let namespaces = literal(&target.namespace).map(|namespace| vec![namespace]);
        origins.push(Origin { namespaces, name: literal(&target.model), ..ANY });
    }
    origins
}

/// Whether one of them fits.
fn matches_any(values: &[String], name: &str) -> bool {
    values.iter().any(|value| StringMatch::new(value).matches(name.as_bytes()))
}

/// One model by its name.
fn named(model: &str) -> Origin<'_> {
    let (namespace, name) = model.split_once('/').unwrap_or_default();
    Origin { namespaces: Some(vec![namespace]), name: Some(name), ..ANY }
}

/// Whether `namespaces` decides which services there are: not where a `.` or `/` in a template does.
fn limits(kserve: &KServe) -> bool {
    let is_plain = |template: &Option<String>| {
        let between = template.as_ref().and_then(|text| {
            let (_, behind) = text.split_once('}')?;
            behind.split_once('{').map(|(between, _)| between)
        });
        between.is_none_or(|text| text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'))
    };
    !kserve.namespaces.is_empty()
        && is_plain(&kserve.host_template)
        && is_plain(&kserve.path_template)
}

impl Origin<'_> {
    /// Whether a model that `value` fits can come from here.
    pub(super) fn yields(&self, value: &str) -> bool {
        let Some((namespace, name)) = value.split_once('/') else { return true };
        let in_namespace = self.namespaces.as_ref().is_none_or(|all| {
            let open = namespace.strip_prefix('*');
            all.iter().any(|one| open.map_or(namespace == *one, |end| one.ends_with(end)))
        });
        let begins = name.strip_suffix('*').filter(|_| !value.starts_with('*'));
        // What is behind an object's name is an adapter of it.
        let object = name.split_once('/').map_or(name, |(object, _)| object);
        let is_named = |one| match begins.filter(|_| object == name) {
            Some(start) => str::starts_with(one, start),
            None => object == one,
        };
        let named = self.name.is_none_or(is_named);
        in_namespace && named && !(self.labels && object.contains('.'))
    }

    /// Whether a path that `value` fits can lead here.
    fn is_led_to(&self, value: &str) -> bool {
        let Some(root) = self.root else { return true };
        if value.contains('{') {
            return true;
        }
        match StringMatch::new(value) {
            // A gRPC service's name has a dot in it, and its headers name the model.
            StringMatch::Exact(path) => {
                let first = path.split(|c| *c == b'/').nth(1).unwrap_or_default();
                first.contains(&b'.') || path.strip_prefix(root.as_bytes()).is_some()
            }
            StringMatch::Prefix(path) => {
                path.contains(&b'.')
                    || path.starts_with(root.as_bytes())
                    || root.as_bytes().starts_with(&path)
                    || !path.iter().skip(1).any(|c| *c == b'/')
            }
            StringMatch::Suffix(_) | StringMatch::Present => true,
        }
    }
}

impl Advisor<'_, '_> {
    /// An ALLOW for models that it does not name, where every host that fits a template counts as a service.
    pub(super) fn unlisted(&mut self, policy: &Policy, path: &Path<'_>) {
        let kserve = &self.settings.targets.kserve;
        if kserve.host_template.is_none() || !kserve.services.is_empty() {
            return;
        }
        let is_service = |value: &&String| {
            let mut services = self.origins.iter().filter(|origin| origin.labels);
            value.contains('*') && services.any(|origin| origin.yields(value))
        };
        // Without models, operations are those of whatever is a model; without these as well, all is meant.
        let of_any = |to: &&types::Operation| {
            let words = to.operations.iter().filter(|word| *word != "metrics");
            let is_named =
                !to.hosts.is_empty() && !to.hosts.iter().any(|host| host.starts_with('*'));
            policy.models.is_empty() && to.models.is_empty() && words.count() > 0 && !is_named
        };
        let asked = || policy.rules.iter().flat_map(|rule| &rule.to).map(|to| &to.operation);
        let lists = asked().map(|to| &to.models).chain([&policy.models]);
        let wide = lists.flatten().find(is_service);
        // Only the command has the room for this.
        let of_any = || asked().find(of_any).and_then(|to| to.operations.first());
        let wide = if TRIES_ALL { wide.or_else(of_any) } else { wide };
        if let Some(value) = wide {
            let what = "allows models that it does not name: hosts that fit kserve.hostTemplate and have no \
                        service are among them, and their requests meet the routes of *";
            let fix = "the services in targets.kserve.services, or each by its name in models";
            self.errors.warn_value(Warning::UnlistedServices, path, what, value, fix);
        }
    }

    /// Values of `models`, of which each should fit a model that can be; with paths that all must lead there.
    pub(super) fn models(&mut self, values: &[String], path: &Path<'_>, paths: Option<&[String]>) {
        for (i, value) in values.iter().enumerate() {
            if self.is_reached(value, &[]) {
                if paths.is_some_and(|paths| !self.is_reached(value, paths)) {
                    let what =
                        "never matches: none of the paths beside it is an address of such a model";
                    let fix = "leave paths out: models hold for every address";
                    self.errors.warn_value(Warning::NeverMatches, &path.index(i), what, value, fix);
                }
                continue;
            }
            let what = "never matches: no family, fixed route or rewrite yields such a model";
            let fix = self.remedy();
            self.errors.warn_value(Warning::NeverMatches, &path.index(i), what, value, &fix);
        }
    }

    /// Models that hold adapters. A name that is the body's already has none.
    pub(super) fn body_models(&mut self) {
        let list = Path::ROOT.field("targets");
        let list = list.field("bodyModels");
        for (i, value) in self.settings.targets.body_models.iter().enumerate() {
            let holds = |origin: &Origin<'_>| !origin.by_body && origin.yields(value);
            if !self.origins.iter().any(holds) {
                let what = "never matches: no family, fixed route or rewrite yields such a model by its address";
                let fix = self.remedy();
                self.errors.warn_value(Warning::NeverMatches, &list.index(i), what, value, &fix);
            }
        }
    }

    /// The paths of a rule whose policy has models.
    pub(super) fn scope(&mut self, models: &[String], paths: &[String], path: &Path<'_>) {
        let reached = |model: &String| self.is_reached(model, paths);
        let possible = |model: &String| self.is_reached(model, &[]);
        if models.iter().any(possible) && !models.iter().any(reached) {
            let what = "never match: none is an address of the policy's models";
            let fix = "leave paths out: models hold for every address";
            self.warn(Warning::NeverMatches, path, what, fix);
        }
    }

    fn is_reached(&self, model: &str, paths: &[String]) -> bool {
        // Without a target of its own a rewrite may make any path one of a model.
        let rewritten = self.settings.rewrites.iter().any(|rewrite| rewrite.path.is_some());
        let adapted = &self.settings.targets.body_models;
        // An adapter's name may end in anything.
        let is_end = model.starts_with('*') && !adapted.is_empty();
        let holds = || {
            let (object, _) = model.rsplit_once('/').filter(|(object, _)| object.contains('/'))?;
            let object = object.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
            Some(matches_any(adapted, &object))
        };
        let may_be = holds().unwrap_or(true);
        self.origins.iter().any(|origin| {
            (is_end || origin.yields(model) && (may_be || origin.by_body))
                && (paths.is_empty()
                    || rewritten
                    || paths.iter().any(|path| origin.is_led_to(path)))
        })
    }

    fn remedy(&self) -> String {
        let targets = &self.settings.targets;
        if self.origins.is_empty() {
            return "the families of the models in targets.families".to_owned();
        }
        let mut known: Vec<&str> = self
            .origins
            .iter()
            .filter_map(|origin| origin.namespaces.as_deref())
            .flatten()
            .copied()
            .collect();
        known.sort_unstable();
        known.dedup();
        let families: Vec<&str> = targets.families.iter().map(|family| family.as_str()).collect();
        let listed = match targets.kserve.services.is_empty() {
            true => "",
            false => "; of kserve, one of targets.kserve.services",
        };
        format!(
            "a model of targets.families ({}), in {}{listed}",
            families.join(", "),
            if known.is_empty() { "any namespace".to_owned() } else { known.join(", ") }
        )
    }
}
