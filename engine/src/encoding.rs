//! Content codings of an answer (RFC 9110 §8.4.1): inflates gzip and deflate up to a limit.

use std::borrow::Cow;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
    TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::steps::Steps;

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, or, as some servers send it, RFC 1951.
    Deflate,
    /// Brotli, Zstandard, several in a row, or unknown.
    Other,
}

impl Encoding {
    /// Reads a `content-encoding`.
    pub fn of(value: &[u8]) -> Self {
        match value.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Self::Identity,
            b"gzip" | b"x-gzip" => Self::Gzip,
            b"deflate" => Self::Deflate,
            _ => Self::Other,
        }
    }
}

/// Steps for a block (RFC 1951 §3.2.3): its codes are made into tables, which takes microseconds,
/// whatever it holds. Usual ones hold some ten thousand bytes; one that holds none may take ten bits.
const BLOCK: usize = 128;

/// Bytes, coded or not, for a step.
const BYTES: usize = 16;

/// The body as it was before coding; `None` if it cannot be had within `limit` bytes, or the steps
/// for one comparison.
pub fn decode(encoding: Encoding, body: &[u8], limit: usize) -> Option<Cow<'_, [u8]>> {
    decode_within(encoding, body, limit, &mut Steps::default())
}

/// The same, paid for with these steps.
pub fn decode_within<'a>(
    encoding: Encoding,
    body: &'a [u8],
    limit: usize,
    steps: &mut Steps,
) -> Option<Cow<'a, [u8]>> {
    match encoding {
        Encoding::Identity => Some(Cow::Borrowed(body)),
        Encoding::Gzip => gunzip(body, limit, steps).map(Cow::Owned),
        Encoding::Deflate => inflate(body, TINFL_FLAG_PARSE_ZLIB_HEADER, limit, steps)
            .or_else(|| inflate(body, 0, limit, steps))
            .filter(|(_, rest)| rest.is_empty())
            .map(|(out, _)| Cow::Owned(out)),
        Encoding::Other => None,
    }
}

/// One member. Its length is checked; its CRC is not, since the connection has its own.
fn gunzip(body: &[u8], limit: usize, steps: &mut Steps) -> Option<Vec<u8>> {
    let (data, trailer) = inflate(after_gzip_header(body)?, 0, limit, steps)?;
    let (_crc, size) = trailer.split_at_checked(4)?;
    let size = u32::from_le_bytes(size.try_into().ok()?);
    (u32::try_from(data.len()) == Ok(size)).then_some(data)
}

