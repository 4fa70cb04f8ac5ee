//! The shipped splits, beside the routes of Seldon's operator.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use cluster::agent::IN_FORCE;
use cluster::site::{DENIED, PLUGIN, application, apply_with_own_values, flower};
use cluster::{Cluster, Gateway, shipped};
use serde_json::json;
use testbed::client::{Connection, Request, Response};
use testbed::tokens::Issuer;
use testbed::upstream::Upstream;
use testbed::wait::until;

use crate::seldon::deploy;

const HOST: &str = "models.example.com";
const HEADER: &str = "x-modelgate-variant";

/// A deployment with two predictors, and the file of `deploy/splits/` for it.
struct Split {
    model: &'static str,
    variants: [&'static str; 2],
    /// Each answers with its name, as `canary-main`.
    predictors: Vec<Upstream>,
    gateway: Gateway,
}

impl Split {
    async fn start(
        cluster: &Cluster,
        model: &'static str,
        variants: [&'static str; 2],
    ) -> Result<(Self, [String; 2])> {
        shipped::apply(&cluster.kubectl, "deploy/gateway-http.yaml").await?;
        let names = variants.map(|variant| format!("{model}-{variant}"));
        let services = names.each_ref().map(String::as_str);
        let routes = format!("deploy/seldon/{model}.yaml");
        let predictors = deploy(cluster, &routes, &services).await?;
        apply_with_own_values(cluster, &format!("deploy/splits/{model}.yaml")).await?;
        let split = Self { model, variants, predictors, gateway: Gateway::start(cluster).await? };
        split.gateway.becomes(&split.predict(), 403, DENIED).await?;
        let allowed = split.predict().bearer(&application()?);
        split.gateway.becomes(&allowed, 200, model).await?;
        Ok((split, names))
    }

    fn post(&self, what: &str) -> Request {
        let path = format!("/seldon/prod/{}/api/v1.0/{what}", self.model);
        Request::post_json(path, &flower()).authority(Some(HOST))
    }

    fn predict(&self) -> Request {
        self.post("predictions")
    }

    /// The same by gRPC, as far as routes can tell.
    fn call(&self) -> Request {
        Request::new("POST", "/seldon.protos.Seldon/Predict")
            .authority(Some(HOST))
            .header("content-type", "application/grpc")
            .header("seldon", self.model)
            .header("namespace", "prod")
    }

    async fn connect(&self) -> Result<Connection> {
        self.predict().connect(self.gateway.address()).await
    }

    /// A route may come before the last of its clusters.
    async fn until_both_answer(&self, mut next: impl FnMut() -> Result<Request>) -> Result<()> {
        until("both predictors to be reached", IN_FORCE, async || {
            self.gateway.send(&next()?).await?;
            Ok(self.predictors.iter().all(|p| !p.received().is_empty()).then_some(()))
        })
        .await?;
        self.predictors.iter().for_each(Upstream::forget);
        Ok(())
    }

    /// Every predictor got its own name, in one header, however a client spelled it.
    async fn check(&self) -> Result<()> {
        for (predictor, name) in self.predictors.iter().zip(self.variants) {
            for received in predictor.received() {
                let header = |(name, _): &&(String, Vec<u8>)| name.replace('_', "-") == HEADER;
                let lines: Vec<_> = received.headers.iter().filter(header).collect();
                let [(_, value)] = lines[..] else { anyhow::bail!("{received:?}") };
                ensure!(value == name.as_bytes(), "{name} got {received:?}");
            }
        }
        self.gateway.check_healthy().await
    }
}

/// A request that asks for a variant itself.
fn forged(request: Request, variant: &str) -> Request {
    request.header(HEADER, variant).header("x_modelgate_variant", variant)
}

fn user(number: usize) -> Result<String> {
    Issuer::shared()?.token(&format!("user-{number}"), &["applications"])
}

async fn answer(connection: &mut Connection, request: &Request) -> Result<Response> {
    let answer = connection.send(request).await?;
    ensure!(answer.status == 200, "{answer:?} for {request:?}");
    Ok(answer)
}

pub async fn a_canary_keeps_its_callers(cluster: &mut Cluster) -> Result<()> {
    let (split, [main, canary]) = Split::start(cluster, "canary", ["main", "canary"]).await?;
    let mut users = 0..;
    split
        .until_both_answer(|| Ok(split.predict().bearer(&user(users.next().unwrap_or(0))?)))
        .await?;
    let mut connection = split.connect().await?;
    let mut on_main = 0;
    let mut by_predictor = BTreeMap::new();
    for number in 0..400 {
        let token = user(number)?;
        let first = answer(&mut connection, &split.predict().bearer(&token)).await?.text();
        let other = if first == main { "canary" } else { "main" };
        let again = forged(split.predict(), other).bearer(&token);
        let again = answer(&mut connection, &again).await?.text();
        ensure!(again == first, "user-{number} moved from {first} to {again}");
        on_main += usize::from(first == main);
        by_predictor.insert(first, token);
    }
    // Five standard deviations of a binomial with 400 draws.
    ensure!((256..=344).contains(&on_main), "75/25: {on_main} of 400");
    // By gRPC a caller has the same predictor.
    split.check().await?;
    for (name, predictor) in [&main, &canary].into_iter().zip(&split.predictors) {
        let token = by_predictor.get(name).with_context(|| format!("nobody on {name}"))?;
        predictor.forget();
        split.call().bearer(token).send_http2(split.gateway.address()).await?;
        ensure!(predictor.received().len() == 1, "not on {name} by gRPC");
    }
    split.check().await
}

pub async fn blue_green_is_tested_and_switched(cluster: &mut Cluster) -> Result<()> {
    let (split, [blue, green]) = Split::start(cluster, "blue-green", ["blue", "green"]).await?;
    let tester = Issuer::shared()?.token("tester", &["testers"])?;
    let tester = forged(split.predict().bearer(&tester), "blue");
    split.gateway.becomes(&tester, 200, &green).await?;
    let mut connection = split.connect().await?;
    for number in 0..20 {
        let request = forged(split.predict().bearer(&user(number)?), "green");
        let reached = answer(&mut connection, &request).await?.text();
        ensure!(reached == blue, "user-{number} is on {reached}");
    }
    // The switch, as the file's first lines have it; and back.
    for (weights, colour) in [([0, 100], &green), ([100, 0], &blue)] {
        let [to_blue, to_green] = weights;
        let variants =
            json!([{"name": "blue", "weight": to_blue}, {"name": "green", "weight": to_green}]);
        let path = "/spec/pluginConfig/splits/1/variants";
        cluster.kubectl.patch_plugin(PLUGIN, &[(path, variants)]).await?;
        split.gateway.becomes(&split.predict().bearer(&user(0)?), 200, colour).await?;
        split.gateway.expect(tester.clone(), 200, &green).await?;
    }
    split.check().await
}

pub async fn an_ab_test_keeps_its_browsers(cluster: &mut Cluster) -> Result<()> {
    let (split, [a, _]) = Split::start(cluster, "ab", ["a", "b"]).await?;
    // One principal for all of them.
    let token = application()?;
    let predict = || split.predict().bearer(&token);
    split.until_both_answer(|| Ok(predict())).await?;
    let mut connection = split.connect().await?;
    let (mut on_a, mut cookies) = (0, BTreeSet::new());
    for _ in 0..400 {
        let first = answer(&mut connection, &predict()).await?;
        let set: Vec<_> = first.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
        let [(_, line)] = set[..] else { anyhow::bail!("not one cookie: {first:?}") };
        let (cookie, attributes) = line.split_once("; ").context("no attributes")?;
        ensure!(attributes == "Max-Age=1209600; Path=/; HttpOnly; SameSite=Lax", "{line}");
        let other = if first.text() == a { "b" } else { "a" };
        let feedback = split.post("feedback").bearer(&token);
        let again = forged(feedback, other).header("cookie", cookie);
        let again = answer(&mut connection, &again).await?;
        ensure!(again.text() == first.text(), "{cookie} moved");
        ensure!(again.header("set-cookie").is_none(), "set again: {again:?}");
        on_a += usize::from(first.text() == a);
        cookies.insert(cookie.to_owned());
    }
    // Five standard deviations of a binomial with 400 draws.
    ensure!((150..=250).contains(&on_a), "50/50: {on_a} of 400");
    ensure!(cookies.len() == 400, "two browsers with one cookie");
    split.check().await
}
