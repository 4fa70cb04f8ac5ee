//! What a text holds, and what the filter would say of it, each with its place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use modelgate_engine::config::{ConfigError, Errors, Warning};
use modelgate_engine::pipeline::Plan;
use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, MessageFormatter as _, UserMessageFormatter};

use super::Accepted;
use super::finding::{Checked, Finding, Name, Severity, Verdict};
use super::place::Place;
use super::source::Source;
use super::tree::{Broken, Id, Kind, Tree};
use super::{fix, hidden};
use crate::resource;

/// Everything that the text holds and says, document by document: what is wrong in one keeps none of the others from
/// being checked.
pub fn text(source: &Source) -> Vec<Checked> {
    let mut checked = Vec::new();
    let mut is_anything = false;
    for span in source.documents() {
        let (tree, broken) = Tree::read(&source.text, span.clone());
        let mut document = Document { source, hidden: hidden::values(&tree), tree };
        if let Some(broken) = broken {
            document.hide_unread(&broken, span);
            let what = format!("is not YAML: {}", broken.why);
            checked.push(document.unreadable(what, remedy(source, broken.at), broken.at));
            is_anything = true;
            continue;
        }
        let before = checked.len();
        match document.value(span.clone()) {
            Ok(value) => document.check(value, &mut checked),
            Err((what, at)) => {
                checked.push(document.unreadable(what, "", at.unwrap_or(span.start)));
            }
        }
        is_anything |= checked.len() > before;
    }
    if !is_anything {
        let what = "holds neither a pluginConfig nor a resource with one".to_owned();
        let span = source.first_line(&(0..source.text.len()));
        let findings = vec![Finding::unreadable(what, "", Some(span))];
        checked.push(Checked { resource: None, verdict: Verdict::Unreadable, findings });
    }
    checked
}

struct Document<'s> {
    source: &'s Source,
    tree: Tree,
    hidden: Vec<Range<usize>>,
}

