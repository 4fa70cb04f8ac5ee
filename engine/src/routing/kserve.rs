//! KServe: inference services by host (`domainTemplate`) and by path (`pathTemplate`).

use std::rc::Rc;

use crate::config::types;
use crate::config::{Errors, Path, Warning};
use crate::order;

use super::host::Host;
use super::names::{LABEL_MAX, NOT_A_NAME, id, is_label};
use super::setting::check_path;
use crate::path::segments::first;
use crate::refusal::Refusal;

const NOT_ONE: Refusal =
    Refusal::new("the host or path fits none, or several, of the namespaces of inference services");
const UNKNOWN: Refusal =
    Refusal::new("the host or path is that of an inference service that there is not");
const OTHER_SERVICE: Refusal =
    Refusal::new("the host and the path select different inference services");

/// The family's settings.
#[derive(Debug)]
pub(super) struct KServe {
    host: Option<Pattern>,
    /// With how many segments the template has.
    path: Option<(Pattern, usize)>,
    /// Sorted.
    namespaces: Vec<String>,
    /// `namespace/name`, sorted; empty: not known.
    services: Vec<String>,
}

/// An inference service that an address names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub id: Rc<str>,
    /// How many segments of the path the route takes off.
    pub segments: usize,
}

/// Checks the lists of namespaces and services.
fn check_names(settings: &types::KServe, path: &Path<'_>, errors: &mut Errors) {
    let label = |part: &str| is_label(part.as_bytes());
    for (i, namespace) in settings.namespaces.iter().enumerate() {
        let path = path.field("namespaces");
        let path = path.index(i);
        if !label(namespace) {
            let fix = "a DNS-1123 label, as prod";
            errors.add_value(&path, "is not a namespace", namespace, fix);
        }
    }
    for (field, names, fix) in [
        ("namespaces", &settings.namespaces, "each namespace once"),
        ("services", &settings.services, "each service once"),
    ] {
        errors.duplicate(&path.field(field), None, names.iter().map(String::as_str), fix);
    }
    for (i, service) in settings.services.iter().enumerate() {
        let path = path.field("services");
        let path = path.index(i);
        if !service.split_once('/').is_some_and(|(ns, name)| label(ns) && label(name)) {
            let fix = "namespace/name, as prod/iris";
            errors.add_value(&path, "is not an inference service", service, fix);
        }
    }
}

impl KServe {
    /// Compiles the settings at `path`.
    pub(super) fn compile(settings: &types::KServe, path: &Path<'_>, errors: &mut Errors) -> Self {
        if settings.host_template.is_none() && settings.path_template.is_none() {
            let fix =
                "hostTemplate or pathTemplate as KServe has it, or leave kserve out of families";
            errors.add(path, "has no template", fix);
        }
        check_names(settings, path, errors);
        let mut pattern = |field: &str, template: &Option<String>, boundary: u8| {
            let text = template.as_ref()?;
            let path = path.field(field);
            let host = boundary == b'.';
            let text = if host { text.to_ascii_lowercase() } else { text.clone() };
            let pattern = Pattern::parse(&text, boundary, &path, errors)?;
            if pattern.is_ambiguous() && settings.namespaces.is_empty() {
                let what = "does not tell where the name ends and the namespace begins";
                errors.add_value(
                    &path,
                    what,
                    &text,
                    "list the namespaces in targets.kserve.namespaces",
                );
            }
            Some((pattern, text))
        };
        let host = pattern("hostTemplate", &settings.host_template, b'.');
        let by_path = pattern("pathTemplate", &settings.path_template, b'/');
        if let Some((_, text)) = &host
            && (text.contains([':', '/', '*', '@']) || text.ends_with('.'))
        {
            let fix =
                "a host without scheme, port and trailing dot, as {name}-{namespace}.example.com";
            errors.add_value(&path.field("hostTemplate"), "is not a host", text, fix);
        }
        let by_path = by_path.map(|(mut pattern, text)| {
            let example = text.replace(['{', '}'], "");
            check_path(&example, &path.field("pathTemplate"), errors);
            if text.ends_with('/') {
                let fix = "the template without its trailing /";
                errors.add_value(&path.field("pathTemplate"), "ends with /", &text, fix);
            }
            pattern.before = pattern.before.strip_prefix(b"/").unwrap_or_default().to_vec();
            (pattern, text.matches('/').count())
        });
        let host = host.map(|(pattern, _)| pattern);
        let mut patterns = host.iter().chain(by_path.iter().map(|(pattern, _)| pattern));
        if !settings.namespaces.is_empty() && !patterns.any(Pattern::is_ambiguous) {
            let fix = "leave them out: they limit nothing where the templates tell the namespace";
            let path = path.field("namespaces");
            errors.warn(Warning::NoEffect, &path, "are not needed", fix);
        }
        let services = order::distinct(settings.services.iter().cloned());
        let namespaces = order::distinct(settings.namespaces.iter().cloned());
        Self { host, path: by_path, namespaces, services }
    }

    /// Whether it is known which services there are. Then each address has routes of its own.
    pub(super) fn knows_services(&self) -> bool {
        !self.services.is_empty()
    }

