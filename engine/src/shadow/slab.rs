//! Numbered places for exchanges. A number that was given back is never mistaken for its successor.

/// The number of an exchange: a place, and how often it was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    place: u32,
    generation: u32,
}

/// Values by [`ExchangeId`].
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Keeps a value; `None` once four thousand million are kept.
    pub fn insert(&mut self, value: T) -> Option<ExchangeId> {
        if let Some(place) = self.free.pop() {
            let (generation, slot) = self.places.get_mut(place as usize)?;
            *slot = Some(value);
            return Some(ExchangeId { place, generation: *generation });
        }
        let place = u32::try_from(self.places.len()).ok()?;
        self.places.push((0, Some(value)));
        Some(ExchangeId { place, generation: 0 })
    }

    /// The value, unless it was removed.
    pub fn get(&self, id: ExchangeId) -> Option<&T> {
        let (generation, slot) = self.places.get(id.place as usize)?;
        slot.as_ref().filter(|_| *generation == id.generation)
    }

    /// The value, unless it was removed.
    pub fn get_mut(&mut self, id: ExchangeId) -> Option<&mut T> {
        let (generation, slot) = self.places.get_mut(id.place as usize)?;
        slot.as_mut().filter(|_| *generation == id.generation)
    }

    /// Takes the value out.
    pub fn remove(&mut self, id: ExchangeId) -> Option<T> {
        let (generation, slot) = self.places.get_mut(id.place as usize)?;
        if *generation != id.generation {
            return None;
        }
        let value = slot.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(id.place);
        Some(value)
    }

    /// Every value that is kept.
    pub fn ids(&self) -> impl Iterator<Item = (ExchangeId, &T)> {
        self.places.iter().enumerate().filter_map(|(place, (generation, slot))| {
            let id = ExchangeId { place: u32::try_from(place).ok()?, generation: *generation };
            Some((id, slot.as_ref()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_number_finds_nothing() {
        let mut slab = Slab::default();
        let first = slab.insert("first").unwrap();
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second").unwrap();
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"second"));
        assert_eq!(slab.ids().map(|(id, _)| id).collect::<Vec<_>>(), [second]);
    }
}
