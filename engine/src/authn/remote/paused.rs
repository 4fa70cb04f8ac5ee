//! Which requests wait for an issuer's first keys, and which are decided next.

use crate::few::FewMap;
use crate::time;

/// How many a worker holds. Anybody can make a token that has to wait: the rest are refused at once.
const MOST: usize = 256;

/// How many are decided in one tick: each may cost milliseconds, and everybody else waits meanwhile.
const FEW: usize = 4;

/// Paused requests, by the numbers of their streams.
#[derive(Debug, Default)]
pub struct PausedQueue {
    requests: FewMap<u32, Paused>,
}

/// Times are in nanoseconds.
#[derive(Debug)]
struct Paused {
    since: u64,
    wait: u64,
    /// Whether keys have come since it was decided last.
    keys_changed: bool,
}

impl Paused {
    /// When it has waited long enough.
    fn until(&self, now: u64) -> u64 {
        time::due(self.since, self.wait, now)
    }
}

impl PausedQueue {
    /// Pauses one more for so long at most, if there is room.
    pub fn pause(&mut self, id: u32, now: u64, wait: u64) -> bool {
        let room = self.requests.len() < MOST;
        if room {
            self.requests.insert(id, Paused { since: now, wait, keys_changed: false });
        }
        room
    }

    /// It is decided, or over.
    pub fn release(&mut self, id: u32) {
        self.requests.remove(&id);
    }

    /// Keys have come, or will not: all that are paused now are to be decided again.
    pub fn keys_changed(&mut self) {
        self.requests.iter_mut().for_each(|(_, request)| request.keys_changed = true);
    }

    /// When the next one is to be decided again; never without any.
    pub fn due(&self, now: u64) -> u64 {
        let due = |request: &Paused| if request.keys_changed { now } else { request.until(now) };
        self.requests.iter().fold(u64::MAX, |first, (_, request)| first.min(due(request)))
    }

    /// A few that are to be decided again, and whether they have waited long enough: then it is for the
    /// last time, and they are to be released.
    pub fn next(&mut self, now: u64) -> Vec<(u32, bool)> {
        let mut few = Vec::with_capacity(FEW);
        for (id, request) in self.requests.iter_mut() {
            let is_over = request.until(now) <= now;
            if few.len() < FEW && (std::mem::take(&mut request.keys_changed) || is_over) {
                few.push((*id, is_over));
            }
        }
        few
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_ready_comes_a_few_at_a_time_and_nobody_twice() {
        let mut queue = PausedQueue::default();
        assert_eq!((queue.due(5), queue.next(5)), (u64::MAX, vec![]));
        assert_eq!(
            (0..300).filter(|id| queue.pause(*id, 0, 100 - u64::from(*id) / 100)).count(),
            MOST
        );
        assert_eq!((queue.due(5), queue.next(97)), (98, vec![]));
        queue.keys_changed();
        assert_eq!(queue.due(5), 5);
        // One hangs up, and one comes later.
        queue.release(2);
        assert!(queue.pause(1000, 0, 100));
        let mut woken = Vec::new();
        let mut ticks = 0;
        while queue.due(5) <= 5 {
            let few = queue.next(5);
            assert!((1..=FEW).contains(&few.len()));
            woken.extend(few);
            ticks += 1;
        }
        assert_eq!(woken, (0..256).filter(|id| *id != 2).map(|id| (id, false)).collect::<Vec<_>>());
        assert_eq!(ticks, 64);
        // Who is paused on waits for its time, or for other keys.
        woken.iter().skip(2).for_each(|(id, _)| queue.release(*id));
        assert_eq!((queue.due(5), queue.next(5)), (100, vec![]));
        assert_eq!(queue.next(100), [(0, true), (1, true), (1000, true)]);
        queue.keys_changed();
        assert_eq!(queue.next(5), [(0, false), (1, false), (1000, false)]);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting() {
        let mut queue = PausedQueue::default();
        assert!(queue.pause(1, 1000, 100));
        assert_eq!((queue.due(999), queue.next(999)), (999, vec![(1, true)]));
    }
}
