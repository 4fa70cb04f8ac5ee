//! Friendly addresses: the first rule that matches gives the path, the authority and the headers that
//! go upstream.
//!
//! A pattern's own text matches escapes of it as well (`%3A` is a `:`), and what a variable catches goes
//! on as the client wrote it. Hosts are compared in lower case and without port.

use crate::config::types;
use crate::config::{Errors, Path};
use crate::header::is_same;
use crate::matcher::StringMatch;
use crate::path::pattern::{Captures, Pattern};
use crate::path::rewritten;
use crate::path::template::Template;
use crate::refusal::Refusal;
use crate::request::{Edits, Header, Request};
use crate::routing::host::{Host, Hosts};
use crate::routing::{Location, NewAddress, Reaches, Targets, names};

mod compile;
mod explain;
#[cfg(test)]
mod tests;

pub use explain::RewriteView;

const AUTHORITY: Refusal = Refusal::new("the rewritten authority is not a host");

/// The rules.
#[derive(Debug)]
pub struct Rewrites {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    methods: Vec<StringMatch>,
    hosts: Hosts,
    headers: Vec<(Vec<u8>, StringMatch)>,
    path: Option<Template>,
    authority: Option<Template>,
    set: Vec<(Vec<u8>, Template)>,
    remove: Vec<Vec<u8>>,
    reach: Reach,
}

/// [`Reaches`], before the variables are known.
#[derive(Debug)]
enum Reach {
    NewAddress,
    Incoming,
    Own { namespace: Template, model: Template },
}

/// What a rule makes of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The new `:path`, without the query, which stays; absent: unchanged.
    pub path: Option<Vec<u8>>,
    /// The new `:authority`; absent: unchanged.
    pub authority: Option<Vec<u8>>,
    /// Whether the new authority holds what a client wrote.
    pub caught_host: bool,
    /// Headers to set and to remove. To be carried out after the sanitizer's.
    pub edits: Edits,
    /// What is reached: [`Targets::resolve_rewritten`] finds it.
    pub reaches: Reaches,
}

impl std::fmt::Debug for Rewritten {
    /// Never shows what the client sent: a query may carry a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewritten").finish_non_exhaustive()
    }
}

impl Rewrites {
    /// Compiles the rules at `path`; `None` after at least one error was recorded. Without targets, of which the
    /// errors are recorded elsewhere, it is not told which rules name an address themselves.
    pub fn compile(
        settings: &[types::Rewrite],
        targets: Option<&Targets>,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        errors.scope(|errors| {
            let names = settings.iter().map(|rule| rule.name.as_str());
            errors.duplicate(path, Some("name"), names, "a name of its own");
            let mut rules = Vec::with_capacity(settings.len());
            for (i, rule) in settings.iter().enumerate() {
                rules.extend(compile::rule(rule, targets, &path.index(i), errors));
            }
            Self { rules }
        })
    }

    /// Whether a rule is chosen by other headers than those of the address.
    pub fn read_headers(&self) -> bool {
        self.rules.iter().any(|rule| !rule.headers.is_empty())
    }

    /// Rules that never apply, each with an earlier one that takes all that it could take. Each is compared with a
    /// bounded number of those before it.
    pub(crate) fn hidden(&self) -> Vec<(usize, usize)> {
        const LOOK_BACK: usize = 64;
        let mut hidden = Vec::new();
        for (i, rule) in self.rules.iter().enumerate() {
            let before = self.rules.iter().enumerate().take(i).skip(i.saturating_sub(LOOK_BACK));
            let wide = before.into_iter().find(|(_, wide)| wide.covers(rule));
            hidden.extend(wide.map(|(j, _)| (i, j)));
        }
        hidden
    }

    /// What the first rule that matches makes of the request. Nothing is written yet.
    pub fn choose(
        &self,
        request: &Request<'_>,
        host: &Host<'_>,
    ) -> Result<Option<Rewritten>, Refusal> {
        if self.rules.is_empty() {
            return Ok(None);
        }
        let path = request.path_only();
        let found = self.rules.iter().find_map(|rule| {
            let captures = rule.pattern.captures(path)?;
            let fits = rule.hosts.matches(host) && rule.matches(request);
            fits.then_some((rule, captures))
        });
        found.map(|(rule, captures)| rule.apply(&captures)).transpose()
    }
}

