//! What a place in an answer means, by the protocols.

use super::json::Json;
use super::kind::Kind;
use super::number::{Measure, Number};
use super::openai;

/// A place where servers put predictions, or the way to one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// The top.
    Document,
    /// No prediction.
    Plain,
    /// `data` of Seldon v1.
    Data,
    /// `tensor` of Seldon v1.
    Tensor {
        /// How long its rows are, 0 where it has one dimension.
        columns: usize,
    },
    /// `outputs`.
    Outputs,
    /// One of `outputs`.
    Output {
        /// How long its rows are, 0 where it has one dimension.
        columns: usize,
        /// By its `datatype`.
        labels: Labels,
    },
    /// Dimensions.
    Shape,
    /// Numbers in one list, so many in a row; or nested, which is the same.
    Flat {
        /// How long its rows are, 0 where there is one dimension.
        columns: usize,
        /// By its `datatype`.
        labels: Labels,
    },
    /// A prediction, or several.
    Predictions {
        /// Below a list of predictions: a list of numbers is a row of scores.
        nested: bool,
        /// What its numbers and texts are.
        labels: Labels,
    },
}

/// Whether what stands among predictions are names of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// Numbers are, by their type. So is text.
    All,
    /// Only text is: the type of numbers has fractions.
    Text,
    /// No type is told, or none that is known. Whole numbers are, where one of the two is written as such: servers write a float as
    /// `1.0`.
    /// Text is, unless it is a number with a fraction.
    Written,
}

impl Place {
    /// At the top of predictions whose types are not told.
    pub const PREDICTIONS: Self = Self::Predictions { nested: false, labels: Labels::Written };

    /// Within one prediction whose types are not told.
    pub const PREDICTION: Self = Self::Predictions { nested: true, labels: Labels::Written };

    /// The place of a member of the object at this place.
    pub fn member(self, name: &[u8], value: &Json<'_>) -> Self {
        // Patterns of bytes are compiled to a test for each byte.
        let is = |names: &[&[u8]]| names.contains(&name);
        match self {
            // OpenAI's embeddings, scores, classes and moderations; and what its kind of servers ranks.
            Self::Document if is(&[b"data", b"results"]) && openai::are_predictions(value) => {
                Self::PREDICTIONS
            }
            Self::Document if is(&[b"predictions", b"jsonData", b"strData"]) => Self::PREDICTIONS,
            Self::Document if is(&[b"data"]) => Self::Data,
            // Below `data` in a CloudEvent.
            Self::Document | Self::Data if is(&[b"outputs"]) => Self::Outputs,
            Self::Data if is(&[b"ndarray", b"predictions"]) => Self::PREDICTIONS,
            Self::Data if is(&[b"tensor"]) => Self::Tensor { columns: columns(value) },
            Self::Data if is(&[b"tftensor"]) => Self::output(value),
            Self::Shape => Self::Shape,
            Self::Tensor { .. } | Self::Output { .. } if is(&[b"shape", b"tensorShape"]) => {
                Self::Shape
            }
            Self::Tensor { columns } if is(&[b"values"]) => {
                Self::Flat { columns, labels: Labels::Written }
            }
            Self::Output { columns, labels }
                if is(&[b"data", b"tensorContent"]) || name.ends_with(b"Val") =>
            {
                Self::Flat { columns, labels }
            }
            // What TensorFlow's gRPC answers with, and the column format of its REST, a list for each output.
            Self::Outputs if value.member(b"dtype").is_some() => Self::output(value),
            Self::Outputs => Self::PREDICTIONS,
            // In base64 that cannot be decoded.
            Self::Predictions { .. } if is(&[b"embedding"]) && matches!(value, Json::String(_)) => {
                Self::Plain
            }
            Self::Predictions { labels, .. } => Self::Predictions { nested: true, labels },
            _ => Self::Plain,
        }
    }

    /// What the predictions of a list here are.
    pub fn labels(self) -> Option<Labels> {
        match self {
            Self::Flat { labels, .. } | Self::Predictions { labels, .. } => Some(labels),
            _ => None,
        }
    }

    /// The place of an element of the list at this place.
    pub fn element(self) -> Self {
        match self {
            Self::Shape => Self::Shape,
            Self::Document | Self::Outputs => Self::PREDICTION,
            Self::Flat { labels, .. } | Self::Predictions { labels, .. } => {
                Self::Predictions { nested: true, labels }
            }
            _ => Self::Plain,
        }
    }

    /// The place of one of the `outputs`, or of a tensor of TensorFlow; both say their type.
    pub fn output(output: &Json<'_>) -> Self {
        let datatype = output.text(b"datatype").or(output.text(b"dtype"));
        Self::Output { columns: columns(output), labels: labels(datatype.unwrap_or_default()) }
    }

    /// What a difference of two numbers is here, and what counts as one.
    pub fn measure(
        self,
        numbers: Numbers,
        live: Number<'_>,
        shadow: Number<'_>,
    ) -> (Kind, Measure) {
        let values = numbers.are_values();
        match self {
            Self::Shape => (Kind::Shape, Measure::Exact),
            Self::Predictions { labels, .. } => match labels {
                _ if values => (Kind::Score, Measure::Measured),
                Labels::All => (Kind::Class, Measure::Exact),
                Labels::Written if live.are_whole(shadow) => (Kind::Class, Measure::Exact),
                _ => (Kind::Score, Measure::Measured),
            },
            _ if values => (Kind::Value, Measure::Measured),
            _ => (Kind::Value, Measure::Counted),
        }
    }

