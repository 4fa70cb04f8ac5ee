//! Which quotas count a request, for people. No filter calls it.

use super::{By, Quota, Quotas};
use crate::authz::{IsSecret, ListView, Subject};
use crate::time::SECOND;

/// What a quota makes of a request.
#[derive(Debug, Clone)]
pub struct QuotaView {
    /// Its place in the configuration.
    pub index: usize,
    /// Whether it is for the model and the operation.
    pub is_for_model: bool,
    /// Its conditions, where it is.
    pub when: ListView,
    /// What the request counts against, if it does.
    pub counted: Option<LimitView>,
}

/// What a request counts against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitView {
    /// What has a count of its own, as an operator writes it.
    pub by: String,
    /// Its value, where the request has one.
    pub value: Option<String>,
    /// The model, where each has counts of its own.
    pub model: Option<String>,
    /// Requests in a window.
    pub requests: Option<u32>,
    /// Tokens in a window.
    pub tokens: Option<u32>,
    /// How long it is, in seconds.
    pub window: u64,
}

impl Quotas {
    /// What each quota makes of a request that is allowed.
    pub fn explain(&self, subject: &Subject<'_>, secret: IsSecret<'_>) -> Vec<QuotaView> {
        let view = |(index, quota): (usize, &Quota)| {
            let is_for_model = quota.is_for(subject);
            QuotaView {
                index,
                is_for_model,
                when: match is_for_model {
                    true => quota.when.explain(subject, secret),
                    false => ListView::default(),
                },
                counted: quota.applies(subject).then(|| quota.limits(subject)),
            }
        };
        self.0.iter().enumerate().map(view).collect()
    }
}

impl Quota {
    fn limits(&self, subject: &Subject<'_>) -> LimitView {
        let value = self.by.value(subject);
        LimitView {
            by: self.by.written(),
            value: value.map(|value| String::from_utf8_lossy(&value).into_owned()),
            model: self.model(subject).map(str::to_owned),
            requests: self.requests,
            tokens: self.tokens,
            window: self.window / SECOND,
        }
    }
}

impl By {
    /// As an operator writes it.
    fn written(&self) -> String {
        match self {
            Self::All => "none".to_owned(),
            Self::Principal => "principal".to_owned(),
            Self::Claim(names) => format!("claim:[{}]", names.join("][")),
            Self::Header(name) => format!("header:{}", String::from_utf8_lossy(name)),
        }
    }
}
