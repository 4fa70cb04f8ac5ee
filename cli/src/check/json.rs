//! Findings for programs. The shape is documented in docs/check.md; fields are only ever added.

use serde_json::{Value, json};

use super::finding::{Checked, File, Finding};
use super::source::Source;

/// The document about all files.
pub fn files(files: &[File]) -> Value {
    let configurations: Vec<Value> = files
        .iter()
        .flat_map(|file| file.checked.iter().map(|checked| configuration(&file.source, checked)))
        .collect();
    json!({"version": 1, "configurations": configurations})
}

fn configuration(source: &Source, checked: &Checked) -> Value {
    let resource = checked.resource.as_ref();
    let findings: Vec<Value> =
        checked.findings.iter().map(|finding| self::finding(source, finding)).collect();
    json!({
        "file": source.name,
        "kind": resource.map(|(kind, _)| kind),
        "resource": resource.map(|(_, name)| name),
        "verdict": checked.verdict.as_str(),
        "findings": findings,
    })
}

fn finding(source: &Source, finding: &Finding) -> Value {
    let start = finding.span.as_ref().map(|span| source.position(span.start));
    let end = finding.span.as_ref().map(|span| source.position(span.end));
    let related = finding.other.as_ref().map(|(span, why)| {
        let (start, end) = (source.position(span.start), source.position(span.end));
        json!({
            "message": why,
            "line": start.line,
            "column": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        })
    });
    json!({
        "severity": finding.severity.as_str(),
        "name": finding.name.as_str(),
        "path": finding.path,
        "line": start.map(|start| start.line),
        "column": start.map(|start| start.column),
        "endLine": end.map(|end| end.line),
        "endColumn": end.map(|end| end.column),
        "message": finding.message,
        "remedy": finding.remedy,
        "related": related,
    })
}
