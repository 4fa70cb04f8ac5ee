//! The models behind the gateway, and how each protocol is spoken to.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Value, json};
use testbed::model::Model;
use testbed::model_servers::{ModelServer, Weights};

use crate::args::Models;

/// A flower: sepal length and width, petal length and width, in cm.
pub type Flower = [f64; 4];

impl Models {
    /// The path of a prediction behind the gateway.
    pub fn own_path(self, model: &str) -> String {
        match self {
            Self::Builtin | Self::Seldon => "/api/v1.0/predictions".to_owned(),
            Self::Mlserver => format!("/v2/models/{model}/infer"),
        }
    }

    /// Seldon's path of a prediction of `prod/<model>`.
    pub fn prediction(self, model: &str) -> String {
        format!("/seldon/prod/{model}{}", self.own_path(model))
    }

    /// The path to which the friendly address is rewritten, as a template.
    pub fn template(self) -> String {
        format!("/seldon/{{namespace}}/{{model}}{}", self.own_path("{model}"))
    }

    /// The path of the description of `prod/iris`.
    pub fn metadata(self) -> &'static str {
        match self {
            Self::Builtin | Self::Seldon => "/seldon/prod/iris/api/v1.0/metadata",
            Self::Mlserver => "/seldon/prod/iris/v2/models/iris",
        }
    }

    /// What differs from answer to answer and means nothing, as JSON pointers.
    pub fn noise(self) -> &'static str {
        match self {
            Self::Builtin | Self::Seldon => "/meta",
            Self::Mlserver => "/id",
        }
    }

    /// What is this flower?
    pub fn question(self, flower: &Flower) -> Value {
        match self {
            Self::Builtin | Self::Seldon => json!({"data": {"ndarray": [flower]}}),
            Self::Mlserver => json!({
                "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": flower}],
                "outputs": [{"name": "predict_proba"}],
            }),
        }
    }

    /// A part of every answer with a prediction.
    pub fn sign_of_prediction(self) -> &'static str {
        match self {
            Self::Builtin | Self::Seldon => "ndarray",
            Self::Mlserver => "predict_proba",
        }
    }

    /// A part of the description.
    pub fn sign_of_metadata(self) -> &'static str {
        match self {
            Self::Builtin => "graphinputs",
            Self::Seldon => "name",
            Self::Mlserver => r#""name":"iris""#,
        }
    }

    /// A part of the page of metrics. Seldon's wrapper shows only metrics that the model itself
    /// defines, and this one defines none.
    pub fn sign_of_metrics(self) -> &'static str {
        match self {
            Self::Builtin => "seldon_api_executor_server_requests_seconds",
            Self::Seldon => "",
            Self::Mlserver => "# TYPE",
        }
    }

    /// What this is, for the reader.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Builtin => "built-in model server, as Seldon's executor",
            Self::Seldon => "Seldon Core's Python wrapper",
            Self::Mlserver => "MLServer, scikit-learn",
        }
    }
}

/// A running model server.
pub enum Server {
    Builtin(Box<Model>),
    Real(Box<ModelServer>),
}

impl Server {
    /// Starts a server with these weights.
    pub async fn start(models: Models, weights: Weights) -> Result<Self> {
        Ok(match (models, weights) {
            (Models::Builtin, Weights::Main) => Self::Builtin(Box::new(Model::live().await?)),
            (Models::Builtin, Weights::Shadow) => {
                Self::Builtin(Box::new(Model::retrained().await?))
            }
            (Models::Seldon, _) => Self::Real(Box::new(ModelServer::seldon(weights).await?)),
            (Models::Mlserver, _) => Self::Real(Box::new(ModelServer::mlserver(weights).await?)),
        })
    }

    /// Where it answers predictions.
    pub fn http(&self) -> SocketAddr {
        match self {
            Self::Builtin(model) => model.address(),
            Self::Real(server) => server.http,
        }
    }

    /// Where it shows metrics, path `/prometheus`.
    pub fn metrics(&self) -> SocketAddr {
        match self {
            Self::Builtin(model) => model.address(),
            Self::Real(server) => server.metrics,
        }
    }

    /// The built-in one, which can tell what it received.
    pub fn builtin(&self) -> Option<&Model> {
        match self {
            Self::Builtin(model) => Some(model),
            Self::Real(_) => None,
        }
    }
}
