//! A body that is collected as it streams by, up to a limit.

use std::fmt;
use std::rc::Rc;

use super::budget::{Budget, Share};
use super::event::Outcome;

/// The bytes so far. What is accounted for is what is allocated.
pub struct Capture {
    bytes: Vec<u8>,
    share: Share,
    limit: usize,
}

impl fmt::Debug for Capture {
    /// Never shows a body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Capture {
    /// An empty body of at most `limit` bytes.
    pub fn new(budget: &Rc<Budget>, limit: usize) -> Self {
        Self { bytes: Vec::new(), share: Share::new(budget), limit }
    }

    /// Adds a chunk, or says why the body can no longer be complete.
    ///
    /// # Errors
    /// [`Outcome::TooLarge`] over the limit of the body, [`Outcome::OverBudget`] where no bytes are
    /// left for it.
    pub fn append(&mut self, chunk: &[u8]) -> Result<(), Outcome> {
        let len = self.bytes.len();
        let wanted = len.saturating_add(chunk.len());
        if wanted > self.limit {
            return Err(Outcome::TooLarge);
        }
        let capacity = self.bytes.capacity();
        if wanted > capacity {
            // Doubling keeps the cost of many small chunks linear; the exact need is the fallback.
            let doubled = capacity.saturating_mul(2).clamp(wanted, self.limit);
            let grown = [doubled, wanted]
                .into_iter()
                .find(|size| self.share.take(size.saturating_sub(capacity)))
                .ok_or(Outcome::OverBudget)?;
            self.bytes.reserve_exact(grown.saturating_sub(len));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Whether a body of this announced length fits.
    pub fn admits(&self, announced: Option<usize>) -> bool {
        announced.is_none_or(|len| len <= self.limit)
    }

    /// What was collected.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_exact_and_bytes_come_back() {
        let budget = Budget::new(100);
        let mut body = Capture::new(&budget, 10);
        assert_eq!(body.append(b"12345"), Ok(()));
        assert_eq!(body.append(b"67890"), Ok(()));
        assert_eq!(body.append(b"!"), Err(Outcome::TooLarge));
        assert_eq!((body.bytes(), budget.used()), (&b"1234567890"[..], 10));
        drop(body);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_last_bytes_of_a_budget_can_be_used() {
        let budget = Budget::new(7);
        let mut body = Capture::new(&budget, 100);
        assert_eq!(body.append(b"1234"), Ok(()));
        assert_eq!(body.append(b"567"), Ok(()));
        assert_eq!(body.append(b"8"), Err(Outcome::OverBudget));
        assert_eq!(body.bytes(), b"1234567");
    }
}
