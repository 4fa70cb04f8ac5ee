//! Configuration errors: where in the document, what is wrong, what would be right.

use std::fmt::{self, Write as _};

use super::Warning;
use crate::order;

/// The place of a value in the document, as `field.list[2].name`. A linked list, so that reading a
/// correct configuration never allocates a path.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The document itself.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// The value of a field below this place.
    pub fn field(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    /// Whether this is an element of a field with such a name.
    pub fn is_in(&self, fields: &[&str]) -> bool {
        let list = self.parent.filter(|_| matches!(self.step, Step::Index(_)));
        list.is_some_and(|list| matches!(list.step, Step::Field(name) if fields.contains(&name)))
    }

    /// An element of the list at this place, counted from 0.
    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else { return Ok(()) };
        parent.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if parent.parent.is_none() => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// One thing that is wrong, or worth a warning. Displayed as `path: what is wrong (value): what would be right`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The name of a warning; an error has none.
    pub name: Option<Warning>,
    /// Where, as [`Path`] writes it; empty for the document as a whole.
    pub path: String,
    /// What is wrong, in lower case, without the value.
    pub what: String,
    /// The offending value, cut at [`VALUE_SHOWN`] characters; absent where it is secret or long.
    pub value: Option<String>,
    /// What would be right.
    pub fix: String,
}

/// What is said of a name that another entry has as well.
pub const GIVEN_TWICE: &str = "is given twice";

/// How many characters of an offending value an error message shows.
pub const VALUE_SHOWN: usize = 80;

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str("pluginConfig")?;
        } else {
            // Names of fields are the author's as much as values are.
            for c in self.path.chars() {
                if c.is_control() { write!(f, "{}", c.escape_debug())? } else { f.write_char(c)? }
            }
        }
        write!(f, ": {}", self.what)?;
        if let Some(value) = &self.value {
            write!(f, " ({value})")?;
        }
        write!(f, ": {}", self.fix)
    }
}

/// Everything that is wrong with a configuration, and what is merely worth a warning.
#[derive(Debug, Default)]
pub struct Errors {
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigError>,
    /// How many of the errors were found while the document was read.
    unread: usize,
}

impl Errors {
    /// Records an error without showing a value.
    pub fn add(&mut self, path: &Path<'_>, what: impl Into<String>, fix: impl Into<String>) {
        self.record(path, what.into(), None, fix.into());
    }

    /// Records an error that shows the offending value. Never for keys, tokens or other secrets.
    pub fn add_value(
        &mut self,
        path: &Path<'_>,
        what: impl Into<String>,
        value: impl fmt::Display,
        fix: impl Into<String>,
    ) {
        self.record(path, what.into(), Some(&value), fix.into());
    }

    /// In the module once, for all types.
    #[inline(never)]
    fn record(
        &mut self,
        path: &Path<'_>,
        what: String,
        value: Option<&dyn fmt::Display>,
        fix: String,
    ) {
        let (path, value) = (path.to_string(), value.map(shown));
        self.push(ConfigError { name: None, path, what, value, fix });
    }

