//! Fields of a YAML mapping, each read once: what is left over is an error, with its path.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

/// A mapping while it is read.
#[derive(Debug)]
pub struct Fields {
    path: String,
    left: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    /// The fields of the value at a path.
    ///
    /// # Errors
    ///
    /// It is no mapping.
    pub fn new(value: Value, path: &str) -> Result<Self> {
        match value {
            Value::Object(left) => Ok(Self { path: path.to_owned(), left, known: Vec::new() }),
            other => bail!("{path}: is {}, and fields are expected here", kind(&other)),
        }
    }

    /// Where a field stands.
    pub fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A field; `None` where it is absent or null.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// A field that holds a text; a number counts as its digits.
    ///
    /// # Errors
    ///
    /// It holds something else.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>> {
        let at = self.at(name);
        self.take(name).map(|value| text(&value, &at)).transpose()
    }

    /// A field that holds a text that can be read as something.
    ///
    /// # Errors
    ///
    /// It holds something else.
    pub fn parsed<T: std::str::FromStr>(
        &mut self,
        name: &'static str,
        what: &str,
    ) -> Result<Option<T>> {
        let at = self.at(name);
        let Some(text) = self.text(name)? else { return Ok(None) };
        let parsed = text.parse().ok();
        Ok(Some(parsed.with_context(|| format!("{at}: is not {what} ({text})"))?))
    }

    /// A field that holds true or false.
    ///
    /// # Errors
    ///
    /// It holds something else.
    pub fn flag(&mut self, name: &'static str) -> Result<bool> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => bail!("{}: is {}, and not true or false", self.at(name), kind(&other)),
        }
    }

    /// A field that holds a list of texts.
    ///
    /// # Errors
    ///
    /// It holds something else.
    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>> {
        let at = self.at(name);
        let Some(value) = self.take(name) else { return Ok(None) };
        let Value::Array(items) = value else {
            bail!("{at}: is {}, and a list is expected here", kind(&value))
        };
        let items = items.iter().enumerate();
        items.map(|(i, item)| text(item, &format!("{at}[{i}]"))).collect::<Result<_>>().map(Some)
    }

    /// A field that holds texts by name.
    ///
    /// # Errors
    ///
    /// It holds something else.
    pub fn entries(&mut self, name: &'static str) -> Result<Vec<(String, String)>> {
        let at = self.at(name);
        let Some(value) = self.take(name) else { return Ok(Vec::new()) };
        let Fields { left, .. } = Self::new(value, &at)?;
        let entries = left.into_iter();
        entries
            .map(|(key, value)| Ok((key.clone(), text(&value, &format!("{at}.{key}"))?)))
            .collect()
    }

    /// Nothing may be left.
    ///
    /// # Errors
    ///
    /// A field is none that belongs here.
    pub fn end(self) -> Result<()> {
        let left = self.left.keys().next();
        ensure!(
            left.is_none(),
            "{}: is not a field here: one of {}",
            self.at(left.map_or("", String::as_str)),
            self.known.join(", ")
        );
        Ok(())
    }
}

fn text(value: &Value, at: &str) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => bail!("{at}: is {}, and a text is expected here", kind(other)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "fields by name",
    }
}