impl Document<'_> {
    /// The value of the document, and why it has none. Of keys that are given twice the first counts here.
    fn value(&self, span: Range<usize>) -> Result<Value, (String, Option<usize>)> {
        let text = self.source.text.get(span.clone()).unwrap_or_default();
        let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::FirstWins };
        let read: Result<Vec<Value>, _> = serde_saphyr::from_multiple_with_options(text, options);
        match read {
            Ok(values) => Ok(values.into_iter().next().unwrap_or_default()),
            Err(error) => {
                let error = error.without_snippet();
                let what = UserMessageFormatter.format_message(error).escape_debug().to_string();
                let location = error.location().and_then(|location| location.span().byte_offset());
                let at = location.and_then(|at| usize::try_from(at).ok());
                Err((format!("cannot be read: {what}"), at.map(|at| at.saturating_add(span.start))))
            }
        }
    }

    fn unreadable(&self, what: String, remedy: &str, at: usize) -> Checked {
        // The end of the text is shown at the end of the last line with something in it.
        let text = self.source.text.get(..at).unwrap_or_default();
        let at = if at == self.source.text.len() { text.trim_end().len() } else { at };
        let end = self.source.text.get(at..).and_then(|rest| rest.chars().next());
        let end = at.saturating_add(end.filter(|c| *c != '\n').map_or(0, char::len_utf8));
        let mut finding = Finding::unreadable(what, remedy, Some(at..end));
        finding.hidden.clone_from(&self.hidden);
        Checked { resource: None, verdict: Verdict::Unreadable, findings: vec![finding] }
    }

    /// Hides what may be secret in what was not read.
    fn hide_unread(&mut self, broken: &Broken, document: Range<usize>) {
        let scalars = self.tree.nodes().iter().filter(|node| matches!(node.kind, Kind::Scalar(_)));
        let read = scalars.clone().map(|node| node.span.end).max().unwrap_or(document.start);
        let last = scalars.max_by_key(|node| node.span.end);
        let is_secret = |kind: &Kind| matches!(kind, Kind::Scalar(name) if hidden::is_secret(name));
        let was_hidden = self.hidden.iter().any(|span| span.end == read);
        if was_hidden || last.is_some_and(|key| is_secret(&key.kind)) {
            self.hidden.push(read..document.end);
            return;
        }
        let line = self.source.line_at(broken.at);
        let rest = read.max(line.start).min(line.end)..line.end;
        let text = self.source.text.get(rest.clone()).unwrap_or_default();
        if let Some(behind) = hidden::unread(text) {
            self.hidden.push(rest.start.saturating_add(behind)..rest.end);
        }
    }

    /// Checks what the document holds; resources of other kinds are passed over.
    fn check(&self, value: Value, checked: &mut Vec<Checked>) {
        let Some(root) = self.tree.root() else { return };
        let twice = self.given_twice();
        let is_list = value.get("kind").and_then(Value::as_str) == Some("List");
        let before = checked.len();
        match value.get("items").and_then(Value::as_array).filter(|_| is_list) {
            Some(items) => {
                for (i, item) in items.iter().enumerate() {
                    let place = Place::find(&self.tree, root, &format!("items[{i}]"));
                    checked.extend(self.configuration(item, place.value.unwrap_or(root)));
                }
            }
            None => checked.extend(self.configuration(&value, root)),
        }
        // Which one of a List they are in does not matter: the document as a whole cannot be read.
        let Some(first) = checked.get_mut(before) else { return };
        if !twice.is_empty() {
            first.verdict = Verdict::Unreadable;
            first.findings.extend(twice);
        }
    }

    /// What the filter says of one configuration, if this holds one.
    fn configuration(&self, value: &Value, at: Id) -> Option<Checked> {
        let kind = value.get("kind").and_then(Value::as_str);
        let (prefix, pointer) = place(value)?;
        // The JSON that Envoy hands to the filter; nothing for a resource without one, as for Istio.
        let text = value.pointer(pointer).map(Value::to_string).unwrap_or_default();
        let around = kind.map(|_| resource::warnings(value)).unwrap_or_default();
        let mut errors = Errors::default();
        let verdict = match Plan::read(text.as_bytes(), &mut errors) {
            Some(_) => Verdict::Accepted,
            None => Verdict::Refused,
        };
        let mut findings = Vec::new();
        for error in around.warnings() {
            // Of the resource, except where settings do not go together with it.
            let is_spec = error.path == "spec" || error.path.starts_with("spec.");
            findings.push(self.finding(error, at, if is_spec { "" } else { prefix }));
        }
        for error in errors.warnings().iter().chain(errors.errors()) {
            findings.push(self.finding(error, at, prefix));
        }
        findings.sort_by_key(|finding| finding.span.as_ref().map(|span| span.start));
        let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("?");
        let resource = kind.map(|kind| (kind.to_owned(), name.to_owned()));
        Some(Checked { resource, verdict, findings })
    }

    fn finding(&self, error: &ConfigError, at: Id, prefix: &str) -> Finding {
        let path = match (prefix, error.path.as_str()) {
            (prefix, "") => Cow::from(prefix),
            ("", path) => path.into(),
            (prefix, path) => format!("{prefix}.{path}").into(),
        };
        let place = Place::find(&self.tree, at, &path);
        let is_unknown = error.what == fix::UNKNOWN_FIELD;
        let span = place.span(&self.tree, self.source, is_unknown);
        let mut hidden = self.hidden.clone();
        if let Some(value) = place.value.filter(|_| place.is_whole && is_hidden(error)) {
            hidden::below(&self.tree, value, &mut hidden);
        }
        let alias = place.alias.and_then(|alias| self.tree.node(alias)).map(|a| a.span.clone());
        let alias = alias.filter(|alias| span.as_ref().is_some_and(|span| span != alias));
        let message = match &error.value {
            Some(value) => format!("{} ({value})", error.what),
            None => error.what.clone(),
        };
        Finding {
            severity: if error.name.is_some() { Severity::Warning } else { Severity::Error },
            name: error.name.map_or(Name::Refused, Name::Warning),
            path: error.path.clone(),
            message,
            remedy: error.fix.clone(),
            span,
            other: alias.map(|alias| (alias, "used here")),
            hidden,
            edit: fix::edit(error, &place, &self.tree, self.source),
        }
    }

    /// Keys that are given twice in one mapping.
    fn given_twice(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for node in self.tree.nodes() {
            let Kind::Map(fields) = &node.kind else { continue };
            let mut seen: HashMap<&str, Range<usize>> = HashMap::new();
            for (key, _) in fields {
                let (Some(name), Some(node)) = (self.tree.scalar(*key), self.tree.node(*key))
                else {
                    continue;
                };
                let Some(first) = seen.insert(name, node.span.clone()) else { continue };
                let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
                let what = format!("the key {name} is given twice");
                let fix = "each name once: readers differ in which one counts";
                let mut finding = Finding::unreadable(what, fix, Some(node.span.clone()));
                finding.other = Some((first, "given here already"));
                finding.hidden.clone_from(&self.hidden);
                findings.push(finding);
            }
        }
        findings
    }
}