    /// Whether this number stands for itself alone here, however near others are. `absolute`: the
    /// tolerance.
    pub fn is_exact(self, numbers: Numbers, number: Number<'_>, absolute: f64) -> bool {
        match self.measure(numbers, number, number).1 {
            Measure::Exact => true,
            Measure::Counted => number.is_whole() && absolute < 1.0,
            Measure::Measured => false,
        }
    }

    /// What a difference of two scalars that are neither numbers nor text is here.
    pub fn kind(self, live: &Json<'_>, shadow: &Json<'_>) -> Kind {
        match (self, live, shadow) {
            (Self::Shape, ..) => Kind::Shape,
            (Self::Predictions { .. }, Json::Bool(_), Json::Bool(_)) => Kind::Class,
            _ => Kind::Value,
        }
    }
}

/// What numbers are somewhere, whatever their type: scores of classes or labels, or values of a box, a
/// forecast or an embedding, which are neither.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbers {
    /// The settings say that they are values.
    set: bool,
    /// The name of the member says so: of its lists, and of coordinates in its objects.
    named: bool,
}

impl Numbers {
    /// Whether they are neither scores of classes nor labels.
    pub fn are_values(self) -> bool {
        self.set || self.named
    }

    /// One step down, where the settings perhaps say that they are values.
    pub fn below(self, set: bool) -> Self {
        Self { set: self.set || set, ..self }
    }

    /// In a member of what is at this place. An integer type says that they are labels whatever the name
    /// says, and a single number is no coordinate, but for those of an object that is a box by its own
    /// name.
    pub fn member(self, of: Place, name: &[u8], value: &Json<'_>) -> Self {
        let labels = match of {
            Place::Output { labels, .. } | Place::Predictions { labels, .. } => labels,
            Place::Outputs => Labels::Written,
            _ => return Self { named: false, ..self },
        };
        let is_named = match value {
            // `data` of an output that is called so.
            Json::Array(_) | Json::Object(_) => {
                names_values(name) || self.named && matches!(of, Place::Output { .. })
            }
            Json::Number(_) => self.named && is_coordinate(name),
            _ => false,
        };
        Self { named: labels != Labels::All && is_named, ..self }
    }

    /// In a list or an object of such a name. One that `decides` holds labels, or scores of labels, beside
    /// coordinates or instead of them.
    pub fn within(self, decides: bool) -> Self {
        Self { named: self.named && !decides, ..self }
    }
}

/// Whether what is called so holds coordinates or a forecast: no decision, whichever is the largest. The last
/// word of the name says so, whatever parts the words.
fn names_values(name: &[u8]) -> bool {
    let words = name.iter().rposition(|c| !c.is_ascii_alphanumeric());
    let last = name.get(words.map_or(0, |i| i.saturating_add(1))..).unwrap_or_default();
    // `boundingBox`: the word begins with the last capital behind a small letter.
    let humps = last.windows(2).rposition(|pair| match pair {
        [before, letter] => !before.is_ascii_uppercase() && letter.is_ascii_uppercase(),
        _ => false,
    });
    let last = last.get(humps.map_or(0, |i| i.saturating_add(1))..).unwrap_or_default();
    [&b"box"[..], b"boxes", b"bbox", b"bboxes", b"embedding", b"embeddings", b"forecast"]
        .iter()
        .any(|word| last.eq_ignore_ascii_case(word))
}

/// Whether a member of a box is called so.
pub fn is_coordinate(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"x", b"y", b"w", b"h", b"x1", b"y1", b"x2", b"y2", b"cx", b"cy", b"xmin", b"ymin",
        b"xmax", b"ymax", b"left", b"top", b"right", b"bottom", b"width", b"height",
    ];
    NAMES.contains(&name)
}

/// What is a label in a tensor of this type, as the protocol, TensorFlow (`DT_INT64`), Triton's configuration
/// (`TYPE_INT64`) or numpy write it: by the beginning of one of its words, whatever their case.
fn labels(datatype: &[u8]) -> Labels {
    const KNOWN: [(&[u8], Labels); 10] = [
        (b"bool", Labels::All),
        (b"int", Labels::All),
        (b"uint", Labels::All),
        (b"fp", Labels::Text),
        (b"bf", Labels::Text),
        (b"float", Labels::Text),
        (b"half", Labels::Text),
        (b"double", Labels::Text),
        (b"bytes", Labels::Text),
        (b"str", Labels::Text),
    ];
    let begins = |word: &[u8], with: &[u8]| {
        word.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    let mut words = datatype.split(|c| !c.is_ascii_alphanumeric());
    let known = words.find_map(|word| KNOWN.iter().find(|(with, _)| begins(word, with)));
    known.map_or(Labels::Written, |(_, labels)| *labels)
}

/// How long the rows of a tensor are: the last dimension of its `shape`; 0 where it has no rows.
fn columns(tensor: &Json<'_>) -> usize {
    let dimensions = tensor.member(b"tensorShape").map(|shape| shape.member(b"dim"));
    let shape = dimensions.unwrap_or(tensor.member(b"shape"));
    let Some(Json::Array(shape)) = shape else { return 0 };
    let [_, .., last] = shape.as_slice() else { return 0 };
    match last.member(b"size").unwrap_or(last) {
        Json::Number(last) => last.size().unwrap_or(0),
        // As JSON writes the wide numbers of a message.
        Json::String(text) => text
            .iter()
            .filter(|c| c.is_ascii_digit())
            .fold(0, |size, digit| usize::from(digit & 15).saturating_add(size.saturating_mul(10))),
        _ => 0,
    }
}
