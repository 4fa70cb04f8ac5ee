//! Where a request goes: whether it is excluded, what a rewrite makes of it, and its address. Where no
//! header but `:method`, `:authority` and `:path` has a say, a worker remembers.

use std::fmt;
use std::rc::Rc;

use super::Plan;
use crate::path::plain::Plain;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::rewrite::Rewritten;
use crate::routing::host::Host;
use crate::routing::{Address, InBody, Location, Model, ROUTING, is_named_in_body};
use crate::words::{hash, same};

const NOT_IN_BODY: Refusal =
    Refusal::new("models that bodies name are asked at the paths of OpenAI's API alone");

/// Where a request goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    /// To another application's host. Then nothing else is known.
    pub excluded: bool,
    /// What the first rewrite that fits makes of it.
    pub rewritten: Option<Rewritten>,
    /// Its address in a family's territory.
    pub address: Option<Address>,
}

/// Routes in memory, each in the one slot of its hash. Two requests that share one only take it from
/// each other.
const SLOTS: usize = 1024;

/// Longest method, authority and path together that are remembered: a worker takes 1.5 MiB at most, and
/// what the rewrites' own text adds to that.
const LONGEST: usize = 512;

/// Where requests before went.
pub(super) struct Routes(Vec<Option<Known>>);

struct Known {
    method: Box<[u8]>,
    authority: Option<Box<[u8]>>,
    /// Without the query.
    path: Box<[u8]>,
    route: Rc<Route>,
}

impl fmt::Debug for Routes {
    /// Never shows paths: they may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Routes {
    /// None yet. `remembers` says whether any may be: whether no header but those of the address has
    /// a say in a rewrite.
    pub(super) fn new(remembers: bool) -> Self {
        let slots = if remembers { SLOTS } else { 0 };
        Self(std::iter::repeat_with(|| None).take(slots).collect())
    }

    /// The slot of a request; `None` where a header has a say, or where it would take too much room.
    fn slot(&mut self, request: &Request<'_>) -> Option<&mut Option<Known>> {
        let (path, authority) = (request.path_only(), request.authority.unwrap_or_default());
        let length =
            path.len().saturating_add(authority.len()).saturating_add(request.method.len());
        if length > LONGEST || request.names().may_share(&ROUTING) {
            return None;
        }
        let hash = hash(path) ^ hash(authority).rotate_left(7) ^ hash(request.method);
        let slot = usize::try_from(hash % SLOTS as u64).ok()?;
        self.0.get_mut(slot)
    }
}

impl Known {
    fn is_of(&self, request: &Request<'_>) -> bool {
        same(&self.path, request.path_only())
            && same(&self.method, request.method)
            && match (&self.authority, request.authority) {
                (Some(known), Some(authority)) => same(known, authority),
                (None, None) => true,
                _ => false,
            }
    }
}

impl Plan {
    /// Where a request goes.
    pub(super) fn route(&self, request: &Request<'_>) -> Result<Rc<Route>, Refusal> {
        let mut routes = self.routes.try_borrow_mut().ok();
        let Some(slot) = routes.as_mut().and_then(|routes| routes.slot(request)) else {
            return self.find_route(request).map(Rc::new);
        };
        if let Some(known) = slot.as_ref().filter(|known| known.is_of(request)) {
            return Ok(Rc::clone(&known.route));
        }
        let route = Rc::new(self.find_route(request)?);
        *slot = Some(Known {
            method: request.method.into(),
            authority: request.authority.map(Into::into),
            path: request.path_only().into(),
            route: Rc::clone(&route),
        });
        Ok(route)
    }

    pub(super) fn find_route(&self, request: &Request<'_>) -> Result<Route, Refusal> {
        // Before anything may let the request pass: what decides by the host must mean the host by which
        // Envoy routes.
        let host = Host::new(request.authority)?;
        if self.is_excluded(request, &host)? {
            return Ok(Route { excluded: true, ..Route::default() });
        }
        let rewritten = self.rewrites.choose(request, &host)?;
        let address = match &rewritten {
            Some(rewritten) => {
                let new = rewritten.new_address(request, &host)?;
                self.targets.resolve_rewritten(&new, request, &host)?
            }
            None => self.targets.resolve(&Location::of(request, &host))?,
        };
        let path = rewritten.as_ref().and_then(|rewritten| rewritten.path.as_deref());
        let path = path.unwrap_or_else(|| request.path_only());
        let address = match address {
            Some(address) => Some(self.with_body(request.method, path, address)?),
            None => None,
        };
        Ok(Route { excluded: false, rewritten, address })
    }

