//! YAML as people write it: comments where they belong, short lists on a line, quotes where they are needed.

use serde_json::{Map, Value};

/// Columns up to which a list or mapping stands on one line.
const WIDTH: usize = 110;

/// The order of fields that people expect; others follow by their names.
const ORDER: [&str; 63] = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "selector",
    "targetRefs",
    "url",
    "phase",
    "failStrategy",
    "wasm",
    "pluginConfig",
    "mode",
    "exclude",
    "authentication",
    "bypass",
    "authorization",
    "defaultAction",
    "targets",
    "rewrites",
    "splits",
    "shadows",
    "name",
    "namespace",
    "issuer",
    "audiences",
    "jwksUri",
    "jwksCluster",
    "jwks",
    "jwtRules",
    "header",
    "claim",
    "action",
    "dryRun",
    "models",
    "rules",
    "from",
    "to",
    "when",
    "source",
    "operation",
    "key",
    "values",
    "notValues",
    "hosts",
    "exportTo",
    "location",
    "resolution",
    "ports",
    "number",
    "protocol",
    "host",
    "workloadSelector",
    "families",
    "match",
    "path",
    "authority",
    "stickyBy",
    "variants",
    "weight",
    "percent",
    "cluster",
    "sni",
    "subjectAltNames",
];

/// A value with comments.
#[derive(Debug)]
pub enum Node {
    /// A value without any.
    Plain(Value),
    /// Entries, each with the lines of comment before it.
    List(Vec<(Vec<String>, Node)>),
    /// Fields, likewise.
    Map(Vec<(Vec<String>, String, Node)>),
}

impl Node {
    /// It without comments.
    pub fn value(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::List(items) => items.iter().map(|(_, node)| node.value()).collect(),
            Self::Map(fields) => {
                let fields = fields.iter().map(|(_, name, node)| (name.clone(), node.value()));
                Value::Object(fields.collect())
            }
        }
    }
}

/// A document, with its comments.
pub fn document(node: &Node) -> String {
    let mut text = String::new();
    block(node, 0, &mut text);
    text
}

/// Fields in the order that people expect.
pub fn fields(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = map.iter().collect();
    fields.sort_by_key(|(name, _)| rank(name));
    fields
}

/// Where a field stands among others.
pub fn rank(name: &str) -> (usize, String) {
    let at = ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
    (at, name.to_owned())
}

fn block(node: &Node, indent: usize, text: &mut String) {
    match node {
        Node::Plain(Value::Object(map)) if !map.is_empty() => {
            for (name, value) in fields(map) {
                field(name, &Node::Plain(value.clone()), indent, text);
            }
        }
        Node::Plain(Value::Array(items)) if !items.is_empty() => {
            for value in items {
                item(&Node::Plain(value.clone()), indent, text);
            }
        }
        Node::Plain(value) => {
            text.push_str(&" ".repeat(indent));
            text.push_str(&flow(value));
            text.push('\n');
        }
        Node::List(items) => {
            for (comments, node) in items {
                comment(comments, indent, text);
                item(node, indent, text);
            }
        }
        Node::Map(fields) => {
            for (comments, name, node) in fields {
                comment(comments, indent, text);
                field(name, node, indent, text);
            }
        }
    }
}

fn comment(lines: &[String], indent: usize, text: &mut String) {
    for line in lines {
        text.push_str(&" ".repeat(indent));
        text.push_str(format!("# {}", clean(line)).trim_end());
        text.push('\n');
    }
}

/// A line without characters that would end it, or hide what it says.
pub fn clean(line: &str) -> String {
    line.chars().map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a character ends a line for some reader, or shows what follows otherwise than it is read: YAML 1.1, which kubectl
/// reads, breaks lines at U+2028 and U+2029 (`5.4. Line Break Characters`), and 1.2 does not.
fn is_unsafe(c: char) -> bool {
    let is_invisible = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    );
    c.is_control() || is_invisible
}

