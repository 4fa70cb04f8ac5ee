//! One clause for people: the field as its author knows it, the values that it asks for, and what there was.

use super::super::clause::{Clause, Test};
use super::super::ip::Whose;
use super::super::models::Operations;
use super::super::peer::PeerMatch;
use super::super::values::Values;
use super::super::{Subject, claim};
use super::IsSecret;
use crate::path::without_query;
use crate::routing::Operation;

/// What a clause asks for, and what there was.
#[derive(Debug, Clone)]
pub struct ClauseView {
    /// Where it stands in its rule, as `to[0].operation.notPaths` or `when request.headers[x-team] notValues`.
    pub path: String,
    /// Whether none of the values may fit.
    pub negated: bool,
    /// The values. Those of a header that carries credentials are not shown.
    pub wanted: Vec<String>,
    /// What there was.
    pub had: Had,
    /// Whether it holds.
    pub holds: bool,
}

/// What a request had where a clause looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Had {
    /// These values; none where there is nothing.
    Values(Vec<String>),
    /// It cannot be had: then a clause holds in DENY and AUDIT, and nowhere else.
    Unknown,
    /// So many values that are not shown.
    Hidden(usize),
}

/// Where a list of clauses stands in a rule.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    From(usize),
    To(usize),
    When,
}

/// The clause as the request meets it.
pub(super) fn view(
    clause: &Clause,
    place: Place,
    subject: &Subject<'_>,
    undecided: bool,
    secret: IsSecret<'_>,
) -> ClauseView {
    let is_hidden = matches!(&clause.test, Test::Header(name, _) if secret(name));
    let had = match had(&clause.test, subject) {
        Some(values) if is_hidden => Had::Hidden(values.len()),
        Some(values) => Had::Values(values),
        None => Had::Unknown,
    };
    ClauseView {
        path: path(clause, place),
        negated: clause.negated,
        wanted: if is_hidden { Vec::new() } else { wanted(&clause.test) },
        had,
        holds: clause.matches(subject, undecided),
    }
}

/// Where the clause stands in its rule.
pub(super) fn path(clause: &Clause, place: Place) -> String {
    let named = |field: &str| match (clause.negated, field.split_at_checked(1)) {
        (true, Some((first, rest))) => format!("not{}{rest}", first.to_ascii_uppercase()),
        _ => field.to_owned(),
    };
    match place {
        Place::From(i) => format!("from[{i}].source.{}", named(field(&clause.test))),
        Place::To(i) => format!("to[{i}].operation.{}", named(field(&clause.test))),
        Place::When => {
            let values = if clause.negated { " notValues" } else { "" };
            format!("when {}{values}", key(&clause.test))
        }
    }
}

fn field(test: &Test) -> &'static str {
    match test {
        Test::Operations(_) => "operations",
        Test::Models(_) => "models",
        Test::Methods(_) => "methods",
        Test::Paths(..) => "paths",
        Test::Hosts(_) => "hosts",
        Test::RequestPrincipals(_) => "requestPrincipals",
        Test::Ports(_) => "ports",
        Test::Ip(Whose::Remote, _) => "remoteIpBlocks",
        Test::Ip(..) => "ipBlocks",
        Test::Peer(values) => peers(values).0,
        // These stand in `when` only.
        Test::Header(..) => "headers",
        Test::Claim(..) => "claims",
        Test::Sni(_) => "sni",
    }
}

/// The key of a condition.
fn key(test: &Test) -> String {
    match test {
        Test::Header(name, _) => format!("request.headers[{}]", text(name)),
        Test::Claim(names, _) => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            format!("request.auth.claims[{}]", names.join("]["))
        }
        Test::RequestPrincipals(_) => "request.auth.principal".to_owned(),
        Test::Ports(_) => "destination.port".to_owned(),
        Test::Sni(_) => "connection.sni".to_owned(),
        Test::Ip(Whose::Source(_), _) => "source.ip".to_owned(),
        Test::Ip(Whose::Remote, _) => "remote.ip".to_owned(),
        Test::Ip(Whose::Destination, _) => "destination.ip".to_owned(),
        Test::Peer(values) => peers(values).1.to_owned(),
        other => field(other).to_owned(),
    }
}

/// The field and the key of values that are compared with a peer's names. A trust domain is compared as the beginning of
/// an identity, and told by its having nothing behind it.
fn peers(values: &[PeerMatch]) -> (&'static str, &'static str) {
    let is_domain = |value: &PeerMatch| match value {
        PeerMatch::Prefix(v) => v.iter().filter(|c| **c == b'/').count() <= 3 && v.ends_with(b"/"),
        _ => false,
    };
    match values.first() {
        Some(PeerMatch::Namespace(_)) => ("namespaces", "source.namespace"),
        Some(PeerMatch::ServiceAccount(..)) => ("serviceAccounts", "source.serviceAccount"),
        Some(PeerMatch::TrustDomain(..)) => ("trustDomains", "source.trustDomain"),
        Some(_) if values.iter().any(|v| matches!(v, PeerMatch::TrustDomain(..))) => {
            ("trustDomains", "source.trustDomain")
        }
        Some(_) if values.iter().all(is_domain) => ("trustDomains", "source.trustDomain"),
        _ => ("principals", "source.principal"),
    }
}

