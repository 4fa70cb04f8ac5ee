//! Tensors in their binary form: behind the JSON of an answer (Open Inference Protocol, binary tensor
//! data extension), and in `raw_output_contents` of a message.

use std::borrow::Cow;

use super::json::{self, Json, MAX_VALUES, Members, Unread};
use super::number::Number;
use super::wire;
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
/// `datatype` of the output says.
///
/// # Errors
/// Says whether that does not fit, or is more than is compared.
pub fn tensor<'a>(
    output: &Members<'a>,
    mut raw: &'a [u8],
    values: &mut u32,
    steps: &mut Steps,
) -> Result<Json<'a>, Unread> {
    let datatype = output.iter().find(|(name, _)| **name == *b"datatype").map(|(_, d)| d);
    let Some(Json::String(datatype)) = datatype else { return Err(Unread::Malformed) };
    let mut items = Vec::new();
    while !raw.is_empty() {
        *values = values.checked_sub(1).filter(|_| steps.take(1)).ok_or(Unread::TooComplex)?;
        items.push(element(datatype, &mut raw).ok_or(Unread::Malformed)?);
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

fn element<'a>(datatype: &[u8], raw: &mut &'a [u8]) -> Option<Json<'a>> {
    let signed = |n: i64| Json::Number(Number::Signed(n));
    let unsigned = |n: u64| Json::Number(Number::Unsigned(n));
    Some(match datatype {
        b"BOOL" => Json::Bool(*wire::array(raw)? != [0u8]),
        b"INT8" => signed(i8::from_le_bytes(*wire::array(raw)?).into()),
        b"INT16" => signed(i16::from_le_bytes(*wire::array(raw)?).into()),
        b"INT32" => signed(i32::from_le_bytes(*wire::array(raw)?).into()),
        b"INT64" => signed(i64::from_le_bytes(*wire::array(raw)?)),
        b"UINT8" => unsigned(u8::from_le_bytes(*wire::array(raw)?).into()),
        b"UINT16" => unsigned(u16::from_le_bytes(*wire::array(raw)?).into()),
        b"UINT32" => unsigned(u32::from_le_bytes(*wire::array(raw)?).into()),
        b"UINT64" => unsigned(u64::from_le_bytes(*wire::array(raw)?)),
        b"FP16" => float(half(u16::from_le_bytes(*wire::array(raw)?))),
        b"BF16" => {
            let high = u32::from(u16::from_le_bytes(*wire::array(raw)?));
            float(f32::from_bits(high << 16).into())
        }
        b"FP32" => float(f32::from_le_bytes(*wire::array(raw)?).into()),
        b"FP64" => float(f64::from_le_bytes(*wire::array(raw)?)),
        b"BYTES" => {
            let len = usize::try_from(u32::from_le_bytes(*wire::array(raw)?)).ok()?;
            let (bytes, rest) = raw.split_at_checked(len)?;
            *raw = rest;
            Json::String(Cow::Borrowed(bytes))
        }
        _ => return None,
    })
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    let size = match (bits >> 10) & 0x1f {
        0 => fraction / 16384.0,
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction) * 2f64.powi(i32::from(exponent) - 15),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// A number that is not whole by its type.
pub fn float<'a>(value: f64) -> Json<'a> {
    Json::Number(Number::Float(value))
}
