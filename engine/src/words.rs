//! Bytes compared and hashed by words of eight: on wasm32 `memcmp` goes byte by byte.

/// Whether they are the same.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && same_length(a, b)
}

fn same_length(a: &[u8], b: &[u8]) -> bool {
    let word = |word: &[u8; 8]| u64::from_le_bytes(*word);
    let (Some(a_last), Some(b_last)) = (a.last_chunk(), b.last_chunk()) else {
        return a.iter().zip(b).all(|(a, b)| a == b);
    };
    // Tokens are long: four words at a time.
    let (a_wide, a) = a.as_chunks::<32>();
    let (b_wide, b) = b.as_chunks::<32>();
    let differ = |a: &[u8; 32], b: &[u8; 32]| {
        let (a, b) = (a.as_chunks().0, b.as_chunks().0);
        a.iter().zip(b).fold(0, |differ, (a, b)| differ | (word(a) ^ word(b)))
    };
    // The last words may overlap those before.
    let (a, b) = (a.as_chunks().0, b.as_chunks().0);
    word(a_last) == word(b_last)
        && a.iter().zip(b).all(|(a, b)| word(a) == word(b))
        && a_wide.iter().zip(b_wide).all(|(a, b)| differ(a, b) == 0)
}

/// A hash to find entries by that are compared: whoever makes two collide only pushes one of them out.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(ODD);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash =
        words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)));
    // The upper bits are the well mixed ones.
    mix(hash, 0).rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn same_is_equality(a in proptest::collection::vec(0..3u8, 0..100), b in proptest::collection::vec(0..3u8, 0..100), at in 0..100usize) {
            prop_assert_eq!(same(&a, &b), a == b);
            prop_assert!(same(&a, &a.clone()));
            let mut other = a.clone();
            if let Some(byte) = other.get_mut(at) {
                *byte ^= 1;
                prop_assert!(!same(&a, &other));
                prop_assert_ne!(hash(&a), hash(&other));
            }
        }
    }
}