    /// What `make` makes; `None` where it recorded an error.
    pub fn scope<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let before = self.errors.len();
        let made = make(self);
        (self.errors.len() == before).then_some(made)
    }

    /// Refuses each name that an entry of the list at `list` shares with one before it. The names stand in a
    /// field of the entries; without one, they are the entries. Of empty names nothing is said.
    pub fn duplicate<'n>(
        &mut self,
        list: &Path<'_>,
        field: Option<&str>,
        names: impl Iterator<Item = &'n str>,
        fix: &str,
    ) {
        self.repeated(list, field, &names.map(str::as_bytes).collect::<Vec<_>>(), fix);
    }

    fn repeated(&mut self, list: &Path<'_>, field: Option<&str>, names: &[&[u8]], fix: &str) {
        for i in order::repeated(names) {
            let entry = list.index(i);
            let name = names.get(i).and_then(|name| str::from_utf8(name).ok()).unwrap_or_default();
            match field {
                _ if name.is_empty() => {}
                Some(field) => self.add_value(&entry.field(field), GIVEN_TWICE, name, fix),
                None => self.add_value(&entry, GIVEN_TWICE, name, fix),
            }
        }
    }

    /// Records what does not stop the configuration from loading, but which its author should know.
    pub fn warn(
        &mut self,
        name: Warning,
        path: &Path<'_>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push_warning(name, path, what.into(), None, fix.into());
    }

    /// The same, and shows the value. Never for keys, tokens or other secrets.
    #[inline(never)]
    pub fn warn_value(
        &mut self,
        name: Warning,
        path: &Path<'_>,
        what: &str,
        value: &str,
        fix: &str,
    ) {
        self.push_warning(name, path, what.to_owned(), Some(shown(&value)), fix.to_owned());
    }

    /// Of one place each warning is given once: what is said of it is said in a row.
    fn push_warning(
        &mut self,
        name: Warning,
        path: &Path<'_>,
        what: String,
        value: Option<String>,
        fix: String,
    ) {
        let (name, path) = (Some(name), path.to_string());
        let mut last = self.warnings.iter().rev().take(16);
        if !last.any(|other| other.name == name && other.path == path) {
            self.warnings.push(ConfigError { name, path, what, value, fix });
        }
    }

    /// Says that the document is read, and that its meaning is checked from now on. Where a value
    /// could not be read a placeholder stands, and nothing more is said of that place.
    pub fn end_reading(&mut self) {
        self.unread = self.errors.len();
    }

    fn push(&mut self, error: ConfigError) {
        let unread = self.errors.iter().take(self.unread);
        let echoes = |path: &str| {
            is_at_or_below(&error.path, path)
                || path.rsplit_once(['.', '[']).is_some_and(|(parent, _)| parent == error.path)
        };
        let echo = unread.map(|unread| unread.path.as_str()).any(echoes);
        if !echo {
            self.errors.push(error);
        }
    }

    /// The errors, in the order in which they were found.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    /// The warnings, in the order in which they were found.
    pub fn warnings(&self) -> &[ConfigError] {
        &self.warnings
    }

    /// The warnings as `check` and the gateway's log show them: each with its name behind it.
    pub fn named_warnings(&self) -> impl Iterator<Item = String> {
        let name = |warning: &ConfigError| warning.name.map_or("", Warning::as_str);
        self.warnings.iter().map(move |warning| format!("{warning} [{}]", name(warning)))
    }

    /// Whether the configuration may be used.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }
}

/// A value as messages show it.
fn shown(value: &dyn fmt::Display) -> String {
    value.to_string().chars().take(VALUE_SHOWN).flat_map(char::escape_debug).collect()
}

/// Whether a place is `above`, or inside it.
fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl fmt::Display for Errors {
    /// One line for each error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_an_author_would() {
        let rules = Path::ROOT.field("authorization");
        let policies = rules.field("policies");
        let second = policies.index(2);
        assert_eq!(second.field("name").to_string(), "authorization.policies[2].name");
        assert_eq!(Path::ROOT.to_string(), "");
    }

    #[test]
    fn a_place_that_could_not_be_read_is_reported_once() {
        let mut errors = Errors::default();
        let shadow = Path::ROOT.field("shadow");
        errors.add(&shadow.field("timeout"), "is a number", "a string");
        errors.end_reading();
        for path in
            [shadow.field("timeout"), shadow, shadow.field("timeouts"), Path::ROOT.field("s")]
        {
            errors.add(&path, "is zero", "more");
        }
        let paths: Vec<&str> = errors.errors().iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["shadow.timeout", "shadow.timeouts", "s"]);
    }

    #[test]
    fn a_scope_makes_nothing_where_an_error_was_recorded() {
        let mut errors = Errors::default();
        errors.add(&Path::ROOT, "is wrong", "right");
        assert_eq!(errors.scope(|_| 7), Some(7));
        assert_eq!(errors.scope(|errors| errors.add(&Path::ROOT, "is worse", "better")), None);
        assert_eq!(errors.errors().len(), 2);
    }

    #[test]
    fn each_name_that_is_given_twice_is_told_at_its_place() {
        let mut errors = Errors::default();
        let list = Path::ROOT.field("list");
        errors.duplicate(
            &list,
            Some("name"),
            ["b", "", "b", "c", "", "b", "c"].into_iter(),
            "one of its own",
        );
        errors.duplicate(&list, None, ["b", "b"].into_iter(), "once");
        let said = "list[2].name: is given twice (b): one of its own\n\
            list[5].name: is given twice (b): one of its own\n\
            list[6].name: is given twice (c): one of its own\n\
            list[1]: is given twice (b): once";
        assert_eq!(errors.to_string(), said);
    }

    #[test]
    fn errors_show_value_and_remedy_and_escape_what_a_terminal_would_obey() {
        let mut errors = Errors::default();
        errors.add_value(
            &Path::ROOT.field("mode"),
            "is unknown",
            "\"a\u{1b}[31m\"",
            "write ENFORCE",
        );
        errors.add(&Path::ROOT.field("a\nmode: \u{1b}[2J"), "is not a field here", "mode");
        assert_eq!(
            errors.to_string(),
            "mode: is unknown (\\\"a\\u{1b}[31m\\\"): write ENFORCE\n\
             a\\nmode: \\u{1b}[2J: is not a field here: mode"
        );
    }
}
