//! What is found, wherever and however it is told.

use std::ops::Range;

use modelgate_engine::config::Warning;

use super::source::Source;

/// How much it weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused, or a warning is one that may not be.
    Error,
    /// It is accepted, and may not do what is meant.
    Warning,
}

impl Severity {
    /// The word that every format uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What kind of finding it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// A file cannot be read, or holds nothing to check.
    Unreadable,
    /// The filter refuses the configuration.
    Refused,
    /// A warning by its own name.
    Warning(Warning),
}

impl Name {
    /// The name, as `--allow` and the formats have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
            Self::Warning(name) => name.as_str(),
        }
    }
}

/// A text in the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that it replaces: a name or word without its quotes.
    pub span: Range<usize>,
    /// What stands there then.
    pub text: String,
    /// Whether it is the name of a field, of which there may not be two.
    pub is_name: bool,
}

/// One thing to say.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What it weighs.
    pub severity: Severity,
    /// Its kind.
    pub name: Name,
    /// The setting, as the engine names it: below `pluginConfig`, or `spec...` of the resource; empty for neither.
    pub path: String,
    /// What is wrong, with the value where it may be shown.
    pub message: String,
    /// What would be right; empty where that goes without saying.
    pub remedy: String,
    /// The bytes to point at; none where there is no text.
    pub span: Option<Range<usize>>,
    /// Another place that belongs to it, and why.
    pub other: Option<(Range<usize>, &'static str)>,
    /// Values that are not to be shown: the engine does not show them either.
    pub hidden: Vec<Range<usize>>,
    /// What mends it, where that is a matter of spelling.
    pub edit: Option<Edit>,
}

impl Finding {
    /// An error without a setting to point at.
    pub fn unreadable(message: String, remedy: &str, span: Option<Range<usize>>) -> Self {
        Self {
            severity: Severity::Error,
            name: Name::Unreadable,
            path: String::new(),
            message,
            remedy: remedy.to_owned(),
            span,
            other: None,
            hidden: Vec::new(),
            edit: None,
        }
    }

    /// The setting and what is wrong with it, in one line.
    pub fn title(&self) -> String {
        match (self.name, self.path.as_str()) {
            (Name::Unreadable, "") => self.message.clone(),
            (_, "") => format!("pluginConfig: {}", self.message),
            (_, path) => format!("{path}: {}", self.message),
        }
    }

    /// The same with the remedy.
    pub fn sentence(&self) -> String {
        match self.remedy.as_str() {
            "" => self.title(),
            remedy => format!("{}: {remedy}", self.title()),
        }
    }
}

/// What became of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The filter takes it.
    Accepted,
    /// The filter refuses it.
    Refused,
    /// Nothing can be said: the text is not read.
    Unreadable,
}

impl Verdict {
    /// The word that every format uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A configuration, or a document that should hold one, and what is said of it.
#[derive(Debug)]
pub struct Checked {
    /// `WasmPlugin` or `TrafficExtension` and the resource's name, where it stands in one.
    pub resource: Option<(String, String)>,
    /// What became of it.
    pub verdict: Verdict,
    /// What is said of it, in the order of the text.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// How many findings weigh so much.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// A file and what is said of it.
#[derive(Debug)]
pub struct File {
    /// Its text; empty where it could not be opened.
    pub source: Source,
    /// Each configuration in it.
    pub checked: Vec<Checked>,
}
