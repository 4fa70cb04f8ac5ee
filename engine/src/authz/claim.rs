//! Claims of a token: where a `when` key points, and which values fit.

use serde_json::{Map, Value};

use super::values::{Star, Values};

/// Names of nested objects, from the outside in.
pub(crate) type ClaimPath = Box<[Box<str>]>;

/// Reads what follows `request.auth.claims`: `[a][b]`. Brackets that do not nest cleanly make one name
/// of everything between the first and the last, as in Istio: `[a[b]]` is the claim `a[b]`.
pub(crate) fn claim_path(brackets: &str) -> Option<ClaimPath> {
    let inner = brackets.strip_prefix('[')?.strip_suffix(']')?;
    let names: Vec<&str> = inner.split("][").collect();
    let clean = names.iter().all(|name| !name.contains(['[', ']']));
    let names = if clean { names } else { vec![inner] };
    (!names.iter().any(|name| name.is_empty())).then(|| names.into_iter().map(Into::into).collect())
}

/// Whether a claim is a string that fits, or a list with such an element. Numbers, booleans, objects
/// and null never fit, and no path leads through a list.
pub(super) fn claim_matches(
    claims: &Map<String, Value>,
    path: &[Box<str>],
    values: &Values,
    star: Star,
) -> bool {
    let text =
        |value: &Value| value.as_str().is_some_and(|s| values.match_text(s.as_bytes(), star));
    match value_at(claims, path) {
        Some(Value::Array(list)) => list.iter().any(text),
        Some(value) => text(value),
        None => false,
    }
}

/// The claim that a path leads to.
pub(super) fn value_at<'c>(claims: &'c Map<String, Value>, path: &[Box<str>]) -> Option<&'c Value> {
    let (last, outer) = path.split_last()?;
    let mut object = claims;
    for name in outer {
        match object.get(&**name) {
            Some(Value::Object(inner)) => object = inner,
            _ => return None,
        }
    }
    object.get(&**last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::StringMatch;
    use serde_json::json;

    #[test]
    fn brackets_name_claims() {
        for (text, names) in [
            ("[a]", Some(vec!["a"])),
            ("[a][b][c]", Some(vec!["a", "b", "c"])),
            ("[foo.com/name]", Some(vec!["foo.com/name"])),
            ("[a[b]]", Some(vec!["a[b]"])),
            ("[a]b]", Some(vec!["a]b"])),
            ("[a]x[b]", Some(vec!["a]x[b"])),
            ("", None),
            ("[]", None),
            ("[a][]", None),
            ("a", None),
            ("[a", None),
            ("a]", None),
            ("]", None),
        ] {
            let read = claim_path(text);
            let read = read.as_ref().map(|path| path.iter().map(|n| &**n).collect::<Vec<_>>());
            assert_eq!(read, names, "{text}");
        }
    }

    #[test]
    fn strings_and_elements_of_lists_fit() {
        let claims = json!({
            "group": "ds", "groups": ["ops", "ds", 7], "n": 1, "b": true, "null": null, "o": {},
            "empty": "", "deep": {"groups": ["ds"], "list": [{"a": "ds"}], "nested": [["ds"]]},
        });
        let Value::Object(claims) = claims else { panic!() };
        for (path, value, fits) in [
            ("[group]", "ds", true),
            ("[group]", "d*", true),
            ("[group]", "*s", true),
            ("[group]", "*", true),
            ("[group]", "x", false),
            ("[groups]", "ds", true),
            ("[groups]", "7", false),
            ("[n]", "1", false),
            ("[n]", "*", false),
            ("[b]", "true", false),
            ("[null]", "*", false),
            ("[o]", "*", false),
            ("[empty]", "*", false),
            ("[absent]", "*", false),
            ("[deep][groups]", "ds", true),
            ("[deep][list][a]", "ds", false),
            ("[deep][nested]", "ds", false),
            ("[group][x]", "ds", false),
        ] {
            let values = Values::new([StringMatch::new(value)]);
            let found = claim_matches(&claims, &claim_path(path).unwrap(), &values, Star::Text);
            assert_eq!(found, fits, "{path} {value}");
        }
    }
}
