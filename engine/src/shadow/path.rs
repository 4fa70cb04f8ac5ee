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

/// Last segments of the paths at which Seldon's wrapper takes the payload from the parameter [`PAYLOAD`] instead of the
/// body, by any method.
const WRAPPED: [&[u8]; 9] = [
    b"predictions",
    b"predict",
    b"transform-input",
    b"transform-output",
    b"route",
    b"aggregate",
    b"send-feedback",
    b"feedback",
    b"explain",
];

/// The parameter of a payload.
pub(super) const PAYLOAD: &str = "json";

/// The path of a copy, with these parameters of the upstream path's query, unless the template has a
/// query of its own; `None` where it cannot be had. With `payload` also the one that holds the payload,
/// where it does. Names are compared decoded, as Envoy decodes them where it looks for tokens.
pub fn of_copy(
    template: Option<&Template>,
    model: &Model,
    upstream: &[u8],
    keep: &[Box<[u8]>],
    payload: bool,
) -> Option<Vec<u8>> {
    let path = match template {
        Some(template) => template.expand(|name| match name {
            "namespace" => Some(model.namespace().as_bytes()),
            "model" => Some(model.name().as_bytes()),
            _ => model.predictor.as_deref().map(str::as_bytes),
        })?,
        None => without_query(upstream).to_vec(),
    };
    let tail = without_query(upstream).rsplit(|c| *c == b'/').next();
    let payload = payload && tail.is_some_and(|tail| WRAPPED.contains(&tail));
    if keep.is_empty() && !payload || path.contains(&b'?') {
        return Some(path);
    }
    let own = payload.then_some(PAYLOAD.as_bytes());
    let is_kept = |name: &[u8]| {
        let mut kept = keep.iter().map(|n| &**n).chain(own);
        kept.any(|n| decode_lenient(name).eq(n.iter().copied()))
    };
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
        let path = of_copy(template.as_ref(), &model, upstream.as_bytes(), &names, true)?;
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
            ("/p?a=1;b=2&a=1;token=x&b", "/p?a=1;b=2&b"),
        ] {
            let kept = of(None, upstream, &["a", "b"]);
            assert_eq!(kept.as_deref(), Some(expected), "{upstream}");
            let path = upstream.split('?').next();
            assert_eq!(of(None, upstream, &[]).as_deref(), path, "{upstream}");
        }
    }

    #[test]
    fn the_payload_of_seldons_wrapper_is_carried() {
        for (template, upstream, expected) in [
            (None, "/predict?json=%7B%7D&t=x", "/predict?json=%7B%7D"),
            (None, "/api/v0.1/predictions?t=x&js%6Fn=1", "/api/v0.1/predictions?js%6Fn=1"),
            (None, "/transform-input?json=1#x", "/transform-input?json=1"),
            (None, "/predict?x=1", "/predict"),
            (None, "/predict?json=1;token=x", "/predict"),
            (None, "/v2/models/m/infer?json=1", "/v2/models/m/infer"),
            (None, "/predict/?json=1", "/predict/"),
            (Some("/p"), "/predict?json=1", "/p?json=1"),
            (Some("/p?a"), "/predict?json=1", "/p?a"),
        ] {
            assert_eq!(of(template, upstream, &[]).as_deref(), Some(expected), "{upstream}");
        }
        assert_eq!(of(None, "/predict?json=1&a=2", &["a"]).as_deref(), Some("/predict?json=1&a=2"));
        let model = Model { id: "prod/iris".into(), predictor: None };
        let path = of_copy(None, &model, b"/predict?json=1", &[], false);
        assert_eq!(path.as_deref(), Some(&b"/predict"[..]), "where it is a credential");
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
