//! An iris model behind Seldon's executor: REST of the seldon protocol, as the executor of Seldon
//! Core 1.17 serves it on port 8000 after the gateway's rewrite. Bytes in, bytes out: servers are elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::iris::Iris;

/// Versions of the API that have predictions, feedback, status and metadata.
const VERSIONS: [&str; 2] = ["v0.1", "v1.0"];

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 6] = [0.0005, 0.001, 0.005, 0.01, 0.1, 1.0];

/// A request, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// The header `seldon-puid`.
    pub puid: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header lines.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// What is counted for each service, method and status.
#[derive(Debug, Default)]
struct Count {
    requests: u64,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

/// A running model, under the names that its metrics carry.
#[derive(Debug)]
pub struct Executor {
    deployment: String,
    predictor: String,
    iris: Iris,
    classes: Vec<String>,
    requests: Mutex<BTreeMap<(&'static str, String, u16), Count>>,
}

impl Executor {
    /// A model that has answered nothing yet.
    ///
    /// # Errors
    ///
    /// Its weights cannot be read.
    pub fn new(deployment: &str, predictor: &str, iris: Iris) -> Result<Self> {
        Ok(Self {
            deployment: deployment.to_owned(),
            predictor: predictor.to_owned(),
            iris,
            classes: Iris::classes()?,
            requests: Mutex::default(),
        })
    }

    /// Answers.
    pub fn answer(&self, request: &Question<'_>) -> Answer {
        let start = Instant::now();
        let path = request.path.split(['?', '#']).next().unwrap_or_default();
        match path {
            "/ready" | "/live" => return Answer { status: 200, ..Answer::default() },
            "/prometheus" => return Answer::new(200, "text/plain; version=0.0.4", self.metrics()),
            _ => {}
        }
        let Some((service, methods)) = route(path) else {
            return Answer::new(404, "text/plain; charset=utf-8", "404 page not found\n");
        };
        if request.method == "OPTIONS" {
            return cors(Answer { status: 200, ..Answer::default() })
                .header("access-control-allow-methods", &format!("{methods},OPTIONS"))
                .header(
                    "access-control-allow-headers",
                    "Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, X-CSRF-Token",
                );
        }
        if request.method != methods {
            return Answer { status: 405, ..Answer::default() };
        }
        let (status, body) = match self.serve(service, request) {
            Ok(body) => (200, body),
            Err(error) => (400, failure(&error)),
        };
        self.count(service, request.method, status, start.elapsed());
        let puid = request.puid.map_or_else(new_puid, str::to_owned);
        cors(Answer::new(status, "application/json", body.to_string()))
            .header("x-content-type-options", "nosniff")
            .header("seldon-puid", &puid)
    }

    fn serve(&self, service: &str, request: &Question<'_>) -> Result<Value> {
        Ok(match service {
            "predictions" => self.predict(request.body)?,
            "feedback" => {
                let _: Value = serde_json::from_slice(request.body).context("not JSON")?;
                json!({"data": {"tensor": {"shape": [0], "values": []}}, "meta": {}})
            }
            "metadata" => json!({
                "name": self.predictor,
                "models": {"classifier": {
                    "name": "classifier", "platform": "seldon", "versions": ["v1"],
                    "inputs": [{"messagetype": "tensor", "schema": {"shape": [4]}}],
                    "outputs": [{"messagetype": "tensor", "schema": {"names": self.classes, "shape": [3]}}],
                }},
                "graphinputs": [{"messagetype": "tensor", "schema": {"shape": [4]}}],
                "graphoutputs": [{"messagetype": "tensor", "schema": {"shape": [3]}}],
            }),
            _ => json!({"data": {"names": [], "ndarray": ["ok"]}, "meta": {}}),
        })
    }

