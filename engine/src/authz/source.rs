//! Istio's `Source`: who sends a request.

use super::clause::Clause;
use super::compile::{self, Clauses, Compiler, Purpose};
use super::ip::Whose;
use crate::config::Path;
use crate::config::types::Source;

pub(super) fn compile(
    source: &Source,
    path: &Path<'_>,
    c: &mut Compiler<'_, '_>,
) -> Option<Box<[Clause]>> {
    let mut clauses = Clauses::default();
    let peers = [
        ("principals", &*source.principals),
        ("notPrincipals", &*source.not_principals),
        ("namespaces", &*source.namespaces),
        ("notNamespaces", &*source.not_namespaces),
    ];
    let accounts = !source.service_accounts.is_empty() || !source.not_service_accounts.is_empty();
    for (name, values) in peers {
        if accounts && !values.is_empty() {
            let what = "stands beside serviceAccounts or notServiceAccounts";
            c.errors.add(&path.field(name), what, "one or the other, as in Istio");
            clauses.fail();
        }
    }
    let tokens = [
        ("requestPrincipals", &*source.request_principals),
        ("notRequestPrincipals", &*source.not_request_principals),
    ];
    for (name, values) in tokens {
        if c.purpose == Purpose::Bypass && !values.is_empty() {
            let what = "asks for a token, and a bypassed request is anonymous";
            let fix = "a policy that allows this caller, instead of a bypass";
            c.errors.add(&path.field(name), what, fix);
            clauses.fail();
        }
    }
    let [principals, not_principals, namespaces, not_namespaces] = peers;
    clauses.pair(c, path, [principals, not_principals], compile::principals);
    clauses.pair(c, path, [namespaces, not_namespaces], compile::namespaces);
    clauses.pair(
        c,
        path,
        [
            ("serviceAccounts", &source.service_accounts),
            ("notServiceAccounts", &source.not_service_accounts),
        ],
        compile::service_accounts,
    );
    let domains =
        [("trustDomains", &*source.trust_domains), ("notTrustDomains", &*source.not_trust_domains)];
    clauses.pair(c, path, domains, compile::trust_domains);
    clauses.pair(c, path, tokens, compile::request_principals);
    let whose = Whose::Source(c.source_address);
    let blocks = [("ipBlocks", &*source.ip_blocks), ("notIpBlocks", &*source.not_ip_blocks)];
    clauses.pair(c, path, blocks, |c, values, path| compile::addresses(c, values, path, whose));
    let blocks = [
        ("remoteIpBlocks", &*source.remote_ip_blocks),
        ("notRemoteIpBlocks", &*source.not_remote_ip_blocks),
    ];
    clauses.pair(c, path, blocks, |c, values, path| {
        compile::addresses(c, values, path, Whose::Remote)
    });
    if clauses.is_empty() {
        let fix = "at least one field; leave `from` out if anybody may call";
        c.errors.add(path, "names nobody", fix);
        return None;
    }
    clauses.finish()
}