fn field(name: &str, node: &Node, indent: usize, text: &mut String) {
    let start = format!("{}{}:", " ".repeat(indent), scalar(name));
    text.push_str(&start);
    match node {
        Node::Plain(value) => match on_a_line(value, start.len()) {
            Some(flow) => {
                text.push(' ');
                text.push_str(&flow);
                text.push('\n');
            }
            None => {
                text.push('\n');
                // Lists stand at the column of their field, as Kubernetes' own tools write them.
                block(node, indent.saturating_add(if value.is_array() { 0 } else { 2 }), text);
            }
        },
        Node::List(items) if items.is_empty() => text.push_str(" []\n"),
        Node::Map(fields) if fields.is_empty() => text.push_str(" {}\n"),
        Node::List(_) => {
            text.push('\n');
            block(node, indent, text);
        }
        Node::Map(_) => {
            text.push('\n');
            block(node, indent.saturating_add(2), text);
        }
    }
}

fn item(node: &Node, indent: usize, text: &mut String) {
    let start = format!("{}- ", " ".repeat(indent));
    let short = match node {
        // What has more than two fields is read field by field.
        Node::Plain(Value::Object(map)) if map.len() > 2 => None,
        Node::Plain(value) => flow_within(value, start.len()),
        _ => None,
    };
    match short {
        Some(flow) => {
            text.push_str(&start);
            text.push_str(&flow);
            text.push('\n');
        }
        None => {
            let mut inner = String::new();
            block(node, indent.saturating_add(2), &mut inner);
            // The first field stands behind the dash.
            text.push_str(&start);
            text.push_str(inner.trim_start_matches(' '));
        }
    }
}

/// A scalar, or a list of scalars or what is short.
fn on_a_line(value: &Value, before: usize) -> Option<String> {
    match value {
        Value::Object(map) if !map.is_empty() => None,
        Value::Array(_) => flow_within(value, before),
        _ => Some(flow(value)),
    }
}

fn flow_within(value: &Value, before: usize) -> Option<String> {
    let flow = flow(value);
    let is_scalar = !value.is_array() && !value.is_object();
    let fits = before.saturating_add(flow.chars().count()) <= WIDTH;
    (is_scalar || fits).then_some(flow)
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let pairs = fields(map).into_iter();
            let pairs: Vec<String> =
                pairs.map(|(name, value)| format!("{}: {}", scalar(name), flow(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// A text without quotes where no reader takes it for something else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    let is_word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let rest = text.replace("://", "//");
    let is_plain = rest.chars().all(|c| c.is_ascii_alphanumeric() || "/._-*+=|$".contains(c));
    if begins && is_plain && !is_word {
        return text.to_owned();
    }
    let is_shown = !text.chars().any(is_unsafe);
    if text.contains('"') && is_shown {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if is_unsafe(c) => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let value = json!({
            "apiVersion": "a/v1", "kind": "K",
            "spec": {
                "texts": ["", "*", "true", "No", "1", "1.5", "-", "- a", "a: b", "a #b", "#", "~", "null", "0x1F",
                    "https://idp.example.com/*", "request.auth.claims[groups]", "it's", "a \"b\"", "a\nb", "\u{7f}\u{85}",
                    "outbound|443||idp.example.com", "a\u{2028}b", "\u{2029}\"", "\u{feff}", "\u{202e}x", "{*}", "/v1/{*}", "&a", "!a", "%a", "@a", "`a", "ä", " a", "a ", "a,b"],
                "number": 4, "flag": true, "nothing": null, "list": [], "map": {},
                "rules": [{"from": [{"source": {"principals": ["a"]}}], "when": [{"key": "k", "values": ["v".repeat(200)]}], "x": 1}],
                "nested": [[1, 2], [{"a": {"b": [1]}}]],
                "on": "off",
            },
        });
        let text = document(&Node::Plain(value.clone()));
        let read: Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(read, value, "{text}");
        let is_plain = |c: char| c == '\n' || !is_unsafe(c);
        assert!(text.chars().all(is_plain), "{text:?}");
        let names = text.lines().take(3).collect::<Vec<_>>();
        assert_eq!(names, ["apiVersion: a/v1", "kind: K", "spec:"], "{text}");
    }

    #[test]
    fn comments_stand_before_what_they_are_about() {
        let entry = Node::Plain(
            json!({"name": "a", "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}], "models": ["b/c"]}),
        );
        let list = Node::List(vec![(vec!["one\ntwo\u{2028}three".to_owned()], entry)]);
        let map = Node::Map(vec![(vec!["all".to_owned()], "policies".to_owned(), list)]);
        let wanted = "\
# all
policies:
# one\u{fffd}two\u{fffd}three
- name: a
  models: [b/c]
  rules: [{to: [{operation: {methods: [GET]}}]}]
";
        assert_eq!(document(&map), wanted);
    }
}