    /// Whether a path that begins with this may be one of the template, of which it has the text before the
    /// first variable.
    pub(super) fn begins_path(&self, text: &[u8]) -> bool {
        let Some((pattern, _)) = &self.path else { return false };
        let text = text.strip_prefix(b"/").unwrap_or_default();
        !pattern.before.is_empty() && text.starts_with(&pattern.before)
    }

    /// A namespace to try a host with.
    pub(super) fn example_namespace(&self) -> &[u8] {
        self.namespaces.first().map_or(b"x", |namespace| namespace.as_bytes())
    }

    /// The inference service of an address; `None` if neither host nor path has a template's shape.
    pub(super) fn service(&self, host: &Host<'_>, path: &[u8]) -> Result<Option<Service>, Refusal> {
        let by_host = self.find(self.host.as_ref(), host.name())?;
        let by_path = match &self.path {
            Some((pattern, segments)) => {
                let bare = path.strip_prefix(b"/").unwrap_or_default();
                self.find(Some(pattern), first(bare, *segments))?
                    .map(|id| Service { id, segments: *segments })
            }
            None => None,
        };
        match (by_host, by_path) {
            (Some(host), Some(path)) if host != path.id => Err(OTHER_SERVICE),
            (_, Some(path)) => Ok(Some(path)),
            (Some(id), None) => Ok(Some(Service { id, segments: 0 })),
            (None, None) => Ok(None),
        }
    }

    fn find(&self, pattern: Option<&Pattern>, text: &[u8]) -> Result<Option<Rc<str>>, Refusal> {
        let Some(pattern) = pattern else { return Ok(None) };
        let Some(mut splits) = pattern.splits(text) else { return Ok(None) };
        let (service, namespace) = if pattern.is_ambiguous() {
            // Of a long text few ways to split leave two labels: only those are looked up.
            let known = |(service, namespace): &(&[u8], &[u8])| {
                service.len() <= LABEL_MAX
                    && namespace.len() <= LABEL_MAX
                    && std::str::from_utf8(namespace)
                        .is_ok_and(|namespace| order::holds(&self.namespaces, namespace))
            };
            let mut splits = splits.filter(known);
            match (splits.next(), splits.next()) {
                (Some(one), None) => one,
                _ => return Err(NOT_ONE),
            }
        } else {
            splits.next().ok_or(NOT_ONE)?
        };
        // Both are labels, which is what makes a `.` between them a boundary.
        if !is_label(service) || !is_label(namespace) {
            return Err(NOT_A_NAME);
        }
        let id = id(namespace, service)?;
        if self.knows_services() && !order::holds(&self.services, &*id) {
            return Err(UNKNOWN);
        }
        Ok(Some(id))
    }
}

/// A template with one `{name}` and one `{namespace}`.
#[derive(Debug)]
struct Pattern {
    before: Vec<u8>,
    between: Vec<u8>,
    after: Vec<u8>,
    name_first: bool,
    /// What no variable spans: `.` in a host, `/` in a path.
    boundary: u8,
}

impl Pattern {
    fn parse(text: &str, boundary: u8, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let cut =
            |variable: &str| text.split_once(variable).filter(|(_, rest)| !rest.contains(variable));
        let parts = cut("{name}").zip(cut("{namespace}")).and_then(|(name, namespace)| {
            let name_first = name.0.len() < namespace.0.len();
            let (first, second) = if name_first { (name, namespace) } else { (namespace, name) };
            let variable = if name_first { "{namespace}" } else { "{name}" };
            let (between, _) = first.1.split_once(variable)?;
            Some((first.0, between, second.1, name_first))
        });
        let parts = parts.filter(|(before, between, after, _)| {
            !between.is_empty() && ![before, between, after].iter().any(|l| l.contains(['{', '}']))
        });
        let Some((before, between, after, name_first)) = parts else {
            let fix =
                "one {name} and one {namespace} with text between them, and no other variable";
            errors.add_value(path, "is not a template", text, fix);
            return None;
        };
        let bytes = |text: &str| text.as_bytes().to_vec();
        Some(Self {
            before: bytes(before),
            between: bytes(between),
            after: bytes(after),
            name_first,
            boundary,
        })
    }

    /// Whether names may hold everything that stands between the two variables. Both are labels:
    /// a `.` separates them.
    fn is_ambiguous(&self) -> bool {
        self.between.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'-')
    }

    /// Every way to read a name and a namespace out of the text; `None` if it has another shape.
    fn splits<'t>(
        &'t self,
        text: &'t [u8],
    ) -> Option<impl Iterator<Item = (&'t [u8], &'t [u8])> + 't> {
        let middle = text.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        // No variable spans a boundary: the first ends before the first one, the second begins behind
        // the last. To look for one in each way to split would take a time that is quadratic in what
        // a client may send.
        let boundary = |c: &u8| *c == self.boundary;
        let end = middle.iter().position(boundary).unwrap_or(middle.len());
        let behind = middle.iter().rposition(boundary).map_or(0, |last| last.saturating_add(1));
        let start = behind.saturating_sub(self.between.len());
        let mut splits = (start..=end)
            .filter_map(move |at| {
                let (first, rest) = middle.split_at_checked(at)?;
                let second = rest.strip_prefix(&*self.between)?;
                let split = if self.name_first { (first, second) } else { (second, first) };
                (!first.is_empty() && !second.is_empty()).then_some(split)
            })
            .peekable();
        splits.peek().is_some().then_some(splits)
    }
}
