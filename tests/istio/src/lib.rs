//! A Kubernetes API server, an istiod and the agents of gateways and sidecars, all real, in a network of their own.
//!
//! There is no kubelet: pods are objects, and what would run in them is started here. Whatever decides (the API
//! server, access rules, validation of resources, istiod, its CA, the agent, Envoy) is the real thing.
//!
//! | module | what it gives |
//! |---|---|
//! | [`isolation`] | namespaces in which nothing survives and no port is taken |
//! | [`tools`] | the programs, and where logs go |
//! | [`progress`] | what is being waited for, and how long it took the last time |
//! | [`control_plane`] | etcd, kube-apiserver and istiod |
//! | [`kubectl`] | resources: applied, patched, cleared away |
//! | [`tls`] | certificates, and a client's end of TLS |
//! | [`load`] | requests all the time, while something changes |
//! | [`shipped`] | the resources of this repository, and which of them have been applied |
//! | [`agent`] | pilot-agent with Envoy as its child |
//! | [`gateway`] | an ingress gateway |
//! | [`plain`] | gateways without an agent |
//! | [`models`] | models that Kubernetes names |
//! | [`sidecar`] | sidecars of models and of clients |
//! | [`registry`] | a registry of images |
//! | [`site`] | the shipped overlay with models and routes: what most scenarios stand on |

pub mod agent;
pub mod control_plane;
pub mod gateway;
pub mod isolation;
pub mod kubectl;
pub mod load;
pub mod models;
pub mod plain;
pub mod progress;
pub mod registry;
pub mod shipped;
pub mod sidecar;
pub mod site;
pub mod tls;
pub mod tools;

pub use control_plane::Cluster;
pub use gateway::Gateway;
pub use models::Models;
pub use sidecar::Sidecar;
pub use site::Site;
