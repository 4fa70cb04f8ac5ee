//! What it costs to read what a streamed answer has cost, beside the same answer that nobody reads.

use anyhow::Result;
use serde_json::json;
use testbed::completions::Completions;
use testbed::gateway::Filter;
use testbed::tokens::Issuer;
use testbed::wasmplugin::WasmPlugin;
use tokio::runtime::Runtime;

use crate::cases::{Case, Cases, Unit};
use crate::comparison::Extent;
use crate::workload::{Parts, plugin_config};

/// Events with a token each in an answer.
const EVENTS: u32 = 1_000;

/// An answer may cost so many times what it costs without a filter.
const GOAL: f64 = 1.25;

/// What is before the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Modelgate,
    Usage,
}

const CASES: [(&str, Before); 4] = [
    ("no filter", Before::Nothing),
    ("no filter, again", Before::Nothing),
    ("modelgate, answers not read", Before::Modelgate),
    ("modelgate with usage", Before::Usage),
];

/// Measures all cases in turn, before a model that writes an event at a time.
pub fn run(runtime: &Runtime, extent: &Extent) -> Result<Cases> {
    let issuer = Issuer::shared()?;
    let server = runtime.block_on(Completions::start())?;
    let body = json!({
        "model": "iris", "max_tokens": EVENTS, "prompt_tokens": 20,
        "stream": true, "stream_options": {"include_usage": true},
    });
    let (model, body) = (server.address(), body.to_string());
    let mut cases = Cases::new("a streamed answer of 1,000 events", "no filter", GOAL);
    for (name, before) in CASES {
        let filters = filters(issuer, before)?;
        cases.start(runtime, extent, &Case { name, filters: &filters, model, body: &body })?;
    }
    cases.measure(extent, Unit::Milliseconds)?;
    Ok(cases)
}

/// A token, ten policies, and usage where answers are read.
fn filters(issuer: &Issuer, before: Before) -> Result<Vec<Filter>> {
    if before == Before::Nothing {
        return Ok(Vec::new());
    }
    let parts = Parts { tokens: true, cache: true, policies: 10, rewrite: false };
    let mut config = plugin_config(issuer, parts);
    if let (Before::Usage, Some(config)) = (before, config.as_object_mut()) {
        config.insert("usage".to_owned(), json!({"models": ["prod/iris"]}));
    }
    Ok(vec![Filter::Extension(WasmPlugin::with_config(config)?.under_test()?)])
}
