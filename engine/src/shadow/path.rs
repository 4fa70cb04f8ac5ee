//! The path of a copy: the one that goes upstream, or one of its own; of the query what is to be kept.

use percent_encoding::percent_decode;

use crate::routing::Model;

/// A path over the variables `{namespace}`, `{model}` and `{predictor}`.
#[derive(Debug, PartialEq)]
pub struct Template(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Literal(Box<str>),
    Namespace,
    Model,
    Predictor,
}

impl Template {
    /// Reads a template, or says what is wrong with it.
    ///
    /// # Errors
    /// What is wrong, for the author.
    pub fn compile(text: &str) -> Result<Self, &'static str> {
        if !text.starts_with('/') {
            return Err("does not begin with /");
        }
        if text.bytes().any(|c| !c.is_ascii_graphic() || c == b'#') {
            return Err("holds a character that a path cannot hold");
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (name, tail) = tail.split_once('}').ok_or("has a { without }")?;
            parts.push(Part::Literal(literal.into()));
            parts.push(match name {
                "namespace" => Part::Namespace,
                "model" => Part::Model,
                "predictor" => Part::Predictor,
                _ => return Err("has an unknown variable"),
            });
            rest = tail;
        }
        parts.push(Part::Literal(rest.into()));
        let stray = |p: &Part| matches!(p, Part::Literal(text) if text.contains('}'));
        if parts.iter().any(stray) { Err("has a } without {") } else { Ok(Self(parts)) }
    }

    /// Whether it names the predictor, which not every address does.
    pub fn needs_predictor(&self) -> bool {
        self.0.contains(&Part::Predictor)
    }

    /// The path for this model; `None` where it needs a predictor and the address names none.
    fn expand(&self, model: &Model) -> Option<Vec<u8>> {
        let mut path = Vec::new();
        for part in &self.0 {
            let text = match part {
                Part::Literal(text) => text,
                Part::Namespace => model.namespace(),
                Part::Model => model.name(),
                Part::Predictor => model.predictor.as_deref()?,
            };
            path.extend_from_slice(text.as_bytes());
        }
        Some(path)
    }
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
    let upstream = upstream.split(|c| *c == b'#').next().unwrap_or_default();
    let mut parts = upstream.splitn(2, |c| *c == b'?');
    let target = parts.next().unwrap_or_default();
    let mut path = match template {
        Some(template) => template.expand(model)?,
        None => target.to_vec(),
    };
    if path.contains(&b'?') {
        return Some(path);
    }
    let is_kept = |pair: &&[u8]| {
        let name = pair.split(|c| *c == b'=').next().unwrap_or_default();
        keep.iter().any(|n| percent_decode(name).eq(n.iter().copied()))
    };
    let query = parts.next().filter(|_| !keep.is_empty()).unwrap_or_default();
    for (i, pair) in query.split(|c| *c == b'&').filter(is_kept).enumerate() {
        path.push(if i == 0 { b'?' } else { b'&' });
        path.extend_from_slice(pair);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(template: Option<&str>, upstream: &str, names: &[&str]) -> Option<String> {
        let template = template.map(|t| Template::compile(t).unwrap());
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
            ("/{name}", "has an unknown variable"),
            ("/{model", "has a { without }"),
            ("/model}", "has a } without {"),
        ] {
            assert_eq!(Template::compile(text), Err(what), "{text}");
        }
    }
}
