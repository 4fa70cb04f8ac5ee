//! How many lines a worker logs about shadows.

use crate::time::SECOND;

/// Lines in one second; a shadow that always differs would drown everything else.
const LINES_A_SECOND: u32 = 10;

/// Which lines may be logged.
#[derive(Debug, Default)]
pub struct LogLimit {
    second: u64,
    used: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Whether a line may be logged at this time, in nanoseconds; then with the number of lines
    /// that were not since the last one.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        let second = now / SECOND;
        if second != self.second {
            (self.second, self.used) = (second, 0);
        }
        if self.used >= LINES_A_SECOND {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.used = self.used.saturating_add(1);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second() {
        let mut lines = LogLimit::default();
        let taken = (0..25).filter(|_| lines.take(5 * SECOND).is_some()).count();
        assert_eq!(taken, 10);
        assert_eq!(lines.take(6 * SECOND), Some(15));
        assert_eq!(lines.take(6 * SECOND), Some(0));
    }
}
