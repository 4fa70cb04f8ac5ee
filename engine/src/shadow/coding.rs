//! Content codings by their names (RFC 9110 §8.4.1).

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
