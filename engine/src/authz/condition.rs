//! Istio's `Condition`: an attribute by its name, in `when` lists of policies, splits and shadows.

use super::Subject;
use super::claim::claim_path;
use super::clause::{self, Clause, Test};
use super::compile::{self, Clauses, Compiler, Make, Purpose};
use super::ip::Whose;
use crate::config::types::{Condition, SourceAddress};
use crate::config::{Errors, Path};
use crate::header::is_name;

/// A compiled `when` list. All of it must hold; an empty one always does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions(pub(super) Box<[Clause]>);

impl Conditions {
    /// Compiles the list at `path`; `None` after at least one error was recorded.
    ///
    /// There is not a namespace here, so `source.serviceAccount` needs `namespace/account`.
    pub fn compile(
        conditions: &[Condition],
        path: &Path<'_>,
        source_address: SourceAddress,
        errors: &mut Errors,
    ) -> Option<Self> {
        let mut compiler = Compiler::new(source_address, errors);
        compiler.purpose = Purpose::Select;
        compile(conditions, path, &mut compiler).map(Self)
    }

    /// Whether all conditions hold. One on an address that cannot be had does not.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        clause::all(&self.0, subject, Purpose::Select.undecided())
    }
}

const KEYS: &str = "source.ip, remote.ip, source.principal, source.namespace, \
    source.serviceAccount, source.trustDomain, request.auth.principal, request.auth.audiences, request.auth.presenter, \
    request.auth.claims[name], request.headers[name], destination.ip, destination.port, \
    or connection.sni";

/// Compiles a `when` list into clauses that must all match.
pub(super) fn compile(
    conditions: &[Condition],
    path: &Path<'_>,
    c: &mut Compiler<'_, '_>,
) -> Option<Box<[Clause]>> {
    let mut clauses = Clauses::default();
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        let attribute = attribute(&condition.key, &path.field("key"), c);
        if condition.values.is_empty() && condition.not_values.is_empty() {
            c.errors.add(&path, "has neither values nor notValues", "give at least one of them");
            clauses.fail();
        }
        let Some(attribute) = attribute else {
            clauses.fail();
            continue;
        };
        let fields = [("values", &*condition.values), ("notValues", &*condition.not_values)];
        clauses.pair(c, &path, fields, |c, values, path| attribute.test(values, path, c));
    }
    clauses.finish()
}

/// What a key names.
enum Attribute {
    /// Values that a source or an operation has as well.
    Field(Make),
    Ip(Whose),
    /// Name in lower case.
    Header(Box<[u8]>),
    Claim(Box<[Box<str>]>),
}

impl Attribute {
    fn test(&self, values: &[String], path: &Path<'_>, c: &mut Compiler<'_, '_>) -> Option<Test> {
        match self {
            Self::Field(make) => make(c, values, path),
            Self::Ip(whose) => compile::addresses(c, values, path, *whose),
            Self::Header(name) => {
                compile::texts(c, values, path).map(|values| Test::Header(name.clone(), values))
            }
            Self::Claim(claim) => {
                compile::texts(c, values, path).map(|values| Test::Claim(claim.clone(), values))
            }
        }
    }
}

fn attribute(key: &str, path: &Path<'_>, c: &mut Compiler<'_, '_>) -> Option<Attribute> {
    let claim = |name: &str| Attribute::Claim([name.into()].into());
    Some(match key {
        "source.ip" => Attribute::Ip(Whose::Source(c.source_address)),
        "remote.ip" => Attribute::Ip(Whose::Remote),
        "destination.ip" => Attribute::Ip(Whose::Destination),
        "source.principal" => Attribute::Field(compile::principals),
        "source.namespace" => Attribute::Field(compile::namespaces),
        "source.trustDomain" => Attribute::Field(compile::trust_domains),
        "source.serviceAccount" => Attribute::Field(compile::service_accounts),
        "request.auth.principal" => Attribute::Field(compile::request_principals),
        "request.auth.audiences" => claim("aud"),
        "request.auth.presenter" => claim("azp"),
        "destination.port" => Attribute::Field(compile::ports),
        "connection.sni" => Attribute::Field(compile::sni),
        _ => return bracketed(key, path, c),
    })
}

fn bracketed(key: &str, path: &Path<'_>, c: &mut Compiler<'_, '_>) -> Option<Attribute> {
    let (what, fix) = if let Some(brackets) = key.strip_prefix("request.auth.claims") {
        if let Some(claim) = claim_path(brackets) {
            return Some(Attribute::Claim(claim));
        }
        ("names no claim", "request.auth.claims[name], or [outer][inner]")
    } else if let Some(brackets) = key.strip_prefix("request.headers") {
        if let Some(name) = header_name(brackets) {
            return Some(Attribute::Header(name));
        }
        ("names no header", "request.headers[name]")
    } else if key.starts_with("experimental.envoy.filters.") {
        let fix = "keep this policy in Istio's own AuthorizationPolicy";
        ("asks for what other filters said, which is not supported by this version", fix)
    } else if key.starts_with("destination.") {
        ("is no longer a key of Istio's", "destination.ip or destination.port")
    } else {
        ("is not a key", KEYS)
    };
    c.errors.add_value(path, what, key, fix);
    None
}

/// The header in `[...]`, in lower case. Envoy keeps `host` as `:authority`.
fn header_name(brackets: &str) -> Option<Box<[u8]>> {
    let name = brackets.strip_prefix('[')?.strip_suffix(']')?.to_ascii_lowercase();
    if name == "host" {
        return Some(b":authority".as_slice().into());
    }
    let token = name.strip_prefix(':').unwrap_or(&name);
    is_name(token).then(|| name.into_bytes().into())
}
