//! What a clause of a policy means at the gateway: the same, where the policy is the gateway's own; where it is that of a
//! model's pods, what they would have seen of a request that has come through the gateway.

use modelgate_engine::matcher::StringMatch;

/// Whose eyes a policy sees with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// The gateway's.
    Gateway,
    /// Those of a model's pods.
    Pods {
        /// What the route takes off paths before; none if that is not known.
        prefix: Option<String>,
        /// Who the gateway is to them.
        gateway: Option<String>,
        /// Whether they know who calls.
        tokens: Tokens,
        /// Headers that routes set or take off on the way, in lower case.
        changed: Vec<String>,
    },
}

/// What pods know of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// What the gateway knows.
    Same,
    /// Nothing: they check no tokens, or get none.
    Nobody,
    /// It depends on which of the pods it is.
    Unknown,
}

/// What becomes of a field and its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clause {
    /// It is the same with these.
    Keep(Vec<String>),
    /// It fits every request.
    Always,
    /// It fits none.
    Never,
    /// It cannot be had, for this reason.
    Unknown(String),
}

/// Why a peer cannot be compared.
const PEER: &str = "asks for the peer, which is the gateway for requests that come through it: say who that is with \
                    --gateway-principal";

/// Headers that a gateway sets or changes, so that pods see something else in them than the filter: these, and those that
/// begin so.
const CHANGED: [&str; 9] = [
    ":",
    "authorization",
    "forwarded",
    "host",
    "x-b3-",
    "x-envoy-",
    "x-forwarded-",
    "x-real-ip",
    "x-request-id",
];

impl View {
    /// What becomes of a positive field of a source or operation; a `not` field is the contrary of it.
    pub fn field(&self, name: &str, values: &[String], namespace: &str) -> Clause {
        let Self::Pods { prefix, gateway, tokens, .. } = self else {
            return match name {
                // Identities are compared without their scheme.
                "principals" => {
                    some(values.iter().filter(|v| !v.starts_with("spiffe://")).cloned())
                }
                _ => Clause::Keep(values.to_vec()),
            };
        };
        let gateway = gateway.as_deref();
        match name {
            "namespaces" if values.iter().any(|value| value.trim_matches('*').contains('*')) => {
                unknown("has a * within the name of a namespace")
            }
            "principals" | "serviceAccounts" | "trustDomains" | "namespaces" => match gateway {
                None => Clause::Unknown(PEER.to_owned()),
                Some(gateway) => {
                    let fits = |value: &String| is_peer(name, value, gateway, namespace);
                    constant(values.iter().any(fits))
                }
            },
            "requestPrincipals" => tokens.clause(values),
            "ipBlocks" => {
                unknown("asks for the peer's address, which is the gateway's own for the model")
            }
            "remoteIpBlocks" => unknown(
                "asks for the client's address as the model's pods find it, behind the gateway",
            ),
            "ports" => unknown("asks for the port at which the model's pods listen"),
            "hosts" if prefix.is_none() => unknown(
                "asks for the host that the model's pods see, and it is not known whether a route changes it",
            ),
            "paths" => match prefix {
                Some(prefix) => paths(values, prefix),
                None => unknown(
                    "asks for the path that the model's pods see, and it is not known what the route makes of it: a SeldonDeployment or its VirtualService beside this policy says it",
                ),
            },
            _ => Clause::Keep(values.to_vec()),
        }
    }

    /// What becomes of a condition's values, likewise.
    pub fn condition(&self, key: &str, values: &[String], namespace: &str) -> Clause {
        if key.starts_with("experimental.") {
            return unknown("asks for what other filters said, which this one cannot see");
        }
        let field = match key {
            "source.ip" => "ipBlocks",
            "remote.ip" => "remoteIpBlocks",
            "source.principal" => "principals",
            "source.namespace" => "namespaces",
            "source.serviceAccount" => "serviceAccounts",
            "source.trustDomain" => "trustDomains",
            "request.auth.principal" => "requestPrincipals",
            _ => "",
        };
        let Self::Pods { tokens, changed, .. } = self else {
            return self.field(field, values, namespace);
        };
        if !field.is_empty() {
            return self.field(field, values, namespace);
        }
        if key.starts_with("request.auth.") {
            return tokens.clause(values);
        }
        if let Some(header) = key.strip_prefix("request.headers[") {
            let header = header.trim_end_matches(']').to_ascii_lowercase();
            let is_changed = CHANGED.iter().any(|changed| header.starts_with(changed));
            if is_changed || changed.contains(&header) {
                return unknown("asks for a header that the gateway or a route sets or changes");
            }
            return Clause::Keep(values.to_vec());
        }
        unknown("asks for something of the connection between the gateway and the model")
    }
}

