//! Tensors in their binary form: behind the JSON of an answer (Open Inference Protocol, binary tensor
//! data extension), and in `raw_output_contents` of a message.

use std::borrow::Cow;

use super::json::{self, Json, MAX_VALUES, Members, Unread};
use super::number::Number;
use crate::steps::Steps;

/// Reads an answer whose first `json_len` bytes are JSON. Its outputs with a `binary_data_size` have
/// their data in what follows, in their order; what no output takes is kept as it is, so that it
/// cannot differ unseen.
///
/// # Errors
/// Says whether it is none, or more than is compared.
pub fn read<'a>(body: &'a [u8], json_len: usize, steps: &mut Steps) -> Result<Json<'a>, Unread> {
    let (head, mut tail) = body.split_at_checked(json_len).ok_or(Unread::Malformed)?;
    let Json::Object(mut members) = json::read(head, steps)? else {
        return Err(Unread::Malformed);
    };
    let mut values = MAX_VALUES;
    if let Some((_, Json::Array(outputs))) = members.iter_mut().find(|(n, _)| **n == *b"outputs") {
        for output in outputs {
            let Json::Object(output) = output else { return Err(Unread::Malformed) };
            let Some(size) = take_binary_size(output) else { continue };
            let size = size.size().ok_or(Unread::Malformed)?;
            let (raw, rest) = tail.split_at_checked(size).ok_or(Unread::Malformed)?;
            tail = rest;
            if output.iter().any(|(name, _)| **name == *b"data") {
                return Err(Unread::Malformed);
            }
            let data = tensor(output, raw, &mut values, steps)?;
            insert(output, b"data", data);
        }
    }
    if !tail.is_empty() {
        insert(&mut members, b"raw_output_contents", Json::String(Cow::Borrowed(tail)));
    }
    Ok(Json::Object(members))
}

/// Numbers in little-endian order, or byte strings each behind its length in four bytes, as the
/// `datatype` of the output says, or the `dtype` of a tensor of TensorFlow.
///
/// # Errors
/// Says whether that does not fit, or is more than is compared.
pub fn tensor<'a>(
    output: &Members<'_>,
    mut raw: &'a [u8],
    values: &mut u32,
    steps: &mut Steps,
) -> Result<Json<'a>, Unread> {
    let is_type = |name: &[u8]| [&b"datatype"[..], b"dtype"].contains(&name);
    let Some((_, Json::String(datatype))) = output.iter().find(|(name, _)| is_type(name)) else {
        return Err(Unread::Malformed);
    };
    let of = DATATYPES.iter().find(|of| of.name.as_bytes() == &**datatype);
    let mut items = Vec::new();
    while !raw.is_empty() {
        *values = values.checked_sub(1).filter(|_| steps.take(1)).ok_or(Unread::TooComplex)?;
        items.push(of.and_then(|of| element(of, &mut raw)).ok_or(Unread::Malformed)?);
    }
    Ok(Json::Array(items))
}

/// Takes `binary_data_size` out of an output's parameters: it says how the data came, and not what
/// they are.
pub fn take_binary_size<'a>(output: &mut Members<'a>) -> Option<Number<'a>> {
    let parameters = output.iter_mut().find(|(name, _)| **name == *b"parameters");
    let Some((_, Json::Object(parameters))) = parameters else { return None };
    match take(parameters, b"binary_data_size")? {
        Json::Number(size) => Some(size),
        _ => None,
    }
}

/// Takes a member out.
pub fn take<'a>(members: &mut Members<'a>, name: &[u8]) -> Option<Json<'a>> {
    let at = members.iter().position(|(n, _)| **n == *name)?;
    // The order stays: it is that of the names.
    Some(members.remove(at).1)
}

/// Adds a member where its name belongs.
pub fn insert<'a>(members: &mut Members<'a>, name: &'static [u8], value: Json<'a>) {
    let at = members.partition_point(|(n, _)| **n < *name);
    members.insert(at, (Cow::Borrowed(name), value));
}

/// What the elements of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Element {
    Bool,
    Signed,
    Unsigned,
    /// IEEE 754 binary16.
    Half,
    /// The upper half of a single.
    Brain,
    Single,
    Double,
    /// A length, and so many bytes behind it.
    Bytes,
}

/// A type of elements.
#[derive(Debug)]
pub struct Datatype {
    /// In the Open Inference Protocol.
    pub name: &'static str,
    /// In TensorFlow.
    pub number: u8,
    element: Element,
    /// Bytes of a number, or of a length.
    width: u8,
}

const fn datatype(name: &'static str, number: u8, element: Element, width: u8) -> Datatype {
    Datatype { name, number, element, width }
}

/// All types of the Open Inference Protocol, with the numbers of `tensorflow.DataType`.
pub const DATATYPES: &[Datatype] = &[
    datatype("BOOL", 10, Element::Bool, 1),
    datatype("INT8", 6, Element::Signed, 1),
    datatype("INT16", 5, Element::Signed, 2),
    datatype("INT32", 3, Element::Signed, 4),
    datatype("INT64", 9, Element::Signed, 8),
    datatype("UINT8", 4, Element::Unsigned, 1),
    datatype("UINT16", 17, Element::Unsigned, 2),
    datatype("UINT32", 22, Element::Unsigned, 4),
    datatype("UINT64", 23, Element::Unsigned, 8),
    datatype("FP16", 19, Element::Half, 2),
    datatype("BF16", 14, Element::Brain, 2),
    datatype("FP32", 1, Element::Single, 4),
    datatype("FP64", 2, Element::Double, 8),
    datatype("BYTES", 7, Element::Bytes, 4),
];

fn element<'a>(of: &Datatype, raw: &mut &'a [u8]) -> Option<Json<'a>> {
    let (bytes, rest) = raw.split_at_checked(of.width.into())?;
    *raw = rest;
    let negative = of.element == Element::Signed && bytes.last() >= Some(&0x80);
    let sign = if negative { u64::MAX } else { 0 };
    let bits = bytes.iter().rev().fold(sign, |bits, byte| bits << 8 | u64::from(*byte));
    let low = u32::try_from(bits);
    Some(match of.element {
        Element::Bool => Json::Bool(bits != 0),
        Element::Signed => Json::Number(Number::Signed(bits.cast_signed())),
        Element::Unsigned => Json::Number(Number::Unsigned(bits)),
        Element::Half => float(half(low.ok()?)),
        Element::Brain => float(f32::from_bits(low.ok()? << 16).into()),
        Element::Single => float(f32::from_bits(low.ok()?).into()),
        Element::Double => float(f64::from_bits(bits)),
        Element::Bytes => {
            let (bytes, rest) = raw.split_at_checked(usize::try_from(bits).ok()?)?;
            *raw = rest;
            Json::String(Cow::Borrowed(bytes))
        }
    })
}

fn half(bits: u32) -> f64 {
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    let size = match (bits >> 10) & 0x1f {
        0 => fraction / 16384.0,
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction) * 2f64.powi(exponent.cast_signed() - 15),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// A number that is not whole by its type.
pub fn float<'a>(value: f64) -> Json<'a> {
    Json::Number(Number::Float(value))
}
