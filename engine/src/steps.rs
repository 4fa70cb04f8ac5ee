//! What one comparison may cost, counted in steps: a value, a field, or 32 bytes of text that are looked
//! at. Everything that reads or compares answers pays here, so that no answer costs more than its
//! bytes; the unit is some tens of nanoseconds.

/// Steps for one pair: enough for two answers with as many values as are read, and some tens of
/// milliseconds, in which the worker does nothing else. Embeddings of a mebibyte take a sixth of it,
/// numbers of two digits a third.
pub const MAX_STEPS: u32 = 1 << 21;

/// Steps that are left.
#[derive(Debug)]
pub struct Steps {
    left: u32,
    given_up: bool,
}

impl Default for Steps {
    fn default() -> Self {
        Self { left: MAX_STEPS, given_up: false }
    }
}

impl Steps {
    /// Pays for so many values; `false` once there is nothing left to pay with.
    pub fn take(&mut self, values: usize) -> bool {
        self.left = self.left.saturating_sub(u32::try_from(values).unwrap_or(u32::MAX));
        !self.is_spent()
    }

    /// Pays for so many values of so many bytes together that are put in order. To compare two
    /// neighbours is about an eighth of what a step is.
    pub fn sort(&mut self, values: usize, bytes: usize) -> bool {
        let rounds = values.checked_ilog2().unwrap_or(0) as usize;
        self.take((bytes / 32).saturating_add(values).saturating_mul(rounds) / 8)
    }

    /// The same for [`crate::order`], which compares twice as often.
    pub fn heapsort(&mut self, values: usize, bytes: usize) -> bool {
        self.sort(values.saturating_mul(2), bytes.saturating_mul(2))
    }

    /// Whether all is spent.
    pub fn is_spent(&self) -> bool {
        self.left == 0 || self.given_up
    }

    /// The rest would take too long.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }

    /// How many are left.
    pub fn left(&self) -> u32 {
        self.left
    }
}
