//! Messages of unary gRPC answers, read as the JSON that the same server would write: one walk, and
//! one set of pointers, for both.
//!
//! Known are `ModelInferResponse` of the Open Inference Protocol, with the contents of its tensors
//! typed or raw, Seldon's `SeldonMessage`, and what TensorFlow Serving answers to `Predict`. Fields that these do not have are kept as lists under their numbers and wire types
//! (`9:2` for bytes in field 9), so that they cannot differ unseen. A field that holds its type's default is
//! the same as none (proto3 does not tell them apart). Of a number or a text that is there twice the last
//! one counts; a message that is, which readers would merge, is not compared: no server writes one.

use std::borrow::Cow;

use super::binary::{self, DATATYPES, float, take, take_binary_size};
use super::json::{self, Json, MAX_DEPTH, MAX_VALUES, Members, Unread};
use super::number::Number;
use super::wire::{self, Value};
use crate::path::segments::each;
use crate::path::without_query;
use crate::steps::Steps;

/// A message that answers carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// `inference.ModelInferResponse`.
    ModelInferResponse,
    /// `seldon.protos.SeldonMessage`.
    SeldonMessage,
    /// `tensorflow.serving.PredictResponse`.
    PredictResponse,
}

impl Message {
    /// What the method at this path answers with, if it is one of these.
    pub fn of_path(path: &[u8]) -> Option<Self> {
        let path = without_query(path);
        let method = each(path).last().unwrap_or_default();
        if path == b"/inference.GRPCInferenceService/ModelInfer" {
            return Some(Self::ModelInferResponse);
        }
        if path == b"/tensorflow.serving.PredictionService/Predict" {
            return Some(Self::PredictResponse);
        }
        const WITH_DATA: &[&[u8]] =
            &[b"Predict", b"TransformInput", b"TransformOutput", b"Route", b"Aggregate"];
        (path.starts_with(b"/seldon.protos.") && WITH_DATA.contains(&method))
            .then_some(Self::SeldonMessage)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Says whether it is none, or more than is compared.
    pub fn read<'a>(self, bytes: &'a [u8], steps: &mut Steps) -> Result<Json<'a>, Unread> {
        let mut reader = Reader { values: MAX_VALUES, steps };
        let schema = match self {
            Self::ModelInferResponse => return reader.infer_response(bytes),
            Self::SeldonMessage => SELDON_MESSAGE,
            Self::PredictResponse => PREDICT_RESPONSE,
        };
        reader.message(schema, bytes, MAX_DEPTH)
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
    /// `google.protobuf.NullValue`.
    Null,
    /// A message that stands for its only field, which there are several of.
    Inner(&'static Type),
    /// `tensorflow.TensorProto`.
    Tensor,
    /// `tensorflow.DataType`, by the name that the Open Inference Protocol has for it.
    Dtype,
}

use Type::{
    Bool, Bytes, Chosen, Double, Dtype, Float, Inner, Map, Null, OneOf, Several, Signed, Tensor,
    Unsigned,
};

/// `google.protobuf.Value`, with `Struct` and `ListValue`.
static ANY: Type = OneOf(&[
    (1, Null),
    (2, Double),
    (3, Bytes),
    (4, Bool),
    (5, Inner(&Map(&ANY))),
    (6, Inner(&Several(&ANY))),
]);

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
    (2, "tags", Map(&ANY)),
    (3, "routing", Map(&Signed)),
    (4, "requestPath", Map(&Bytes)),
    (5, "metrics", Several(&Type::Message(METRIC))),
];

const TENSOR: Schema = &[(1, "shape", Several(&Signed)), (2, "values", Several(&Double))];

const DATA: Schema = &[
    (1, "names", Several(&Bytes)),
    (2, "tensor", Type::Message(TENSOR)),
    (3, "ndarray", Inner(&Several(&ANY))),
    (4, "tftensor", Chosen(&Tensor)),
];

const TENSOR_SHAPE: Schema = &[(2, "dim", Several(&Type::Message(&[(1, "size", Signed)])))];

/// `tensorflow.TensorProto`, in the names that JSON has for it, without what answers seldom have.
const TF_TENSOR: Schema = &[
    (1, "dtype", Dtype),
    (2, "tensorShape", Type::Message(TENSOR_SHAPE)),
    (4, "tensorContent", Bytes),
    (5, "floatVal", Several(&Float)),
    (6, "doubleVal", Several(&Double)),
    (7, "intVal", Several(&Signed)),
    (8, "stringVal", Several(&Bytes)),
    (10, "int64Val", Several(&Signed)),
    (11, "boolVal", Several(&Bool)),
    (16, "uint32Val", Several(&Unsigned)),
    (17, "uint64Val", Several(&Unsigned)),
];

