//! The ids of shadows and of exchanges.

use slotmap::DefaultKey;

/// A shadow, or a baseline, by its place among [`Shadows`](super::Shadows): those of the configuration in its
/// order, and then the baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShadowId(usize);

impl ShadowId {
    /// The one at this place.
    pub const fn new(index: usize) -> Self {
        Self(index)
    }

    /// Its place.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// An exchange. The id of one that is gone is never that of another.
pub type ExchangeId = DefaultKey;
