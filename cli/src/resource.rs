//! What a WasmPlugin or TrafficExtension says around its `pluginConfig`, and what Istio makes of it.

mod addresses;

use modelgate_engine::config::{Errors, Path, Warning};
use serde_json::Value;

/// Istio's root namespace, unless the mesh has another one: a resource there is for every namespace.
const ROOT_NAMESPACE: &str = "istio-system";

/// Warns of a resource that is not loaded, opens when it fails, or is loaded elsewhere than is meant.
pub fn warnings(resource: &Value) -> Errors {
    let mut errors = Errors::default();
    let spec = Path::ROOT.field("spec");
    let wasm_path = spec.field("wasm");
    let extension = resource.get("kind").and_then(Value::as_str) == Some("TrafficExtension");
    let Some(fields) = resource.get("spec") else { return errors };
    let (wasm, place) = match fields.get("wasm").filter(|_| extension) {
        Some(wasm) => (wasm, &wasm_path),
        None => (fields, &spec),
    };
    let text = |value: &'_ Value, name: &str| -> String {
        value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };

    let modes = modes(fields);
    let inbound = !modes.is_empty() && modes.iter().all(|mode| mode == "SERVER");
    if inbound && is_gateways(fields) {
        let what = "leaves no listener: a gateway's count as CLIENT, and the plugin is not loaded";
        let fix = "leave match out, or mode: CLIENT";
        errors.warn_value(Warning::NotLoaded, &spec.field("match"), what, "SERVER", fix);
    }
    let kind = text(wasm, "type");
    if kind == "NETWORK" {
        let what = "loads the module as a network filter, and it is one for HTTP";
        errors.warn_value(Warning::NotLoaded, &place.field("type"), what, &kind, "HTTP");
    }
    let strategy = text(wasm, "failStrategy");
    let path = place.field("failStrategy");
    if strategy == "FAIL_OPEN" {
        let what = "lets every request through while the module is not there, or has stopped";
        errors.warn_value(Warning::FailsOpen, &path, what, &strategy, "FAIL_RELOAD");
    } else if strategy != "FAIL_RELOAD" {
        let what = "is FAIL_CLOSE: a module that stops is not loaded again, and no request passes";
        errors.warn(
            Warning::NotReloaded,
            &path,
            what,
            "FAIL_RELOAD, which refuses requests only until then",
        );
    }
    let phase = text(fields, "phase");
    if phase != "AUTHN" {
        let what =
            "is behind Istio's own filters: they see the path and headers that the client sent";
        let path = spec.field("phase");
        let phase = if phase.is_empty() { "UNSPECIFIED_PHASE" } else { &phase };
        errors.warn_value(Warning::Phase, &path, what, phase, "AUTHN");
    }
    let namespace = resource.pointer("/metadata/namespace").and_then(Value::as_str);
    let selected =
        ["selector", "targetRef", "targetRefs"].iter().any(|name| is_given(fields, name));
    if namespace == Some(ROOT_NAMESPACE) && !selected {
        let what =
            "is missing in the root namespace: the plugin is loaded into every proxy of the mesh";
        let fix = "the labels of the gateway's pods, as {matchLabels: {istio: ingressgateway}}";
        errors.warn(Warning::WholeMesh, &spec.field("selector"), what, fix);
    }
    let url = text(wasm, "url");
    if !url.is_empty() && !is_given(wasm, "sha256") && !is_pinned(&url) {
        let what = "has neither a version nor a checksum: what is loaded may change by itself";
        let fix = "the image with its digest, as cargo xtask image --push prints it; or sha256";
        errors.warn_value(Warning::UnpinnedImage, &place.field("url"), what, &url, fix);
    }
    // Without `match`, or with another mode than CLIENT, a workload's inbound listener has the plugin as well.
    let is_sidecars = selected && !is_gateways(fields);
    let at_inbound = modes.is_empty() || modes.iter().any(|mode| mode != "CLIENT");
    if inbound || is_sidecars && at_inbound {
        addresses::warnings(wasm.get("pluginConfig").unwrap_or(&Value::Null), &mut errors);
    }
    errors
}

/// Whether a resource is for what comes to workloads, and nothing else.
pub fn is_inbound(resource: &Value) -> bool {
    let modes = resource.get("spec").map(modes).unwrap_or_default();
    !modes.is_empty() && modes.iter().all(|mode| mode == "SERVER")
}

fn is_given(fields: &Value, name: &str) -> bool {
    match fields.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::Object(members)) => {
            // An empty selector selects everything, as none does.
            members.get("matchLabels").map_or(!members.is_empty(), |labels| {
                labels.as_object().is_some_and(|labels| !labels.is_empty())
            })
        }
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

/// The mode of each entry of `match`; without one it is both.
fn modes(fields: &Value) -> Vec<String> {
    let entries = fields.get("match").and_then(Value::as_array).into_iter().flatten();
    let mode =
        |entry: &Value| entry.get("mode").and_then(Value::as_str).unwrap_or_default().to_owned();
    entries.map(mode).collect()
}

