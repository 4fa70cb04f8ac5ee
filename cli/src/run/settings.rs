//! What is in the file: the configuration, and the resources beside it that say how an issuer is reached.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use serde_saphyr::DuplicateKeyPolicy;

use crate::ask::configuration::Configuration;

/// Names standard input.
pub const INPUT: &str = "-";

/// A file that was read.
#[derive(Debug)]
pub struct Settings {
    /// The configuration, which `check` accepts.
    pub configuration: Configuration,
    /// Every ServiceEntry and DestinationRule beside it.
    resources: Vec<Value>,
}

impl Settings {
    /// The text of the file.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn text(file: &Path) -> Result<String> {
        let read = if file.as_os_str() == INPUT {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(file)
        };
        read.with_context(|| format!("{} cannot be read", file.display()))
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// `check` would refuse it, or it holds none or several configurations.
    pub fn read(file: &Path, text: &str, resource: Option<&str>) -> Result<Self> {
        let name = match file.as_os_str() == INPUT {
            true => "standard input".to_owned(),
            false => file.display().to_string(),
        };
        let configuration = Configuration::of_text(&name, text.to_owned(), resource)?;
        let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::FirstWins };
        // What cannot be read was told above.
        let documents: Vec<Value> =
            serde_saphyr::from_multiple_with_options(text, options).unwrap_or_default();
        let mut resources = Vec::new();
        for document in documents {
            let is_list = document.get("kind").and_then(Value::as_str) == Some("List");
            match document.get("items").and_then(Value::as_array).filter(|_| is_list) {
                Some(items) => resources.extend(items.clone()),
                None => resources.push(document),
            }
        }
        resources.retain(|one| matches!(kind(one), "ServiceEntry" | "DestinationRule"));
        Ok(Self { configuration, resources })
    }

    /// What the filter gets: with the fields of access logs, by which decisions are shown.
    pub fn plugin_config(&self) -> Value {
        let mut settings = self.configuration.settings.clone();
        if let Some(fields) = settings.as_object_mut() {
            let telemetry = fields.entry("telemetry").or_insert_with(|| json!({}));
            if let Some(telemetry) = telemetry.as_object_mut() {
                telemetry.insert("accessLog".to_owned(), true.into());
            }
        }
        settings
    }

    /// Issuer and cluster of every rule whose keys are fetched.
    pub fn issuers(&self) -> Vec<Fetched<'_>> {
        let rules = self.list("/authentication/jwtRules");
        let fetched = rules.filter_map(|rule| {
            let text = |name: &str| rule.get(name).and_then(Value::as_str);
            text("jwksUri")?;
            Some(Fetched {
                issuer: text("issuer").unwrap_or_default(),
                cluster: text("jwksCluster")?,
            })
        });
        fetched.collect()
    }

    /// Name and cluster of every shadow.
    pub fn shadows(&self) -> Vec<(&str, &str)> {
        let shadows = self.list("/shadows").filter_map(|shadow| {
            Some((shadow.get("name")?.as_str()?, shadow.get("cluster")?.as_str()?))
        });
        shadows.collect()
    }

    /// The variants of every split.
    pub fn variants(&self) -> Vec<&str> {
        let variants = self.list("/splits").filter_map(|split| split.get("variants")?.as_array());
        variants.flatten().filter_map(|variant| variant.get("name")?.as_str()).collect()
    }

    fn list(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        let list = self.configuration.settings.pointer(pointer).and_then(Value::as_array);
        list.into_iter().flatten()
    }

    /// The `spec` of the ServiceEntry for this host.
    pub fn service_entry(&self, host: &str) -> Option<&Value> {
        let has = |spec: &&Value| {
            let hosts = spec.get("hosts").and_then(Value::as_array);
            hosts.is_some_and(|hosts| hosts.iter().any(|one| one == host))
        };
        self.specs("ServiceEntry").find(has)
    }

    /// The `spec` of the DestinationRule for this host.
    pub fn destination_rule(&self, host: &str) -> Option<&Value> {
        self.specs("DestinationRule").find(|spec| spec.get("host").is_some_and(|one| one == host))
    }

    fn specs(&self, wanted: &'static str) -> impl Iterator<Item = &Value> {
        self.resources
            .iter()
            .filter(move |one| kind(one) == wanted)
            .filter_map(|one| one.get("spec"))
    }
}

/// A rule whose keys are fetched.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// `issuer`.
    pub issuer: &'a str,
    /// `jwksCluster`.
    pub cluster: &'a str,
}

fn kind(resource: &Value) -> &str {
    resource.get("kind").and_then(Value::as_str).unwrap_or_default()
}
