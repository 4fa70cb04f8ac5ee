//! Memory quotas, the buffer limits of copies: bytes that may be held at once, by one shadow, and by all shadows of a worker.

use std::cell::Cell;
use std::rc::Rc;

/// An account with a limit, perhaps part of a larger one.
#[derive(Debug)]
pub struct MemoryQuota {
    used: Cell<usize>,
    limit: usize,
    whole: Option<Rc<MemoryQuota>>,
}

impl MemoryQuota {
    /// An account of its own.
    pub fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self { used: Cell::new(0), limit, whole: None })
    }

    /// An account whose bytes count in `whole` too.
    pub fn part_of(whole: &Rc<Self>, limit: usize) -> Rc<Self> {
        Rc::new(Self { used: Cell::new(0), limit, whole: Some(Rc::clone(whole)) })
    }

    /// Bytes held now.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// Takes all of the bytes or none.
    fn reserve(&self, bytes: usize) -> Result<(), Full> {
        let used = self.used.get().checked_add(bytes).filter(|used| *used <= self.limit);
        let used = used.ok_or(Full::Own)?;
        if let Some(whole) = &self.whole {
            whole.reserve(bytes).map_err(|_| Full::Whole)?;
        }
        self.used.set(used);
        Ok(())
    }

    fn release(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
        if let Some(whole) = &self.whole {
            whole.release(bytes);
        }
    }
}

/// Which limit is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The account's own.
    Own,
    /// The one of all accounts together.
    Whole,
}

/// Bytes taken from a [`MemoryQuota`]; dropping it gives them back.
#[derive(Debug)]
pub struct Reservation {
    quota: Rc<MemoryQuota>,
    bytes: usize,
}

impl Reservation {
    /// Nothing yet.
    pub fn new(quota: &Rc<MemoryQuota>) -> Self {
        Self { quota: Rc::clone(quota), bytes: 0 }
    }

    /// Takes more.
    ///
    /// # Errors
    /// Nothing was taken: this limit is in the way.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Full> {
        self.quota.reserve(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.quota.release(self.bytes.saturating_sub(bytes));
        self.bytes = self.bytes.min(bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.quota.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_a_refusal_takes_nothing() {
        let all = MemoryQuota::new(10);
        let (a, b) = (MemoryQuota::part_of(&all, 8), MemoryQuota::part_of(&all, 8));
        let (mut of_a, mut of_b) = (Reservation::new(&a), Reservation::new(&b));
        assert_eq!(of_a.reserve(7), Ok(()));
        assert_eq!(of_a.reserve(2), Err(Full::Own));
        assert_eq!(of_b.reserve(4), Err(Full::Whole));
        assert_eq!(of_b.reserve(3), Ok(()));
        assert_eq!((a.used(), b.used(), all.used()), (7, 3, 10));
        of_a.shrink_to(9);
        assert_eq!((a.used(), all.used()), (7, 10));
        of_a.shrink_to(2);
        assert_eq!((a.used(), all.used()), (2, 5));
        drop(of_a);
        assert_eq!((a.used(), all.used()), (0, 3));
        assert_eq!(of_b.reserve(usize::MAX), Err(Full::Own));
        drop(of_b);
        assert_eq!(all.used(), 0);
    }
}