    /// Whether the body of a request names the model that it asks, or an adapter of it. At a path that says otherwise which
    /// one it is, as those of explanations do, what the body says would decide about another.
    fn with_body(&self, method: &[u8], path: &[u8], address: Address) -> Result<Address, Refusal> {
        let holds = |model: &Model| self.body_models.matches(&model.id);
        let has_body = address.operation.asks_model() && method != b"OPTIONS";
        let in_body = match &address.model {
            Some(model) if has_body && holds(model) => Some(InBody::Adapter),
            _ => address.in_body.clone(),
        };
        if in_body.is_some() && !is_named_in_body(Plain::new(path)?.decoded()) {
            return Err(NOT_IN_BODY);
        }
        Ok(Address { in_body, ..address })
    }

    /// A host of another application, as long as the address is no model's: the configuration
    /// cannot hide a model behind an excluded host.
    fn is_excluded(&self, request: &Request<'_>, host: &Host<'_>) -> Result<bool, Refusal> {
        let Some(excluded) = &self.excluded else { return Ok(false) };
        Ok(excluded.matches(host) && self.targets.resolve(&Location::of(request, host))?.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Errors;
    use crate::request::{Attributes, Header, NoHost};

    /// Two words like this one of which the hashes share a slot, whatever else they are mixed with.
    fn twins(of: impl Fn(usize) -> String, turned: u32) -> [String; 2] {
        let slot = |word: &str| hash(word.as_bytes()).rotate_left(turned) % SLOTS as u64;
        let first = of(0);
        let second = (1..).map(of).find(|word| slot(word) == slot(&first)).unwrap();
        [first, second]
    }

    #[test]
    fn what_shares_a_slot_is_told_apart() {
        let methods = twins(|number| format!("M{number:06}"), 0);
        let hosts = twins(|number| format!("h{number:06}.example.com"), 7);
        let paths = twins(|number| format!("/m/{number:06}"), 0);
        let config = format!(
            r#"{{
                "exclude": {{"hosts": ["{}"]}},
                "targets": {{"families": ["seldon-v1"]}},
                "rewrites": [{{
                    "name": "r",
                    "match": {{"path": "/m/{{model}}", "methods": ["{}"]}},
                    "path": "/seldon/a/{{model}}"
                }}]
            }}"#,
            hosts[1], methods[1],
        );
        let mut errors = Errors::default();
        let plan = Plan::read(config.as_bytes(), &mut errors).unwrap();
        let attributes = Attributes::new(&NoHost);
        // Each next one differs in one thing from some before: the Gray code of three bits, and back.
        for turn in [0, 1, 3, 2, 6, 7, 5, 4, 0, 2, 0, 4, 6, 2, 3, 7, 6, 4, 5, 1, 0] {
            let bit = |n: usize| (turn >> n) & 1;
            let lines: [Header<'_>; 3] = [
                (b":method", methods[bit(0)].as_bytes()),
                (b":authority", hosts[bit(1)].as_bytes()),
                (b":path", paths[bit(2)].as_bytes()),
            ];
            let request = Request::new(&lines, &attributes);
            for _ in 0..2 {
                let (remembered, anew) = (plan.route(&request), plan.find_route(&request));
                assert_eq!(remembered.as_deref(), anew.as_ref(), "{lines:?}");
            }
        }
        assert_eq!(plan.routes.borrow().0.iter().flatten().count(), 1);
    }

    #[test]
    fn a_worker_remembers_but_so_much() {
        let config = br#"{"targets": {"families": ["seldon-v1"]}}"#;
        let plan = Plan::read(config, &mut Errors::default()).unwrap();
        let attributes = Attributes::new(&NoHost);
        let is_remembered = |lines: &[Header<'_>]| {
            let request = Request::new(lines, &attributes);
            let routes = [plan.route(&request).unwrap(), plan.route(&request).unwrap()];
            Rc::ptr_eq(&routes[0], &routes[1])
        };
        let path = |length: usize| format!("/{}", "a".repeat(length - 1));
        assert!(is_remembered(&[(b":path", path(LONGEST).as_bytes())]));
        assert!(!is_remembered(&[(b":path", path(LONGEST + 1).as_bytes())]));
        assert!(!is_remembered(&[(b":path", b"/a"), (b":authority", path(LONGEST).as_bytes())]));
        let method = path(LONGEST + 1);
        assert!(!is_remembered(&[(b":path", b"/a"), (b":method", method.as_bytes())]));
        assert!(!is_remembered(&[(b":path", b"/a"), (b"seldon", b"x")]));
        assert_eq!(plan.routes.borrow().0.len(), SLOTS);
    }
}
