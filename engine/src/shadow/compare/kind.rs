//! The ways in which answers differ, as counters name them.

use crate::config::declare::words;

words! {
    /// A way in which two answers differ.
    pub enum Kind {
        /// The status, HTTP's or gRPC's. The rest is then not compared: it follows from it.
        Status = "status",
        /// The media type, without parameters.
        ContentType = "content_type",
        /// What a model decided: the highest score of a row is another one, or a label changed.
        Class = "class",
        /// A number among the predictions, while the decision of its row stands.
        Score = "score",
        /// Lengths of lists, shapes of tensors, or values of another structure.
        Shape = "shape",
        /// The live answer has it, the shadow's has not.
        Missing = "missing",
        /// The shadow's answer has it, the live one has not.
        Extra = "extra",
        /// Any other value, also of another type.
        Value = "value",
        /// Bodies that are not JSON.
        Bytes = "bytes",
    }
}
