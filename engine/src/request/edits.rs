//! What a decision changes of a request's headers.

use super::{Header, Request};
use crate::words::same;

/// Changes to a request's headers, collected while it is decided and written at the end.
///
/// One text holds all names and values: to allocate each costs more than to copy it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    text: Vec<u8>,
    list: Vec<Edit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edit {
    adds: bool,
    /// Where the name begins in the text, where the value does, and where that ends.
    bounds: [usize; 3],
}

impl Edits {
    /// Room for the edits of most requests.
    const USUAL: (usize, usize) = (256, 8);

    /// Removes every line of this name (in lower case), also one that was added before.
    pub fn remove(&mut self, name: &[u8]) {
        let Self { text, list } = self;
        let mut known = false;
        list.retain(|edit| {
            let is_of_name = same(edit.name(text), name);
            known |= is_of_name && !edit.adds;
            !(is_of_name && edit.adds)
        });
        if !known {
            self.push(false, name, b"");
        }
    }

    /// Replaces every line of this name (in lower case) by one.
    pub fn set(&mut self, name: &[u8], value: impl AsRef<[u8]>) {
        self.remove(name);
        self.push(true, name, value.as_ref());
    }

    /// Adds a line, keeping those that are there.
    pub fn add(&mut self, name: &[u8], value: impl AsRef<[u8]>) {
        self.push(true, name, value.as_ref());
    }

    fn push(&mut self, adds: bool, name: &[u8], value: &[u8]) {
        if self.list.is_empty() {
            let (text, list) = Self::USUAL;
            self.text.reserve(text);
            self.list.reserve(list);
        }
        let start = self.text.len();
        self.text.extend_from_slice(name);
        let middle = self.text.len();
        self.text.extend_from_slice(value);
        self.list.push(Edit { adds, bounds: [start, middle, self.text.len()] });
    }

    /// Names whose lines of the incoming request go.
    pub fn removed(&self) -> impl Iterator<Item = &[u8]> {
        self.list.iter().filter(|edit| !edit.adds).map(|edit| edit.name(&self.text))
    }

    /// Lines that come, in order.
    pub fn added(&self) -> impl Iterator<Item = Header<'_>> {
        let added = self.list.iter().filter(|edit| edit.adds);
        added.map(|edit| (edit.name(&self.text), edit.value(&self.text)))
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the lines of this name that came go.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.removed().any(|removed| same(removed, name))
    }

    /// The lines of `name` that the next filter will see.
    pub fn lines<'s>(
        &'s self,
        request: &Request<'s>,
        name: &'s [u8],
    ) -> impl Iterator<Item = &'s [u8]> + use<'s> {
        let came = if self.removes(name) { &[] } else { request.candidates(name) };
        let came = came.iter().copied().chain(self.added());
        came.filter(move |(n, _)| same(n, name)).map(|(_, v)| v)
    }
}

impl Edit {
    fn name(self, text: &[u8]) -> &[u8] {
        let [start, middle, _] = self.bounds;
        text.get(start..middle).unwrap_or_default()
    }

    fn value(self, text: &[u8]) -> &[u8] {
        let [_, middle, end] = self.bounds;
        text.get(middle..end).unwrap_or_default()
    }
}