fn after_gzip_header(body: &[u8]) -> Option<&[u8]> {
    let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, rest @ ..] = body else { return None };
    let given = |flag: u8| flags & flag != 0;
    let mut rest = rest;
    if given(4) {
        let (len, tail) = rest.split_at_checked(2)?;
        let len = usize::from(u16::from_le_bytes(len.try_into().ok()?));
        rest = tail.get(len..)?;
    }
    // File name and comment, each up to a zero byte.
    for flag in [8, 16] {
        if given(flag) {
            let end = rest.iter().position(|c| *c == 0)?;
            rest = rest.get(end.checked_add(1)?..)?;
        }
    }
    if given(2) {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

/// The inflated bytes, and what follows them in `data`.
fn inflate<'a>(
    data: &'a [u8],
    flags: u32,
    limit: usize,
    steps: &mut Steps,
) -> Option<(Vec<u8>, &'a [u8])> {
    let flags =
        flags | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
    if !steps.take(data.len() / BYTES) {
        return None;
    }
    let mut out = vec![0; data.len().saturating_mul(4).clamp(1024.min(limit), limit)];
    let mut state = Box::<DecompressorOxide>::default();
    let (mut read, mut written) = (0usize, 0usize);
    loop {
        let input = data.get(read..)?;
        let (status, consumed, produced) = decompress(&mut state, input, &mut out, written, flags);
        read = read.checked_add(consumed)?;
        written = written.checked_add(produced)?;
        if !steps.take((produced / BYTES).saturating_add(BLOCK)) {
            return None;
        }
        match status {
            TINFLStatus::Done => {
                out.truncate(written);
                return Some((out, data.get(read..)?));
            }
            TINFLStatus::BlockBoundary => {}
            TINFLStatus::HasMoreOutput if out.len() < limit => {
                let len = out.len().saturating_mul(2).min(limit);
                out.resize(len, 0);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = br#"{"predictions":[[0.1,0.9]]}"#;

    /// A stored block (RFC 1951 §3.2.4).
    fn stored(text: &[u8]) -> Vec<u8> {
        let len = u16::try_from(text.len()).unwrap();
        let mut out = vec![1];
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend(text);
        out
    }

    fn gzip(flags: u8, extra: &[u8], text: &[u8]) -> Vec<u8> {
        let mut out = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255];
        out.extend(extra);
        out.extend(stored(text));
        out.extend([0; 4]);
        out.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        out
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let (mut a, mut b) = (1u32, 0u32);
        for byte in text {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        [vec![0x78, 0x01], stored(text), ((b << 16) | a).to_be_bytes().to_vec()].concat()
    }

    #[test]
    fn decodes_what_servers_send() {
        let all = gzip(4 | 8 | 16 | 2, b"\x02\0xxname\0comment\0\0\0", TEXT);
        for (encoding, body) in [
            ("", TEXT.to_vec()),
            ("identity", TEXT.to_vec()),
            ("gzip", gzip(0, b"", TEXT)),
            (" X-GZip ", all),
            ("deflate", zlib(TEXT)),
            ("deflate", stored(TEXT)),
        ] {
            let decoded = decode(Encoding::of(encoding.as_bytes()), &body, TEXT.len());
            assert_eq!(decoded.as_deref(), Some(TEXT), "{encoding}");
        }
    }

    #[test]
    fn is_bounded_and_strict() {
        let mut body = gzip(0, b"", TEXT);
        assert_eq!(decode(Encoding::Gzip, &body, TEXT.len() - 1), None, "limit");
        for cut in 0..body.len() {
            assert_eq!(decode(Encoding::Gzip, &body[..cut], 1024), None, "cut at {cut}");
        }
        body.push(0);
        assert_eq!(decode(Encoding::Gzip, &body, 1024), None, "a second member");
        assert_eq!(decode(Encoding::of(b"br"), TEXT, 1024), None);
        assert_eq!(decode(Encoding::of(b"gzip, gzip"), TEXT, 1024), None);
    }

    /// Bits from the lowest of a byte to its highest (RFC 1951 §3.1.1).
    #[derive(Default)]
    struct Bits(Vec<u8>, u32);

    impl Bits {
        fn push(&mut self, bits: u32, count: u32) {
            for bit in 0..count {
                if self.1.is_multiple_of(8) {
                    self.0.push(0);
                }
                let last = self.0.last_mut().unwrap();
                *last |= u8::try_from(bits >> bit & 1).unwrap() << (self.1 % 8);
                self.1 += 1;
            }
        }
    }

    /// Blocks with the usual codes and nothing in them (RFC 1951 §3.2.6).
    fn usual_blocks(size: usize) -> Vec<u8> {
        let mut bits = Bits::default();
        while bits.0.len() < size {
            bits.push(0b010, 10);
        }
        bits.push(0b011, 10);
        bits.0
    }

    /// Blocks with codes of their own and nothing in them, about so many bytes (RFC 1951 §3.2.7).
    fn empty_blocks(size: usize) -> Vec<u8> {
        let mut bits = Bits::default();
        while bits.0.len() < size {
            bits.push(0b100, 3);
            // 257 lengths of literals, 1 of distances, 18 of the lengths' own codes.
            bits.push(0, 5);
            bits.push(0, 5);
            bits.push(14, 4);
            // Of 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1: only 18 and 1 are used.
            for code in 0..18 {
                bits.push(u32::from(code == 2 || code == 17), 3);
            }
            // 138 and 118 zeros, then the length 1 twice: of the end of the block, and of a distance.
            bits.push(0b1, 1);
            bits.push(138 - 11, 7);
            bits.push(0b1, 1);
            bits.push(118 - 11, 7);
            bits.push(0b00, 2);
            // The end.
            bits.push(0, 1);
        }
        bits.push(0b11, 3);
        bits.push(0, 7);
        bits.0
    }

    #[test]
    fn blocks_without_bytes_are_paid_for() {
        for (blocks, least) in [(empty_blocks as fn(usize) -> Vec<u8>, 80), (usual_blocks, 790)] {
            let mut steps = Steps::default();
            let before = steps.left();
            let few = blocks(1000);
            let decoded = decode_within(Encoding::Deflate, &few, 1024, &mut steps);
            assert_eq!(decoded.as_deref(), Some(&b""[..]));
            let taken = (before - steps.left()) / 128;
            assert!((least..=least + 20).contains(&taken), "{taken} blocks");
            // As many as would take a good part of a second, or several.
            assert_eq!(decode(Encoding::Deflate, &blocks(1 << 20), 1 << 20), None);
        }
    }

    #[test]
    fn usual_answers_are_far_from_what_inflating_may_cost() {
        // Runs of 65,535 bytes as they are, and the last one.
        let block = |last: u8, text: &[u8]| [&[last], &stored(text)[1..]].concat();
        let text = vec![b'x'; 1 << 20];
        let mut chunks =
            text.chunks(65_535).map(|chunk| block(0, chunk)).collect::<Vec<_>>().concat();
        chunks.extend(block(1, b""));
        let mut steps = Steps::default();
        let decoded = decode_within(Encoding::Deflate, &chunks, 1 << 20, &mut steps);
        assert_eq!(decoded.map(|text| text.len()), Some(1 << 20));
        let taken = Steps::default().left() - steps.left();
        assert!(taken < Steps::default().left() / 4, "{taken}");
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        // 100,000 zero bytes, by Python's gzip: a short head, runs of zero bits, a short tail.
        let mut bomb = vec![
            0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0x02, 0x03, 0xed, 0xc1, 0x31, 0x01, 0, 0, 0, 0xc2,
            0xa0, 0xf5, 0x4f, 0x6d, 0x0d, 0x0f, 0xa0,
        ];
        bomb.resize(121, 0);
        bomb.extend([0x80, 0x57, 0x03, 0x7d, 0x95, 0x11, 0xd4, 0xa0, 0x86, 0x01, 0]);
        assert_eq!(decode(Encoding::Gzip, &bomb, 100_000).map(|b| b.len()), Some(100_000));
        assert_eq!(decode(Encoding::Gzip, &bomb, 4096), None);
    }
}