fn wanted(test: &Test) -> Vec<String> {
    match test {
        Test::Operations(set) => operations(*set),
        Test::Models(models) => values(models.values()),
        Test::Paths(plain, templates) => {
            let templates = templates.iter().map(|template| template.to_string());
            values(plain).into_iter().chain(templates).collect()
        }
        Test::Methods(list)
        | Test::Hosts(list)
        | Test::Header(_, list)
        | Test::Claim(_, list)
        | Test::Sni(list) => values(list),
        Test::RequestPrincipals(list) => list.iter().map(|one| one.to_string()).collect(),
        Test::Ports(ports) => ports.iter().map(u16::to_string).collect(),
        Test::Ip(_, blocks) => blocks.iter().map(|block| block.to_string()).collect(),
        Test::Peer(list) => {
            let is_domain = peers(list).0 == "trustDomains";
            list.iter().map(|one| peer(one, is_domain)).collect()
        }
    }
}

/// What the request has where the test looks; `None` if it cannot be had.
fn had(test: &Test, subject: &Subject<'_>) -> Option<Vec<String>> {
    let request = subject.request;
    let attributes = request.attributes();
    let model = subject.address.and_then(|address| address.model.as_ref());
    let is_awaited = subject.address.is_some_and(|address| address.in_body.is_some());
    Some(match test {
        Test::Operations(_) => {
            subject.address.map(|a| a.operation.as_str().to_owned()).into_iter().collect()
        }
        Test::Models(_) if model.is_none() && is_awaited => return None,
        Test::Models(_) => model.map(|model| model.id.to_string()).into_iter().collect(),
        Test::Methods(_) => vec![text(request.method)],
        Test::Paths(..) => vec![text(request.path_only())],
        Test::Hosts(_) => request.authority.map(text).into_iter().collect(),
        // A query may carry a token.
        Test::Header(name, _) => {
            let is_path = **name == *b":path";
            let shown = |line| text(if is_path { without_query(line) } else { line });
            subject.edits.lines(request, name).map(shown).collect()
        }
        Test::RequestPrincipals(_) => subject
            .identity
            .map(|who| {
                let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".to_owned());
                format!("{}/{}", part(&who.issuer), part(&who.subject))
            })
            .into_iter()
            .collect(),
        Test::Claim(path, _) => subject
            .identity
            .and_then(|identity| claim::value_at(&identity.claims, path))
            .map(|value| value.to_string())
            .into_iter()
            .collect(),
        Test::Ports(_) => vec![attributes.destination_port()?.to_string()],
        Test::Ip(whose, _) => vec![whose.of(subject)?.to_string()],
        Test::Sni(_) => attributes.sni().map(text).into_iter().collect(),
        Test::Peer(_) => match attributes.peer() {
            None => Vec::new(),
            Some(peer) if !peer.all_known && peer.names().next().is_none() => return None,
            Some(peer) => peer.names().map(text).collect(),
        },
    })
}

fn values(values: &Values) -> Vec<String> {
    let any = values.has_any().then(|| "*".to_owned());
    let exact = values.exact().map(text);
    let patterns = values.patterns().iter().map(|pattern| pattern.to_string());
    any.into_iter().chain(exact).chain(patterns).collect()
}

fn operations(set: Operations) -> Vec<String> {
    if set == Operations::ALL {
        return vec!["*".to_owned()];
    }
    let words = Operation::WORDS.iter().filter_map(|word| Operation::from_word(word));
    words.filter(|one| set.contains(*one)).map(|one| one.as_str().to_owned()).collect()
}

/// Without the scheme, as Istio writes identities.
fn peer(value: &PeerMatch, is_domain: bool) -> String {
    let bare = |v: &[u8]| {
        let v = text(v);
        v.strip_prefix("spiffe://").map(str::to_owned).unwrap_or(v)
    };
    match value {
        PeerMatch::Any => "*".to_owned(),
        PeerMatch::Exact(v) => bare(v),
        PeerMatch::Prefix(v) if is_domain && bare(v).is_empty() => "*".to_owned(),
        PeerMatch::Prefix(v) if is_domain => bare(v).trim_end_matches('/').to_owned(),
        PeerMatch::Prefix(v) => format!("{}*", bare(v)),
        PeerMatch::Suffix(v) => format!("*{}", text(v)),
        PeerMatch::Namespace(pieces) => {
            let pieces: Vec<String> = pieces.iter().map(|piece| text(piece)).collect();
            let whole = pieces.join("*");
            whole.strip_prefix("/ns/").unwrap_or(&whole).trim_end_matches('/').to_owned()
        }
        PeerMatch::ServiceAccount(namespace, account) => {
            let (namespace, account) = (text(namespace), text(account));
            let namespace = namespace.trim_start_matches("/ns/").trim_end_matches('/');
            format!("{namespace}/{}", account.strip_prefix("sa/").unwrap_or(&account))
        }
        PeerMatch::TrustDomain(start, end) => format!("{}*{}", text(start), text(end)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
