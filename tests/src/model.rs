//! The built-in iris model as a server that records and fails on demand.

use std::net::SocketAddr;
use std::ops::Deref;

use anyhow::Result;
use modelgate_local::executor::{Executor, Question};

use crate::iris::Iris;
use crate::upstream::{Answer, Upstream};

/// A running model; everything of [`Upstream`] is there too.
#[derive(Debug)]
pub struct Model {
    upstream: Upstream,
}

impl Model {
    /// Starts a model under the names that its metrics carry.
    pub async fn start(deployment: &str, predictor: &str, iris: Iris) -> Result<Self> {
        let executor = Executor::new(deployment, predictor, iris)?;
        let upstream = Upstream::start(move |request| {
            let puid = request.header("seldon-puid");
            let answer = executor.answer(&Question {
                method: &request.method,
                path: &request.path,
                puid: puid.as_deref(),
                body: &request.body,
            });
            let headers = answer.headers.into_iter().map(|(name, value)| (name.to_owned(), value));
            Answer { status: answer.status, headers: headers.collect(), body: answer.body.into() }
        });
        Ok(Self { upstream: upstream.await? })
    }

    /// The live iris model, deployment `iris`, predictor `default`.
    pub async fn live() -> Result<Self> {
        Self::start("iris", "default", Iris::main()?).await
    }

    /// The retrained iris model, deployment `iris-v2`.
    pub async fn retrained() -> Result<Self> {
        Self::start("iris-v2", "default", Iris::shadow()?).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.upstream.address()
    }

    /// Closes the port and every connection.
    pub async fn stop(&mut self) {
        self.upstream.stop().await;
    }

    /// Listens on the same port again.
    pub async fn restart(&mut self) -> Result<()> {
        self.upstream.restart().await
    }
}

impl Deref for Model {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::Request;
    use crate::upstream::Fault;

    const PREDICTIONS: &str = "/api/v1.0/predictions";

    #[tokio::test]
    async fn predicts_in_both_forms() -> Result<()> {
        let model = Model::live().await?;
        let flower = [6.0, 2.7, 4.2, 1.3];
        // Compared as text: serde_json may read a number one unit in the last place off.
        let expected = json!(Iris::main()?.predict(&flower)?).to_string();
        let question = json!({"data": {"ndarray": [flower]}});
        let answer = Request::post_json(PREDICTIONS, &question).send(model.address()).await?;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains(&format!(r#""ndarray":[{expected}]"#)), "{}", answer.text());
        assert_eq!(answer.header("seldon-puid").map(str::len), Some(32));
        let question = json!({"data": {"tensor": {"shape": [1, 4], "values": flower}}});
        let request =
            Request::post_json("/api/v0.1/predictions", &question).header("Seldon-Puid", "mine");
        let answer = request.send(model.address()).await?;
        assert!(answer.text().contains(&format!(r#""values":{expected}"#)), "{}", answer.text());
        assert_eq!(answer.header("seldon-puid"), Some("mine"));
        let metrics = Request::get("/prometheus").send(model.address()).await?.text();
        let stats = crate::stats::Stats::parse(&metrics);
        let count = "seldon_api_executor_server_requests_seconds_count";
        assert_eq!(stats.sum(count, &[("service", "predictions"), ("code", "200")]), 2.0);
        Ok(())
    }

    #[tokio::test]
    async fn knows_methods_and_paths() -> Result<()> {
        let model = Model::live().await?;
        for (method, path, status) in [
            ("GET", PREDICTIONS, 405),
            ("OPTIONS", PREDICTIONS, 200),
            ("POST", PREDICTIONS, 400),
            ("GET", "/api/v1.0/metadata", 200),
            ("GET", "/api/v0.1/metadata", 404),
            ("GET", "/api/v0.1/metadata/classifier", 200),
            ("GET", "/api/v1.0/health/status", 200),
            ("GET", "/ready", 200),
            ("GET", "/elsewhere", 404),
        ] {
            let answer = Request::new(method, path).send(model.address()).await?;
            assert_eq!(answer.status, status, "{method} {path}");
        }
        assert_eq!(model.received().len(), 9);
        Ok(())
    }

    #[tokio::test]
    async fn fails_on_demand() -> Result<()> {
        let mut model = Model::live().await?;
        model.set_fault(Some(Fault::Reset));
        assert!(Request::get("/ready").send(model.address()).await.is_err());
        model.set_fault(Some(Fault::Status(503)));
        assert_eq!(Request::get("/ready").send(model.address()).await?.status, 503);
        model.set_fault(None);
        model.stop().await;
        assert!(Request::get("/ready").send(model.address()).await.is_err());
        model.restart().await?;
        assert_eq!(Request::get("/ready").send(model.address()).await?.status, 200);
        Ok(())
    }
}
