//! From what an operator writes to a rule, with every error at its path.

use crate::config::types;
use crate::config::{Errors, GIVEN_TWICE, Path, Warning};
use crate::header::{Classes, folded, is_name};
use crate::matcher::StringMatch;
use crate::path::pattern::Pattern;
use crate::path::segments::has_dot_segment;
use crate::path::template::Template;
use crate::routing::Targets;
use crate::routing::host::{Host, Hosts};

use super::{Reach, Rule};

/// Compiles the rule at `path`; `None` after at least one error was recorded.
pub(super) fn rule(
    settings: &types::Rewrite,
    targets: Option<&Targets>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<Rule> {
    errors.scope(|errors| read(settings, targets, path, errors)).flatten()
}

fn read(
    settings: &types::Rewrite,
    targets: Option<&Targets>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<Rule> {
    if settings.name.is_empty() {
        errors.add(&path.field("name"), "is empty", "a name for logs and errors");
    }
    let criteria = path.field("match");
    let pattern = Pattern::parse(&settings.r#match.path, &criteria.field("path"), errors);
    let methods = methods(&settings.r#match.methods, &criteria.field("methods"), errors);
    let hosts = Hosts::compile(&settings.r#match.hosts, &criteria.field("hosts"), errors);
    let headers = header_matches(&settings.r#match.headers, &criteria.field("headers"), errors);

    // Without a pattern its variables are not known, and unknown ones cannot be told.
    let known: Option<Vec<&str>> = pattern.as_ref().map(|pattern| pattern.variables().collect());
    let template = |text: &str, path: &Path<'_>, errors: &mut Errors| {
        let template = Template::parse(text, path, errors)?;
        if let Some(known) = &known {
            template.check(known, path, errors);
        }
        Some(template)
    };

    let new_path = settings.path.as_ref().and_then(|text| {
        let path = path.field("path");
        check_new_path(text, &path, errors);
        template(text, &path, errors)
    });
    let authority = (!settings.authority.is_empty())
        .then(|| template(&settings.authority, &path.field("authority"), errors))
        .flatten();
    let host = authority.as_ref().and_then(|authority| authority.expand(|_| Some(b"x")));
    if Host::new(host.as_deref()).is_err() {
        let fix = "the host without the trailing dot, which Envoy's virtual hosts do not know";
        errors.add_value(&path.field("authority"), "ends with a dot", &settings.authority, fix);
    }
    if authority.as_ref().is_some_and(Template::ends_captured_host) {
        warn_captured_host(path, errors);
    }
    let set = set_headers(settings, &template, path, errors);
    let remove = remove_headers(settings, &set, path, errors);
    let names_it = targets.is_some_and(|targets| {
        names_address(settings, targets, new_path.as_ref(), authority.as_ref(), &set)
    });
    let reach = reach(settings, names_it, &template, path, errors);
    let is_captured = !matches!(reach, Reach::NewAddress)
        && targets.is_some_and(|targets| targets.has(types::Family::SeldonV2))
        && authority.is_none()
        && new_path.as_ref().is_some_and(|path| path.literal_start() == ("/", false));
    if is_captured {
        warn_captured(path, errors);
    }
    Some(Rule {
        pattern: pattern?,
        methods,
        hosts,
        headers,
        path: new_path,
        authority,
        set,
        remove,
        reach,
    })
}

fn warn_captured_host(path: &Path<'_>, errors: &mut Errors) {
    let what = "ends with what a client writes: it may be any host that the gateway has routes for";
    let fix = "a domain of your own behind it, as {service}.models.svc.cluster.local";
    errors.warn(Warning::CapturedHost, &path.field("authority"), what, fix);
}

fn warn_captured(path: &Path<'_>, errors: &mut Errors) {
    let what = "begins with what a client writes; such requests are refused where it is /v2";
    let fix = "leave seldon-v2 out of targets.families, if no route of Seldon v2's is there";
    errors.warn(Warning::CapturedPath, &path.field("path"), what, fix);
}

/// How the text at a path becomes a template; `None` after at least one error was recorded.
type Templates<'a> = &'a dyn Fn(&str, &Path<'_>, &mut Errors) -> Option<Template>;

fn set_headers(
    settings: &types::Rewrite,
    template: Templates<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Vec<(Vec<u8>, Template)> {
    let mut set: Vec<(Vec<u8>, Template)> = Vec::new();
    for (name, value) in &settings.set_headers.0 {
        let path = path.field("setHeaders");
        let path = path.field(name);
        let value = template(value, &path, errors);
        if let Some((name, value)) = header_name(name, &path, errors).zip(value) {
            if set.iter().any(|(other, _)| *other == name) {
                errors.add(&path, GIVEN_TWICE, "one entry: names differ in more than case");
            }
            set.push((name, value));
        }
    }
    set
}

fn remove_headers(
    settings: &types::Rewrite,
    set: &[(Vec<u8>, Template)],
    path: &Path<'_>,
    errors: &mut Errors,
) -> Vec<Vec<u8>> {
    let mut remove = Vec::new();
    for (i, name) in settings.remove_headers.iter().enumerate() {
        let path = path.field("removeHeaders");
        let path = path.index(i);
        if let Some(name) = header_name(name, &path, errors) {
            if set.iter().any(|(other, _)| *other == name) {
                errors.add(&path, "is set as well", "leave it out: setHeaders replaces every line");
            }
            remove.push(name);
        }
    }
    remove
}

/// What a rewritten request reaches. `names_it`: the new address says so itself.
fn reach(
    settings: &types::Rewrite,
    names_it: bool,
    template: Templates<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Reach {
    let target = settings.target.as_ref().and_then(|target| {
        let path = path.field("target");
        let namespace = template(&target.namespace, &path.field("namespace"), errors);
        let model = template(&target.model, &path.field("model"), errors);
        namespace.zip(model)
    });
    match target {
        Some(_) if names_it => {
            let what = "is given though the new address names the model itself";
            errors.add(&path.field("target"), what, "leave target out");
            Reach::NewAddress
        }
        Some((namespace, model)) => Reach::Own { namespace, model },
        // Where the path stays, what is reached is what the path says, with the new headers.
        None if names_it || settings.path.is_none() => Reach::NewAddress,
        None => Reach::Incoming,
    }
}

/// Whether what the operator wrote, without anything captured, says that the new address is a family's.
fn names_address(
    settings: &types::Rewrite,
    targets: &Targets,
    path: Option<&Template>,
    authority: Option<&Template>,
    set: &[(Vec<u8>, Template)],
) -> bool {
    let by_path = path.is_some_and(|path| {
        let (literal, complete) = path.literal_start();
        targets.begins_address(literal, complete)
    });
    // These name the model whatever the path is.
    let by_header = [
        (types::Family::SeldonV2, &b"seldon-model"[..]),
        (types::Family::LlmIsvc, b"x-gateway-model-name"),
    ]
    .into_iter()
    .any(|(family, header)| targets.has(family) && set.iter().any(|(name, _)| name == header));
    let by_host = authority.is_some_and(|authority| {
        targets.is_kserve_host(|namespace| {
            authority.expand(|name| Some(if name == "namespace" { namespace } else { b"x" }))
        })
    });
    by_path || (settings.target.is_none() && (by_header || by_host))
}

/// The literal part of a new path: absolute, without query, and plain.
fn check_new_path(text: &str, path: &Path<'_>, errors: &mut Errors) {
    if !text.starts_with('/') || text.starts_with("//") {
        let fix = "a path as /seldon/{namespace}/{model}/api/v1.0/predictions";
        errors.add_value(path, "does not begin with one /", text, fix);
    }
    if text.contains(['?', '#', '\\', ' ']) {
        let fix = "the path alone: the query of the request is kept";
        errors.add_value(path, "holds ?, #, \\ or a space", text, fix);
    }
    if has_dot_segment(text.as_bytes()) {
        errors.add_value(path, "holds a . or .. segment", text, "the path that is meant");
    }
}

fn methods(methods: &[String], path: &Path<'_>, errors: &mut Errors) -> Vec<StringMatch> {
    let compiled = methods.iter().enumerate().map(|(i, method)| {
        if method.is_empty() || method.chars().any(|c| c.is_lowercase()) {
            let fix = "a method in upper case, as POST";
            errors.add_value(&path.index(i), "is not a method", method, fix);
        }
        StringMatch::new(method)
    });
    compiled.collect()
}

fn header_matches(
    headers: &[types::HeaderMatch],
    path: &Path<'_>,
    errors: &mut Errors,
) -> Vec<(Vec<u8>, StringMatch)> {
    let compiled = headers.iter().enumerate().filter_map(|(i, header)| {
        let path = path.index(i);
        let name = token(&header.name);
        if name.is_none() {
            let fix = "a header's name; the method, path and host have fields of their own";
            errors.add_value(&path.field("name"), "is not a header's name", &header.name, fix);
        }
        Some((name?, StringMatch::new(&header.value)))
    });
    compiled.collect()
}

/// The name of a header that a rule may touch, in lower case.
fn header_name(name: &str, path: &Path<'_>, errors: &mut Errors) -> Option<Vec<u8>> {
    if Classes::of(&folded(name.as_bytes())).any(Classes::FRAMES) || name.starts_with(':') {
        let fix = "path and authority have fields of their own; the proxy writes the others";
        errors.add(path, "may not be changed by a rule", fix);
        return None;
    }
    let name = token(name);
    if name.is_none() {
        errors.add(path, "is not a header's name", "letters, digits and - as in x-user");
    }
    name
}

/// RFC 9110 §5.6.2, in lower case.
fn token(name: &str) -> Option<Vec<u8>> {
    is_name(name).then(|| name.to_ascii_lowercase().into_bytes())
}
