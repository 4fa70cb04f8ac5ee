//! What it costs to read the model from a chat request's body, beside the same request with the model in its path.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::gateway::Filter;
use testbed::tokens::Issuer;
use testbed::wasmplugin::WasmPlugin;
use tokio::runtime::Runtime;

use crate::cases::{Case, Cases, Unit};
use crate::comparison::Extent;
use crate::shadow_backends::{Backends, Live};
use crate::workload::{Parts, plugin_config};

/// Of the whole request body, in bytes.
const LENGTH: usize = 4096;

/// A chat request with the model named in the body may cost so many times one with the model in the path.
const GOAL: f64 = 1.15;

/// Where the model is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Path,
    First,
    Last,
}

const CASES: [(&str, Named); 4] = [
    ("in the path", Named::Path),
    ("in the path, again", Named::Path),
    ("first in the body", Named::First),
    ("last in the body", Named::Last),
];

/// Measures all cases in turn, before a model that answers at once.
pub fn run(runtime: &Runtime, extent: &Extent) -> Result<Cases> {
    let issuer = Issuer::shared()?;
    let backends = runtime.block_on(Backends::start(Live::Instant))?;
    let model = backends.live_address()?;
    let mut cases = Cases::new("a chat request of 4 KiB, its model", "in the path", GOAL);
    for (name, named) in CASES {
        let filter = WasmPlugin::with_config(config(issuer, named))?.under_test()?;
        let filters = [Filter::Extension(filter)];
        cases.start(
            runtime,
            extent,
            &Case { name, filters: &filters, model, body: &body(named) },
        )?;
    }
    cases.measure(extent, Unit::Microseconds)?;
    Ok(cases)
}

/// A token, ten policies, and one of them for the model, or for the one that the body names.
fn config(issuer: &Issuer, named: Named) -> Value {
    let parts = Parts { tokens: true, cache: true, policies: 10, rewrite: false };
    let mut config = plugin_config(issuer, parts);
    if named != Named::Path {
        for (pointer, value) in [
            ("/targets", json!({"families": ["seldon-v1"], "bodyModels": ["prod/iris"]})),
            ("/authorization/policies/9/models", json!(["prod/iris/llama"])),
        ] {
            if let Some(place) = config.pointer_mut(pointer) {
                *place = value;
            }
        }
    }
    config
}

/// A chat request of the whole length.
fn body(named: Named) -> String {
    let of = |prompt: &str| {
        let messages = format!(r#""messages":[{{"role":"user","content":"{prompt}"}}]"#);
        match named {
            Named::Last => format!(r#"{{{messages},"stream":false,"model":"llama"}}"#),
            Named::Path | Named::First => {
                format!(r#"{{"model":"llama","stream":false,{messages}}}"#)
            }
        }
    };
    let words = "What do the measurements of this flower say about its kind? ";
    let left = LENGTH.saturating_sub(of("").len());
    of(&words.chars().cycle().take(left).collect::<String>())
}
