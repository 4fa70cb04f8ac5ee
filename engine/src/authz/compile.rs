//! What the fields of sources, operations and conditions have in common when they are compiled.

use super::clause::{Clause, Test, in_order};
use super::ip::{Whose, block, port};
use super::models::ModelNames;
use super::peer::PeerMatch;
use super::principal::RequestPrincipal;
use super::values::Values;
use crate::config::types::SourceAddress;
use crate::config::{Errors, Path, Warning};
use crate::matcher::StringMatch;
use crate::path::uri_template::Template;

/// Whose rules are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An ALLOW policy's.
    Allow,
    /// A DENY policy's.
    Deny,
    /// An AUDIT policy's.
    Audit,
    /// A bypass.
    Bypass,
    /// Conditions that select requests, as a shadow's.
    Select,
}

impl Purpose {
    /// What counts where an address cannot be had. What refuses must not miss, what opens must not
    /// guess; AUDIT rather counts too much than hides something.
    pub(super) fn undecided(self) -> bool {
        matches!(self, Self::Deny | Self::Audit)
    }

    /// Whether this field is laxer than Istio's where a certificate has more names than a filter sees.
    fn is_blind(self, negated: bool) -> bool {
        match self {
            Self::Deny => !negated,
            Self::Allow | Self::Bypass => negated,
            Self::Audit | Self::Select => false,
        }
    }
}

/// Collects what is wrong while rules are compiled.
#[derive(Debug)]
pub(super) struct Compiler<'c, 'e> {
    /// Resolves service accounts without a namespace; may be empty.
    pub(super) namespace: &'c str,
    pub(super) purpose: Purpose,
    pub(super) source_address: SourceAddress,
    pub(super) names: ModelNames,
    pub(super) errors: &'e mut Errors,
    warned_of_names: bool,
    warned_of_source: bool,
}