impl Rule {
    /// Whether it matches all that another could match. Hosts and headers of its own are taken for a limit.
    fn covers(&self, other: &Rule) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|m| self.methods.contains(m)));
        methods
            && self.hosts.is_empty()
            && self.headers.is_empty()
            && self.pattern.covers(&other.pattern)
    }

    fn has_method(&self, request: &Request<'_>) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|m| m.matches(request.method))
    }

    fn matches(&self, request: &Request<'_>) -> bool {
        self.has_method(request)
            && self.headers.iter().all(|(name, value)| {
                request
                    .lines(name)
                    .any(|line| *value == StringMatch::Present || value.matches(line))
            })
    }

    fn apply(&self, captures: &Captures<'_, '_>) -> Result<Rewritten, Refusal> {
        let expand = |template: &Template| {
            // Every variable was checked when the rule was compiled.
            let value = template.expand(|name| {
                captures.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
            });
            let value = value.unwrap_or_default();
            let control = value.iter().any(u8::is_ascii_control);
            if control { Err(rewritten::CONTROL) } else { Ok(value) }
        };
        let path = match &self.path {
            Some(template) => {
                let path = expand(template)?;
                rewritten::check(&path)?;
                Some(path)
            }
            None => None,
        };
        let authority = self.authority.as_ref().map(&expand).transpose()?;
        if let (Some(template), Some(authority)) = (&self.authority, &authority) {
            // A colon or a bracket in captured text would make what the operator wrote behind it a port.
            let label = |c: &u8| c.is_ascii_alphanumeric() || b"-._~".contains(c);
            let host = |c: &u8| label(c) || b":[]".contains(c);
            let are_labels = template.variables().all(|name| {
                let mut captured = captures.iter().filter(|(known, _)| *known == name);
                captured.all(|(_, value)| value.iter().all(label))
            });
            if authority.is_empty() || !are_labels || !authority.iter().all(host) {
                return Err(AUTHORITY);
            }
        }
        let mut edits = Edits::default();
        for name in &self.remove {
            edits.remove(name);
        }
        for (name, template) in &self.set {
            edits.set(name, expand(template)?);
        }
        let reaches = match &self.reach {
            Reach::NewAddress => Reaches::NewAddress,
            Reach::Incoming => Reaches::Incoming,
            Reach::Own { namespace, model } => {
                let (namespace, model) = (expand(namespace)?, expand(model)?);
                let id = format!("{}/{}", names::name(&namespace)?, names::name(&model)?);
                Reaches::Named { id: id.into() }
            }
        };
        let caught_host = self.authority.as_ref().is_some_and(|a| a.variables().next().is_some());
        Ok(Rewritten { path, authority, caught_host, edits, reaches })
    }
}

impl Rewritten {
    /// Where the rewritten request goes: new path and authority, headers after the rule's edits.
    /// `host` is that of the incoming request.
    pub fn new_address<'s>(
        &'s self,
        request: &Request<'s>,
        host: &Host<'s>,
    ) -> Result<NewAddress<'s>, Refusal> {
        let path = self.path.as_deref().unwrap_or(request.path);
        let host = match &self.authority {
            Some(authority) => Host::new(Some(authority))?,
            None => host.clone(),
        };
        Ok(NewAddress {
            at: Location::new(request.method, path, host, self.headers(request)),
            reaches: &self.reaches,
            own_host: self.authority.is_some() && !self.caught_host,
            sets_model: self.edits.added().any(|(set, _)| set == b"seldon-model"),
        })
    }

    /// Whether the rule takes off a header of this name: in every spelling that servers take for the one it says.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.edits.removed().any(|removed| is_same(name, removed))
    }

    /// The header lines after the rule's edits. Pseudo-headers are those of the incoming request.
    pub fn headers<'s>(
        &'s self,
        request: &Request<'s>,
    ) -> impl Iterator<Item = Header<'s>> + use<'s> {
        let kept = request.headers().iter().copied();
        kept.filter(|(name, _)| !self.removes(name)).chain(self.edits.added())
    }
}
