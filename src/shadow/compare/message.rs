//! Messages of unary gRPC answers, read as the JSON that the same server would write: one walk, and
//! one set of pointers, for both.
//!
//! Known are `ModelInferResponse` of the Open Inference Protocol, with the contents of its tensors
//! typed or raw, and Seldon's `SeldonMessage`. Fields that these do not have are kept under their
//! numbers, so that they cannot differ unseen. A field that holds its type's default is the same as
//! none (proto3 does not tell them apart).

use std::borrow::Cow;

use super::json::{Json, MAX_DEPTH, MAX_VALUES, Unread};
use super::number::Number;
use super::wire::{self, Value};

/// A message that answers carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// `inference.ModelInferResponse`.
    ModelInferResponse,
    /// `seldon.protos.SeldonMessage`.
    SeldonMessage,
}

impl Message {
    /// What the method at this path answers with, if it is one of these.
    pub fn of_path(path: &[u8]) -> Option<Self> {
        let method = path.rsplit(|c| *c == b'/').next().unwrap_or_default();
        if path == b"/inference.GRPCInferenceService/ModelInfer" {
            return Some(Self::ModelInferResponse);
        }
        let answers_with_data = matches!(
            method,
            b"Predict" | b"TransformInput" | b"TransformOutput" | b"Route" | b"Aggregate"
        );
        (path.starts_with(b"/seldon.protos.") && answers_with_data).then_some(Self::SeldonMessage)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Says whether it is none, or more than is compared.
    pub fn read(self, bytes: &[u8]) -> Result<Json<'_>, Unread> {
        let mut reader = Reader { values: MAX_VALUES };
        match self {
            Self::ModelInferResponse => reader.infer_response(bytes),
            Self::SeldonMessage => reader.message(SELDON_MESSAGE, bytes, MAX_DEPTH),
        }
    }
}

/// The only message of a unary answer's body, and whether it is compressed.
pub fn unary(body: &[u8]) -> Option<(&[u8], bool)> {
    let mut rest = body;
    let [compressed] = *wire::array(&mut rest)?;
    let len = usize::try_from(u32::from_be_bytes(*wire::array(&mut rest)?)).ok()?;
    (compressed <= 1 && rest.len() == len).then_some((rest, compressed == 1))
}

