//! From parts to a plugin: settings in their order, each with a comment that says whence it is.

use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use serde_json::{Map, Value, json};

use super::document::Origin;
use super::gateway::Gateway;
use super::part::{Done, Part, Remark, Way, Whence};
use super::yaml::{self, Node};

/// Which resource carries the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// For every version of Istio.
    #[value(name = "WasmPlugin")]
    WasmPlugin,
    /// For Istio 1.30 and later.
    #[value(name = "TrafficExtension")]
    TrafficExtension,
}

/// A tree of settings.
#[derive(Debug, Default)]
struct Tree {
    children: Vec<(String, Tree)>,
    value: Option<(Value, Vec<Whence>)>,
    entries: Vec<(Value, Vec<Whence>)>,
}

/// `pluginConfig`, made of parts.
#[derive(Debug)]
pub struct Settings {
    tree: Tree,
}

impl Settings {
    /// Puts the parts together, each list in the order in which its entries come.
    pub fn new(parts: Vec<Part>, remarks: &mut Vec<Remark>) -> Self {
        let mut tree = Tree::default();
        for part in parts {
            let at = part.at.clone();
            if let Some((first, second)) = tree.add(&at, part) {
                remarks.push(Remark {
                    origin: second.origin,
                    object: second.object,
                    field: at,
                    reason: format!("contradicts {} ({})", first.object, first.origin),
                    done: Done::Refused,
                });
            }
        }
        tree.sort();
        Self { tree }
    }

    /// The settings alone.
    pub fn value(&self) -> Value {
        self.tree.value()
    }

    /// Has the filter's engine read them; what it refuses is said of the object whence it is.
    pub fn check(&self, remarks: &mut Vec<Remark>) {
        let mut errors = Errors::default();
        let text = self.value().to_string();
        if Plan::read(text.as_bytes(), &mut errors).is_some() {
            return;
        }
        for error in errors.errors() {
            let whence = self.tree.find(&error.path);
            let value = error.value.as_ref().map(|value| format!(" ({value})")).unwrap_or_default();
            let unknown = || Origin { file: "the output".to_owned(), line: 1 };
            remarks.push(Remark {
                origin: whence.map_or_else(unknown, |whence| whence.origin.clone()),
                object: whence.map_or_else(|| "pluginConfig".to_owned(), |w| w.object.clone()),
                field: error.path.clone(),
                reason: format!("{}{value}: {}", error.what, error.fix),
                done: Done::Refused,
            });
        }
    }

    /// The resource, with comments.
    pub fn resource(&self, kind: Kind, name: &str, image: &str, gateway: &Gateway) -> Node {
        let plain = |name: &str, value: Value| (Vec::new(), name.to_owned(), Node::Plain(value));
        let (selector, selected) = gateway.selector();
        let config = (Vec::new(), "pluginConfig".to_owned(), self.tree.node());
        let strategy = plain("failStrategy", json!("FAIL_RELOAD"));
        let (phase, url) = (plain("phase", json!("AUTHN")), plain("url", json!(image)));
        let spec = match kind {
            Kind::WasmPlugin => vec![plain(selector, selected), url, phase, strategy, config],
            Kind::TrafficExtension => {
                let wasm = Node::Map(vec![url, strategy, config]);
                vec![plain(selector, selected), phase, (Vec::new(), "wasm".to_owned(), wasm)]
            }
        };
        let kind = match kind {
            Kind::WasmPlugin => "WasmPlugin",
            Kind::TrafficExtension => "TrafficExtension",
        };
        Node::Map(vec![
            plain("apiVersion", json!("extensions.istio.io/v1alpha1")),
            plain("kind", json!(kind)),
            plain("metadata", json!({"name": name, "namespace": gateway.namespace})),
            (Vec::new(), "spec".to_owned(), Node::Map(spec)),
        ])
    }
}

impl Tree {
    /// Adds a part; what it contradicts comes back, and itself.
    fn add(&mut self, at: &str, part: Part) -> Option<(Whence, Whence)> {
        let (first, rest) = match at.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (at, None),
        };
        let index = match self.children.iter().position(|(name, _)| name == first) {
            Some(index) => index,
            None => {
                self.children.push((first.to_owned(), Self::default()));
                self.children.len().saturating_sub(1)
            }
        };
        let (_, child) = self.children.get_mut(index)?;
        match (rest, part.way) {
            (Some(rest), _) => child.add(rest, part),
            (None, Way::Entry) => {
                match child.entries.iter_mut().find(|(value, _)| *value == part.value) {
                    Some((_, whence)) => whence.extend(part.whence),
                    None => child.entries.push((part.value, part.whence)),
                }
                None
            }
            (None, Way::Setting) => match &mut child.value {
                Some((value, whence)) if *value == part.value => {
                    whence.extend(part.whence);
                    None
                }
                Some((_, whence)) => {
                    Some((whence.first()?.clone(), part.whence.into_iter().next()?))
                }
                None => {
                    child.value = Some((part.value, part.whence));
                    None
                }
            },
        }
    }

    fn sort(&mut self) {
        self.children.sort_by_key(|(name, _)| yaml::rank(name));
        self.children.iter_mut().for_each(|(_, child)| child.sort());
    }

    fn value(&self) -> Value {
        if let Some((value, _)) = &self.value {
            return value.clone();
        }
        if !self.entries.is_empty() {
            return self.entries.iter().map(|(value, _)| value.clone()).collect();
        }
        let fields = self.children.iter().map(|(name, child)| (name.clone(), child.value()));
        Value::Object(fields.collect::<Map<_, _>>())
    }

    fn node(&self) -> Node {
        if let Some((value, _)) = &self.value {
            return Node::Plain(value.clone());
        }
        if !self.entries.is_empty() {
            let entry = |(value, whence): &(Value, Vec<Whence>)| {
                (lines(whence), Node::Plain(value.clone()))
            };
            return Node::List(self.entries.iter().map(entry).collect());
        }
        let field = |(name, child): &(String, Self)| {
            let whence = child.value.as_ref().map(|(_, whence)| lines(whence));
            (whence.unwrap_or_default(), name.clone(), child.node())
        };
        Node::Map(self.children.iter().map(field).collect())
    }

    /// Whence the setting at a path is, as `authorization.policies[0].rules`: as far as the path leads.
    fn find(&self, path: &str) -> Option<&Whence> {
        if let Some((_, whence)) = &self.value {
            return whence.first();
        }
        let path = path.strip_prefix('.').unwrap_or(path);
        if let Some((index, _)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let (_, whence) = self.entries.get(index.parse::<usize>().ok()?)?;
            return whence.first();
        }
        let (_, whence) = self.entries.first().cloned().unzip();
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (name, rest) = path.split_at_checked(end)?;
        let child = self.children.iter().find(|(known, _)| known == name);
        match child {
            Some((_, child)) => child.find(rest),
            None => whence.and(self.entries.first()).and_then(|(_, whence)| whence.first()),
        }
    }
}

/// A line for each.
pub fn lines(whence: &[Whence]) -> Vec<String> {
    whence.iter().map(|whence| format!("{} ({})", whence.object, whence.origin)).collect()
}
