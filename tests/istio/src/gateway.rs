//! An ingress gateway as Istio's chart deploys it.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::wait::until;

use crate::agent::{Agent, IN_FORCE, Role, Workload};
use crate::control_plane::{Cluster, ISTIO_SYSTEM};

/// How long a decision must stay what it became: listeners and extensions come one after the other.
const SETTLED: usize = 3;

/// A running gateway; everything of [`Agent`] is there too.
#[derive(Debug)]
pub struct Gateway {
    agent: Agent,
    address: SocketAddr,
}

impl Gateway {
    /// istio-ingressgateway in istio-system, reached on port 80.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let labels = json!({"app": "istio-ingressgateway", "istio": "ingressgateway"});
        Self::labelled(cluster, "istio-ingressgateway", labels, 1, 80).await
    }

    /// A gateway with an account, labels, workers and port of its own.
    pub async fn labelled(
        cluster: &Cluster,
        account: &str,
        labels: Value,
        workers: u32,
        port: u16,
    ) -> Result<Self> {
        let workload = Workload {
            role: Role::Router,
            namespace: ISTIO_SYSTEM.to_owned(),
            account: account.to_owned(),
            labels,
            workers,
            insecure_registries: crate::registry::ADDRESS.to_owned(),
        };
        let agent = Agent::start(cluster, &workload).await?;
        Ok(Self { agent, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) })
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same gateway on another port.
    pub fn port(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address.ip(), port)
    }

    /// Sends a request over a new HTTP/1.1 connection.
    pub async fn send(&self, request: &Request) -> Result<Response> {
        request.send(self.address).await
    }

    /// Asserts that a request is answered with this status, and with a body that contains `text`.
    pub async fn expect(&self, request: Request, status: u16, text: &str) -> Result<Response> {
        let answer = self.send(&request).await?;
        ensure!(
            answer.status == status && answer.text().contains(text),
            "not {status} {text:?} but {answer:?} for {request:?}"
        );
        Ok(answer)
    }

    /// Waits until a request is answered so, several times in a row.
    pub async fn becomes(&self, request: &Request, status: u16, text: &str) -> Result<()> {
        let mut last = String::new();
        let mut row = 0;
        let waited = until("the answer", IN_FORCE, async || {
            let answer = self.send(request).await;
            let fits = answer.as_ref().is_ok_and(|a| a.status == status && a.text().contains(text));
            row = if fits { row + 1 } else { 0 };
            last = format!("{answer:?}");
            Ok((row >= SETTLED).then_some(()))
        });
        let waited = waited.await;
        waited.map_err(|error| {
            error.context(format!("not {status} {text:?} but {last} for {request:?}"))
        })
    }
}

impl Deref for Gateway {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}
