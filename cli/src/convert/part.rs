//! What a source object becomes: parts of a configuration, resources beside it, and what has to be said of the rest.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::{Document, Origin};

/// Whence a part is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whence {
    /// The object, as `AuthorizationPolicy prod/data-science`.
    pub object: String,
    /// Where it stands.
    pub origin: Origin,
}

impl Whence {
    /// An object as a whole.
    pub fn of(document: &Document) -> Self {
        Self { object: document.object(), origin: document.origin.clone() }
    }
}

/// How a part gets into `pluginConfig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As an entry of a list, once if several say the same.
    Entry,
    /// As a setting. Two that contradict each other are refused.
    Setting,
}

/// Something of `pluginConfig`.
#[derive(Debug, Clone)]
pub struct Part {
    /// The list or setting, as `authorization.policies` or `targets.kserve.hostTemplate`.
    pub at: String,
    /// How it gets there.
    pub way: Way,
    /// The entry or value.
    pub value: Value,
    /// Whence it is; several for what several objects make together.
    pub whence: Vec<Whence>,
}

impl Part {
    /// An entry of a list.
    pub fn entry(at: &str, value: Value, document: &Document) -> Self {
        Self { at: at.to_owned(), way: Way::Entry, value, whence: vec![Whence::of(document)] }
    }

    /// A setting.
    pub fn setting(at: &str, value: Value, document: &Document) -> Self {
        Self { at: at.to_owned(), way: Way::Setting, value, whence: vec![Whence::of(document)] }
    }
}

/// A resource beside the plugin, as a ServiceEntry.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The object.
    pub value: Value,
    /// What it is for, in a line.
    pub purpose: String,
    /// Whence it is.
    pub whence: Vec<Whence>,
}

/// What was done with something that has no exact counterpart. Nothing is ever made laxer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Done {
    /// Nothing of it is in the output, and nothing there is laxer for it.
    LeftOut,
    /// The output refuses more than the original.
    Stricter,
    /// Without it the output would be laxer: there is none.
    Refused,
}

impl Done {
    /// The words for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftOut => "left out",
            Self::Stricter => "kept stricter",
            Self::Refused => "refused",
        }
    }
}

/// Something that was not carried over exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Where it stands.
    pub origin: Origin,
    /// The object, as `AuthorizationPolicy prod/data-science`.
    pub object: String,
    /// The field, as `spec.rules[0].from[0].source.ipBlocks`.
    pub field: String,
    /// Why there is no counterpart, and what helps.
    pub reason: String,
    /// What was done.
    pub done: Done,
}

impl Remark {
    /// About a field of an object.
    pub fn new(document: &Document, field: &str, done: Done, reason: impl Into<String>) -> Self {
        Self {
            origin: document.at(field),
            object: document.object(),
            field: field.to_owned(),
            reason: reason.into(),
            done,
        }
    }
}

/// Pods that serve a model, for selectors of policies. A model may have several, with other labels each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Labels of the pods.
    pub labels: BTreeMap<String, String>,
    /// Their namespace.
    pub namespace: String,
    /// The model as policies name it, as `prod/iris`.
    pub model: String,
    /// What the gateway's route takes off a path before these pods see it, as `/seldon/prod/iris`; empty: nothing. None:
    /// it is not known how the path is changed, and policies of these pods cannot go by it.
    pub prefix: Option<String>,
}

/// What one kind of source object became.
#[derive(Debug, Clone, Default)]
pub struct Converted {
    /// Parts of `pluginConfig`.
    pub parts: Vec<Part>,
    /// Resources beside it.
    pub resources: Vec<Resource>,
    /// What was not carried over exactly.
    pub remarks: Vec<Remark>,
    /// Which pods serve which model.
    pub workloads: Vec<Workload>,
    /// Objects that were looked at, whatever became of them.
    pub objects: Vec<Whence>,
}

impl Converted {
    /// Adds what another kind became.
    pub fn extend(&mut self, other: Self) {
        self.parts.extend(other.parts);
        self.resources.extend(other.resources);
        self.remarks.extend(other.remarks);
        self.workloads.extend(other.workloads);
        self.objects.extend(other.objects);
    }
}
