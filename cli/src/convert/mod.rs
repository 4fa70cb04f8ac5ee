//! `modelgate convert`: the Istio policies and model deployments that exist, as a configuration that decides the same.
//!
//! [`document::read`] makes [`Document`](document::Document)s of files: an object each, with its kind, name, namespace, its
//! whole `value`, and `at("spec.rules[0]")`, the file and line of a field. Each source kind has a file with a function from
//! `&[Document]` (all that were read, sorted by namespace, name and kind; it picks its own) to a
//! [`Converted`](part::Converted):
//!
//! - `parts`: what goes into `pluginConfig`. `Part::entry("shadows", value, document)` is an entry of a list,
//!   `Part::setting("targets.kserve.hostTemplate", value, document)` a setting; the comment in the output says whence it is,
//!   `whence` may name several objects. Equal entries become one; settings that contradict each other are refused.
//! - `remarks`: what was not carried over exactly, by `Remark::new(document, "spec.predictors[0].traffic", Done::..., reason)`.
//!   `LeftOut` and `Stricter` may never make anything laxer; where that cannot be had it is `Refused`, and nothing is written.
//! - `workloads`: which pods serve which model, for selectors of policies.
//! - `objects`: every object that was looked at, whatever became of it; what nobody lists was passed over.
//! - `resources`: what has to be there beside the plugin.
//!
//! [`sources`] calls them all; that is the only place to name a new kind. The engine reads the result before it is
//! written, and what it refuses is said of the object whence it is.
//!
//! | file | what it does |
//! |---|---|
//! | `document` | reads files |
//! | `part` | what sources make |
//! | `gateway` | which objects speak of the gateway |
//! | `authentication`, `issuer` | RequestAuthentication; clusters of keys |
//! | `assemble`, `yaml` | the plugin, with comments |
//! | `report` | what is said, on the terminal, in the output's head and as JSON |

mod arguments;
mod assemble;
mod authentication;
pub mod document;
mod gateway;
mod issuer;
pub mod part;
mod report;
mod yaml;

use std::process::ExitCode;

use anyhow::Result;

pub use arguments::Convert;
use arguments::Format;
use assemble::Settings;
use authentication::Keys;
use document::Document;
use part::{Converted, Done, Remark};
use report::Report;

use crate::output;

/// Exit status where nothing was written.
const REFUSED: u8 = 2;

/// Everything that the objects become.
fn sources(documents: &[Document], convert: &Convert) -> Converted {
    let gateway = convert.gateway();
    let keys = Keys { gateway: &gateway, uris: &convert.jwks_uri };
    let mut converted = authentication::convert(documents, &keys);
    for policy in documents.iter().filter(|document| document.kind == "AuthorizationPolicy") {
        let reason = "is a policy, and those are not converted yet";
        converted.remarks.push(Remark::new(policy, "spec", Done::Refused, reason));
    }
    converted
}

impl Convert {
    /// Prints the plugin; the exit status says whether it is exact.
    pub fn run(self) -> ExitCode {
        self.convert().unwrap_or_else(|error| {
            eprintln!("modelgate: {error:#}");
            ExitCode::from(REFUSED)
        })
    }

    fn convert(&self) -> Result<ExitCode> {
        let mut read = document::read(&self.paths, &self.namespace)?;
        let order = |document: &Document| {
            (document.namespace.clone(), document.name.clone(), document.kind.clone())
        };
        read.documents.sort_by_cached_key(order);
        let Converted { parts, resources, mut remarks, objects, .. } =
            sources(&read.documents, self);
        anyhow::ensure!(
            !objects.is_empty(),
            "there is nothing to convert: docs/convert.md lists the kinds"
        );
        let settings = Settings::new(parts, &mut remarks);
        // What is missing may be wrong by itself.
        if remarks.iter().all(|remark| remark.done != Done::Refused) {
            settings.check(&mut remarks);
        }
        remarks.sort();
        remarks.dedup();
        let report = Report { read: &read, objects, remarks, resources };
        eprint!("{}", report.text());
        match self.format {
            Format::Yaml if report.is_refused() => {}
            Format::Yaml => {
                let plugin = settings.resource(self.kind, &self.name, &self.image, &self.gateway());
                output::print(&report.documents(&plugin))?;
            }
            Format::Json => {
                let plugin = settings.resource(self.kind, &self.name, &self.image, &self.gateway());
                output::print(&format!("{:#}\n", report.json(&plugin)))?;
            }
        }
        Ok(report.status())
    }
}
