//! Header classes: what headers mean to others than the model, in one table, which everything asks that guards a header.
//!
//! Where two rows differ, the reason stands above them; what has none is in every class that a setting or
//! a client could misuse.

/// Classes of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classes(u16);

impl Classes {
    /// Frames the message, or belongs to one connection: no rewrite touches it, no credential travels in it.
    pub const FRAMES: Self = Self(1);
    /// Selects the model.
    pub const ROUTES: Self = Self(1 << 1);
    /// Only the gateway sets it: clients' own goes.
    pub const GATEWAY: Self = Self(1 << 2);
    /// Only the proxy says this: no rewrite sets it.
    pub const PROXY: Self = Self(1 << 3);
    /// No setting makes the gateway write it with a claim or a variant, which would choose the model, or
    /// frame the request, after the caller was authorized. A client's own stays where a rewrite sets it.
    pub const RESERVED: Self = Self(1 << 4);
    /// Servers take its word for who calls, how, and for which address: a rewrite sets it with the
    /// operator's own text alone.
    pub const TRUSTED: Self = Self(1 << 5);
    /// Not to be had as a trailer (RFC 9110 §6.5.1): servers merge trailers into the headers.
    pub const NO_TRAILER: Self = Self(1 << 6);
    /// Clients say it about themselves or about the answer that they can read, whatever a rewrite says in
    /// its stead on another address.
    pub const CLIENT: Self = Self(1 << 7);
    /// Has a meaning of its own, so that a claim or a token in it is taken for something else.
    pub const MEANING: Self = Self(1 << 8);
    /// A copy carries it by itself. All else stays with the live model, unless `headers.keep` names it:
    /// nobody knows every header by which credentials travel.
    pub const CARRIED: Self = Self(1 << 9);
    /// No copy carries it, whatever the settings say: credentials and identities of the caller, of peers and
    /// of this proxy; addresses, of which a query may carry a token; what is set anew for the copy.
    pub const NOT_COPIED: Self = Self(1 << 10);

    /// Those of both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is in one of these.
    pub fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    /// Of a name that is folded: in lower case, with `-` for `_`.
    pub fn of(folded: &[u8]) -> Self {
        let row = TABLE.iter().find(|(name, _)| match name.strip_suffix('*') {
            Some(start) => folded.starts_with(start.as_bytes()),
            None => folded == name.as_bytes(),
        });
        match row {
            // As proxies that log people in write who calls: `x-forwarded-user`.
            Some((name, Self(classes))) if name.ends_with('*') && is_of_callers(folded) => {
                Self(classes & !Self::MEANING.0)
            }
            Some((_, classes)) => *classes,
            None => Self(0),
        }
    }
}

/// Whether a name ends like one that says who calls.
fn is_of_callers(folded: &[u8]) -> bool {
    let ends = ["user", "email", "groups", "username", "token"];
    ends.iter().any(|end| folded.ends_with(end.as_bytes()))
}

/// The names of the gateway's headers, and the starts of names, which end with `*`.
pub fn of_gateway() -> impl Iterator<Item = &'static str> {
    let rows = TABLE.iter().filter(|(_, classes)| classes.any(Classes::GATEWAY));
    rows.map(|(name, _)| *name)
}

const FRAMES: Classes =
    C::FRAMES.or(C::RESERVED).or(C::NO_TRAILER).or(C::NOT_COPIED).or(C::MEANING);
const ROUTES: Classes = C::ROUTES.or(C::RESERVED).or(C::NO_TRAILER).or(C::CARRIED);
const GATEWAY: Classes = C::GATEWAY.or(C::TRUSTED).or(C::NO_TRAILER);
const PICKED: Classes = GATEWAY.or(C::RESERVED).or(C::NOT_COPIED);
const CREDENTIAL: Classes = C::TRUSTED.or(C::NO_TRAILER).or(C::NOT_COPIED);
/// What is said of the request in a header's stead.
const SAID: Classes = C::TRUSTED.or(C::NO_TRAILER).or(C::MEANING);
const ADDRESS: Classes = SAID.or(C::NOT_COPIED);
const BODY: Classes = C::NO_TRAILER.or(C::MEANING);

use Classes as C;

