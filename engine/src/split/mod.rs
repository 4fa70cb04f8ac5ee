//! Splits: which variant of a model answers, said in a header that a VirtualService matches on.
//!
//! Weighted rendezvous hashing. Every variant has a [`Scale`] of its own; a caller whose place on it
//! is the fraction p waits -log(p) / weight for that variant, and goes to the one that comes first.
//! Nothing depends on the order or the number of the others: when one weight changes, or a variant
//! comes or goes, callers move to or from that variant only, and no more of them than its share
//! changes by.

use std::borrow::Cow;

use crate::authn::Identity;
use crate::authz::{Conditions, ModelMap, Models, Subject};
use crate::place::Scale;
use crate::request::{Edits, Request};

mod compile;
mod explain;
#[cfg(test)]
mod tests;

pub use compile::Context;
pub use explain::{ChoiceView, Key, SplitView};

/// Every split, and which models have which.
#[derive(Debug, Default)]
pub struct Splits {
    list: Vec<Split>,
    by_model: ModelMap,
}

/// A variant with a weight, by its split's place and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VariantId {
    pub(crate) split: u32,
    pub(crate) variant: u32,
}

#[derive(Debug)]
struct Split {
    name: Box<str>,
    models: Models,
    /// In lower case.
    header: Box<[u8]>,
    when: Conditions,
    sticky_by: StickyBy,
    /// Those with a weight, at least one.
    variants: Vec<Variant>,
}

#[derive(Debug)]
struct Variant {
    name: Box<[u8]>,
    weight: u32,
    scale: Scale,
}

#[derive(Debug)]
enum StickyBy {
    Principal,
    /// In lower case.
    Header(Box<[u8]>),
    Cookie(Cookie),
    Request,
}

#[derive(Debug)]
struct Cookie {
    name: Box<str>,
    /// What follows the value in `Set-Cookie`.
    attributes: Box<str>,
    scale: Scale,
}

/// The variant that a request goes to.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice<'s> {
    /// Which one it is.
    pub id: VariantId,
    /// The header that says so, in lower case.
    pub header: &'s [u8],
    /// Its value.
    pub variant: &'s [u8],
    /// A `Set-Cookie` for the response, where the client has none yet.
    pub set_cookie: Option<Vec<u8>>,
}

impl Choice<'_> {
    /// Says the variant in the request's headers. What the response has to carry is left.
    pub fn write(self, edits: &mut Edits) -> Option<Vec<u8>> {
        edits.set(self.header, self.variant);
        self.set_cookie
    }
}

impl Splits {
    /// The headers that say which variant it is, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &[u8]> {
        self.list.iter().map(|split| &*split.header)
    }

    /// Every variant that can be chosen.
    pub fn variants(&self) -> impl Iterator<Item = VariantId> {
        let splits = (0..).zip(&self.list);
        splits.flat_map(|(split, s)| {
            (0..).zip(&s.variants).map(move |(variant, _)| VariantId { split, variant })
        })
    }

    /// The names of a split and of its variant.
    pub fn names(&self, id: VariantId) -> Option<(&str, &str)> {
        let split = self.list.get(usize::try_from(id.split).ok()?)?;
        let variant = split.variants.get(usize::try_from(id.variant).ok()?)?;
        Some((&split.name, std::str::from_utf8(&variant.name).ok()?))
    }

    /// The variant by the first split that fits the model and the caller.
    pub fn choose(&self, subject: &Subject<'_>) -> Option<Choice<'_>> {
        if self.list.is_empty() {
            return None;
        }
        let model = subject.address?.model.as_ref()?;
        let candidates = self.by_model.candidates(Some(&model.id));
        let mut splits = candidates.filter_map(|i| Some((i, self.list.get(i)?)));
        let fits = |(_, split): &(usize, &Split)| {
            split.models.matches(&model.id) && split.when.matches(subject)
        };
        let (i, split) = splits.find(fits)?;
        split.choose(u32::try_from(i).ok()?, subject)
    }
}

impl Split {
    fn choose(&self, split: u32, subject: &Subject<'_>) -> Option<Choice<'_>> {
        let request = subject.request;
        let mut set_cookie = None;
        let key: Option<Cow<'_, [u8]>> = match &self.sticky_by {
            StickyBy::Principal => {
                let principal = subject.identity.and_then(Identity::principal);
                principal.map(|principal| principal.into_bytes().into())
            }
            // As it goes upstream: a header that authentication writes is the gateway's.
            StickyBy::Header(name) => subject.edits.lines(request, name).next().map(Cow::from),
            StickyBy::Cookie(cookie) => {
                let kept = request.cookie(cookie.name.as_bytes()).filter(|v| !v.is_empty());
                Some(kept.map_or_else(
                    || {
                        let value = cookie.new_value(request);
                        set_cookie = Some(cookie.to_line(&value, request));
                        value.into_bytes().into()
                    },
                    Cow::from,
                ))
            }
            StickyBy::Request => None,
        };
        let key = key.filter(|key| !key.is_empty()).unwrap_or_else(|| id(request));
        let (i, variant) = self.variant(&key)?;
        let id = VariantId { split, variant: i };
        Some(Choice { id, header: &self.header, variant: &variant.name, set_cookie })
    }

    fn variant(&self, key: &[u8]) -> Option<(u32, &Variant)> {
        let wait = |v: &Variant| u128::from(negative_log2(v.scale.place(key)));
        let waits = (0..).zip(&self.variants).map(|(i, v)| (wait(v), i, v));
        // a / v < b / w, without division.
        let (_, i, variant) = waits.min_by(|(a, _, v), (b, _, w)| {
            a.saturating_mul(w.weight.into()).cmp(&b.saturating_mul(v.weight.into()))
        })?;
        Some((i, variant))
    }
}

impl Cookie {
    /// The module has no randomness. Whoever guesses a value learns a variant, which anybody can have.
    fn new_value(&self, request: &Request<'_>) -> String {
        format!("{:016x}", self.scale.place(&id(request)))
    }

    fn to_line(&self, value: &str, request: &Request<'_>) -> Vec<u8> {
        // Behind a sidecar `:scheme` would be that of the mesh.
        let scheme = request.header(b"x-forwarded-proto").unwrap_or_default();
        let secure = if scheme.eq_ignore_ascii_case(b"https") { "; Secure" } else { "" };
        format!("{}={value}{}{secure}", self.name, self.attributes).into_bytes()
    }
}

/// What tells this request from others: Envoy's id, or the time where none was made.
fn id<'a>(request: &Request<'a>) -> Cow<'a, [u8]> {
    match request.header(b"x-request-id").filter(|id| !id.is_empty()) {
        Some(id) => id.into(),
        None => request.attributes().now().to_le_bytes().to_vec().into(),
    }
}

/// -log2(place / 2^64) in steps of 2^-32, more than 0.
///
/// By repeated squaring of integers: the logarithm of floating-point libraries differs in its last
/// bits, and with them a caller's variant would, between the gateway and the command.
fn negative_log2(place: u64) -> u64 {
    const STEPS: u32 = 32;
    let place = place.max(1);
    let zeros = place.leading_zeros();
    // From 1 to 2, in steps of 2^-63.
    let mut mantissa = place << zeros;
    let mut fraction = 0u64;
    for _ in 0..STEPS {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let carry = square >> 64;
        mantissa = (square >> carry) as u64;
        fraction = (fraction << 1) | carry as u64;
    }
    ((u64::from(zeros) + 1) << STEPS) - fraction
}