impl Tokens {
    fn clause(self, values: &[String]) -> Clause {
        match self {
            Self::Same => Clause::Keep(values.to_vec()),
            Self::Nobody => Clause::Never,
            Self::Unknown => unknown("asks for a token, and only some of these pods check them"),
        }
    }
}

fn unknown(reason: &str) -> Clause {
    Clause::Unknown(reason.to_owned())
}

fn constant(fits: bool) -> Clause {
    if fits { Clause::Always } else { Clause::Never }
}

fn some(values: impl Iterator<Item = String>) -> Clause {
    let values: Vec<String> = values.collect();
    if values.is_empty() { Clause::Never } else { Clause::Keep(values) }
}

/// Whether a value fits an identity, as Istio's matchers have it.
fn is_peer(field: &str, value: &str, identity: &str, namespace: &str) -> bool {
    let mut parts = identity.split('/');
    let domain = parts.next().unwrap_or_default();
    let (of, account) = (parts.nth(1).unwrap_or_default(), parts.nth(1).unwrap_or_default());
    match field {
        "trustDomains" => is_like(value, domain),
        "namespaces" => is_like(value, of),
        "serviceAccounts" => {
            let (wanted, name) = value.split_once('/').unwrap_or((namespace, value));
            wanted == of && name == account
        }
        _ => is_like(value, identity),
    }
}

fn is_like(value: &str, text: &str) -> bool {
    StringMatch::new(value).matches(text.as_bytes())
}

/// Paths as the gateway sees them that the pods see as these: behind the prefix, and those of gRPC as they are.
fn paths(values: &[String], prefix: &str) -> Clause {
    if prefix.is_empty() {
        return Clause::Keep(values.to_vec());
    }
    let mut made = Vec::new();
    for value in values {
        let is_template = value.contains("{*}") || value.contains("{**}");
        match StringMatch::new(value) {
            // Every path.
            StringMatch::Present => return Clause::Always,
            _ if value == "/*" => return Clause::Always,
            StringMatch::Suffix(_) => {
                let suffix = value.trim_start_matches('*');
                let spans = |(i, _): (usize, char)| {
                    suffix.split_at_checked(i).is_some_and(|(start, tail)| {
                        !start.is_empty() && prefix.ends_with(start) && tail.starts_with('/')
                    })
                };
                if suffix.char_indices().any(spans) || prefix.ends_with(suffix) {
                    return unknown(
                        "ends in a way that the gateway's path may have before the model's begins",
                    );
                }
                made.push(value.clone());
            }
            StringMatch::Prefix(_) if !is_template => {
                let start = value.trim_end_matches('*');
                if prefix.starts_with(start) || start.starts_with(prefix) {
                    return unknown("begins as the gateway's path does before the model's begins");
                }
                made.push(format!("{prefix}{value}"));
                made.push(value.clone());
            }
            _ => {
                made.push(format!("{prefix}{value}"));
                // What a template leaves open may be such a word.
                if is_template || is_grpc(value) {
                    made.push(value.clone());
                }
            }
        }
    }
    Clause::Keep(made)
}

