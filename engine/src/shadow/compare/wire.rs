//! Protobuf's wire format (protobuf.dev/programming-guides/encoding): the fields of one message.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A whole number or a boolean.
    Varint(u64),
    /// A double, or a number of fixed width.
    Eight([u8; 8]),
    /// A float, or a number of fixed width.
    Four([u8; 4]),
    /// Text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
}

/// The fields of a message, in order: number and value. Ends with `None` as the item where the bytes
/// are no message (groups included, which proto3 does not have).
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// The fields of this message.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = varint(&mut self.rest)?;
        let number = u32::try_from(tag >> 3).ok().filter(|n| (1..1 << 29).contains(n))?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Eight(*array(&mut self.rest)?),
            2 => {
                let len = usize::try_from(varint(&mut self.rest)?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(len)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Four(*array(&mut self.rest)?),
            _ => return None,
        };
        Some((number, value))
    }
}

/// Takes so many bytes from the front.
pub fn array<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (array, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(array)
}

/// Takes a varint from the front. As protobuf's own readers do, bits beyond 64 are lost.
pub fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for i in 0..10u32 {
        let [byte] = *array(bytes)?;
        value |= u64::from(byte & 0x7f) << i.saturating_mul(7).min(63);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_examples_of_the_specification() {
        // From the page on encoding: 150 in field 1, "testing" in field 2.
        let message = b"\x08\x96\x01\x12\x07testing";
        let read: Vec<_> = fields(message).collect();
        assert_eq!(read, [Some((1, Value::Varint(150))), Some((2, Value::Bytes(b"testing")))]);
        let minus_two = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(varint(&mut &minus_two[..]), Some((-2i64).cast_unsigned()));
    }

    #[test]
    fn what_is_no_message_ends_it() {
        for bytes in [
            &b"\x08"[..],
            b"\x08\x80",
            b"\x12\x05abc",
            b"\x0b",
            b"\x00\x01",
            b"\x09\0\0\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(fields(bytes).last(), Some(None), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_ends(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }
    }
}