/// Whether the pods are a gateway's, by what they are called.
fn is_gateways(fields: &Value) -> bool {
    let references = [fields.get("targetRef"), fields.get("targetRefs")];
    let mut references = references.into_iter().flatten().flat_map(|reference| match reference {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    });
    let labels = fields.pointer("/selector/matchLabels").and_then(Value::as_object);
    references.any(|reference| reference.get("kind").and_then(Value::as_str) == Some("Gateway"))
        || labels.into_iter().flatten().any(|(name, value)| {
            let value = value.as_str().unwrap_or_default();
            match name.as_str() {
                "gateway.networking.k8s.io/gateway-name" => true,
                // The charts of gateways give their pods this label, and no other pods but istiod's have it.
                "istio" => value != "pilot",
                "app" => value.contains("gateway"),
                _ => false,
            }
        })
}

/// Whether an image's address says which one of it; a file is what it is.
fn is_pinned(url: &str) -> bool {
    let image = match url.split_once("://") {
        Some(("file", _)) => return true,
        Some(("http" | "https", _)) => return false,
        Some((_, image)) => image,
        None => url,
    };
    let last = image.rsplit('/').next().unwrap_or_default();
    image.contains("@sha256:") || last.split_once(':').is_some_and(|(_, tag)| tag != "latest")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(resource: &Value) -> Vec<String> {
        let named = |w: &modelgate_engine::config::ConfigError| {
            format!("{} {}", w.name.map_or("", Warning::as_str), w.path)
        };
        warnings(resource).warnings().iter().map(named).collect()
    }

    fn plugin() -> Value {
        json!({
            "kind": "WasmPlugin",
            "metadata": {"name": "modelgate", "namespace": "istio-system"},
            "spec": {
                "selector": {"matchLabels": {"istio": "ingressgateway"}},
                "url": "oci://registry.example.com:5000/modelgate:0.1.0",
                "phase": "AUTHN",
                "failStrategy": "FAIL_RELOAD",
                "pluginConfig": {"authorization": {"defaultAction": "DENY"}},
            },
        })
    }

    #[test]
    fn what_keeps_a_plugin_from_doing_its_work_is_told() {
        assert!(told(&plugin()).is_empty(), "{:?}", told(&plugin()));
        let server = json!([{"mode": "SERVER"}]);
        let by_address = json!({"bypass": [{"name": "a", "from": [{"source": {"ipBlocks": ["192.0.2.1"]}}]}],
            "shadows": [{"when": [{"key": "source.ip", "values": ["192.0.2.1"]}]}]});
        let gateway = json!([{"kind": "Gateway", "name": "models"}]);
        for (changes, wanted) in [
            (json!({"match": server}), &["not-loaded spec.match"][..]),
            (
                json!({"match": server, "selector": null, "targetRefs": gateway}),
                &["not-loaded spec.match"],
            ),
            (
                json!({"match": server, "selector": {"matchLabels": {"istio": "ingress"}}}),
                &["not-loaded spec.match"],
            ),
            (json!({"match": [{"mode": "SERVER"}, {"mode": "CLIENT"}]}), &[]),
            (json!({"match": [{"mode": "CLIENT"}]}), &[]),
            (json!({"match": [{"ports": [{"number": 8443}]}]}), &[]),
            (json!({"match": server, "selector": {"matchLabels": {"app": "iris"}}}), &[]),
            (json!({"type": "NETWORK"}), &["not-loaded spec.type"]),
            (json!({"failStrategy": "FAIL_OPEN"}), &["fails-open spec.failStrategy"]),
            (json!({"failStrategy": "FAIL_CLOSE"}), &["not-reloaded spec.failStrategy"]),
            (json!({"failStrategy": null}), &["not-reloaded spec.failStrategy"]),
            (json!({"phase": "AUTHZ"}), &["phase spec.phase"]),
            (json!({"phase": null}), &["phase spec.phase"]),
            (json!({"selector": null}), &["whole-mesh spec.selector"]),
            (json!({"selector": {}}), &["whole-mesh spec.selector"]),
            (json!({"selector": {"matchLabels": {}}}), &["whole-mesh spec.selector"]),
            (
                json!({"url": "oci://registry.example.com:5000/modelgate"}),
                &["unpinned-image spec.url"],
            ),
            (json!({"url": "registry.example.com/modelgate:latest"}), &["unpinned-image spec.url"]),
            (json!({"url": "https://example.com/modelgate.wasm"}), &["unpinned-image spec.url"]),
            (json!({"url": "https://example.com/modelgate.wasm", "sha256": "ab"}), &[]),
            (json!({"url": "oci://registry.example.com/modelgate@sha256:ab"}), &[]),
            (json!({"url": "file:///modelgate.wasm"}), &[]),
            (
                json!({"match": server, "selector": {"matchLabels": {"app": "iris"}}, "pluginConfig": by_address}),
                &[
                    "source-address bypass[0].from[0].source.ipBlocks",
                    "source-address shadows[0].when[0].key",
                ],
            ),
            (json!({"pluginConfig": by_address}), &[]),
        ] {
            let mut resource = plugin();
            for (name, value) in changes.as_object().expect("fields") {
                resource["spec"][name] = value.clone();
            }
            assert_eq!(told(&resource), wanted, "{changes}");
        }
    }

    #[test]
    fn addresses_that_callers_of_a_sidecar_write_are_told() {
        const GATEWAY: &str = "cluster.local/ns/istio-system/sa/istio-ingressgateway";
        let workload = json!({"matchLabels": {"app": "iris"}});
        let from = |source: Value| json!([{"source": source}]);
        let allow = |rule: Value| json!({"policies": [{"name": "a", "rules": [rule]}]});
        let by_peer = allow(json!({"from": from(json!({"ipBlocks": ["192.0.2.1"]}))}));
        let by_client = allow(json!({"from": from(json!({"notRemoteIpBlocks": ["192.0.2.1"]}))}));
        let by_condition = allow(json!({"when": [{"key": "remote.ip", "values": ["192.0.2.1"]}]}));
        let from_gateway = allow(
            json!({"from": from(json!({"principals": [GATEWAY], "ipBlocks": ["192.0.2.1"]}))}),
        );
        let from_peers =
            allow(json!({"from": from(json!({"principals": ["*"], "ipBlocks": ["192.0.2.1"]}))}));
        let in_condition = allow(json!({"from": from(json!({"principals": [GATEWAY]})),
            "when": [{"key": "remote.ip", "values": ["192.0.2.1"]}]}));
        let deny = |rule: Value| {
            let mut policies = by_client.clone();
            let deny = json!({"name": "d", "action": "DENY", "rules": [rule]});
            policies["policies"].as_array_mut().expect("a list").push(deny);
            policies
        };
        let others = deny(json!({"from": from(json!({"notPrincipals": [GATEWAY]}))}));
        let some = deny(json!({"from": from(json!({"notPrincipals": [GATEWAY]})),
            "to": [{"operation": {"paths": ["/x"]}}]}));
        let peer = "source-address authorization.policies[0].rules[0].from[0].source.ipBlocks";
        let client =
            "source-address authorization.policies[0].rules[0].from[0].source.notRemoteIpBlocks";
        let condition = "source-address authorization.policies[0].rules[0].when[0].key";
        let server = json!([{"mode": "SERVER"}]);
        for (modes, source, authorization, wanted) in [
            (&server, "LAST_FORWARDED_FOR", &by_peer, &[peer][..]),
            (&Value::Null, "LAST_FORWARDED_FOR", &by_peer, &[peer]),
            (&json!([{"mode": "CLIENT_AND_SERVER"}]), "LAST_FORWARDED_FOR", &by_peer, &[peer]),
            (&json!([{"mode": "CLIENT"}]), "LAST_FORWARDED_FOR", &by_peer, &[]),
            (&server, "AUTO", &by_peer, &[peer]),
            (&server, "UNAVAILABLE", &by_peer, &[]),
            (&server, "AUTO", &by_client, &[client]),
            (&server, "UNAVAILABLE", &by_client, &[client]),
            (&server, "AUTO", &by_condition, &[condition]),
            (&server, "LAST_FORWARDED_FOR", &from_peers, &[peer]),
            (&server, "LAST_FORWARDED_FOR", &from_gateway, &[]),
            (&server, "AUTO", &in_condition, &[]),
            (&server, "AUTO", &others, &[]),
            (&server, "AUTO", &some, &[client]),
        ] {
            let mut resource = plugin();
            resource["spec"]["selector"] = workload.clone();
            resource["spec"]["match"] = modes.clone();
            resource["spec"]["pluginConfig"] =
                json!({"sourceAddress": source, "authorization": authorization});
            assert_eq!(told(&resource), wanted, "{modes} {source} {authorization}");
            // A gateway appends its peer itself.
            resource["spec"]["selector"] = plugin()["spec"]["selector"].clone();
            resource["spec"]["match"] = Value::Null;
            assert!(told(&resource).is_empty(), "{:?}", told(&resource));
        }
    }

    #[test]
    fn an_extension_is_read_like_a_plugin() {
        let mut extension = plugin();
        extension["kind"] = "TrafficExtension".into();
        let spec = extension["spec"].as_object_mut().expect("fields");
        let moved = ["url", "failStrategy", "pluginConfig"];
        let wasm: Value = moved.iter().filter_map(|name| spec.remove_entry(*name)).collect();
        spec.insert("wasm".to_owned(), wasm);
        assert!(told(&extension).is_empty(), "{:?}", told(&extension));
        extension["spec"]["match"] = json!([{"mode": "SERVER"}]);
        extension["spec"]["wasm"] = json!({"url": "modelgate", "failStrategy": "FAIL_OPEN"});
        let wanted = [
            "not-loaded spec.match",
            "fails-open spec.wasm.failStrategy",
            "unpinned-image spec.wasm.url",
        ];
        assert_eq!(told(&extension), wanted);
    }
}
