//! A document of YAML as it stands in the text: every key and value with its place, aliases not yet followed.
//!
//! Read by the parser that also reads the values, so that both see the same document.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, Span, StructureStyle};

/// A node of the tree, by its place in the list of them.
pub type Id = usize;

/// A key or value.
#[derive(Debug)]
pub struct Node {
    /// Its bytes in the whole text.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug)]
pub enum Kind {
    /// A text, number, boolean or nothing, as it reads.
    Scalar(String),
    /// A list.
    List(Vec<Id>),
    /// Keys and values, in the order of the text.
    Map(Vec<(Id, Id)>),
    /// `*name`, and what it stands for.
    Alias(Option<Id>),
}

/// Where the text stops being YAML.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    /// The byte.
    pub at: usize,
    /// Why, in the parser's words.
    pub why: String,
}

/// A document.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    root: Option<Id>,
}

impl Tree {
    /// Reads the document that these bytes of the text hold. Where it breaks, the tree holds what stands before.
    pub fn read(text: &str, document: Range<usize>) -> (Self, Option<Broken>) {
        let mut builder = Builder { offset: document.start, ..Builder::default() };
        let text = text.get(document.clone()).unwrap_or_default();
        let mut broken = None;
        for event in Parser::new_from_str(text) {
            match event {
                Ok((event, span)) => builder.take(event, span),
                Err(error) => {
                    let at = byte(error.marker().byte_offset(), text.len());
                    let at = document.start.saturating_add(at);
                    broken = Some(Broken { at, why: error.info() });
                    break;
                }
            }
        }
        (builder.finish(), broken)
    }

    /// The outermost value; none in an empty document.
    pub fn root(&self) -> Option<Id> {
        self.root
    }

    /// A node; each that the tree names is there.
    pub fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Every node.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What a key or value reads, if it is a scalar.
    pub fn scalar(&self, id: Id) -> Option<&str> {
        match &self.node(id)?.kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

fn byte(offset: Option<usize>, end: usize) -> usize {
    offset.unwrap_or(end).min(end)
}

/// A collection whose end has not come yet.
struct Open {
    id: Id,
    is_map: bool,
    /// Whether it ends with a bracket of its own.
    is_flow: bool,
    children: Vec<Id>,
}

#[derive(Default)]
struct Builder {
    /// Where the document begins in the text.
    offset: usize,
    tree: Tree,
    open: Vec<Open>,
    anchors: HashMap<usize, Id>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) {
        let start = byte(span.start.byte_offset(), usize::MAX).saturating_add(self.offset);
        let end = byte(span.end.byte_offset(), usize::MAX).saturating_add(self.offset);
        let span = start..end.max(start);
        match event {
            Event::Scalar(text, _, anchor, _) => {
                self.add(span, Kind::Scalar(text.into_owned()), anchor);
            }
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).copied();
                self.add(span, Kind::Alias(target), 0);
            }
            Event::SequenceStart(style, anchor, _) => {
                let id = self.add(span, Kind::List(Vec::new()), anchor);
                self.begin(id, false, style);
            }
            Event::MappingStart(style, anchor, _) => {
                let id = self.add(span, Kind::Map(Vec::new()), anchor);
                self.begin(id, true, style);
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(Some(span.end)),
            _ => {}
        }
    }

    fn begin(&mut self, id: Id, is_map: bool, style: StructureStyle) {
        let is_flow = style == StructureStyle::Flow;
        self.open.push(Open { id, is_map, is_flow, children: Vec::new() });
    }

    fn add(&mut self, span: Range<usize>, kind: Kind, anchor: usize) -> Id {
        let id = self.tree.nodes.len();
        self.tree.nodes.push(Node { span, kind });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        match self.open.last_mut() {
            Some(open) => open.children.push(id),
            None => self.tree.root = self.tree.root.or(Some(id)),
        }
        id
    }

    /// Ends the innermost collection: a flow one at its bracket, a block one with its last child.
    fn end(&mut self, at: Option<usize>) {
        let Some(Open { id, is_map, is_flow, children }) = self.open.pop() else { return };
        let child = |child: Option<&Id>| child.and_then(|child| self.tree.node(*child));
        let last = child(children.last()).map(|node| node.span.end);
        let first = child(children.first()).map(|node| node.span.start);
        if let Some(node) = self.tree.nodes.get_mut(id) {
            if !is_flow {
                node.span.start = first.unwrap_or(node.span.start);
            }
            node.span.end = at.filter(|_| is_flow).or(last).unwrap_or(node.span.end);
            node.kind = if is_map {
                let mut pairs = Vec::new();
                let mut children = children.into_iter();
                while let Some(key) = children.next() {
                    // What breaks behind a key has no value; the key stands for it.
                    pairs.push((key, children.next().unwrap_or(key)));
                }
                Kind::Map(pairs)
            } else {
                Kind::List(children)
            };
        }
    }

    fn finish(mut self) -> Tree {
        while !self.open.is_empty() {
            self.end(None);
        }
        self.tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every node as it stands in the text.
    fn nodes(text: &str) -> Vec<&str> {
        let (tree, broken) = Tree::read(text, 0..text.len());
        assert_eq!(broken, None);
        let nodes = tree.nodes().iter();
        nodes.map(|node| text.get(node.span.clone()).expect("in the text")).collect()
    }

    #[test]
    fn every_node_has_its_place() {
        let text = "a: {b: [c, 'd e']}\nf:\n- g: \"h\"\n  i: j k\n- *l\nm:\n";
        let text = text.replace("*l", "&l x\n- *l");
        let wanted = [
            // What is empty stands at its key.
            text.trim_end().trim_end_matches(':'),
            "a",
            "{b: [c, 'd e']}",
            "b",
            "[c, 'd e']",
            "c",
            "'d e'",
            "f",
            "g: \"h\"\n  i: j k\n- &l x\n- *l",
            "g: \"h\"\n  i: j k",
            "g",
            "\"h\"",
            "i",
            "j k",
            "x",
            "*l",
            "m",
            "",
        ];
        assert_eq!(nodes(&text), wanted);
    }

    #[test]
    fn what_stands_before_a_break_is_there() {
        let text = "# first\n---\na: b\nc: [d, \"e";
        let (tree, broken) = Tree::read(text, 8..text.len());
        assert!(broken.is_some_and(|broken| broken.at > 20));
        let scalars: Vec<_> = (0..tree.nodes().len()).filter_map(|id| tree.scalar(id)).collect();
        assert_eq!(scalars, ["a", "b", "c", "d"]);
    }
}
