//! A core of its own for what is measured, as on a node of its own: else what shows is how it competes with
//! callers and models for a core.

use anyhow::{Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The last core, and the others. While this lives, its thread and what that starts have the others.
#[derive(Debug)]
pub struct Cores {
    all: CpuSet,
    own: CpuSet,
    others: CpuSet,
}

impl Cores {
    /// Leaves the last core alone.
    ///
    /// # Errors
    /// There is only one core.
    pub fn split() -> Result<Self> {
        let all = sched_getaffinity(None)?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|core| all.is_set(*core)).unwrap_or_default();
        let (mut own, mut others) = (CpuSet::new(), all);
        own.set(last);
        others.unset(last);
        ensure!(others.count() > 0, "the gateway needs a core of its own, and there is only one");
        sched_setaffinity(None, &others)?;
        Ok(Self { all, own, others })
    }

    /// Starts a process on the last core.
    ///
    /// # Errors
    /// What `start` returns.
    pub fn apart<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        sched_setaffinity(None, &self.own)?;
        let started = start();
        sched_setaffinity(None, &self.others)?;
        started
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        // They were this thread's before: they can be had again.
        let _ = sched_setaffinity(None, &self.all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_core_is_for_nothing_else() {
        std::thread::spawn(|| {
            let now = || sched_getaffinity(None).unwrap();
            let all = now();
            if all.count() == 1 {
                return assert!(Cores::split().is_err());
            }
            let cores = Cores::split().unwrap();
            for _ in 0..2 {
                let (own, others) = (cores.apart(|| Ok(now())).unwrap(), now());
                assert_eq!((own.count(), others.count()), (1, all.count() - 1));
                let both = |core: &usize| own.is_set(*core) && others.is_set(*core);
                assert_eq!((0..CpuSet::MAX_CPU).find(both), None);
            }
            drop(cores);
            assert_eq!(now(), all);
        })
        .join()
        .unwrap();
    }
}
