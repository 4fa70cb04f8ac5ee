//! A body that is collected as it streams by, up to a limit.

use std::fmt;
use std::rc::Rc;

use super::event::Outcome;
use super::quota::{Full, MemoryQuota, Reservation};

/// The bytes so far. What is accounted for is what is allocated.
pub struct BodyBuffer {
    bytes: Vec<u8>,
    reservation: Reservation,
    limit: usize,
}

impl fmt::Debug for BodyBuffer {
    /// Never shows a body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyBuffer").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Why a body can no longer be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// It is over its limit.
    TooLarge,
    /// The shadow may hold no more bytes.
    Own,
    /// All shadows together may hold no more bytes.
    Whole,
}

impl From<Full> for Missed {
    fn from(full: Full) -> Self {
        match full {
            Full::Own => Self::Own,
            Full::Whole => Self::Whole,
        }
    }
}

impl From<Missed> for Outcome {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::TooLarge => Self::TooLarge,
            Missed::Own | Missed::Whole => Self::OverBudget,
        }
    }
}

impl BodyBuffer {
    /// An empty body of at most `limit` bytes.
    pub fn new(quota: &Rc<MemoryQuota>, limit: usize) -> Self {
        Self { bytes: Vec::new(), reservation: Reservation::new(quota), limit }
    }

    /// Adds a chunk, or says why the body can no longer be complete.
    ///
    /// # Errors
    /// Nothing was added.
    pub fn append(&mut self, chunk: &[u8]) -> Result<(), Missed> {
        let len = self.bytes.len();
        let wanted = len.saturating_add(chunk.len());
        if wanted > self.limit {
            return Err(Missed::TooLarge);
        }
        let capacity = self.bytes.capacity();
        if wanted > capacity {
            // Doubling keeps the cost of many small chunks linear; the exact need is the fallback.
            let mut grown = capacity.saturating_mul(2).clamp(wanted, self.limit);
            if self.reservation.reserve(grown.saturating_sub(capacity)).is_err() {
                grown = wanted;
                self.reservation.reserve(grown.saturating_sub(capacity))?;
            }
            self.bytes.reserve_exact(grown.saturating_sub(len));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Whether a body of this announced length fits.
    pub fn admits(&self, announced: Option<usize>) -> bool {
        announced.is_none_or(|len| len <= self.limit)
    }

    /// Frees the body and keeps the account of its bytes, for whoever holds them from now on.
    pub fn hand_over(self) -> Reservation {
        let Self { bytes, mut reservation, .. } = self;
        reservation.shrink_to(bytes.len());
        reservation
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
        let quota = MemoryQuota::new(100);
        let mut body = BodyBuffer::new(&quota, 10);
        assert_eq!(body.append(b"12345"), Ok(()));
        assert_eq!(body.append(b"67890"), Ok(()));
        assert_eq!(body.append(b"!"), Err(Missed::TooLarge));
        assert_eq!((body.bytes(), quota.used()), (&b"1234567890"[..], 10));
        drop(body);
        assert_eq!(quota.used(), 0);
    }

    #[test]
    fn whoever_takes_a_body_over_holds_its_bytes() {
        let quota = MemoryQuota::new(100);
        let mut body = BodyBuffer::new(&quota, 100);
        assert_eq!((body.append(b"1234"), body.append(b"5")), (Ok(()), Ok(())));
        assert_eq!(quota.used(), 8, "as much as is allocated");
        let reservation = body.hand_over();
        assert_eq!(quota.used(), 5);
        drop(reservation);
        assert_eq!(quota.used(), 0);
    }

    #[test]
    fn the_last_bytes_of_a_quota_can_be_used() {
        let quota = MemoryQuota::new(7);
        let mut body = BodyBuffer::new(&quota, 100);
        assert_eq!(body.append(b"1234"), Ok(()));
        assert_eq!(body.append(b"567"), Ok(()));
        assert_eq!(body.append(b"8"), Err(Missed::Own));
        assert_eq!(body.bytes(), b"1234567");
    }
}
