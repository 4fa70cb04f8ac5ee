//! Whole tables of what a connection tells: the peer's address however many proxies are trusted, and each
//! name of a certificate.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::arena::{Arena, Side};
use crate::case::{Ask, Client, Set};
use crate::certificates::{Certificates, SEVERAL_NAMES};

/// A rule by itself, opening and refusing.
fn policies(rule: &Value) -> [Vec<Value>; 2] {
    ["ALLOW", "DENY"].map(|action| {
        vec![json!({"name": "p", "namespace": "prod", "action": action, "rules": [rule]})]
    })
}

fn ask(client: Client, forwarded: Option<&str>) -> Ask {
    let headers = forwarded.map(|line| ("x-forwarded-for".to_owned(), line.to_owned()));
    Ask {
        method: "GET".into(),
        path: "/".into(),
        host: "models.example.com".into(),
        headers: headers.into_iter().collect(),
        tokens: Vec::new(),
        client,
    }
}

/// How many answers were 200.
async fn compare(sets: Vec<Set>, asks: &[Ask]) -> Result<usize> {
    let arena = Arena::start(&sets, &Arc::new(Certificates::new()?)).await?;
    let requests = asks.iter().map(|ask| Ok((ask.client.clone(), ask.with(&[])?)));
    let requests = requests.collect::<Result<Vec<_>>>()?;
    let mut let_through = 0;
    for (i, set) in sets.iter().enumerate() {
        let native = arena.answers(Side::Native, i, &requests).await?;
        let ours = arena.answers(Side::Modelgate, i, &requests).await?;
        for (ask, (native, ours)) in asks.iter().zip(native.iter().zip(&ours)) {
            let set = serde_json::to_string(set)?;
            ensure!(native == ours, "{set}\n{ask:?}\nnative {native:?}\nours {ours:?}");
            let_through += usize::from(ours.status == 200);
        }
    }
    Ok(let_through)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_have_the_same_address() -> Result<()> {
    let blocks = ["127.0.0.1", "127.77.0.1", "127.0.0.0/8", "10.0.0.0/8", "192.0.2.7", "0.0.0.0/0"];
    let mut sets = Vec::new();
    for hops in 0..3 {
        for block in blocks {
            for field in ["ipBlocks", "notIpBlocks", "remoteIpBlocks"] {
                let rule = json!({"from": [{"source": {field: [block]}}]});
                for policies in policies(&rule) {
                    sets.push(Set { rules: Vec::new(), policies, hops, tls: false });
                }
            }
        }
    }
    let lines = [
        None,
        Some("192.0.2.7"),
        Some("127.0.0.1"),
        Some("10.1.2.3, 192.0.2.7"),
        Some("10.1.2.3, 192.0.2.7, 127.0.0.1"),
        Some("192.0.2.7:80"),
        Some("nonsense"),
    ];
    let client = |address| Client { address, tls: false, certificate: "".into(), sni: "".into() };
    let asks: Vec<Ask> = [0, 1, 2]
        .into_iter()
        .flat_map(|address| lines.map(|line| ask(client(address), line)))
        .collect();
    let let_through = compare(sets, &asks).await?;
    ensure!(let_through > 100, "{let_through}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_of_a_certificate_counts() -> Result<()> {
    let sources = [
        json!({"principals": ["cluster.local/ns/prod/sa/web"]}),
        json!({"principals": ["cluster.local/ns/dev/sa/first"]}),
        json!({"principals": ["*/sa/web"]}),
        json!({"notPrincipals": ["cluster.local/ns/prod/*"]}),
        json!({"namespaces": ["prod"]}),
        json!({"notNamespaces": ["prod"]}),
        json!({"serviceAccounts": ["prod/web"]}),
        json!({"trustDomains": ["cluster.local"]}),
        json!({"trustDomains": ["*.domain"], "serviceAccounts": ["dev/web"]}),
        json!({"notTrustDomains": ["cluster*"]}),
        json!({"trustDomains": ["*"]}),
    ];
    let rules = sources.map(|source| json!({"from": [{"source": source}]}));
    let policies = rules.iter().flat_map(policies);
    let sets = policies.map(|policies| Set { rules: Vec::new(), policies, hops: 0, tls: true });
    let client = |certificate: &str| Client {
        address: 1,
        tls: true,
        certificate: certificate.into(),
        sni: "models.example.com".into(),
    };
    let names = ["", "web", "dev", "dns", "subject", SEVERAL_NAMES];
    let asks: Vec<Ask> = names.iter().map(|name| ask(client(name), None)).collect();
    let let_through = compare(sets.collect(), &asks).await.context("names")?;
    ensure!(let_through > 20, "{let_through}");
    Ok(())
}
