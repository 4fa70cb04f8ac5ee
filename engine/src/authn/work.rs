//! How much a request may cost before it is known who calls: checks of signatures, by their price.

/// What a check costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    /// In sixteenths of a check with RSA 2048 in the module, about 30 microseconds each.
    pub units: u32,
    /// Whether it is made in the module, not by the host.
    pub in_module: bool,
}

/// The most units for all keys that may have made one token.
const UNITS: u32 = 64;

/// The most checks in the module for all tokens of a request.
const IN_MODULE: u32 = 4;

/// The most units of checks in the module that find a signature wrong, in a second: half of it. Forged tokens
/// then leave a worker the other half, however long their key is.
const WRONG_A_SECOND: u32 = 16 * 1024;

/// What wrong signatures have cost a worker in the current second.
#[derive(Debug, Default)]
pub struct Wrong {
    second: u64,
    units: u32,
}

impl Wrong {
    fn allows(&mut self, second: u64) -> bool {
        if self.second != second {
            *self = Self { second, units: 0 };
        }
        self.units < WRONG_A_SECOND
    }
}

/// What is left for a request.
#[derive(Debug)]
pub struct Work {
    in_module: u32,
    /// Units of checks in the module that were made for the token.
    units: u32,
    /// Whether there may be any in this second.
    open: bool,
}

impl Default for Work {
    fn default() -> Self {
        Self { in_module: IN_MODULE, units: 0, open: true }
    }
}

impl Work {
    /// Whether a token may be checked with all of these keys. A single one always may: a token
    /// names it, or there is no other.
    pub fn allows(prices: impl Iterator<Item = Price>) -> bool {
        let costly = prices.filter(|price| price.units > 0);
        let (count, units) = costly.fold((0_u32, 0_u32), |(count, units), price| {
            (count.saturating_add(1), units.saturating_add(price.units))
        });
        count <= 1 || units <= UNITS
    }

    /// Begins with a token, in this second.
    pub fn begin(&mut self, wrong: &mut Wrong, second: u64) {
        (self.units, self.open) = (0, wrong.allows(second));
    }

    /// Ends with a token: one that is not good has cost what it has.
    pub fn end(&self, wrong: &mut Wrong, good: bool) {
        wrong.units = wrong.units.saturating_add(if good { 0 } else { self.units });
    }

    /// Takes a check off what is left; `false` if there is not enough.
    pub fn take(&mut self, price: Price) -> bool {
        if !price.in_module {
            return true;
        }
        let Some(left) = self.in_module.checked_sub(1).filter(|_| self.open) else { return false };
        self.in_module = left;
        self.units = self.units.saturating_add(price.units);
        true
    }
}
