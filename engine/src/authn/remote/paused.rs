//! Who waits for an issuer's first keys, and who is decided next.

use crate::few::FewMap;

/// How many a worker holds. Anybody can make a token that has to wait: the rest are refused at once.
const MOST: usize = 256;

/// How many are decided in one turn once keys have come: each may cost milliseconds, and everybody
/// else waits meanwhile.
const FEW: usize = 4;

/// Streams by their numbers.
#[derive(Debug, Default)]
pub struct PausedQueue {
    /// Whether keys have come since it was decided last.
    paused: FewMap<u32, bool>,
}

/// Who is to be woken in one turn.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// A few, to be decided again.
    Ready(Vec<u32>),
    /// All, to see whether they have waited long enough.
    Waiting(Vec<u32>),
}

impl PausedQueue {
    /// Holds one more, if there is room.
    pub fn pause(&mut self, id: u32) -> bool {
        let room = self.paused.len() < MOST;
        if room {
            self.paused.insert(id, false);
        }
        room
    }

    /// It is decided, or over.
    pub fn release(&mut self, id: u32) {
        self.paused.remove(&id);
    }

    /// Keys have come, or will not: all that are paused now are to be decided again.
    pub fn ready(&mut self) {
        self.paused.iter_mut().for_each(|(_, ready)| *ready = true);
    }

    /// Whether some are ready.
    pub fn any_ready(&self) -> bool {
        self.paused.iter().any(|(_, ready)| *ready)
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        !self.paused.is_empty()
    }

    /// Who is next: those that are ready, a few at a time, before anybody's time is looked at.
    pub fn turn(&mut self) -> Turn {
        let mut few = Vec::new();
        for (id, ready) in self.paused.iter_mut().filter(|(_, ready)| **ready).take(FEW) {
            *ready = false;
            few.push(*id);
        }
        match few.is_empty() {
            true => Turn::Waiting(self.paused.iter().map(|(id, _)| *id).collect()),
            false => Turn::Ready(few),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_ready_comes_a_few_at_a_time_and_nobody_twice() {
        let mut queue = PausedQueue::default();
        assert_eq!((0..300).filter(|id| queue.pause(*id)).count(), MOST);
        assert!(queue.any() && !queue.any_ready());
        assert_eq!(queue.turn(), Turn::Waiting((0..256).collect()));
        queue.ready();
        // One hangs up, and one comes later.
        queue.release(2);
        assert!(queue.pause(1000));
        let mut woken = Vec::new();
        let mut turns = 0;
        while queue.any_ready() {
            let Turn::Ready(few) = queue.turn() else { panic!() };
            assert!((1..=FEW).contains(&few.len()));
            woken.extend(few);
            turns += 1;
        }
        assert_eq!(woken, (0..256).filter(|id| *id != 2).collect::<Vec<_>>());
        assert_eq!(turns, 64);
        // Who is paused on waits for its time, or for other keys.
        woken.iter().skip(2).for_each(|id| queue.release(*id));
        assert_eq!(queue.turn(), Turn::Waiting(vec![0, 1, 1000]));
        queue.ready();
        assert_eq!(queue.turn(), Turn::Ready(vec![0, 1, 1000]));
    }
}