/// Names and starts of names (`*`), folded. The first that fits says it.
const TABLE: &[(&str, Classes)] = &[
    // RFC 9110 §7.6.1 and §6.6, RFC 9113 §8.2.2, RFC 7540 §3.2.1.
    ("connection", FRAMES),
    ("content-length", FRAMES),
    ("host", FRAMES),
    ("http2-settings", FRAMES),
    ("keep-alive", FRAMES),
    ("proxy-connection", FRAMES),
    ("te", FRAMES),
    ("trailer", FRAMES),
    ("transfer-encoding", FRAMES),
    ("upgrade", FRAMES),
    (":*", C::NO_TRAILER.or(C::NOT_COPIED)),
    // A rewrite may take the model from the path: what these select then is checked where addresses are.
    // Nothing checks what an experiment's route selects.
    ("namespace", ROUTES),
    ("seldon", ROUTES),
    ("seldon-model", ROUTES),
    ("x-gateway-base-model-name", ROUTES),
    ("x-gateway-model-name", ROUTES),
    ("x-seldon-route", ROUTES.or(C::TRUSTED)),
    ("seldon-internal-model", GATEWAY.or(C::RESERVED)),
    // What llm-d's endpoint picker says to the proxy and to servers' sidecars, and asks for another model than the
    // body's, which it believes whoever sends it.
    ("x-data-parallel-host-port", PICKED),
    ("x-encoder-hosts-ports", PICKED),
    ("x-gateway-destination-endpoint", PICKED),
    ("x-gateway-model-name-rewrite", PICKED),
    ("x-kv-cache-source-host-port", PICKED),
    ("x-llm-d-model-name-rewrite", PICKED),
    ("x-prefiller-host-port", PICKED),
    // Before 0.4 of the sidecar, as KServe 0.16 has it.
    ("x-prefiller-url", PICKED),
    // A claim may be written to these: who calls, and what servers log.
    ("seldon-core-user", GATEWAY),
    ("seldon-logging", GATEWAY),
    ("kserve-isvc-*", GATEWAY),
    ("x-modelgate-shadow", GATEWAY.or(C::NOT_COPIED)),
    ("x-modelgate-*", GATEWAY),
    // A client's own identifier, which Seldon's servers answer under.
    ("seldon-puid", C::CLIENT.or(C::CARRIED)),
    ("authorization", CREDENTIAL),
    ("proxy-authenticate", CREDENTIAL),
    ("proxy-authorization", CREDENTIAL),
    // A cookie for claims would replace all others.
    ("cookie", CREDENTIAL.or(C::RESERVED)),
    ("x-envoy-*", CREDENTIAL.or(C::PROXY).or(C::RESERVED)),
    ("x-forwarded-client-cert", CREDENTIAL.or(C::PROXY).or(C::RESERVED).or(C::MEANING)),
    ("x-forwarded-for", SAID.or(C::PROXY).or(C::RESERVED)),
    ("x-forwarded-host", SAID.or(C::RESERVED)),
    ("x-forwarded-proto", SAID.or(C::RESERVED)),
    // By it the logs of both models can be joined.
    ("x-request-id", C::TRUSTED.or(C::NO_TRAILER).or(C::RESERVED).or(C::CARRIED)),
    // The address that a client asked another proxy for; `referer` is no word of a proxy's.
    ("x-forwarded-path", ADDRESS),
    ("x-forwarded-uri", ADDRESS),
    ("x-forwarded-url", ADDRESS),
    ("x-original-path", ADDRESS),
    ("x-original-uri", ADDRESS),
    ("x-original-url", ADDRESS),
    ("x-rewrite-url", ADDRESS),
    ("referer", C::NOT_COPIED),
    ("forwarded", SAID),
    ("true-client-ip", SAID),
    // Where links begin: whoever takes a prefix off writes it here, variables and all.
    ("x-forwarded-prefix", BODY),
    ("x-forwarded-*", SAID),
    ("x-http-method*", SAID),
    ("x-method-override", SAID),
    ("x-original-*", SAID),
    ("x-real-ip", SAID),
    // What the body is. A digest is known at its end only, and may be a trailer (RFC 9530 §2).
    ("content-digest", C::MEANING),
    ("content-encoding", BODY.or(C::CARRIED)),
    ("content-language", BODY.or(C::CARRIED)),
    ("content-md5", C::MEANING),
    ("content-type", BODY.or(C::CARRIED).or(C::RESERVED)),
    ("content-*", BODY),
    // The length of the JSON before binary tensors (Open Inference, binary data extension).
    ("inference-header-content-length", BODY.or(C::CARRIED)),
    // What the answer may be. Copies say anew which codings theirs may have.
    ("accept", C::CLIENT.or(C::CARRIED)),
    ("accept-encoding", BODY.or(C::CLIENT).or(C::NOT_COPIED)),
    ("accept-language", C::CLIENT.or(C::CARRIED)),
    ("accept*", C::CLIENT),
    ("expect", BODY.or(C::NOT_COPIED)),
    ("range", BODY),
    ("user-agent", C::CLIENT),
    // gRPC over HTTP/2, "Requests".
    ("grpc-accept-encoding", C::NOT_COPIED),
    ("grpc-encoding", BODY.or(C::CARRIED)),
    ("grpc-timeout", BODY.or(C::CARRIED)),
    // The attributes that each CloudEvent has (its binding to HTTP, §3.1), which KServe reads.
    ("ce-id", C::CARRIED),
    ("ce-source", C::CARRIED),
    ("ce-specversion", C::CARRIED),
    ("ce-type", C::CARRIED),
    // By these traces can be joined: W3C Trace Context without its baggage, which may hold anything, and B3.
    ("b3", C::CARRIED),
    ("grpc-trace-bin", C::CARRIED),
    ("traceparent", C::CARRIED),
    ("tracestate", C::CARRIED),
    ("x-b3-flags", C::CARRIED),
    ("x-b3-parentspanid", C::CARRIED),
    ("x-b3-sampled", C::CARRIED),
    ("x-b3-spanid", C::CARRIED),
    ("x-b3-traceid", C::CARRIED),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::folded;
    use crate::routing::ROUTING_HEADERS;

    #[test]
    fn each_row_can_be_reached_and_is_folded() {
        for (i, (name, classes)) in TABLE.iter().enumerate() {
            assert_eq!(&*folded(name.as_bytes()), name.as_bytes());
            let example = name.replace('*', "x");
            let found = TABLE.iter().position(|(row, _)| match row.strip_suffix('*') {
                Some(start) => example.starts_with(start),
                None => example == *row,
            });
            assert_eq!(found, Some(i), "{name}");
            assert_eq!(Classes::of(example.as_bytes()), *classes, "{name}");
        }
        assert_eq!(Classes::of(b"x-user"), Classes(0));
        assert_eq!(Classes::of(b""), Classes(0));
    }

    #[test]
    fn what_routes_read_is_in_the_table() {
        let routes = TABLE.iter().filter(|(_, classes)| classes.any(Classes::ROUTES));
        let mut routes: Vec<_> = routes.map(|(name, _)| name.as_bytes()).collect();
        let mut read = ROUTING_HEADERS.to_vec();
        routes.sort_unstable();
        read.sort_unstable();
        assert_eq!(routes, read);
    }

    #[test]
    fn what_selects_frames_or_identifies_is_guarded_on_every_way() {
        for (name, classes) in TABLE {
            if classes.any(C::FRAMES.or(C::ROUTES).or(C::GATEWAY).or(C::PROXY).or(C::TRUSTED)) {
                assert!(classes.any(C::NO_TRAILER), "{name}");
            }
            if classes.any(C::FRAMES.or(C::ROUTES).or(C::PROXY)) {
                assert!(classes.any(C::RESERVED), "{name}");
            }
            if classes.any(C::GATEWAY.or(C::PROXY)) {
                assert!(classes.any(C::TRUSTED), "{name}");
            }
            assert!(!(classes.any(C::CARRIED) && classes.any(C::NOT_COPIED)), "{name}");
        }
    }

    #[test]
    fn who_calls_may_be_written_as_proxies_write_it() {
        for name in ["x-forwarded-user", "x-forwarded-email", "x-forwarded-access-token"] {
            let classes = Classes::of(name.as_bytes());
            assert!(!classes.any(C::MEANING) && classes.any(C::TRUSTED), "{name}");
        }
        assert!(Classes::of(b"x-forwarded-port").any(C::MEANING));
    }
}
