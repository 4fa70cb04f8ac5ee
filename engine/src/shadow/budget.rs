//! Bytes that may be held at once: by one shadow, and by all shadows of a worker.

use std::cell::Cell;
use std::rc::Rc;

/// An account with a limit, perhaps part of a larger one.
#[derive(Debug)]
pub struct Budget {
    used: Cell<usize>,
    limit: usize,
    whole: Option<Rc<Budget>>,
}

impl Budget {
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
    fn take(&self, bytes: usize) -> Result<(), Full> {
        let used = self.used.get().checked_add(bytes).filter(|used| *used <= self.limit);
        let used = used.ok_or(Full::Own)?;
        if let Some(whole) = &self.whole {
            whole.take(bytes).map_err(|_| Full::Whole)?;
        }
        self.used.set(used);
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
        if let Some(whole) = &self.whole {
            whole.give_back(bytes);
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

/// Bytes taken from a [`Budget`]; dropping it gives them back.
#[derive(Debug)]
pub struct Share {
    budget: Rc<Budget>,
    bytes: usize,
}

impl Share {
    /// Nothing yet.
    pub fn new(budget: &Rc<Budget>) -> Self {
        Self { budget: Rc::clone(budget), bytes: 0 }
    }

    /// Takes more.
    ///
    /// # Errors
    /// Nothing was taken: this limit is in the way.
    pub fn take(&mut self, bytes: usize) -> Result<(), Full> {
        self.budget.take(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Gives back all but so many bytes.
    pub fn keep(&mut self, bytes: usize) {
        self.budget.give_back(self.bytes.saturating_sub(bytes));
        self.bytes = self.bytes.min(bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_a_refusal_takes_nothing() {
        let all = Budget::new(10);
        let (a, b) = (Budget::part_of(&all, 8), Budget::part_of(&all, 8));
        let (mut of_a, mut of_b) = (Share::new(&a), Share::new(&b));
        assert_eq!(of_a.take(7), Ok(()));
        assert_eq!(of_a.take(2), Err(Full::Own));
        assert_eq!(of_b.take(4), Err(Full::Whole));
        assert_eq!(of_b.take(3), Ok(()));
        assert_eq!((a.used(), b.used(), all.used()), (7, 3, 10));
        of_a.keep(9);
        assert_eq!((a.used(), all.used()), (7, 10));
        of_a.keep(2);
        assert_eq!((a.used(), all.used()), (2, 5));
        drop(of_a);
        assert_eq!((a.used(), all.used()), (0, 3));
        assert_eq!(of_b.take(usize::MAX), Err(Full::Own));
        drop(of_b);
        assert_eq!(all.used(), 0);
    }
}