    /// Answers in the form of the question: `ndarray` or `tensor`.
    fn predict(&self, body: &[u8]) -> Result<Value> {
        let message: Value = serde_json::from_slice(body).context("not JSON")?;
        let meta = json!({"requestPath": {"classifier": "modelgate/iris:1"}});
        if let Some(rows) = message.pointer("/data/ndarray") {
            let rows = rows.as_array().context("data.ndarray is not a list")?;
            let answers: Vec<Vec<f64>> =
                rows.iter().map(|row| self.row(row)).collect::<Result<_>>()?;
            return Ok(json!({"data": {"names": self.classes, "ndarray": answers}, "meta": meta}));
        }
        let tensor =
            message.pointer("/data/tensor").context("neither data.ndarray nor data.tensor")?;
        let shape = tensor.get("shape").map(numbers).transpose()?.unwrap_or_default();
        let values = numbers(tensor.get("values").context("data.tensor without values")?)?;
        let [rows, 4.0] = shape.as_slice() else { bail!("data.tensor is not of shape [n, 4]") };
        ensure!(rows * 4.0 == values.len() as f64, "data.tensor: shape and values disagree");
        let answers =
            values.chunks(4).map(|row| self.iris.predict(row)).collect::<Result<Vec<_>>>()?;
        let tensor =
            json!({"shape": [answers.len(), self.classes.len()], "values": answers.concat()});
        Ok(json!({"data": {"names": self.classes, "tensor": tensor}, "meta": meta}))
    }

    fn row(&self, row: &Value) -> Result<Vec<f64>> {
        self.iris.predict(&numbers(row)?)
    }

    fn count(&self, service: &'static str, method: &str, status: u16, elapsed: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let count = requests.entry((service, method.to_lowercase(), status)).or_default();
        count.requests += 1;
        count.seconds += elapsed.as_secs_f64();
        for (bucket, bound) in count.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(elapsed.as_secs_f64() <= bound);
        }
    }

    fn metrics(&self) -> String {
        const NAME: &str = "seldon_api_executor_server_requests_seconds";
        let mut page = format!(
            "# HELP {NAME} A histogram of latencies for executor server\n# TYPE {NAME} histogram\n"
        );
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((service, method, status), count) in &*requests {
            let labels = format!(
                r#"code="{status}",deployment_name="{}",method="{method}",predictor_name="{}",service="{service}""#,
                self.deployment, self.predictor
            );
            // Writing to a String cannot fail.
            for (bound, bucket) in BUCKETS.iter().zip(count.buckets) {
                let _ = writeln!(page, r#"{NAME}_bucket{{{labels},le="{bound}"}} {bucket}"#);
            }
            let Count { requests, seconds, .. } = count;
            let _ = writeln!(page, r#"{NAME}_bucket{{{labels},le="+Inf"}} {requests}"#);
            let _ = writeln!(page, "{NAME}_sum{{{labels}}} {seconds}");
            let _ = writeln!(page, "{NAME}_count{{{labels}}} {requests}");
        }
        page
    }
}

/// Service and method of a path of the executor.
fn route(path: &str) -> Option<(&'static str, &'static str)> {
    if path == "/api/v1.0/health/status" {
        return Some(("health", "GET"));
    }
    let (version, rest) = path.strip_prefix("/api/")?.split_once('/')?;
    if !VERSIONS.contains(&version) {
        return None;
    }
    let (service, model) = match rest.split_once('/') {
        Some((service, model)) => (service, Some(model)),
        None => (rest, None),
    };
    match (service, model) {
        ("predictions", None) => Some(("predictions", "POST")),
        ("feedback", None) => Some(("feedback", "POST")),
        // Without a model's name only in v1.0.
        ("metadata", None) | ("status", None) if version != "v1.0" => None,
        ("metadata", _) => Some(("metadata", "GET")),
        ("status", _) => Some(("status", "GET")),
        _ => None,
    }
}

fn numbers(row: &Value) -> Result<Vec<f64>> {
    let row = row.as_array().context("not a list of numbers")?;
    row.iter().map(|x| x.as_f64().context("not a number")).collect()
}

fn failure(error: &anyhow::Error) -> Value {
    json!({"status": {
        "code": -1, "info": format!("{error:#}"), "reason": "MICROSERVICE_BAD_DATA", "status": 1,
    }})
}

fn cors(answer: Answer) -> Answer {
    answer.header("access-control-allow-origin", "*")
}

/// As long as a UUID and as unlikely to repeat.
fn new_puid() -> String {
    let half = || RandomState::new().hash_one(0_u8);
    format!("{:016x}{:016x}", half(), half())
}
