//! Requests that no server may see.

/// An address that no server may see: answered with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong with it, for the body of the answer. Never holds what the client sent.
    pub reason: &'static str,
}

impl Refusal {
    pub(crate) const fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}