type Schema = &'static [(u32, &'static str, Type)];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Type {
    Bool,
    Signed,
    Unsigned,
    Float,
    Double,
    /// Text or bytes.
    Bytes,
    /// One of a choice: that it is there says something, also where it is the default.
    Chosen(&'static Type),
    Message(Schema),
    /// Several of them; numbers perhaps packed.
    Several(&'static Type),
    /// By name.
    Map(&'static Type),
    /// A message that stands for the one field that it has.
    OneOf(&'static [(u32, Type)]),
    /// `google.protobuf.Value`.
    Any,
    /// `google.protobuf.ListValue`.
    List,
    /// `google.protobuf.Struct`.
    Struct,
}

use Type::{
    Any, Bool, Bytes, Chosen, Double, Float, List, Map, OneOf, Several, Signed, Struct, Unsigned,
};

const PARAMETERS: Type =
    Map(&OneOf(&[(1, Bool), (2, Signed), (3, Bytes), (4, Double), (5, Unsigned)]));

const CONTENTS: Schema = &[
    (1, "bool_contents", Several(&Bool)),
    (2, "int_contents", Several(&Signed)),
    (3, "int64_contents", Several(&Signed)),
    (4, "uint_contents", Several(&Unsigned)),
    (5, "uint64_contents", Several(&Unsigned)),
    (6, "fp32_contents", Several(&Float)),
    (7, "fp64_contents", Several(&Double)),
    (8, "bytes_contents", Several(&Bytes)),
];

const OUTPUT: Schema = &[
    (1, "name", Bytes),
    (2, "datatype", Bytes),
    (3, "shape", Several(&Signed)),
    (4, "parameters", PARAMETERS),
    (5, "contents", Type::Message(CONTENTS)),
];

const INFER_RESPONSE: Schema = &[
    (1, "model_name", Bytes),
    (2, "model_version", Bytes),
    (3, "id", Bytes),
    (4, "parameters", PARAMETERS),
    (5, "outputs", Several(&Type::Message(OUTPUT))),
    (6, "raw_output_contents", Several(&Bytes)),
];

const STATUS: Schema =
    &[(1, "code", Signed), (2, "info", Bytes), (3, "reason", Bytes), (4, "status", Signed)];

const METRIC: Schema =
    &[(1, "key", Bytes), (2, "type", Signed), (3, "value", Float), (4, "tags", Map(&Bytes))];

const META: Schema = &[
    (1, "puid", Bytes),
    (2, "tags", Map(&Any)),
    (3, "routing", Map(&Signed)),
    (4, "requestPath", Map(&Bytes)),
    (5, "metrics", Several(&Type::Message(METRIC))),
];

const TENSOR: Schema = &[(1, "shape", Several(&Signed)), (2, "values", Several(&Double))];

const DATA: Schema = &[
    (1, "names", Several(&Bytes)),
    (2, "tensor", Type::Message(TENSOR)),
    (3, "ndarray", List),
    (4, "tftensor", Chosen(&Bytes)),
];

const SELDON_MESSAGE: Schema = &[
    (1, "status", Type::Message(STATUS)),
    (2, "meta", Type::Message(META)),
    (3, "data", Type::Message(DATA)),
    (4, "binData", Chosen(&Bytes)),
    (5, "strData", Chosen(&Bytes)),
    (6, "jsonData", Any),
    (7, "customData", Chosen(&Bytes)),
];

type Members<'a> = Vec<(Cow<'a, [u8]>, Json<'a>)>;

struct Reader {
    values: u32,
}

impl Reader {
    /// Pays for a value.
    fn one(&mut self) -> Result<(), Unread> {
        self.values = self.values.checked_sub(1).ok_or(Unread::TooComplex)?;
        Ok(())
    }

    fn message<'a>(
        &mut self,
        schema: Schema,
        bytes: &'a [u8],
        depth: u32,
    ) -> Result<Json<'a>, Unread> {
        Ok(object(self.members(schema, bytes, depth)?))
    }

    fn members<'a>(
        &mut self,
        schema: Schema,
        bytes: &'a [u8],
        depth: u32,
    ) -> Result<Members<'a>, Unread> {
        let depth = depth.checked_sub(1).ok_or(Unread::TooComplex)?;
        self.one()?;
        let mut members: Members<'a> = Vec::new();
        for field in wire::fields(bytes) {
            let (number, value) = field.ok_or(Unread::Malformed)?;
            match schema.iter().find(|(n, ..)| *n == number) {
                Some((_, name, field)) => self.field(name, *field, value, &mut members, depth)?,
                None => {
                    self.one()?;
                    let name = Cow::Owned(number.to_string().into_bytes());
                    members.push((name, unknown(value)));
                }
            }
        }
        Ok(members)
    }

    fn field<'a>(
        &mut self,
        name: &'static str,
        field: Type,
        value: Value<'a>,
        members: &mut Members<'a>,
        depth: u32,
    ) -> Result<(), Unread> {
        let at = members.iter().position(|(n, _)| **n == *name.as_bytes());
        let before = at.map(|at| members.remove(at).1);
        let value = match (field, before) {
            (Several(each), before) => {
                let mut items = match before {
                    Some(Json::Array(items)) => items,
                    _ => Vec::new(),
                };
                self.several(*each, value, &mut items, depth)?;
                Json::Array(items)
            }
            (Map(each), before) => {
                let mut entries = match before {
                    Some(Json::Object(entries)) => entries,
                    _ => Vec::new(),
                };
                entries.push(self.entry(*each, bytes_of(value)?, depth)?);
                object(entries)
            }
            (Chosen(field), _) => self.single(*field, value, depth)?,
            // The last one of a field counts.
            (field, _) => match self.single(field, value, depth)? {
                default if is_default(&default) && field != Any => return Ok(()),
                value => value,
            },
        };
        members.push((Cow::Borrowed(name.as_bytes()), value));
        Ok(())
    }

    fn single<'a>(
        &mut self,
        field: Type,
        value: Value<'a>,
        depth: u32,
    ) -> Result<Json<'a>, Unread> {
        self.one()?;
        match (field, value) {
            (Bool, Value::Varint(n)) => Ok(Json::Bool(n != 0)),
            (Signed, Value::Varint(n)) => Ok(Json::Number(Number::Signed(n.cast_signed()))),
            (Unsigned, Value::Varint(n)) => Ok(Json::Number(Number::Unsigned(n))),
            (Float, Value::Four(bytes)) => Ok(float(f32::from_le_bytes(bytes).into())),
            (Double, Value::Eight(bytes)) => Ok(float(f64::from_le_bytes(bytes))),
            (Bytes, Value::Bytes(bytes)) => Ok(Json::String(Cow::Borrowed(bytes))),
            (Type::Message(schema), Value::Bytes(bytes)) => self.message(schema, bytes, depth),
            (OneOf(choices), Value::Bytes(bytes)) => {
                let mut chosen = Json::Null;
                for field in wire::fields(bytes) {
                    let (number, value) = field.ok_or(Unread::Malformed)?;
                    chosen = match choices.iter().find(|(n, _)| *n == number) {
                        Some((_, choice)) => self.single(*choice, value, depth)?,
                        None => unknown(value),
                    };
                }
                Ok(chosen)
            }
            (Any, Value::Bytes(bytes)) => self.any(bytes, depth),
            (List, Value::Bytes(bytes)) => self.list(bytes, depth),
            (Struct, Value::Bytes(bytes)) => self.structure(bytes, depth),
            _ => Err(Unread::Malformed),
        }
    }

    /// One of several, or numbers in a row.
    fn several<'a>(
        &mut self,
        each: Type,
        value: Value<'a>,
        items: &mut Vec<Json<'a>>,
        depth: u32,
    ) -> Result<(), Unread> {
        let (Value::Bytes(mut packed), Bool | Signed | Unsigned | Float | Double) = (value, each)
        else {
            items.push(self.single(each, value, depth)?);
            return Ok(());
        };
        while !packed.is_empty() {
            let value = match each {
                Float => wire::array(&mut packed).map(|bytes| Value::Four(*bytes)),
                Double => wire::array(&mut packed).map(|bytes| Value::Eight(*bytes)),
                _ => wire::varint(&mut packed).map(Value::Varint),
            };
            items.push(self.single(each, value.ok_or(Unread::Malformed)?, depth)?);
        }
        Ok(())
    }

    /// An entry of a map: key in field 1, value in field 2, either absent where it is the default.
    fn entry<'a>(
        &mut self,
        each: Type,
        bytes: &'a [u8],
        depth: u32,
    ) -> Result<(Cow<'a, [u8]>, Json<'a>), Unread> {
        let depth = depth.checked_sub(1).ok_or(Unread::TooComplex)?;
        let (mut key, mut value) = (&b""[..], None);
        for field in wire::fields(bytes) {
            match field.ok_or(Unread::Malformed)? {
                (1, found) => key = bytes_of(found)?,
                (2, found) => value = Some(self.single(each, found, depth)?),
                _ => return Err(Unread::Malformed),
            }
        }
        let default = || match each {
            Signed => Json::Number(Number::Signed(0)),
            Bytes => Json::String(Cow::Borrowed(b"")),
            _ => Json::Null,
        };
        Ok((Cow::Borrowed(key), value.unwrap_or_else(default)))
    }

    fn any<'a>(&mut self, bytes: &'a [u8], depth: u32) -> Result<Json<'a>, Unread> {
        let depth = depth.checked_sub(1).ok_or(Unread::TooComplex)?;
        let mut json = Json::Null;
        for field in wire::fields(bytes) {
            let (number, value) = field.ok_or(Unread::Malformed)?;
            json = match number {
                1 => Json::Null,
                2 => self.single(Double, value, depth)?,
                3 => self.single(Bytes, value, depth)?,
                4 => self.single(Bool, value, depth)?,
                5 => self.single(Struct, value, depth)?,
                6 => self.single(List, value, depth)?,
                _ => return Err(Unread::Malformed),
            };
        }
        Ok(json)
    }

    fn list<'a>(&mut self, bytes: &'a [u8], depth: u32) -> Result<Json<'a>, Unread> {
        let mut items = Vec::new();
        for field in wire::fields(bytes) {
            match field.ok_or(Unread::Malformed)? {
                (1, value) => items.push(self.single(Any, value, depth)?),
                _ => return Err(Unread::Malformed),
            }
        }
        Ok(Json::Array(items))
    }

    fn structure<'a>(&mut self, bytes: &'a [u8], depth: u32) -> Result<Json<'a>, Unread> {
        let mut members = Vec::new();
        for field in wire::fields(bytes) {
            match field.ok_or(Unread::Malformed)? {
                (1, value) => members.push(self.entry(Any, bytes_of(value)?, depth)?),
                _ => return Err(Unread::Malformed),
            }
        }
        Ok(object(members))
    }

    /// A response whose outputs have their `data`, wherever they were.
    fn infer_response<'a>(&mut self, bytes: &'a [u8]) -> Result<Json<'a>, Unread> {
        let mut members = self.members(INFER_RESPONSE, bytes, MAX_DEPTH)?;
        let raw = match take(&mut members, b"raw_output_contents") {
            Some(Json::Array(raw)) => raw,
            _ => Vec::new(),
        };
        if let Some((_, Json::Array(outputs))) =
            members.iter_mut().find(|(name, _)| **name == *b"outputs")
        {
            if !raw.is_empty() && raw.len() != outputs.len() {
                return Err(Unread::Malformed);
            }
            let none = || Json::Array(Vec::new());
            let mut raw = raw.into_iter();
            for output in outputs {
                let Json::Object(output) = output else { return Err(Unread::Malformed) };
                let data = match (take(output, b"contents"), raw.next()) {
                    (None, Some(Json::String(Cow::Borrowed(raw)))) => self.raw(output, raw)?,
                    (Some(Json::Object(contents)), None) if contents.len() < 2 => {
                        contents.into_iter().next().map_or_else(none, |(_, data)| data)
                    }
                    (None, None) => none(),
                    // Contents of several types, or contents twice.
                    _ => return Err(Unread::Malformed),
                };
                output.push((Cow::Borrowed(b"data"), data));
                output.sort_by(|a, b| a.0.cmp(&b.0));
            }
        } else if !raw.is_empty() {
            return Err(Unread::Malformed);
        }
        Ok(object(members))
    }

    /// Numbers in little-endian order, or byte strings each behind its length in four bytes.
    fn raw<'a>(&mut self, output: &Members<'a>, mut raw: &'a [u8]) -> Result<Json<'a>, Unread> {
        let datatype = output.iter().find(|(name, _)| **name == *b"datatype").map(|(_, d)| d);
        let Some(Json::String(datatype)) = datatype else { return Err(Unread::Malformed) };
        let mut items = Vec::new();
        while !raw.is_empty() {
            self.one()?;
            items.push(element(datatype, &mut raw).ok_or(Unread::Malformed)?);
        }
        Ok(Json::Array(items))
    }
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

