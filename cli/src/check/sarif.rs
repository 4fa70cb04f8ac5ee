//! Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the files.

use std::fmt::Write as _;
use std::ops::Range;

use modelgate_engine::config::Warning;
use modelgate_engine::config::describe::{Describe as _, Shape};
use serde_json::{Value, json};

use super::finding::{File, Finding, Name, Severity};
use super::source::Source;

/// What errors are, for which no page of names exists.
const ERRORS: [(Name, &str); 2] = [
    (Name::Unreadable, "The file cannot be read as YAML or JSON, or holds nothing to check."),
    (Name::Refused, "The filter refuses the configuration."),
];

/// One run over all files.
pub fn files(files: &[File]) -> Value {
    let rules = rules();
    let mut results = Vec::new();
    for file in files {
        for finding in file.checked.iter().flat_map(|checked| &checked.findings) {
            results.push(result(&file.source, finding, &rules));
        }
    }
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "modelgate",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// Every kind of finding that there can be: viewers list what was looked for, not only what was found.
fn rules() -> Vec<Value> {
    let rule = |id: &str, about: &str, level: Severity| {
        let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
        json!({
            "id": id,
            "shortDescription": {"text": id.replace('-', " ")},
            "fullDescription": {"text": about},
            "defaultConfiguration": {"level": level.as_str()},
        })
    };
    let mut rules: Vec<Value> =
        ERRORS.iter().map(|(name, about)| rule(name.as_str(), about, Severity::Error)).collect();
    if let Shape::Words(words) = Warning::shape() {
        rules.extend(words.iter().map(|word| rule(word.word, word.about, Severity::Warning)));
    }
    rules
}

fn result(source: &Source, finding: &Finding, rules: &[Value]) -> Value {
    let id = finding.name.as_str();
    let logical = (!finding.path.is_empty())
        .then(|| ("logicalLocations", json!([{"fullyQualifiedName": finding.path}])));
    let place = place(source, finding.span.as_ref());
    let location = with(json!({"physicalLocation": place}), logical);
    let related = finding.other.as_ref().map(|(span, why)| {
        let place = self::place(source, Some(span));
        ("relatedLocations", json!([{"physicalLocation": place, "message": {"text": why}}]))
    });
    let result = json!({
        "ruleId": id,
        "ruleIndex": rules.iter().position(|rule| rule["id"] == id),
        "level": finding.severity.as_str(),
        "message": {"text": finding.sentence()},
        "locations": [location],
    });
    with(result, related)
}

/// An object with a member that may not be null.
fn with(mut object: Value, member: Option<(&str, Value)>) -> Value {
    if let (Some(members), Some((name, value))) = (object.as_object_mut(), member) {
        members.insert(name.to_owned(), value);
    }
    object
}

fn place(source: &Source, span: Option<&Range<usize>>) -> Value {
    let region = span.map(|span| {
        let (start, end) = (source.position(span.start), source.position(span.end));
        let region = json!({
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        });
        ("region", region)
    });
    with(json!({"artifactLocation": {"uri": uri(&source.name)}}), region)
}

/// A file's name as a reference by RFC 3986: relative as it was given, so that hosts find it in the repository.
fn uri(name: &str) -> String {
    let mut uri = String::new();
    if name.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn names_of_files_are_references() {
        assert_eq!(uri("wasmplugin/gateway.yaml"), "wasmplugin/gateway.yaml");
        assert_eq!(uri("/tmp/a b:\u{e4}.yaml"), "file:///tmp/a%20b%3A%C3%A4.yaml");
        assert_eq!(uri("standard input"), "standard%20input");
    }
}
