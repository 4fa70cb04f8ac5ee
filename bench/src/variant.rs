//! The variants that are compared: what stands in the gateway before the router.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use testbed::envoy::Extension;
use testbed::gateway::Filter;
use testbed::tokens::{Algorithm, Issuer};
use testbed::wasmplugin::WasmPlugin;

use crate::native;
use crate::workload::{FRIENDLY, PREDICTIONS, Parts, plugin_config, policies};

/// A gateway that is measured.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// Its name in tables and on the command line.
    pub name: &'static str,
    /// The filters.
    chain: Chain,
    /// How the tokens are signed.
    pub algorithm: Algorithm,
    /// Whether it runs without being asked for.
    pub usual: bool,
}

#[derive(Debug, Clone, Copy)]
enum Chain {
    None,
    Floor,
    Modelgate(Parts),
    Native { cached: bool, policies: usize },
}

/// What shows that a variant does what its name says, besides its answers.
#[derive(Debug, Clone, Copy)]
pub enum Evidence {
    /// Envoy's counters whose name contains this count the requests whose token was known.
    Counter(&'static str),
    /// This metric of the module, with the label `result="cached"`, does.
    Metric(&'static str),
}

const TEN: Parts = Parts { tokens: true, cache: true, policies: 10, rewrite: true };

/// Every variant, in the order of the table.
pub const VARIANTS: &[Variant] = &[
    variant("none", Chain::None),
    variant("floor", Chain::Floor),
    variant("modelgate", Chain::Modelgate(TEN)),
    variant("modelgate-no-rewrite", Chain::Modelgate(Parts { rewrite: false, ..TEN })),
    variant("modelgate-10000", Chain::Modelgate(Parts { policies: 10_000, ..TEN })),
    variant("native-cached", Chain::Native { cached: true, policies: 10 }),
    variant("native", Chain::Native { cached: false, policies: 10 }),
    variant("modelgate-uncached", Chain::Modelgate(Parts { cache: false, ..TEN })),
    es256(variant("native-es256", Chain::Native { cached: false, policies: 10 })),
    es256(variant("modelgate-uncached-es256", Chain::Modelgate(Parts { cache: false, ..TEN }))),
    on_demand(variant(
        "modelgate-open",
        Chain::Modelgate(Parts { tokens: false, cache: true, policies: 0, rewrite: false }),
    )),
    on_demand(variant(
        "modelgate-tokens",
        Chain::Modelgate(Parts { policies: 0, rewrite: false, ..TEN }),
    )),
    on_demand(variant("native-cached-1000", Chain::Native { cached: true, policies: 1000 })),
    on_demand(variant("native-cached-10000", Chain::Native { cached: true, policies: 10_000 })),
];

const fn variant(name: &'static str, chain: Chain) -> Variant {
    Variant { name, chain, algorithm: Algorithm::Rs256, usual: true }
}

const fn es256(variant: Variant) -> Variant {
    Variant { algorithm: Algorithm::Es256, ..variant }
}

const fn on_demand(variant: Variant) -> Variant {
    Variant { usual: false, ..variant }
}

/// The files of the modules that variants load.
#[derive(Debug, Clone, Copy)]
pub struct Modules<'a> {
    /// The least that carries a decision out.
    pub floor: &'a Path,
    /// modelgate, of this checkout or of another.
    pub modelgate: &'a Path,
}

impl Variant {
    /// Whether modelgate is in it.
    pub fn is_modelgate(&self) -> bool {
        matches!(self.chain, Chain::Modelgate(_))
    }

    /// The filters before the router.
    pub fn filters(&self, issuer: &Issuer, modules: Modules<'_>) -> Result<Vec<Filter>> {
        Ok(match self.chain {
            Chain::None => Vec::new(),
            Chain::Floor => vec![plugin(Value::Object(Default::default()), modules.floor)?],
            Chain::Modelgate(parts) => {
                vec![plugin(plugin_config(issuer, parts), modules.modelgate)?]
            }
            Chain::Native { cached, policies: count } => vec![
                Filter::Fixed(native::jwt_authn(issuer, cached)),
                Filter::Fixed(native::rbac(&policies(count))),
            ],
        })
    }

    /// The address that clients of this variant call.
    pub fn path(&self) -> &'static str {
        match self.chain {
            Chain::Floor | Chain::Modelgate(Parts { rewrite: true, .. }) => FRIENDLY,
            _ => PREDICTIONS,
        }
    }

    /// Whether it refuses a request without a token.
    pub fn refuses_strangers(&self) -> bool {
        match self.chain {
            Chain::None | Chain::Floor => false,
            Chain::Modelgate(parts) => parts.policies > 0,
            Chain::Native { .. } => true,
        }
    }

    /// Where known tokens are counted, and whether there should be any.
    pub fn evidence(&self) -> Option<(Evidence, bool)> {
        match self.chain {
            Chain::Native { cached, .. } => Some((Evidence::Counter("jwt_cache_hit"), cached)),
            Chain::Modelgate(Parts { tokens: true, cache, .. }) => {
                Some((Evidence::Metric("modelgate_tokens_total"), cache))
            }
            _ => None,
        }
    }
}

/// A module as istiod adds it.
fn plugin(config: Value, module: &Path) -> Result<Filter> {
    let extension: Extension = WasmPlugin::with_config(config)?.extension(module);
    Ok(Filter::Extension(extension))
}
