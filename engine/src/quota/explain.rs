//! Which quotas count a request, for people. No filter calls it.

use super::{Counter, Quota, Quotas};
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
    /// Each counter with its value, where the request has one.
    pub counters: Vec<(String, Option<String>)>,
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
        let counters = self.counters.iter().map(|one| (one.written(), one.value(subject)));
        LimitView {
            counters: counters.collect(),
            requests: self.requests,
            tokens: self.tokens,
            window: self.window / SECOND,
        }
    }
}

impl Counter {
    /// As an operator writes it.
    fn written(&self) -> String {
        match self {
            Self::Principal => "request.auth.principal".to_owned(),
            Self::Model => "model".to_owned(),
            Self::Claim(names) => format!("request.auth.claims[{}]", names.join("][")),
        }
    }
}
