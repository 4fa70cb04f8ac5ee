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
    fn take(&self, bytes: usize) -> bool {
        let Some(used) = self.used.get().checked_add(bytes).filter(|used| *used <= self.limit)
        else {
            return false;
        };
        if self.whole.as_ref().is_some_and(|whole| !whole.take(bytes)) {
            return false;
        }
        self.used.set(used);
        true
    }

    fn give_back(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
        if let Some(whole) = &self.whole {
            whole.give_back(bytes);
        }
    }
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

    /// Takes more; `false`, and nothing taken, when a limit is in the way.
    pub fn take(&mut self, bytes: usize) -> bool {
        let taken = self.budget.take(bytes);
        if taken {
            self.bytes = self.bytes.saturating_add(bytes);
        }
        taken
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
        assert!(of_a.take(7));
        assert!(!of_a.take(2), "its own limit");
        assert!(!of_b.take(4), "the limit of all");
        assert!(of_b.take(3));
        assert_eq!((a.used(), b.used(), all.used()), (7, 3, 10));
        drop(of_a);
        assert_eq!((a.used(), all.used()), (0, 3));
        assert!(!of_b.take(usize::MAX));
        drop(of_b);
        assert_eq!(all.used(), 0);
    }
}
