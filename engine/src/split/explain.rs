//! Why a request gets its variant, for people. No filter calls it.

use super::{Identity, Split, Splits, StickyBy};
use crate::authz::{IsSecret, ListView, Subject};

/// What a split makes of a request.
#[derive(Debug, Clone)]
pub struct SplitView {
    /// Its place in the configuration.
    pub index: usize,
    /// Whether it is for the model.
    pub is_for_model: bool,
    /// Its conditions, where it is.
    pub when: ListView,
    /// What it chooses, if it is the first that fits.
    pub chosen: Option<ChoiceView>,
}

/// The variant of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceView {
    /// The header that says it.
    pub header: String,
    /// The variant.
    pub variant: String,
    /// Each variant with its weight.
    pub variants: Vec<(String, u32)>,
    /// What the caller is kept by.
    pub by: Key,
    /// Whether the answer sets a cookie.
    pub sets_cookie: bool,
}

/// What a variant is chosen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The caller's principal.
    Principal(String),
    /// A header of this name.
    Header(String),
    /// A cookie of this name that the client has.
    Cookie(String),
    /// A cookie of this name that it gets.
    NewCookie(String),
    /// The request's id; it has none of the above, or is not asked for it.
    RequestId,
    /// The time: the request has no id.
    Time,
}

impl Splits {
    /// What each split makes of a request.
    pub fn explain(&self, subject: &Subject<'_>, secret: IsSecret<'_>) -> Vec<SplitView> {
        let model = subject.address.and_then(|address| address.model.as_ref());
        let mut is_over = false;
        let each = self.list.iter().enumerate().map(|(index, split)| {
            let is_for_model = model.is_some_and(|model| split.models.matches(&model.id));
            let fits = is_for_model && split.when.matches(subject) && !is_over;
            is_over |= fits;
            SplitView {
                index,
                is_for_model,
                when: match is_for_model {
                    true => split.when.explain(subject, secret),
                    false => ListView::default(),
                },
                chosen: if fits { split.explain(subject) } else { None },
            }
        });
        each.collect()
    }
}

impl Split {
    fn explain(&self, subject: &Subject<'_>) -> Option<ChoiceView> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let choice = self.choose(0, subject)?;
        let request = subject.request;
        let by = match &self.sticky_by {
            StickyBy::Principal => {
                subject.identity.and_then(Identity::principal).map(Key::Principal)
            }
            StickyBy::Header(name) => {
                let line = subject.edits.lines(request, name).next();
                line.filter(|line| !line.is_empty()).map(|_| Key::Header(text(name)))
            }
            StickyBy::Cookie(cookie) if choice.set_cookie.is_some() => {
                Some(Key::NewCookie(cookie.name.to_string()))
            }
            StickyBy::Cookie(cookie) => Some(Key::Cookie(cookie.name.to_string())),
            StickyBy::Request => None,
        };
        let has_id = request.header(b"x-request-id").is_some_and(|id| !id.is_empty());
        Some(ChoiceView {
            header: text(choice.header),
            variant: text(choice.variant),
            variants: self.variants.iter().map(|one| (text(&one.name), one.weight)).collect(),
            by: by.unwrap_or(if has_id { Key::RequestId } else { Key::Time }),
            sets_cookie: choice.set_cookie.is_some(),
        })
    }
}