fn float<'a>(value: f64) -> Json<'a> {
    Json::Number(Number::Float(value))
}

fn take<'a>(members: &mut Members<'a>, name: &[u8]) -> Option<Json<'a>> {
    let at = members.iter().position(|(n, _)| **n == *name)?;
    // The order stays: it is that of the names.
    Some(members.remove(at).1)
}

fn bytes_of(value: Value<'_>) -> Result<&[u8], Unread> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(Unread::Malformed),
    }
}

fn unknown(value: Value<'_>) -> Json<'_> {
    match value {
        Value::Varint(n) => Json::Number(Number::Unsigned(n)),
        Value::Eight(bytes) => Json::Number(Number::Unsigned(u64::from_le_bytes(bytes))),
        Value::Four(bytes) => Json::Number(Number::Unsigned(u32::from_le_bytes(bytes).into())),
        Value::Bytes(bytes) => Json::String(Cow::Borrowed(bytes)),
    }
}

/// In the order of names, the last of equal ones only.
fn object(mut members: Members<'_>) -> Json<'_> {
    // A stable sort of the reverse puts the last of equal names first.
    members.reverse();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members.dedup_by(|later, kept| later.0 == kept.0);
    Json::Object(members)
}

fn is_default(value: &Json<'_>) -> bool {
    match value {
        Json::Bool(set) => !set,
        Json::Number(Number::Signed(0) | Number::Unsigned(0)) => true,
        Json::Number(Number::Float(n)) => n.to_bits() == 0,
        Json::String(text) => text.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
