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

/// What is left for a request.
#[derive(Debug)]
pub struct Work {
    in_module: u32,
}

impl Default for Work {
    fn default() -> Self {
        Self { in_module: IN_MODULE }
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

    /// Takes a check off what is left; `false` if there is not enough.
    pub fn take(&mut self, price: Price) -> bool {
        if !price.in_module {
            return true;
        }
        let left = self.in_module.checked_sub(1);
        self.in_module = left.unwrap_or(0);
        left.is_some()
    }
}
