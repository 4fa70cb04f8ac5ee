//! FNV-1a, 64 bits: for what has to withstand nobody. Keys that a request chose are found by
//! `words::hash` and compared.

/// What it begins with.
pub const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash with more bytes.
pub fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the test vectors of its authors.
    #[test]
    fn is_fnv_1a() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv(FNV_BASIS, text.as_bytes()), hash, "{text}");
        }
    }
}
