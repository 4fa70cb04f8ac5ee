//! Content codings of an answer (RFC 9110 §8.4.1): inflates gzip and deflate up to a limit.

use std::borrow::Cow;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

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

/// The body as it was before coding; `None` if it cannot be had within `limit` bytes.
pub fn decode(encoding: Encoding, body: &[u8], limit: usize) -> Option<Cow<'_, [u8]>> {
    match encoding {
        Encoding::Identity => Some(Cow::Borrowed(body)),
        Encoding::Gzip => gunzip(body, limit).map(Cow::Owned),
        Encoding::Deflate => inflate(body, TINFL_FLAG_PARSE_ZLIB_HEADER, limit)
            .or_else(|| inflate(body, 0, limit))
            .filter(|(_, rest)| rest.is_empty())
            .map(|(out, _)| Cow::Owned(out)),
        Encoding::Other => None,
    }
}

/// One member. Its length is checked; its CRC is not, since the connection has its own.
fn gunzip(body: &[u8], limit: usize) -> Option<Vec<u8>> {
    let (data, trailer) = inflate(after_gzip_header(body)?, 0, limit)?;
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
fn inflate(data: &[u8], flags: u32, limit: usize) -> Option<(Vec<u8>, &[u8])> {
    let flags = flags | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut out = vec![0; data.len().saturating_mul(4).clamp(1024.min(limit), limit)];
    let mut state = Box::<DecompressorOxide>::default();
    let (mut read, mut written) = (0usize, 0usize);
    loop {
        let input = data.get(read..)?;
        let (status, consumed, produced) = decompress(&mut state, input, &mut out, written, flags);
        read = read.checked_add(consumed)?;
        written = written.checked_add(produced)?;
        match status {
            TINFLStatus::Done => {
                out.truncate(written);
                return Some((out, data.get(read..)?));
            }
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
