//! From what an operator writes to splits, with every error at its path.

use super::{Cookie, Split, Splits, StickyBy, Variant};
use crate::authz::{Conditions, ModelNames, Models};
use crate::config::read::Read as _;
use crate::config::types::{self, SourceAddress};
use crate::config::{Errors, Path};
use crate::header::{Classes, folded, is_name};
use crate::place::Scale;
use crate::shadow::Credentials;

/// Headers that say something else than a variant.
const NOT_FOR_VARIANTS: Classes = Classes::RESERVED.or(Classes::NOT_COPIED).or(Classes::MEANING);

/// What the splits share with the rest of the configuration.
#[derive(Debug)]
pub struct Context<'a> {
    /// Where `source.ip` comes from.
    pub source_address: SourceAddress,
    /// What names models may have.
    pub names: ModelNames,
    /// Headers that authentication reads and writes.
    pub credentials: &'a Credentials,
    /// Cookies that carry tokens.
    pub cookies: Vec<&'a str>,
}

impl Splits {
    /// Compiles the splits at `path`; `None` after at least one error was recorded.
    pub fn compile(
        settings: &[types::Split],
        context: &Context<'_>,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        errors.scope(|errors| {
            let mut splits = Self::default();
            let names = settings.iter().map(|split| split.name.as_str());
            let fix = "a name of its own: it decides who goes where";
            errors.duplicate(path, Some("name"), names, fix);
            for (i, split) in settings.iter().enumerate() {
                let path = path.index(i);
                if split.name.is_empty() {
                    errors.add(&path.field("name"), "is empty", "a name of its own");
                }
                if let Some(split) = compile(split, context, &path, errors) {
                    splits.by_model.add(splits.list.len(), Some([&split.models]));
                    splits.list.push(split);
                }
            }
            splits
        })
    }
}

fn compile(
    settings: &types::Split,
    context: &Context<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<Split> {
    let models =
        Models::compile_some(&settings.models, context.names, &path.field("models"), errors);
    let header = header(&settings.header, context, &path.field("header"), errors);
    let when = path.field("when");
    let when = Conditions::compile(&settings.when, &when, context.source_address, errors);
    let sticky_by = sticky_by(settings, context, path, errors);
    let variants = variants(settings, &path.field("variants"), errors);
    let name = settings.name.as_str().into();
    Some(Split {
        name,
        models: models?,
        header: header?,
        when: when?,
        sticky_by: sticky_by?,
        variants,
    })
}

fn header(
    name: &str,
    context: &Context<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<Box<[u8]>> {
    let plain = folded(name.as_bytes());
    let is_one_of = |names: &[String]| names.iter().any(|n| folded(n.as_bytes()) == plain);
    let what = if !is_name(name) {
        "is not a name of a header"
    } else if Classes::of(&plain).any(NOT_FOR_VARIANTS) {
        "is not a header for variants"
    } else if is_one_of(&context.credentials.headers) {
        "carries credentials"
    } else if is_one_of(&context.credentials.identity) {
        "carries a claim"
    } else {
        return Some(name.to_ascii_lowercase().into_bytes().into());
    };
    errors.add_value(path, what, name, "a name of its own, as x-modelgate-variant");
    None
}

fn sticky_by(
    settings: &types::Split,
    context: &Context<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<StickyBy> {
    let place = path.field("stickyBy");
    let text = settings.sticky_by.as_str();
    let (kind, name) = text.split_once(':').unwrap_or((text, ""));
    let plain = folded(name.as_bytes());
    let (what, fix) = match (kind, name) {
        ("cookie", name) if is_name(name) && !context.cookies.contains(&name) => {
            let attributes = attributes(&settings.cookie, &path.field("cookie"), errors)?;
            let scale = Scale::new(&[&settings.name]);
            return Some(StickyBy::Cookie(Cookie { name: name.into(), attributes, scale }));
        }
        ("cookie", name) if is_name(name) => ("is a cookie for tokens", "a cookie of its own"),
        _ if Some(&settings.cookie) != types::SplitCookie::absent().as_ref() => {
            let fix = "leave it out, or write stickyBy: \"cookie:name\"";
            errors.add(&path.field("cookie"), "has no effect", fix);
            return None;
        }
        ("principal", _) if text == kind => return Some(StickyBy::Principal),
        ("none", _) if text == kind => return Some(StickyBy::Request),
        ("header", name) if !is_name(name) || plain.as_ref() == b"host" => {
            ("names no header", "header:name, as header:x-session")
        }
        ("header", _) if folded(settings.header.as_bytes()) == plain => {
            ("is the header that says the variant, which no client may set", "another header")
        }
        ("header", _)
            if context.credentials.headers.iter().any(|n| folded(n.as_bytes()) == plain) =>
        {
            ("carries credentials, which stay at the gateway", "principal")
        }
        ("header", name) => {
            return Some(StickyBy::Header(name.to_ascii_lowercase().into_bytes().into()));
        }
        ("cookie", _) => ("names no cookie", "cookie:name, as cookie:variant"),
        _ => ("is unknown", "one of principal, header:name, cookie:name, none"),
    };
    errors.add_value(&place, what, text, fix);
    None
}

/// Of RFC 6265 §4.1.1.
fn attributes(
    cookie: &types::SplitCookie,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<Box<str>> {
    let seconds = cookie.max_age.as_secs();
    if seconds == 0 {
        let fix = "a second at least, as 24h";
        errors.add(&path.field("maxAge"), "is less than a second", fix);
    }
    let plain = |c: u8| c.is_ascii_graphic() && c != b';';
    let is_path = cookie.path.starts_with('/') && cookie.path.bytes().all(plain);
    if !is_path {
        let fix = "a path as / or /models, without spaces and ;";
        errors.add_value(&path.field("path"), "is not a path", &cookie.path, fix);
    }
    let attributes = format!("; Max-Age={seconds}; Path={}; HttpOnly; SameSite=Lax", cookie.path);
    (seconds > 0 && is_path).then(|| attributes.into())
}

fn variants(settings: &types::Split, path: &Path<'_>, errors: &mut Errors) -> Vec<Variant> {
    if settings.variants.iter().all(|variant| variant.weight == 0) {
        let fix = "at least one variant with a weight above 0";
        errors.add(path, "get no request", fix);
    }
    let names = settings.variants.iter().map(|variant| variant.name.as_str());
    errors.duplicate(path, Some("name"), names, "a name of its own, with the weight of both");
    for (i, variant) in settings.variants.iter().enumerate() {
        let path = path.index(i);
        let place = path.field("name");
        if variant.name.is_empty() || !variant.name.bytes().all(|c| c.is_ascii_graphic()) {
            let fix = "letters, digits and -, as canary: it is the value of a header";
            errors.add_value(&place, "is not a variant's name", &variant.name, fix);
        }
    }
    let with_weight = settings.variants.iter().filter(|variant| variant.weight > 0);
    with_weight
        .map(|variant| Variant {
            name: variant.name.clone().into_bytes().into(),
            weight: variant.weight,
            scale: Scale::new(&[&settings.name, &variant.name]),
        })
        .collect()
}
