//! A sidecar: inbound before a workload, outbound for a client.

use std::net::SocketAddr;
use std::ops::Deref;

use anyhow::Result;
use serde_json::{Value, json};

use crate::agent::{Agent, Role, Workload};
use crate::control_plane::Cluster;

/// A running sidecar; everything of [`Agent`] is there too.
#[derive(Debug)]
pub struct Sidecar {
    agent: Agent,
}

impl Sidecar {
    /// In this namespace, with this account and these labels. It has no ports before it is told.
    pub async fn start(
        cluster: &Cluster,
        namespace: &str,
        account: &str,
        labels: Value,
    ) -> Result<Self> {
        let workload = Workload {
            role: Role::Sidecar,
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            labels,
            workers: 1,
            insecure_registries: String::new(),
        };
        Ok(Self { agent: Agent::start(cluster, &workload).await? })
    }

    /// Takes requests for these ports of the pod to the workload at `to`. There is no iptables here: a resource
    /// `Sidecar` opens the ports.
    pub async fn inbound(
        &self,
        cluster: &Cluster,
        workload: &Pod<'_>,
        ports: &[u16],
        to: SocketAddr,
    ) -> Result<()> {
        let listeners: Vec<Value> = ports
            .iter()
            .map(|port| {
                json!({
                    "port": {"number": port, "name": format!("http-{port}"), "protocol": "HTTP"},
                    "bind": self.agent.ip.to_string(),
                    "captureMode": "NONE",
                    "defaultEndpoint": to.to_string(),
                })
            })
            .collect();
        cluster.kubectl.apply(&[workload.sidecar(&json!({"ingress": listeners}))]).await
    }

    /// Opens these ports of the pod for the client inside it: what it sends there goes to services with such a port.
    pub async fn outbound(
        &self,
        cluster: &Cluster,
        workload: &Pod<'_>,
        ports: &[u16],
    ) -> Result<()> {
        let listeners: Vec<Value> = ports
            .iter()
            .map(|port| {
                json!({
                    "port": {"number": port, "name": format!("http-{port}"), "protocol": "HTTP"},
                    "bind": self.agent.ip.to_string(),
                    "captureMode": "NONE",
                    "hosts": ["prod/*"],
                })
            })
            .collect();
        cluster.kubectl.apply(&[workload.sidecar(&json!({"egress": listeners}))]).await
    }

    /// A port of the pod.
    pub fn port(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.agent.ip, port))
    }
}

impl Deref for Sidecar {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

/// What a resource `Sidecar` is about.
#[derive(Debug, Clone, Copy)]
pub struct Pod<'p> {
    /// Its namespace.
    pub namespace: &'p str,
    /// The value of its label `app`.
    pub app: &'p str,
}

impl Pod<'_> {
    fn sidecar(&self, more: &Value) -> Value {
        let mut spec = json!({"workloadSelector": {"labels": {"app": self.app}}});
        if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
            spec.extend(more.clone());
        }
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Sidecar",
            "metadata": {"name": self.app, "namespace": self.namespace},
            "spec": spec,
        })
    }

    /// A service of the mesh: these ports of a pod with a sidecar and an account.
    pub fn service(
        &self,
        name: &str,
        predictor: &str,
        account: &str,
        ports: &[u16],
        at: std::net::Ipv4Addr,
    ) -> Value {
        let namespace = self.namespace;
        let ports: Vec<Value> = ports
            .iter()
            .map(|port| json!({"number": port, "name": format!("http-{port}"), "protocol": "HTTP"}))
            .collect();
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "hosts": [format!("{name}.{namespace}.svc.cluster.local")],
                "location": "MESH_INTERNAL",
                "resolution": "STATIC",
                "ports": ports,
                "subjectAltNames": [format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")],
                "endpoints": [{
                    "address": at.to_string(),
                    "serviceAccount": account,
                    "labels": {"version": predictor, "security.istio.io/tlsMode": "istio"},
                }],
            },
        })
    }
}
