//! Which values of a text are not shown beside a finding: it may end in the log of a pipeline.

use std::ops::Range;

use super::tree::{Id, Kind, Tree};

/// Fields whose values are or may be secrets, in lower case without separators; the short ones are a JSON Web Key's own
/// (RFC 7518, 6).
const NAMES: &[&str] = &["authorization", "d", "dp", "dq", "jwks", "k", "p", "q", "qi", "sha256"];

/// The same as parts of names: those of other resources in the same text, too.
const PARTS: &[&str] = &[
    "apikey",
    "clientcertificatedata",
    "clientkey",
    "credential",
    "lastappliedconfiguration",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "token",
];

/// Fields whose members are not settings: headers, and what a Secret holds.
const HOLDERS: &[&str] = &["set", "setheaders", "data", "stringdata"];

/// How values begin that are secrets under any name.
const BEGINNINGS: &[&str] = &["bearer ", "basic ", "eyj", "mg_", "-----begin"];

/// The bytes of every value that is not to be shown.
pub fn values(tree: &Tree) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    for (id, node) in tree.nodes().iter().enumerate() {
        match &node.kind {
            Kind::Map(fields) => {
                for (key, value) in fields {
                    let name = tree.scalar(*key).map(plain).unwrap_or_default();
                    if HOLDERS.contains(&name.as_str()) {
                        members(tree, *value, &mut hidden);
                    } else if is_secret(&name) {
                        one(tree, *value, &mut hidden);
                    }
                }
            }
            Kind::Scalar(text) if begins_like_one(text) => hide(tree, id, &mut hidden),
            _ => {}
        }
    }
    hidden
}

/// Every scalar at and below a node, keys too: in the place of settings anything may stand.
pub fn below(tree: &Tree, id: Id, hidden: &mut Vec<Range<usize>>) {
    let mut left = vec![id];
    while let Some(id) = left.pop() {
        match tree.node(id).map(|node| &node.kind) {
            Some(Kind::List(items)) => left.extend(items),
            Some(Kind::Map(fields)) => {
                left.extend(fields.iter().flat_map(|(key, value)| [*key, *value]));
            }
            Some(_) => one(tree, id, hidden),
            None => {}
        }
    }
}

/// Where the rest of a line that was not read may hold a secret: behind a name of one.
pub fn unread(rest: &str) -> Option<usize> {
    let lower = rest.to_ascii_lowercase();
    // A letter alone would be found in every word.
    let names = NAMES.iter().filter(|name| name.len() > 2);
    let ends = names.chain(PARTS).chain(BEGINNINGS).filter_map(|name| {
        let found = lower.find(name)?;
        Some(found.saturating_add(name.len()))
    });
    ends.min()
}

/// Whether what stands behind a key is a secret by its name.
pub fn is_secret(name: &str) -> bool {
    let name = plain(name);
    NAMES.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part))
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn begins_like_one(value: &str) -> bool {
    let begin = value.chars().take(16).collect::<String>().to_ascii_lowercase();
    BEGINNINGS.iter().any(|secret| begin.starts_with(secret))
}

fn members(tree: &Tree, id: Id, hidden: &mut Vec<Range<usize>>) {
    if let Some(Kind::Map(fields)) = tree.node(id).map(|node| &node.kind) {
        for (_, value) in fields {
            one(tree, *value, hidden);
        }
    }
}

/// A scalar, a list of them, or what an alias stands for. Settings have names of their own inside.
fn one(tree: &Tree, id: Id, hidden: &mut Vec<Range<usize>>) {
    match tree.node(id).map(|node| &node.kind) {
        Some(Kind::Scalar(_)) => hide(tree, id, hidden),
        Some(Kind::Alias(Some(target))) => hide(tree, *target, hidden),
        Some(Kind::List(items)) => {
            for item in items {
                hide(tree, *item, hidden);
            }
        }
        _ => {}
    }
}

fn hide(tree: &Tree, id: Id, hidden: &mut Vec<Range<usize>>) {
    let scalar = tree.scalar(id).filter(|text| !is_plain(text));
    hidden.extend(scalar.and_then(|_| tree.node(id)).map(|node| node.span.clone()));
}

/// What no secret is.
fn is_plain(text: &str) -> bool {
    matches!(text, "" | "true" | "false" | "null" | "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_settings_are_not() {
        let text = r#"
authentication:
  jwtRules: [{issuer: i, jwks: '{"keys": []}', jwksUri: "https://u", forwardOriginalToken: true}]
  tokenCache: {bytes: 4MiB}
  apiKeys: {keys: [{name: n, sha256: plaintext}]}
authorization: {defaultAction: DENY}
rewrites: [{setHeaders: {x-plain: header}}]
shadows: [{name: s, headers: {set: {x-shadow: value}}}]
note: "Bearer abc"
keys: [{kty: oct, k: octets}, {kty: OKP, x: public, d: private}]
api_key: &key aliased
tokens: [one, two]
Password: *key
"#;
        let (tree, broken) = Tree::read(text, 0..text.len());
        assert_eq!(broken, None);
        let mut hidden: Vec<_> =
            values(&tree).into_iter().map(|span| text.get(span).expect("in the text")).collect();
        hidden.sort_unstable();
        hidden.dedup();
        let mut wanted = [
            r#"'{"keys": []}'"#,
            "plaintext",
            "header",
            "value",
            r#""Bearer abc""#,
            "aliased",
            "octets",
            "private",
            "one",
            "two",
        ];
        wanted.sort_unstable();
        assert_eq!(hidden, wanted);
    }

    #[test]
    fn behind_a_name_of_a_secret_nothing_is_shown_that_was_not_read() {
        assert_eq!(unread(": [a, password: b"), Some(14));
        assert_eq!(unread(": [a, b"), None);
    }
}
