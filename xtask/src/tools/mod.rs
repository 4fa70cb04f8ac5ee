//! What the project needs beyond cargo: found on the machine, or installed once below target/tools.

mod cargo_install;
mod chromium;
mod go;
mod node;
mod providers;
mod venv;
mod wasm_opt;
mod zig;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::project::Project;

pub use cargo_install::{cargo_deny, wasm_bindgen_runner};
pub use chromium::chromium;
pub use go::{
    gateway_api, gojson, helm, hydra, istio, kubernetes, mockoidc, prometheus, prometheus_operator,
    registry, spire,
};
pub use node::node;
pub use providers::{keycloak, oidc_provider};
pub use venv::{kserve, litserve, llama, mlflow, mlserver, readers, seldon};
pub use wasm_opt::{optimize, optimizer};
pub use zig::{PLATFORMS, zig};

/// Envoy, with V8.
pub fn envoy(project: &Project) -> Result<PathBuf> {
    modelgate_local::envoy::envoy(&project.tools)
}

/// What a mesh is made of, by the variables that its programs are named by.
pub fn mesh(project: &Project) -> Result<[(&'static str, OsString); 5]> {
    Ok([
        ("ISTIO_TOOLS", istio(project)?.into()),
        ("KUBERNETES_TOOLS", kubernetes(project)?.into()),
        ("REGISTRY_TOOLS", registry(project)?.into()),
        ("PROMETHEUS_OPERATOR", prometheus_operator(project)?.into()),
        ("GATEWAY_API", gateway_api(project)?.into()),
    ])
}

/// What only `MODELGATE_PROVIDERS=all cargo xtask test providers` needs, and only `cargo xtask dist`.
const ON_DEMAND: [&str; 3] = ["hydra", "keycloak", "zig"];

type Tool = fn(&Project) -> Result<PathBuf>;

/// By the names that `cargo xtask tools` takes.
pub const TOOLS: [(&str, Tool); 27] = [
    ("envoy", envoy),
    ("node", node),
    ("wasm-opt", wasm_opt::wasm_opt),
    ("wasm-bindgen", wasm_bindgen_runner),
    ("seldon", seldon),
    ("mlserver", mlserver),
    ("kserve", kserve),
    ("mlflow", mlflow),
    ("litserve", litserve),
    ("llama", llama),
    ("readers", readers),
    ("gojson", gojson),
    ("chromium", chromium),
    ("cargo-deny", cargo_deny),
    ("istio", istio),
    ("kubernetes", kubernetes),
    ("registry", registry),
    ("helm", helm),
    ("gateway-api", gateway_api),
    ("mockoidc", mockoidc),
    ("oidc-provider", oidc_provider),
    ("spire", spire),
    ("prometheus", prometheus),
    ("prometheus-operator", prometheus_operator),
    ("zig", zig),
    ("hydra", hydra),
    ("keycloak", keycloak),
];

/// Installs the named tools, or all but those on demand, and prints where each one is.
pub fn print(project: &Project, names: &[String]) -> Result<ExitCode> {
    if let Some(odd) = names.iter().find(|name| !TOOLS.iter().any(|(tool, _)| tool == name)) {
        bail!("{odd} is not a tool here: {}", TOOLS.map(|(tool, _)| tool).join(", "));
    }
    let mut code = ExitCode::SUCCESS;
    for (name, tool) in TOOLS {
        let asked = names.iter().any(|n| n == name);
        if !asked && (!names.is_empty() || ON_DEMAND.contains(&name)) {
            continue;
        }
        match tool(project) {
            Ok(path) => println!("{name:<19}  {}", path.display()),
            Err(error) => {
                println!("{name:<19}  missing: {error:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
