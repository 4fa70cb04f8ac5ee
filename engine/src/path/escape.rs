//! Percent-encoding, RFC 3986 §2.1.

use std::borrow::Cow;

pub(crate) use percent_encoding::percent_decode as decode_lenient;

/// Decodes every `%XX` once; `None` if one is malformed. [`decode_lenient`] leaves such as they are.
pub(crate) fn decode_strict(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    let decoded: Option<Vec<u8>> =
        units(text).map(|unit| (unit != (b'%', 1)).then_some(unit.0)).collect();
    decoded.map(Cow::Owned)
}

/// The bytes that a text stands for, each with the length that it is written in. A `%` that begins no
/// escape stands for itself.
pub(crate) fn units(text: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        let escape = tail.get(..2).filter(|_| first == b'%').and_then(byte);
        let (byte, length) = escape.map_or((first, 1), |byte| (byte, 3));
        rest = rest.get(length..).unwrap_or_default();
        Some((byte, length))
    })
}

/// What two digits stand for.
fn byte(digits: &[u8]) -> Option<u8> {
    let mut digits = digits.iter().map(|c| char::from(*c).to_digit(16));
    let (high, low) = (digits.next()??, digits.next()??);
    u8::try_from(high << 4 | low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_escape_has_two_digits() {
        for (text, decoded) in [
            ("a%2Fb%c3%A9", Some("a/bé")),
            ("%", None),
            ("%2", None),
            ("%2/", None),
            ("%+1", None),
            ("a%%41", None),
            ("%25", Some("%")),
        ] {
            let found = decode_strict(text.as_bytes());
            assert_eq!(found.as_deref(), decoded.map(str::as_bytes), "{text}");
        }
    }

    proptest! {
        #[test]
        fn strict_is_lenient_where_all_is_well(text in "([%a-f0-9/]|%[0-9a-fA-F]{2}){0,8}") {
            let text = text.as_bytes();
            let lenient: Vec<u8> = decode_lenient(text).collect();
            if let Some(strict) = decode_strict(text) {
                prop_assert_eq!(&*strict, &*lenient);
            }
            let units: Vec<u8> = units(text).map(|(byte, _)| byte).collect();
            prop_assert_eq!(units, lenient);
        }
    }
}