/// Whether the route of gRPC that Seldon's operator makes takes a path: `.*tensorflow.*|.*seldon.protos.*|.*inference.*`.
fn is_grpc(path: &str) -> bool {
    let behind = |(at, word): (usize, &str)| {
        let rest = path.get(at.saturating_add(word.len())..).unwrap_or_default();
        let mut rest = rest.chars();
        rest.next().is_some() && rest.as_str().starts_with("protos")
    };
    ["tensorflow", "inference"].iter().any(|word| path.contains(word))
        || path.match_indices("seldon").any(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn pods() -> View {
        View::Pods {
            prefix: Some("/seldon/prod/iris".to_owned()),
            gateway: Some("cluster.local/ns/istio-system/sa/gateway".to_owned()),
            tokens: Tokens::Same,
            changed: vec!["x-tier".to_owned()],
        }
    }

    #[test]
    fn pods_see_the_gateway_and_the_end_of_a_path() {
        use Clause::{Always, Never};
        let keep = |values: &[&str]| Clause::Keep(texts(values));
        for (field, value, wanted) in [
            ("principals", "cluster.local/ns/istio-system/sa/gateway", Always),
            ("principals", "cluster.local/ns/istio-system/*", Always),
            ("principals", "*/sa/gateway", Always),
            ("principals", "cluster.local/ns/prod/sa/gateway", Never),
            ("serviceAccounts", "istio-system/gateway", Always),
            ("serviceAccounts", "gateway", Never),
            ("trustDomains", "cluster.local", Always),
            ("trustDomains", "other", Never),
            ("namespaces", "istio-system", Always),
            ("namespaces", "prod", Never),
            ("methods", "POST", keep(&["POST"])),
            ("hosts", "a", keep(&["a"])),
            ("paths", "*", Always),
            ("paths", "/*", Always),
            ("paths", "/api/v1.0/predictions", keep(&["/seldon/prod/iris/api/v1.0/predictions"])),
            ("paths", "/api/*", keep(&["/seldon/prod/iris/api/*", "/api/*"])),
            (
                "paths",
                "/inference.GRPCInferenceService/ModelInfer",
                keep(&[
                    "/seldon/prod/iris/inference.GRPCInferenceService/ModelInfer",
                    "/inference.GRPCInferenceService/ModelInfer",
                ]),
            ),
            (
                "paths",
                "/a/seldon/protos",
                keep(&["/seldon/prod/iris/a/seldon/protos", "/a/seldon/protos"]),
            ),
            ("paths", "/seldonprotos", keep(&["/seldon/prod/iris/seldonprotos"])),
            ("paths", "*/predictions", keep(&["*/predictions"])),
            (
                "paths",
                "/v1/{*}/predict",
                keep(&["/seldon/prod/iris/v1/{*}/predict", "/v1/{*}/predict"]),
            ),
            ("paths", "/{*}/{*}", keep(&["/seldon/prod/iris/{*}/{*}", "/{*}/{*}"])),
        ] {
            assert_eq!(pods().field(field, &texts(&[value]), "prod"), wanted, "{field} {value}");
        }
        for (field, value) in [
            ("ipBlocks", "10.0.0.0/8"),
            ("remoteIpBlocks", "10.0.0.0/8"),
            ("ports", "9000"),
            ("paths", "/s*"),
            ("paths", "/seldon/prod/iris/*"),
            ("paths", "*iris/ready"),
            ("paths", "*is"),
        ] {
            let clause = pods().field(field, &texts(&[value]), "prod");
            assert!(matches!(clause, Clause::Unknown(_)), "{field} {value}: {clause:?}");
        }
    }

    #[test]
    fn conditions_are_fields_by_another_name() {
        for (key, value, wanted) in [
            ("source.namespace", "istio-system", "Always"),
            ("source.principal", "x", "Never"),
            ("request.auth.claims[groups]", "x", "Keep"),
            ("request.auth.audiences", "x", "Keep"),
            ("request.headers[x-team]", "x", "Keep"),
            ("request.headers[Authorization]", "x", "Unknown"),
            ("request.headers[x-forwarded-for]", "x", "Unknown"),
            ("request.headers[X-Tier]", "x", "Unknown"),
            ("request.headers[:path]", "x", "Unknown"),
            ("source.ip", "10.0.0.0/8", "Unknown"),
            ("destination.port", "9000", "Unknown"),
            ("connection.sni", "x", "Unknown"),
            ("experimental.envoy.filters.a[b]", "x", "Unknown"),
        ] {
            let clause = format!("{:?}", pods().condition(key, &texts(&[value]), "prod"));
            assert!(clause.starts_with(wanted), "{key}: {clause}");
        }
        let gateway = View::Gateway.condition("source.ip", &texts(&["10.0.0.0/8"]), "x");
        assert_eq!(gateway, Clause::Keep(texts(&["10.0.0.0/8"])));
        let scheme = texts(&["spiffe://cluster.local/ns/a/sa/b"]);
        assert_eq!(View::Gateway.field("principals", &scheme, "x"), Clause::Never);
    }
}
