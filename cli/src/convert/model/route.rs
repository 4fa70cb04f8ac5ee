//! VirtualService: mirrors to shadows and weights to splits, where a route is that of one model.

use serde_json::{Map, Value, json};

use super::super::document::{Document, is_nothing};
use super::super::part::{Converted, Done, Part, Remark, Whence};
use super::{GRPC, Shadow, cluster, items, text};

/// The service of Seldon Core 2 before its models.
const SELDON_MESH: &str = "seldon-mesh";

/// A route of a VirtualService that is of interest here.
struct Route<'d> {
    document: &'d Document,
    documents: &'d [&'d Document],
    value: &'d Value,
    field: String,
    /// What `hosts` of the VirtualService ask for; none: any.
    hosts: Vec<&'d str>,
}

/// What one becomes.
pub fn convert(document: &Document, documents: &[&Document], converted: &mut Converted) {
    converted.objects.push(Whence::of(document));
    if is_operators(document, documents) {
        return;
    }
    let hosts = items(document.get("/spec"), "hosts").iter().filter_map(Value::as_str);
    let mut hosts: Vec<&str> = hosts.collect();
    if hosts.contains(&"*") {
        hosts.clear();
    }
    let gateways = items(document.get("/spec"), "gateways").iter().filter_map(Value::as_str);
    let is_at_gateway = gateways.clone().any(|gateway| gateway != "mesh");
    // What routes before this one take; none: some requests of any model.
    let mut before: Vec<Option<(String, bool)>> = Vec::new();
    for (i, value) in items(document.get("/spec"), "http").iter().enumerate() {
        let field = format!("spec.http[{i}]");
        let route = Route { document, documents, value, field, hosts: hosts.clone() };
        if !is_at_gateway {
            if route.mirrors().next().is_some() || route.destinations().len() > 1 {
                route.left("", "is for the mesh, and not for the gateway", converted);
            }
            continue;
        }
        route.convert(&before, converted);
        before.push(route.model().ok());
    }
}

/// Whether Seldon's operator makes it of a deployment that is converted.
fn is_operators(document: &Document, documents: &[&Document]) -> bool {
    documents.iter().any(|other| {
        other.kind == "SeldonDeployment"
            && (&other.name, &other.namespace) == (&document.name, &document.namespace)
    })
}

impl<'d> Route<'d> {
    fn left(&self, field: &str, reason: &str, converted: &mut Converted) {
        let field = format!("{}{field}", self.field);
        converted.remarks.push(Remark::new(self.document, &field, Done::LeftOut, reason));
    }

