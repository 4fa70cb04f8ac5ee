//! The path of a copy: the one that goes upstream, or one of its own; of the query what is to be kept.

use crate::config::{Errors, Path};
use crate::path::escape::decode_lenient;
use crate::path::template::Template;
use crate::path::{query, without_fragment, without_query};
use crate::routing::Model;

const PREDICTOR: &str = "predictor";

/// Reads the template of a shadow's path; `None` after an error was recorded.
pub fn template(text: &str, path: &Path<'_>, errors: &mut Errors) -> Option<Template> {
    let fix = "a path over {namespace}, {model} and {predictor}";
    if !text.starts_with('/') {
        errors.add_value(path, "does not begin with /", text, fix);
    } else if text.bytes().any(|c| !c.is_ascii_graphic() || c == b'#') {
        errors.add_value(path, "holds a character that a path cannot hold", text, fix);
    } else {
        let template = Template::parse(text, path, errors)?;
        template.check(&["namespace", "model", PREDICTOR], path, errors);
        return Some(template);
    }
    None
}

/// Whether it names the predictor, which not every address does.
pub fn needs_predictor(template: &Template) -> bool {
    template.variables().any(|name| name == PREDICTOR)
}

/// The path of a copy, with these parameters of the upstream path's query, unless the template has a
/// query of its own; `None` where it cannot be had. Names are compared decoded, as Envoy decodes them
/// where it looks for tokens.
pub fn of_copy(
    template: Option<&Template>,
    model: &Model,
    upstream: &[u8],
    keep: &[Box<[u8]>],
) -> Option<Vec<u8>> {
    let path = match template {
        Some(template) => template.expand(|name| match name {
            "namespace" => Some(model.namespace().as_bytes()),
            "model" => Some(model.name().as_bytes()),
            _ => model.predictor.as_deref().map(str::as_bytes),
        })?,
        None => without_query(upstream).to_vec(),
    };
    if keep.is_empty() || path.contains(&b'?') {
        return Some(path);
    }
    let is_kept = |name: &[u8]| keep.iter().any(|n| decode_lenient(name).eq(n.iter().copied()));
    Some(query::carry(path, without_fragment(upstream), is_kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template_of(text: &str) -> Result<Template, String> {
        let mut errors = Errors::default();
        let template = template(text, &Path::ROOT, &mut errors);
        if errors.errors().is_empty() { Ok(template.unwrap()) } else { Err(errors.to_string()) }
    }

    fn of(template: Option<&str>, upstream: &str, names: &[&str]) -> Option<String> {
        let template = template.map(|t| template_of(t).unwrap());
        let names: Vec<Box<[u8]>> = names.iter().map(|n| n.as_bytes().into()).collect();
        let model = Model { id: "prod/iris".into(), predictor: None };
        let path = of_copy(template.as_ref(), &model, upstream.as_bytes(), &names)?;
        Some(String::from_utf8(path).unwrap())
    }

    #[test]
    fn of_the_query_only_what_is_kept() {
        for (upstream, expected) in [
            ("/p", "/p"),
            ("/p?", "/p"),
            ("/p?a=1&b=2", "/p?a=1&b=2"),
            ("/p?token=x", "/p"),
            ("/p?token=x&a=1", "/p?a=1"),
            ("/p?a=1&token=x&b=2&token=y&a=3", "/p?a=1&b=2&a=3"),
            ("/p?%61=x&a%", "/p?%61=x"),
            ("/p?c&a", "/p?a"),
            ("/p?A=x", "/p"),
            ("/p?a=1#b=x", "/p?a=1"),
            ("/p?a=1?token=x", "/p?a=1?token=x"),
            ("/p?&&a", "/p?a"),
        ] {
            let kept = of(None, upstream, &["a", "b"]);
            assert_eq!(kept.as_deref(), Some(expected), "{upstream}");
            let path = upstream.split('?').next();
            assert_eq!(of(None, upstream, &[]).as_deref(), path, "{upstream}");
        }
    }

    #[test]
    fn templates_name_the_model() {
        let all = "/seldon/{namespace}/{model}/api";
        assert_eq!(of(Some(all), "/x?a&t=1", &["a"]).as_deref(), Some("/seldon/prod/iris/api?a"));
        assert_eq!(of(Some("/p?raw"), "/x?a", &["a"]).as_deref(), Some("/p?raw"));
        assert_eq!(of(Some("/{predictor}"), "/x", &[]), None);
        for (text, what) in [
            ("p", "does not begin with /"),
            ("/a b", "holds a character that a path cannot hold"),
            ("/a#b", "holds a character that a path cannot hold"),
            ("/{name}", "uses an unknown variable"),
            ("/{model", "is not a template"),
            ("/model}", "is not a template"),
        ] {
            let error = template_of(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