/// Where a document has its configuration, as a path and as a pointer, if it holds one.
fn place(value: &Value) -> Option<(&'static str, &'static str)> {
    match value.get("kind").and_then(Value::as_str) {
        _ if value.is_null() => None,
        None => Some(("", "")),
        Some("WasmPlugin") => Some(("spec.pluginConfig", "/spec/pluginConfig")),
        Some("TrafficExtension") => Some(("spec.wasm.pluginConfig", "/spec/wasm/pluginConfig")),
        Some(_) => None,
    }
}

/// The configurations of a text in which nothing is wrong.
pub fn accepted(source: &Source) -> Vec<Accepted> {
    let mut found = Vec::new();
    for span in source.documents() {
        let (tree, _) = Tree::read(&source.text, span.clone());
        let document = Document { source, hidden: Vec::new(), tree };
        let Ok(value) = document.value(span) else { continue };
        let is_list = value.get("kind").and_then(Value::as_str) == Some("List");
        let items = value.get("items").and_then(Value::as_array).filter(|_| is_list);
        let resources = items.map_or(vec![&value], |items| items.iter().collect());
        for resource in resources {
            let settings = place(resource).and_then(|(_, pointer)| resource.pointer(pointer));
            let text = |pointer| resource.pointer(pointer).and_then(Value::as_str);
            let kind = text("/kind").map(str::to_owned);
            let name = text("/metadata/name").unwrap_or("?").to_owned();
            found.extend(settings.map(|settings| Accepted {
                resource: kind.map(|kind| (kind, name)),
                settings: settings.clone(),
                inbound: resource::is_inbound(resource),
            }));
        }
    }
    found
}

/// What would be right where the text breaks, as far as its first character tells.
fn remedy(source: &Source, at: usize) -> &'static str {
    let text = |range: Range<usize>| source.text.get(range).unwrap_or_default();
    let line = source.line_at(at);
    let indentation = text(line.start..at.saturating_add(1).min(line.end));
    if indentation.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t') {
        return "spaces: YAML is not indented by tabs";
    }
    match text(at..line.end).chars().next() {
        Some('*' | '&' | '@' | '`' | '%' | '!' | '|' | '>') => {
            "quotes around a text that begins with this: it has a meaning of its own in YAML"
        }
        Some(':') => "quotes around a text with a colon and a blank in it",
        _ => "",
    }
}

/// Whether the engine keeps the value at the place of an error to itself.
fn is_hidden(error: &ConfigError) -> bool {
    let is_secret = matches!(error.name, Some(Warning::PlainSecret | Warning::SharedSecret));
    error.value.is_none() && (error.name.is_none() || is_secret)
}