    fn destinations(&self) -> &'d [Value] {
        items(self.value, "route")
    }

    /// Destinations that requests are mirrored to, each with its percentage and its field.
    fn mirrors(&self) -> impl Iterator<Item = (&'d Value, f64, String)> + use<'d> {
        let value = self.value;
        let one = value.get("mirror").filter(|mirror| mirror.is_object()).map(move |mirror| {
            let plain = ["mirrorPercent", "mirror_percent"].iter();
            let plain = plain.filter_map(|name| value.get(*name)?.as_f64()).next();
            let percent = percentage(value, "mirrorPercentage").or(plain);
            (mirror, percent.unwrap_or(100.0), ".mirror".to_owned())
        });
        let many = items(value, "mirrors").iter().enumerate().map(move |(i, mirror)| {
            let percent = percentage(mirror, "percentage").unwrap_or(100.0);
            let destination = mirror.get("destination").unwrap_or(&Value::Null);
            (destination, percent, format!(".mirrors[{i}]"))
        });
        one.into_iter().chain(many)
    }

    fn convert(&self, before: &[Option<(String, bool)>], converted: &mut Converted) {
        let has_weights = self.destinations().len() > 1;
        if self.of_seldon_mesh(converted) {
            return;
        }
        if self.value.get("delegate").is_some_and(Value::is_object) {
            let reason = "goes on in another VirtualService, whose paths are seen together with these: its mirrors and weights are left out, too";
            self.left(".delegate", reason, converted);
            return;
        }
        if !has_weights && self.mirrors().next().is_none() {
            if self.is_rewritten() {
                let reason = "is done by the route, after modelgate has read the path: `rewrites` or `targets.fixed` say which model it is";
                self.left(".rewrite", reason, converted);
            }
            return;
        }
        let (model, grpc) = match self.model() {
            Ok(found) => found,
            Err(reason) => {
                self.left(".match", reason, converted);
                return;
            }
        };
        let takes = |one: &Option<(String, bool)>| {
            one.as_ref().is_none_or(|(name, kind)| (name, *kind) == (&model, grpc))
        };
        if before.iter().any(takes) {
            let reason = "may not get all requests of its model, as a route before it takes some: a shadow or a split would have them, too";
            self.left(".match", reason, converted);
            return;
        }
        if has_weights {
            self.split(&model, converted);
        }
        let mirrors: Vec<_> = self.mirrors().collect();
        for (i, (destination, percent, field)) in mirrors.into_iter().enumerate() {
            self.shadow((&model, grpc), (i, destination, percent), &field, converted);
        }
    }

    /// Whether the path that the client sends is not one of Seldon's, and the route makes it another.
    fn is_rewritten(&self) -> bool {
        let rewrites = !is_nothing(self.value.get("rewrite").unwrap_or(&Value::Null));
        let is_seldons = |one: &Value| {
            let path = ["prefix", "exact"].iter().find_map(|how| text(one.get("uri")?, how));
            path.is_some_and(|path| path.starts_with("/seldon/"))
        };
        rewrites && !items(self.value, "match").iter().all(is_seldons)
    }

    /// The model whose route it is, and whether that is the one of gRPC.
    fn model(&self) -> Result<(String, bool), &'static str> {
        let [one] = items(self.value, "match") else {
            return Err(
                "does not say one model: a route with one match, as Seldon's operator writes it, does",
            );
        };
        let asked: Vec<&String> =
            one.as_object().into_iter().flatten().map(|(name, _)| name).collect();
        let uri = one.get("uri").unwrap_or(&Value::Null);
        let exact = |name: &str| {
            let value = one.pointer(&format!("/headers/{name}/exact")).and_then(Value::as_str);
            value.filter(|value| !value.is_empty())
        };
        let headers = one.get("headers").and_then(Value::as_object).map_or(0, Map::len);
        if asked.iter().any(|name| !["uri", "headers", "name"].contains(&name.as_str())) {
            return Err(
                "asks for more than a path and a model, which a shadow and a split cannot: `when` knows headers, claims and peers",
            );
        }
        if let (Some(name), Some(namespace), 2) = (exact("seldon"), exact("namespace"), headers) {
            let of_operator =
                text(uri, "regex") == Some(".*tensorflow.*|.*seldon.protos.*|.*inference.*");
            if of_operator {
                return Ok((format!("{namespace}/{name}"), true));
            }
        }
        if headers > 0 {
            return Err("asks for headers: write the shadow or the split by hand, with `when`");
        }
        let path = text(uri, "prefix").and_then(|prefix| prefix.strip_prefix("/seldon/"));
        let path = path.and_then(|path| path.strip_suffix('/'));
        let named =
            path.filter(|path| path.split('/').count() == 2 && !path.split('/').any(str::is_empty));
        let rewrite = self.value.pointer("/rewrite/uri").and_then(Value::as_str);
        match named {
            Some(_) if rewrite != Some("/") => Err(
                "rewrites the path in another way than Seldon's operator, which the copy would not follow",
            ),
            Some(model) => Ok((model.to_owned(), false)),
            None => Err("is not the path of one model, as /seldon/prod/iris/ is"),
        }
    }

    /// The hosts, as conditions.
    fn when(&self) -> Option<Value> {
        let is_there = !self.hosts.is_empty();
        is_there.then(|| json!({"key": "request.headers[:authority]", "values": self.hosts}))
    }

    fn split(&self, model: &str, converted: &mut Converted) {
        let mut variants: Vec<Value> = Vec::new();
        for destination in self.destinations() {
            let at = destination.get("destination").unwrap_or(&Value::Null);
            let host = text(at, "host").and_then(|host| host.split('.').next());
            let Some(name) = text(at, "subset").or(host) else {
                return self.left(".route", "has a destination without a host", converted);
            };
            if variants.iter().any(|variant| text(variant, "name") == Some(name)) {
                return self.left(
                    ".route",
                    "has destinations of one name, which variants cannot have",
                    converted,
                );
            }
            let weight = destination.get("weight").and_then(Value::as_u64).unwrap_or(0);
            variants.push(json!({"name": name, "weight": weight}));
        }
        let mut split =
            json!({"name": model.replace('/', "-"), "models": [model], "variants": variants});
        if let (Some(when), Some(split)) = (self.when(), split.as_object_mut()) {
            split.insert("when".to_owned(), json!([when]));
        }
        let others = converted.parts.iter().filter(|part| part.at == "splits");
        let has_other = others
            .into_iter()
            .any(|part| part.value.get("name") == split.get("name") && part.value != split);
        if has_other {
            return self.left(
                ".route",
                "has other weights than another route of the same model, which a split has once",
                converted,
            );
        }
        if !converted.parts.iter().any(|part| part.at == "splits" && part.value == split) {
            converted.parts.push(Part::entry("splits", split, self.document));
        }
        self.left(".route", "goes on drawing by its weights for each request: routes by the split's header are to take its place, as in deploy/splits", converted);
    }

    fn shadow(
        &self,
        (model, grpc): (&str, bool),
        (i, destination, percent): (usize, &Value, f64),
        field: &str,
        converted: &mut Converted,
    ) {
        if percent <= 0.0 {
            return;
        }
        let Some(host) = text(destination, "host") else {
            self.left(field, "has no host", converted);
            return;
        };
        let Some(port) = self.port(destination, host) else {
            self.left(field, "has no port, and the Service is not among the objects", converted);
            return;
        };
        let subset = text(destination, "subset").unwrap_or_default();
        let end = if grpc { GRPC } else { "" };
        let name = |i: usize| format!("{}-mirror-{i}{end}", model.replace('/', "-"));
        let parts = &converted.parts;
        let is_free =
            |name: &String| !parts.iter().any(|part| text(&part.value, "name") == Some(name));
        let Some(name) = (i.saturating_add(1)..).map(name).find(is_free) else { return };
        let shadow = Shadow {
            name,
            model,
            percent,
            cluster: cluster(port, subset, &full(host, &self.document.namespace)),
            grpc: Some(grpc),
        };
        let mut value = shadow.value();
        let when = value.get_mut("when").and_then(Value::as_array_mut);
        if let (Some(list), Some(when)) = (when, self.when()) {
            list.push(when);
        }
        converted.parts.push(Part::entry("shadows", value, self.document));
        self.left(field, "copies each request a second time, with whatever credentials it has, until it is taken off the route. The shadow gets predictions and no other operation", converted);
    }

    /// The port of a destination: its own, or the only one of its Service.
    fn port(&self, destination: &Value, host: &str) -> Option<u64> {
        let own = destination.pointer("/port/number").and_then(Value::as_u64);
        own.or_else(|| {
            let host = full(host, &self.document.namespace);
            let is_it = |document: &&&Document| {
                document.kind == "Service" && full(&document.name, &document.namespace) == host
            };
            let service = self.documents.iter().find(is_it)?;
            match items(service.get("/spec"), "ports") {
                [port] => port.get("port").and_then(Value::as_u64),
                _ => None,
            }
        })
    }

    /// A route to Seldon Core 2: whose namespace a host is, or which model a route sets.
    fn of_seldon_mesh(&self, converted: &mut Converted) -> bool {
        let host = |value: &'d Value| value.pointer("/destination/host").and_then(Value::as_str);
        let full: Vec<String> = self
            .destinations()
            .iter()
            .filter_map(host)
            .map(|host| full(host, &self.document.namespace))
            .collect();
        let namespaces: Vec<&str> = full.iter().filter_map(|host| namespace(host)).collect();
        let Some(namespace) = namespaces.first() else { return false };
        if full.len() > 1 || self.mirrors().next().is_some() {
            self.left("", "shares requests among models of Seldon's by the header that it sets: allow callers each of them, or write `rewrites` that set the header", converted);
            return true;
        }
        let set = self.value.pointer("/headers/request/set/seldon-model").and_then(Value::as_str);
        let set = set.or_else(|| {
            self.destinations().first()?.pointer("/headers/request/set/seldon-model")?.as_str()
        });
        let Some(model) = set else {
            let hosts = if self.hosts.is_empty() { vec!["*"] } else { self.hosts.clone() };
            let entry = json!({"namespace": namespace, "hosts": hosts});
            converted.parts.push(Part::entry("targets.seldonV2", entry, self.document));
            return true;
        };
        for one in items(self.value, "match") {
            let Some(prefix) = one
                .pointer("/uri/prefix")
                .and_then(Value::as_str)
                .filter(|_| one.as_object().is_some_and(|one| one.len() == 1))
            else {
                self.left(".match", "asks for something else than a prefix of the path", converted);
                continue;
            };
            let mut entry = json!({"pathPrefix": prefix, "model": format!("{namespace}/{model}")});
            if let (false, Some(entry)) = (self.hosts.is_empty(), entry.as_object_mut()) {
                entry.insert("hosts".to_owned(), json!(self.hosts));
            }
            converted.parts.push(Part::entry("targets.fixed", entry, self.document));
        }
        true
    }
}

/// A percentage, which is 0 where it is there and has no value (`MirrorPercent` in istiod's `route.go`).
fn percentage(of: &Value, name: &str) -> Option<f64> {
    let percentage = of.get(name).filter(|value| value.is_object())?;
    Some(percentage.get("value").and_then(Value::as_f64).unwrap_or(0.0))
}

/// A short name is one of the VirtualService's namespace.
fn full(host: &str, namespace: &str) -> String {
    if host.contains('.') {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    }
}

/// The namespace of a host that is Seldon's.
fn namespace(host: &str) -> Option<&str> {
    let (name, rest) = host.split_once('.')?;
    if name != SELDON_MESH {
        return None;
    }
    rest.split('.').next()
}
