//! Seeded choices.

/// SplitMix64, of one seed and one turn.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64, turn: u64) -> Self {
        Self(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ turn)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Some of the choices, at least one.
    pub fn some(&mut self, choices: &[&str]) -> Vec<String> {
        let count = 1 + self.below(2);
        let mut found: Vec<String> = (0..count).map(|_| self.pick(choices).to_owned()).collect();
        found.dedup();
        found
    }
}
