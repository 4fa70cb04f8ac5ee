//! From a path, as messages name it, to the place in the text.

use std::ops::Range;

use super::source::Source;
use super::tree::{Id, Kind, Tree};

/// How many aliases and merge keys are followed on the way to one place; the reader of values refuses circles.
const MAX_HOPS: usize = 64;

/// The key that folds other mappings into one.
const MERGE: &str = "<<";

/// Where a path leads.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The key of the last step, if it is a field's.
    pub key: Option<Id>,
    /// The value, aliases followed; for a path that leads nowhere, what holds the last step that there is.
    pub value: Option<Id>,
    /// What stands in its place in the text: the value, or an alias of it.
    at: Option<Id>,
    /// Whether the path was followed to its end.
    pub is_whole: bool,
    /// The last `*alias` on the way.
    pub alias: Option<Id>,
}

impl Place {
    /// Follows a path, as `spec.match[0].mode`, from a node.
    pub fn find(tree: &Tree, from: Id, path: &str) -> Self {
        let mut place = Self { value: Some(from), ..Self::default() };
        let mut rest = path;
        let mut hops = 0;
        loop {
            place.at = place.value;
            place.resolve(tree, &mut hops);
            if rest.is_empty() {
                place.is_whole = true;
                return place;
            }
            let Some(value) = place.value else { return place };
            let step = match tree.node(value).map(|node| &node.kind) {
                Some(Kind::List(items)) => item(items, rest),
                Some(Kind::Map(_)) => {
                    let name = rest.strip_prefix('.').unwrap_or(rest);
                    let mut merged = None;
                    let found = field(tree, value, name, &mut merged, &mut hops);
                    place.alias = merged.or(place.alias);
                    found
                }
                _ => None,
            };
            let Some((key, value, after)) = step else { return place };
            (place.key, place.value, rest) = (key, Some(value), after);
        }
    }

    fn resolve(&mut self, tree: &Tree, hops: &mut usize) {
        while let Some(id) = self.value {
            let Some(Kind::Alias(target)) = tree.node(id).map(|node| &node.kind) else { return };
            *hops = hops.saturating_add(1);
            if *hops > MAX_HOPS {
                return;
            }
            self.alias = Some(id);
            self.value = *target;
        }
    }

    /// What to point at: the key of a field that does not belong there, or that holds more than a scalar; the scalar
    /// itself otherwise.
    pub fn span(&self, tree: &Tree, source: &Source, at_key: bool) -> Option<Range<usize>> {
        let of = |id: Option<Id>| id.and_then(|id| tree.node(id));
        let value = of(self.value)?;
        let key = of(self.key).map(|key| key.span.clone());
        let is_scalar = matches!(value.kind, Kind::Scalar(_));
        let is_shown = is_scalar && !value.span.is_empty() && self.is_whole && !at_key;
        let span = match key {
            _ if is_shown => value.span.clone(),
            Some(key) => key,
            None if is_scalar => value.span.clone(),
            // An element of a list, or a document.
            None => source.first_line(&of(self.at).unwrap_or(value).span),
        };
        Some(span)
    }
}

type Step<'p> = (Option<Id>, Id, &'p str);

fn item<'p>(items: &[Id], path: &'p str) -> Option<Step<'p>> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    let item = items.get(index.parse::<usize>().ok()?)?;
    Some((None, *item, rest))
}

/// The field that a path begins with. Names may hold dots and brackets: the longest that fits counts. What the mapping
/// itself says goes before what is merged into it.
fn field<'p>(
    tree: &Tree,
    map: Id,
    path: &'p str,
    merged: &mut Option<Id>,
    hops: &mut usize,
) -> Option<Step<'p>> {
    let Some(Kind::Map(fields)) = tree.node(map).map(|node| &node.kind) else { return None };
    let fits = |(key, value): &(Id, Id)| {
        let rest = path.strip_prefix(tree.scalar(*key)?)?;
        let ends = rest.is_empty() || rest.starts_with(['.', '[']);
        ends.then_some((Some(*key), *value, rest))
    };
    let own = fields.iter().filter_map(fits).min_by_key(|(_, _, rest)| rest.len());
    if own.is_some() {
        return own;
    }
    let folded = fields.iter().filter(|(key, _)| tree.scalar(*key) == Some(MERGE));
    for (_, value) in folded {
        let sources = match tree.node(*value).map(|node| &node.kind) {
            Some(Kind::List(items)) => items.clone(),
            _ => vec![*value],
        };
        for source in sources {
            *hops = hops.saturating_add(1);
            if *hops > MAX_HOPS {
                return None;
            }
            let mut target = Place { value: Some(source), ..Place::default() };
            target.resolve(tree, hops);
            let mut inner = None;
            let found = target.value.and_then(|map| field(tree, map, path, &mut inner, hops));
            if found.is_some() {
                *merged = target.alias.or(inner);
                return found;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is pointed at, and the alias if there is one.
    fn shown<'t>(text: &'t str, path: &str) -> (&'t str, Option<&'t str>) {
        let source = Source::new(String::new(), text.to_owned());
        let (tree, _) = Tree::read(text, 0..text.len());
        let place = Place::find(&tree, tree.root().expect("a value"), path);
        let span = place.span(&tree, &source, false).expect("a place");
        let alias = place.alias.and_then(|id| tree.node(id)).map(|node| node.span.clone());
        (text.get(span).expect("in the text"), alias.and_then(|span| text.get(span)))
    }

    #[test]
    fn a_path_leads_to_its_place() {
        let text = "\
base: &base {mode: [x, y], deep: {er: 1}}
a.b:
  c[0]: one
a: {b: two}
list:
- name: three
  more: 3
- *base
- {<<: *base, own: 4}
- <<: [{other: 5}, *base]
empty:
";
        for (path, wanted) in [
            ("a.b.c[0]", ("one", None)),
            ("a.b", ("a.b", None)),
            ("a", ("a", None)),
            ("list[0]", ("name: three", None)),
            ("list[0].missing", ("name: three", None)),
            ("list[0].more", ("3", None)),
            ("list[0].more.deeper", ("more", None)),
            ("list[1].mode[1]", ("y", Some("*base"))),
            ("list[1].missing", ("*base", Some("*base"))),
            ("list[2].own", ("4", None)),
            ("list[2].deep.er", ("1", Some("*base"))),
            ("list[3].other", ("5", None)),
            ("list[3].mode[0]", ("x", Some("*base"))),
            ("list[9].name", ("list", None)),
            ("empty", ("empty", None)),
            ("empty.more", ("empty", None)),
            ("nothing.here", ("base: &base {mode: [x, y], deep: {er: 1}}", None)),
        ] {
            assert_eq!(shown(text, path), wanted, "{path}");
        }
    }

    #[test]
    fn circles_end() {
        let text = "a: &a {<<: *a, b: &b [*b]}";
        for path in ["a.c", "a.b[0][0][0]"] {
            assert!(!shown(text, path).0.is_empty());
        }
    }
}
