//! Objects of Kubernetes as they stand in files: several in a document, several documents in a file, files in folders.

use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use serde_saphyr::{MessageFormatter as _, UserMessageFormatter};

use crate::check::place::Place;
use crate::check::source::Source;
use crate::check::tree::{Id, Tree};

/// Names standard input.
const INPUT: &str = "-";

/// Endings of the files that are read in a folder.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file as it was named, or what standard input is called.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An object.
#[derive(Debug, Clone)]
pub struct Document {
    /// As `security.istio.io/v1`.
    pub api_version: String,
    /// As `AuthorizationPolicy`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`, or the one that is meant where none is given.
    pub namespace: String,
    /// Where it begins.
    pub origin: Origin,
    /// The whole object.
    pub value: Value,
    source: Rc<Source>,
    tree: Rc<Tree>,
    root: Id,
}

impl Document {
    /// Where a field of it stands, as `spec.rules[0].when`: as far as the path leads.
    pub fn at(&self, path: &str) -> Origin {
        let place = Place::find(&self.tree, self.root, path);
        let span = place.span(&self.tree, &self.source, true);
        let line = span.map_or(self.origin.line, |span| self.source.position(span.start).line);
        Origin { file: self.origin.file.clone(), line }
    }

    /// What it is called, as `AuthorizationPolicy prod/data-science`.
    pub fn object(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }

    /// The group of its API, as `security.istio.io`.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// A field, as `/spec/rules`; nothing for one that is not there.
    pub fn get(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// A field that is a text.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer).as_str()
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// The objects, in the order of the files.
    pub documents: Vec<Document>,
    /// Documents that hold no object, as values of a chart.
    pub without_kind: usize,
}

/// Reads files, all those in folders and below them, and standard input. Objects without a namespace are in `namespace`.
///
/// # Errors
///
/// Something cannot be read: then nothing is known of what it would have said.
pub fn read(paths: &[PathBuf], namespace: &str) -> Result<Read> {
    let mut read = Read::default();
    for path in paths {
        if path.as_os_str() == INPUT {
            let text = std::io::read_to_string(std::io::stdin()).context("standard input")?;
            read_text("standard input".to_owned(), text, namespace, &mut read)?;
            continue;
        }
        let mut files = Vec::new();
        files_of(path, &mut Vec::new(), &mut files)?;
        ensure!(!files.is_empty(), "{} holds no file of YAML or JSON", path.display());
        for file in files {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).context(name.clone())?;
            read_text(name, text, namespace, &mut read)?;
        }
    }
    Ok(read)
}

/// The file itself, or those of a folder by their names; what is hidden there is not looked at. A folder that was read
/// already is not read again: a link may lead in a circle.
fn files_of(path: &Path, folders: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> Result<()> {
    let name = || path.display().to_string();
    let real = std::fs::canonicalize(path).with_context(name)?;
    if !real.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if folders.contains(&real) {
        return Ok(());
    }
    folders.push(real);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).with_context(name)? {
        let entry = entry.with_context(name)?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        let path = entry.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        let is_read = extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()));
        if !is_hidden && (is_read || path.is_dir()) {
            entries.push(path);
        }
    }
    entries.sort();
    entries.iter().try_for_each(|entry| files_of(entry, folders, files))
}

/// Reads the objects of a text that comes from there.
///
/// # Errors
///
/// It is not YAML, or a document in it is no object.
pub fn read_text(name: String, text: String, namespace: &str, read: &mut Read) -> Result<()> {
    let source = Rc::new(Source::new(name, text));
    for span in source.documents() {
        let (tree, broken) = Tree::read(&source.text, span.clone());
        if let Some(broken) = broken {
            let position = source.position(broken.at);
            let (line, column) = (position.line, position.column);
            bail!("{}:{line}:{column}: is not YAML: {}", source.name, broken.why);
        }
        let text = source.text.get(span.clone()).unwrap_or_default();
        let values: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
            let error = error.without_snippet();
            let what = UserMessageFormatter.format_message(error).escape_debug().to_string();
            let at = error.location().and_then(|location| location.span().byte_offset());
            let at = at.and_then(|at| usize::try_from(at).ok()).unwrap_or_default();
            let line = source.position(span.start.saturating_add(at)).line;
            anyhow::anyhow!("{}:{line}: cannot be read: {what}", source.name)
        })?;
        let (Some(value), Some(root)) = (values.into_iter().next(), tree.root()) else { continue };
        let text = Text { source: Rc::clone(&source), tree: Rc::new(tree), namespace };
        text.take(value, root, None, read);
    }
    Ok(())
}

/// A document of a text.
struct Text<'n> {
    source: Rc<Source>,
    tree: Rc<Tree>,
    namespace: &'n str,
}

impl Text<'_> {
    /// Takes an object, or those of a list, whose kind they have where they do not say theirs.
    fn take(&self, value: Value, root: Id, of: Option<(&str, &str)>, read: &mut Read) {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let kind = text("/kind").or(of.map(|(kind, _)| kind.to_owned())).unwrap_or_default();
        let given = text("/apiVersion").or(of.map(|(_, version)| version.to_owned()));
        let api_version = given.unwrap_or_default();
        if kind.is_empty() {
            read.without_kind = read.without_kind.saturating_add(usize::from(!value.is_null()));
            return;
        }
        if let (Some(of), Some(items)) = (kind.strip_suffix("List"), list(&value)) {
            let of = (!of.is_empty()).then_some((of, api_version.as_str()));
            for (i, item) in items.iter().enumerate() {
                let place = Place::find(&self.tree, root, &format!("items[{i}]"));
                self.take(item.clone(), place.value.unwrap_or(root), of, read);
            }
            return;
        }
        let start = self.tree.node(root).map(|node| node.span.start).unwrap_or_default();
        let line = self.source.position(start).line;
        read.documents.push(Document {
            api_version,
            kind,
            name: text("/metadata/name").unwrap_or_default(),
            namespace: text("/metadata/namespace").unwrap_or_else(|| self.namespace.to_owned()),
            origin: Origin { file: self.source.name.clone(), line },
            value,
            source: Rc::clone(&self.source),
            tree: Rc::clone(&self.tree),
            root,
        });
    }
}

fn list(value: &Value) -> Option<&Vec<Value>> {
    value.get("items").and_then(Value::as_array)
}

/// What Istio takes for a field that is not there.
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
