//! MLflow's scoring server, whose only address for predictions is `/invocations`.

use anyhow::Result;
use testbed::model_servers::{ModelServer, Weights};
use tokio::try_join;

use super::{Servers, Site};

#[tokio::test]
async fn mlflow_agrees_with_itself_and_not_with_a_retrained_model() -> Result<()> {
    let (live, same, retrained) = try_join!(
        ModelServer::mlflow(Weights::Main),
        ModelServer::mlflow(Weights::Main),
        ModelServer::mlflow(Weights::Shadow),
    )?;
    let http = Servers::of([&live, &same, &retrained]);
    Site::alone().agrees(&http, "/invocations", "inputs").await
}
