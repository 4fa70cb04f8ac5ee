//! What is said of a conversion: on the terminal, in the head of the output, and as JSON.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::document::{Document, Read};
use super::part::{Done, Remark, Resource, Whence};
use super::yaml::{self, Node, clean};
use super::{REFUSED, assemble};

/// The result.
#[derive(Debug)]
pub struct Report {
    /// What was read.
    pub read: Read,
    /// What was looked at.
    pub objects: Vec<Whence>,
    /// What was not carried over exactly.
    pub remarks: Vec<Remark>,
    /// Resources beside the plugin.
    pub resources: Vec<Resource>,
}

impl Report {
    /// Whether there is no output.
    pub fn is_refused(&self) -> bool {
        self.remarks.iter().any(|remark| remark.done == Done::Refused)
    }

    /// 0 if everything is as it was, 1 with remarks, 2 if there is no output.
    pub fn status(&self) -> ExitCode {
        match (self.is_refused(), self.remarks.is_empty()) {
            (true, _) => ExitCode::from(REFUSED),
            (false, true) => ExitCode::SUCCESS,
            (false, false) => ExitCode::FAILURE,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for remark in &self.remarks {
            text.push_str(&clean(&line(remark)));
            text.push('\n');
        }
        let passed = self.passed_over();
        if !passed.is_empty() {
            text.push_str(&format!("passed over: {}\n", clean(&passed)));
        }
        let objects = self.objects.len();
        let s = if objects == 1 { "" } else { "s" };
        let verdict = match (self.is_refused(), self.remarks.len()) {
            (true, _) => "refused, nothing written".to_owned(),
            (false, 0) => "exactly".to_owned(),
            (false, 1) => "with 1 remark".to_owned(),
            (false, n) => format!("with {n} remarks"),
        };
        text.push_str(&format!("{objects} object{s} converted: {verdict}\n"));
        text
    }

    /// Objects that nobody looked at, counted by their kind.
    fn passed_over(&self) -> String {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        let is_known = |document: &Document| {
            self.objects.iter().any(|whence| {
                whence.origin == document.origin && whence.object == document.object()
            })
        };
        for document in self.read.documents.iter().filter(|document| !is_known(document)) {
            let count = kinds.entry(&document.kind).or_default();
            *count = count.saturating_add(1);
        }
        let mut words: Vec<String> =
            kinds.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        if self.read.without_kind > 0 {
            words.push(format!("{} without a kind", self.read.without_kind));
        }
        words.join(", ")
    }

    /// The plugin and what goes with it, as YAML.
    pub fn documents(&self, plugin: &Node) -> String {
        let mut head = vec!["Made by `modelgate convert` of:".to_owned()];
        head.extend(assemble::lines(&self.objects).into_iter().map(|line| format!("- {line}")));
        if self.remarks.is_empty() {
            head.push(
                "It decides as they do, but for what docs/istio.md says of the filter itself."
                    .to_owned(),
            );
        } else {
            head.push("What is not exactly as it was:".to_owned());
            head.extend(self.remarks.iter().map(|remark| format!("- {}", line(remark))));
        }
        let mut text: String = head.iter().map(|line| format!("# {}\n", clean(line))).collect();
        text.push_str(&yaml::document(plugin));
        for resource in &self.resources {
            text.push_str("---\n");
            text.push_str(&format!("# {}\n", clean(&resource.purpose)));
            for line in assemble::lines(&resource.whence) {
                text.push_str(&format!("# For {}\n", clean(&line)));
            }
            text.push_str(&yaml::document(&Node::Plain(resource.value.clone())));
        }
        text
    }

    /// The same for programs.
    pub fn json(&self, plugin: &Node) -> Value {
        let mut resources = Vec::new();
        if !self.is_refused() {
            resources.push(plugin.value());
            resources.extend(self.resources.iter().map(|resource| resource.value.clone()));
        }
        let remarks = self.remarks.iter().map(|remark| {
            json!({
                "object": remark.object,
                "file": remark.origin.file,
                "line": remark.origin.line,
                "field": remark.field,
                "reason": remark.reason,
                "done": remark.done.as_str(),
            })
        });
        let objects = self.objects.iter().map(|whence| {
            json!({
                "object": whence.object,
                "file": whence.origin.file,
                "line": whence.origin.line,
            })
        });
        let verdict = match (self.is_refused(), self.remarks.is_empty()) {
            (true, _) => "refused",
            (false, true) => "exact",
            (false, false) => "remarks",
        };
        json!({
            "verdict": verdict,
            "objects": objects.collect::<Vec<_>>(),
            "remarks": remarks.collect::<Vec<_>>(),
            "resources": resources,
        })
    }
}

fn line(remark: &Remark) -> String {
    let Remark { origin, object, field, reason, done } = remark;
    format!("{origin}: {object}: {field} {reason} ({})", done.as_str())
}
