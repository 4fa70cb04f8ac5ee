//! The arguments of `modelgate convert`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::assemble::Kind;
use super::document::Document;
use super::gateway::Gateway;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Convert {
    /// Files of YAML or JSON, and folders of them; `-` is standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The resource that carries the configuration.
    #[arg(long, value_enum, default_value_t = Kind::WasmPlugin)]
    pub kind: Kind,
    /// Its name.
    #[arg(long, default_value = "modelgate")]
    pub name: String,
    /// The address of the module's image.
    #[arg(long, value_name = "URL", default_value = "oci://registry.example.com/modelgate:0.1.0")]
    pub image: String,
    /// A label of the gateway's pods; may be given several times, and the output selects by the first. A Gateway of the
    /// Gateway API is gateway.networking.k8s.io/gateway-name=NAME. Without one: istio=ingressgateway and
    /// app=istio-ingressgateway.
    #[arg(long = "gateway", value_name = "LABEL=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// The gateway's namespace.
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system")]
    gateway_namespace: String,
    /// Who the gateway is to the models, as cluster.local/ns/istio-system/sa/istio-ingressgateway: policies of the models
    /// that ask for the peer are decided by it.
    #[arg(long, value_name = "PRINCIPAL")]
    gateway_principal: Option<String>,
    /// The mesh's root namespace, whose policies hold everywhere.
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system")]
    root_namespace: String,
    /// The namespace of objects that do not say theirs.
    #[arg(long, short, default_value = "default")]
    pub namespace: String,
    /// Where an issuer's keys are, for rules that leave it to OpenID Connect's discovery; may be given several times.
    #[arg(long, value_name = "ISSUER=URL", value_parser = pair_of_urls)]
    pub jwks_uri: Vec<(String, String)>,
    /// An object that stays with Istio and is not converted, as prod/policy or AuthorizationPolicy/prod/policy; may be given
    /// several times.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    keep: Vec<String>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    pub format: Format,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For kubectl and people, with comments.
    Yaml,
    /// For programs; docs/convert.md has its fields.
    Json,
}

impl Convert {
    /// Whether an object stays with Istio.
    pub fn is_kept(&self, document: &Document) -> bool {
        self.keep.iter().any(|kept| is_named(kept, document))
    }

    /// What is to stay with Istio, and is not among these.
    pub fn not_there(&self, documents: &[Document]) -> Option<&str> {
        let is_there = |kept: &&String| documents.iter().any(|document| is_named(kept, document));
        self.keep.iter().find(|kept| !is_there(kept)).map(String::as_str)
    }

    /// The gateway that the output is for.
    pub fn gateway(&self) -> Gateway {
        let mut labels = self.labels.clone();
        if labels.is_empty() {
            // Those of Istio's charts.
            let defaults = [("istio", "ingressgateway"), ("app", "istio-ingressgateway")];
            labels.extend(defaults.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        Gateway {
            labels,
            namespace: self.gateway_namespace.clone(),
            root: self.root_namespace.clone(),
            principal: self.gateway_principal.clone(),
        }
    }
}

fn is_named(kept: &str, document: &Document) -> bool {
    let name = format!("{}/{}", document.namespace, document.name);
    kept == name || kept == format!("{}/{name}", document.kind)
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("there is no name, or no = behind it".to_owned()),
    }
}

/// Issuers may hold a `=`; what follows it is an address.
fn pair_of_urls(text: &str) -> Result<(String, String), String> {
    let at = ["=https://", "=http://"].iter().filter_map(|start| text.rfind(start)).max();
    match at.and_then(|at| text.split_at_checked(at)) {
        Some((issuer, uri)) if !issuer.is_empty() => {
            Ok((issuer.to_owned(), uri.trim_start_matches('=').to_owned()))
        }
        _ => Err("ISSUER=https://...".to_owned()),
    }
}