const MODEL_SPEC: Schema = &[
    (1, "name", Bytes),
    (2, "version", Type::Message(&[(1, "value", Signed)])),
    (3, "signatureName", Bytes),
    (4, "versionLabel", Bytes),
];

const PREDICT_RESPONSE: Schema =
    &[(1, "outputs", Map(&Tensor)), (2, "modelSpec", Type::Message(MODEL_SPEC))];

const SELDON_MESSAGE: Schema = &[
    (1, "status", Type::Message(STATUS)),
    (2, "meta", Type::Message(META)),
    (3, "data", Type::Message(DATA)),
    (4, "binData", Chosen(&Bytes)),
    (5, "strData", Chosen(&Bytes)),
    (6, "jsonData", Chosen(&ANY)),
    (7, "customData", Chosen(&Bytes)),
];

struct Reader<'s> {
    values: u32,
    steps: &'s mut Steps,
}

impl Reader<'_> {
    /// Pays for a value.
    fn one(&mut self) -> Result<(), Unread> {
        self.values = self.values.checked_sub(1).ok_or(Unread::TooComplex)?;
        self.field()
    }

    /// Pays for a field, whether it becomes a value or not.
    fn field(&mut self) -> Result<(), Unread> {
        if self.steps.take(1) { Ok(()) } else { Err(Unread::TooComplex) }
    }

    fn message<'a>(
        &mut self,
        schema: Schema,
        bytes: &'a [u8],
        depth: u32,
    ) -> Result<Json<'a>, Unread> {
        let members = self.members(schema, bytes, depth)?;
        json::ordered(members, self.steps)
    }

    /// The fields in the order of the schema, then those that it does not have. What is repeated is
    /// collected where it belongs and put in order once, at the end: to look for its name, or to order
    /// it anew each time, takes time that grows with the square of a message's size.
    fn members<'a>(
        &mut self,
        schema: Schema,
        bytes: &'a [u8],
        depth: u32,
    ) -> Result<Members<'a>, Unread> {
        let depth = depth.checked_sub(1).ok_or(Unread::TooComplex)?;
        self.one()?;
        let mut slots: Vec<Option<Json<'a>>> = schema.iter().map(|_| None).collect();
        let mut others = Members::new();
        for field in wire::fields(bytes) {
            self.field()?;
            let (number, value) = field.ok_or(Unread::Malformed)?;
            match schema.iter().zip(&mut slots).find(|((n, ..), _)| *n == number) {
                Some(((.., field), slot)) => self.collect(*field, value, slot, depth)?,
                None => {
                    self.one()?;
                    others.push(unknown(number, value));
                }
            }
        }
        let mut members = Members::new();
        for ((_, name, field), slot) in schema.iter().zip(slots) {
            let value = match (slot, field) {
                (Some(Json::Object(entries)), Map(_)) => json::ordered(entries, self.steps)?,
                (Some(value), _) => value,
                (None, _) => continue,
            };
            members.push((Cow::Borrowed(name.as_bytes()), value));
        }
        members.extend(json::grouped(others, self.steps)?);
        Ok(members)
    }

    fn collect<'a>(
        &mut self,
        field: Type,
        value: Value<'a>,
        slot: &mut Option<Json<'a>>,
        depth: u32,
    ) -> Result<(), Unread> {
        match field {
            Several(each) => {
                let items = slot.get_or_insert_with(|| Json::Array(Vec::new()));
                let Json::Array(items) = items else { return Err(Unread::Malformed) };
                self.several(*each, value, items, depth)?;
            }
            Map(each) => {
                let entries = slot.get_or_insert_with(|| Json::Object(Vec::new()));
                let Json::Object(entries) = entries else { return Err(Unread::Malformed) };
                entries.push(self.entry(*each, bytes_of(value)?, depth)?);
            }
            field => {
                let (is_kept, field) = match field {
                    Chosen(field) => (true, *field),
                    field => (false, field),
                };
                // Readers merge the second message into the first one. Of others the last one counts.
                let merges = matches!(field, Type::Message(_) | OneOf(_) | Inner(_) | Tensor);
                if merges && slot.is_some() {
                    return Err(Unread::TooComplex);
                }
                let value = self.single(field, value, depth)?;
                *slot = (is_kept || !is_default(&value)).then_some(value);
            }
        }
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
            (Dtype, Value::Varint(n)) => {
                let of = DATATYPES.iter().find(|of| u64::from(of.number) == n);
                let name = of.map(|of| Json::String(Cow::Borrowed(of.name.as_bytes())));
                Ok(name.unwrap_or(Json::Number(Number::Unsigned(n))))
            }
            (Tensor, Value::Bytes(bytes)) => self.tensor(bytes, depth),
            (OneOf(choices), Value::Bytes(bytes)) => match self.only(bytes)? {
                None => Ok(Json::Null),
                Some((number, value)) => match choices.iter().find(|(n, _)| *n == number) {
                    Some((_, choice)) => self.single(*choice, value, depth),
                    None => Ok(Json::Object(vec![unknown(number, value)])),
                },
            },
            (Null, Value::Varint(0)) => Ok(Json::Null),
            (Inner(of), Value::Bytes(bytes)) => self.inner(of, bytes, depth),
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
        self.one()?;
        let (mut key, mut value) = (&b""[..], None);
        for field in wire::fields(bytes) {
            self.field()?;
            match field.ok_or(Unread::Malformed)? {
                (1, found) => key = bytes_of(found)?,
                (2, found) if value.is_none() => value = Some(self.single(each, found, depth)?),
                (2, _) => return Err(Unread::TooComplex),
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

    /// The field of a message that is a choice. Which of several counts is not for us to say.
    fn only<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(u32, Value<'a>)>, Unread> {
        let mut fields = wire::fields(bytes);
        self.field()?;
        match (fields.next(), fields.next()) {
            (None, _) => Ok(None),
            (Some(field), None) => field.map(Some).ok_or(Unread::Malformed),
            (Some(_), Some(_)) => Err(Unread::TooComplex),
        }
    }

    /// A tensor of TensorFlow, its content as numbers.
    fn tensor<'a>(&mut self, bytes: &'a [u8], depth: u32) -> Result<Json<'a>, Unread> {
        let mut tensor = self.message(TF_TENSOR, bytes, depth)?;
        if let Json::Object(members) = &mut tensor
            && let Some(Json::String(Cow::Borrowed(raw))) = take(members, b"tensorContent")
        {
            let data = binary::tensor(members, raw, &mut self.values, self.steps)?;
            binary::insert(members, b"tensorContent", data);
        }
        Ok(tensor)
    }

    fn inner<'a>(
        &mut self,
        of: &'static Type,
        bytes: &'a [u8],
        depth: u32,
    ) -> Result<Json<'a>, Unread> {
        let depth = depth.checked_sub(1).ok_or(Unread::TooComplex)?;
        let mut all = None;
        for field in wire::fields(bytes) {
            match field.ok_or(Unread::Malformed)? {
                (1, value) => self.collect(*of, value, &mut all, depth)?,
                _ => return Err(Unread::Malformed),
            }
        }
        match all {
            Some(Json::Object(entries)) => json::ordered(entries, self.steps),
            Some(list) => Ok(list),
            None if matches!(of, Map(_)) => Ok(Json::Object(Vec::new())),
            None => Ok(Json::Array(Vec::new())),
        }
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
                let contents = match take(output, b"contents") {
                    None => Members::new(),
                    Some(Json::Object(contents)) => contents,
                    Some(_) => return Err(Unread::Malformed),
                };
                // MLServer leaves empty contents beside raw ones.
                let data = match (raw.next(), contents.len()) {
                    (Some(Json::String(Cow::Borrowed(raw))), 0) => {
                        take_binary_size(output);
                        output.retain(|(name, value)| {
                            !matches!(value, Json::Object(members)
                                if members.is_empty() && **name == *b"parameters")
                        });
                        binary::tensor(output, raw, &mut self.values, self.steps)?
                    }
                    (None, 0 | 1) => {
                        contents.into_iter().next().map_or_else(none, |(_, data)| data)
                    }
                    // Contents of several types, or contents twice.
                    _ => return Err(Unread::Malformed),
                };
                binary::insert(output, b"data", data);
            }
        } else if !raw.is_empty() {
            return Err(Unread::Malformed);
        }
        json::ordered(members, self.steps)
    }
}

fn bytes_of(value: Value<'_>) -> Result<&[u8], Unread> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(Unread::Malformed),
    }
}

/// A field that is not in the schema, under its number and wire type. What it means is not known, so that
/// numbers have no tolerance: they are the text of what they are.
fn unknown(number: u32, value: Value<'_>) -> (Cow<'_, [u8]>, Json<'_>) {
    let (wire, value) = match value {
        Value::Varint(n) => (0, Cow::Owned(n.to_string().into_bytes())),
        Value::Eight(bytes) => (1, Cow::Owned(bytes.into())),
        Value::Bytes(bytes) => (2, Cow::Borrowed(bytes)),
        Value::Four(bytes) => (5, Cow::Owned(bytes.into())),
    };
    (Cow::Owned(format!("{number}:{wire}").into_bytes()), Json::String(value))
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
