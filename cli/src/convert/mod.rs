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
//! | `shape` | whether an object has the form that Istio takes |
//! | `gateway` | which objects speak of the gateway |
//! | `pods`, `remarks` | which models the pods are that a selector is for; what is said of others |
//! | `policy` | AuthorizationPolicy |
//! | `authentication`, `issuer` | RequestAuthentication; clusters of keys |
//! | `model` | deployments of models, and the routes to them |
//! | `assemble`, `yaml` | the plugin, with comments |
//! | `report` | what is said, on the terminal, in the output's head and as JSON |

mod arguments;
mod assemble;
mod authentication;
pub mod document;
mod gateway;
mod issuer;
mod model;
pub mod part;
mod pods;
mod policy;
mod remarks;
mod report;
mod shape;
mod yaml;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as _, FromArgMatches as _};
use serde_json::Value;

pub use arguments::Convert;
use arguments::Format;
use assemble::Settings;
use authentication::Keys;
use document::{Document, Read};
use part::{Converted, Done, Remark, Whence};
use policy::Around;
use report::Report;
use yaml::Node;

use crate::output;

/// Exit status where nothing was written.
const REFUSED: u8 = 2;

/// Everything that the objects become.
fn sources(documents: &[Document], convert: &Convert) -> Converted {
    let mut converted = Converted::default();
    let gateway = convert.gateway();
    let (kept, taken): (Vec<&Document>, Vec<&Document>) =
        documents.iter().partition(|document| convert.is_kept(document));
    for document in kept {
        converted.objects.push(Whence::of(document));
        let reason = "stays with Istio, as --keep says";
        converted.remarks.push(Remark::new(document, "spec", Done::LeftOut, reason));
    }
    let (taken, twins) = shape::without_twins(taken);
    // Of an object that has another form nothing is taken: it is refused.
    let (mut of_istio, mut misshapen): (Vec<&Document>, Vec<&Document>) = (Vec::new(), Vec::new());
    for document in &taken {
        if [authentication::KIND, policy::KIND].iter().any(|kind| shape::is_istios(document, kind))
        {
            let wrong = shape::wrong(document);
            let list = if wrong.is_empty() { &mut of_istio } else { &mut misshapen };
            list.push(document);
            converted.remarks.extend(wrong);
        }
    }
    converted.objects.extend(misshapen.into_iter().map(Whence::of));
    let of = |kind: &'static str| of_istio.iter().copied().filter(move |d| d.kind == kind);

    // Other kinds come first: policies need to know of their pods and targets.
    converted.extend(model::convert(&taken));
    let workloads = converted.workloads.clone();
    let keys = Keys { gateway: &gateway, uris: &convert.jwks_uri, workloads: &workloads };
    let (made, checks) = authentication::convert(of(authentication::KIND), &keys);
    converted.extend(made);
    authentication::ways(documents, &gateway, &mut converted);
    // What of the settings policies depend on.
    let settings = Settings::new(converted.parts.clone(), &mut Vec::new()).value();
    let rules = settings.pointer("/authentication/jwtRules").and_then(Value::as_array);
    let around = Around {
        gateway: &gateway,
        workloads: &workloads,
        checks: &checks,
        rules: rules.map_or(&[], Vec::as_slice),
        targets: settings.get("targets").unwrap_or(&Value::Null),
        changed: &model::changed_headers(&taken),
        first: converted.objects.iter().min().cloned(),
    };
    converted.extend(policy::convert(of(policy::KIND), &around));
    for twin in twins {
        let is_known = |whence: &Whence| whence.object == twin.document.object();
        if converted.objects.iter().any(is_known) {
            converted.remarks.extend(twin.remark());
            converted.objects.push(Whence::of(twin.document));
        }
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
        let read = document::read(&self.paths, &self.namespace)?;
        let (report, plugin) = self.report(read)?;
        eprint!("{}", report.text());
        match self.format {
            Format::Yaml if report.is_refused() => {}
            Format::Yaml => output::print(&report.documents(&plugin))?,
            Format::Json => output::print(&format!("{:#}\n", report.json(&plugin)))?,
        }
        Ok(report.status())
    }

    /// The plugin that the objects make, and what is said of it.
    fn report(&self, mut read: Read) -> Result<(Report, Node)> {
        let order = |document: &Document| {
            (document.namespace.clone(), document.name.clone(), document.kind.clone())
        };
        read.documents.sort_by_cached_key(order);
        if let Some(name) = self.not_there(&read.documents) {
            anyhow::bail!(
                "--keep {name}: there is no such object: NAMESPACE/NAME, or KIND/NAMESPACE/NAME"
            );
        }
        let Converted { parts, resources, mut remarks, mut objects, .. } =
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
        objects.sort();
        let plugin = settings.resource(self.kind, &self.name, &self.image, &self.gateway());
        Ok((Report { read, objects, remarks, resources }, plugin))
    }
}

/// What `modelgate convert --format json` prints of a text with these arguments.
///
/// # Errors
///
/// The arguments are none, or the text cannot be read.
pub fn page(text: String, arguments: &[String]) -> Result<Value> {
    let command = Convert::augment_args(clap::Command::new("convert"));
    let arguments = ["convert", "-"].into_iter().chain(arguments.iter().map(String::as_str));
    let convert = Convert::from_arg_matches(&command.try_get_matches_from(arguments)?)?;
    let mut read = Read::default();
    document::read_text("standard input".to_owned(), text, &convert.namespace, &mut read)?;
    let (report, plugin) = convert.report(read)?;
    Ok(report.json(&plugin))
}