/// Turns the values of one field into a test; `None` after an error was recorded.
pub(super) type Make = fn(&mut Compiler<'_, '_>, &[String], &Path<'_>) -> Option<Test>;

impl<'e> Compiler<'_, 'e> {
    pub(super) fn new(source_address: SourceAddress, errors: &'e mut Errors) -> Self {
        Self {
            namespace: "",
            purpose: Purpose::Select,
            source_address,
            names: ModelNames::Objects,
            errors,
            warned_of_names: false,
            warned_of_source: false,
        }
    }

    /// Every value by itself, so that every error is reported; empty ones are refused.
    fn each<T>(
        &mut self,
        values: &[String],
        path: &Path<'_>,
        mut one: impl FnMut(&mut Self, &str, &Path<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = values
            .iter()
            .enumerate()
            .map(|(i, value)| {
                let path = path.index(i);
                if value.is_empty() {
                    self.errors.add(&path, "is empty", "a value, or * for any");
                    return None;
                }
                one(self, value, &path)
            })
            .collect();
        read.into_iter().collect()
    }

    fn strings(
        &mut self,
        values: &[String],
        path: &Path<'_>,
        read: fn(&str) -> StringMatch,
    ) -> Option<Values> {
        self.each(values, path, |_, value, _| Some(read(value))).map(Values::new)
    }

    /// A certificate may carry more names than a filter is shown.
    fn warn_of_names(&mut self, path: &Path<'_>) {
        if !std::mem::replace(&mut self.warned_of_names, true) {
            self.errors.warn(
                Warning::PeerNames,
                path,
                "sees no trust domain aliases, and of a client's certificate only the first URI name, \
                 the first DNS name and the subject where Envoy is older than 1.38 (said once, for \
                 every such field)",
                "keep a policy that refuses peers in Istio's own AuthorizationPolicy as well",
            );
        }
    }

    fn warn_of_source(&mut self, path: &Path<'_>) {
        if self.source_address == SourceAddress::Unavailable
            && !std::mem::replace(&mut self.warned_of_source, true)
        {
            self.errors.warn(
                Warning::SourceAddress,
                path,
                "asks for the peer's address, which sourceAddress UNAVAILABLE says cannot be had: it \
                 always matches in DENY and AUDIT, and never elsewhere (said once, for every such field)",
                "write remoteIpBlocks, or sourceAddress AUTO",
            );
        }
    }
}

/// Clauses under construction.
#[derive(Debug, Default)]
pub(super) struct Clauses {
    clauses: Vec<Clause>,
    failed: bool,
}

impl Clauses {
    /// Adds a field and its negation, where they are given.
    pub(super) fn pair(
        &mut self,
        compiler: &mut Compiler<'_, '_>,
        path: &Path<'_>,
        fields: [(&str, &[String]); 2],
        make: impl Fn(&mut Compiler<'_, '_>, &[String], &Path<'_>) -> Option<Test>,
    ) {
        for ((name, values), negated) in fields.into_iter().zip([false, true]) {
            if values.is_empty() {
                continue;
            }
            let path = path.field(name);
            let Some(test) = make(compiler, values, &path) else {
                self.failed = true;
                continue;
            };
            if matches!(test, Test::Peer(_)) && compiler.purpose.is_blind(negated) {
                compiler.warn_of_names(&path);
            }
            self.clauses.push(Clause { test, negated });
        }
    }

    /// Records that something was wrong.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether no field was given, right or wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.clauses.is_empty() && !self.failed
    }

    /// All clauses, unless something was wrong.
    pub(super) fn finish(self) -> Option<Box<[Clause]>> {
        (!self.failed).then(|| in_order(self.clauses))
    }
}

// === What the values of a field may be ===

pub(super) fn principals(
    c: &mut Compiler<'_, '_>,
    values: &[String],
    path: &Path<'_>,
) -> Option<Test> {
    let values = c.each(values, path, |c, value, path| {
        if value.starts_with("spiffe://") {
            let fix = "leave spiffe:// out, as Istio does";
            c.errors.add_value(path, "begins with its scheme", value, fix);
            return None;
        }
        Some(PeerMatch::principal(value))
    })?;
    Some(Test::Peer(values.into()))
}

pub(super) fn namespaces(
    c: &mut Compiler<'_, '_>,
    values: &[String],
    path: &Path<'_>,
) -> Option<Test> {
    let values = c.each(values, path, |_, value, _| Some(PeerMatch::namespace(value)))?;
    Some(Test::Peer(values.into()))
}

/// Istio 1.31: one `*` at either end, and no `/`.
pub(super) fn trust_domains(
    c: &mut Compiler<'_, '_>,
    values: &[String],
    path: &Path<'_>,
) -> Option<Test> {
    let values = c.each(values, path, |c, value, path| {
        let read = PeerMatch::trust_domain(value).filter(|_| !value.contains('/'));
        if read.is_none() {
            let fix = "as cluster.local, with a * at one end or alone; principals take the rest of an identity";
            c.errors.add_value(path, "is not a trust domain", value, fix);
        }
        read
    })?;
    Some(Test::Peer(values.into()))
}

/// Istio's limits: 16 values of at most 320 characters.
pub(super) fn service_accounts(
    c: &mut Compiler<'_, '_>,
    values: &[String],
    path: &Path<'_>,
) -> Option<Test> {
    if values.len() > 16 {
        c.errors.add_value(path, "has too many values", values.len(), "at most 16, as in Istio");
        return None;
    }
    let values = c.each(values, path, |c, value, path| {
        let (namespace, name) = value.split_once('/').unwrap_or((c.namespace, value));
        let (what, fix) = if value.len() > 320 {
            ("is too long", "at most 320 characters, as in Istio")
        } else if value.contains('*') {
            ("has a *", "name one service account; principals and namespaces take *")
        } else if name.is_empty() || name.contains('/') || value.starts_with('/') {
            ("is not a service account", "account or namespace/account")
        } else if namespace.is_empty() {
            ("has no namespace", "namespace/account, or a namespace for the policy")
        } else {
            return Some(PeerMatch::service_account(namespace, name));
        };
        c.errors.add_value(path, what, value, fix);
        None
    })?;
    Some(Test::Peer(values.into()))
}

pub(super) fn request_principals(
    c: &mut Compiler<'_, '_>,
    values: &[String],
    path: &Path<'_>,
) -> Option<Test> {
    let values = c.each(values, path, |c, value, path| {
        if let Some(surprise) = RequestPrincipal::surprise(value) {
            let fix = "issuer/subject, issuer/*, */subject, or *";
            c.errors.warn_value(Warning::PrincipalSplit, path, surprise, value, fix);
        }
        Some(RequestPrincipal::new(value))
    })?;
    Some(Test::RequestPrincipals(values.into()))
}

pub(super) fn addresses(
    c: &mut Compiler<'_, '_>,
    values: &[String],
    path: &Path<'_>,
    whose: Whose,
) -> Option<Test> {
    if matches!(whose, Whose::Source(_)) {
        c.warn_of_source(path);
    }
    let blocks = c.each(values, path, |c, value, path| {
        let block = block(value);
        if block.is_none() {
            let fix = "an address or a block, as 192.0.2.1 or 10.0.0.0/8";
            c.errors.add_value(path, "is no IP block", value, fix);
        }
        block
    })?;
    Some(Test::Ip(whose, blocks.into()))
}

pub(super) fn ports(c: &mut Compiler<'_, '_>, values: &[String], path: &Path<'_>) -> Option<Test> {
    let ports = c.each(values, path, |c, value, path| {
        let port = port(value);
        if port.is_none() {
            c.errors.add_value(path, "is not a port number", value, "a number from 0 to 65535");
        }
        port
    })?;
    Some(Test::Ports(ports.into()))
}

pub(super) fn hosts(c: &mut Compiler<'_, '_>, values: &[String], path: &Path<'_>) -> Option<Test> {
    c.strings(values, path, StringMatch::lower_case).map(Test::Hosts)
}

pub(super) fn methods(
    c: &mut Compiler<'_, '_>,
    values: &[String],
    path: &Path<'_>,
) -> Option<Test> {
    c.strings(values, path, StringMatch::new).map(Test::Methods)
}

pub(super) fn paths(c: &mut Compiler<'_, '_>, values: &[String], path: &Path<'_>) -> Option<Test> {
    let mut templates = Vec::new();
    let plain = c.each(values, path, |c, value, path| {
        if Template::is_template(value) {
            match Template::parse(value) {
                Ok(template) => templates.push(template),
                Err(error) => {
                    c.errors.add_value(
                        path,
                        error.as_str(),
                        value,
                        "as /v1/{*}/predict or /v1/{**}",
                    );
                    return None;
                }
            }
            return Some(None);
        }
        if value.contains(['{', '}']) {
            let fix = "{*} or {**} as a whole segment; no path holds a brace unencoded";
            c.errors.add_value(path, "has a { or } that is not a template", value, fix);
            return None;
        }
        if !value.starts_with(['/', '*']) || value.contains(['?', '#']) {
            let what = "never matches: a path begins with / and is compared without its query";
            let fix = "as /v1/models*, or request.headers[:path] in `when`";
            c.errors.warn_value(Warning::NeverMatches, path, what, value, fix);
        }
        Some(Some(StringMatch::new(value)))
    })?;
    Some(Test::Paths(Values::new(plain.into_iter().flatten()), templates.into()))
}

pub(super) fn sni(c: &mut Compiler<'_, '_>, values: &[String], path: &Path<'_>) -> Option<Test> {
    let values = c.each(values, path, |c, value, path| {
        if value.bytes().any(|b| b.is_ascii_uppercase()) {
            let what = "never matches: Envoy turns server names to lower case";
            let fix = "write it in lower case";
            c.errors.warn_value(Warning::NeverMatches, path, what, value, fix);
        }
        Some(StringMatch::new(value))
    })?;
    Some(Test::Sni(Values::new(values)))
}

pub(super) fn texts(
    c: &mut Compiler<'_, '_>,
    values: &[String],
    path: &Path<'_>,
) -> Option<Values> {
    c.strings(values, path, StringMatch::new)
}
