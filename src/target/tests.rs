//! Addresses and what they reach, as the facts about the operators and servers have it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::behind_route;
use super::*;
use crate::config::read::Read;
use crate::config::{Errors, Path, types};
use crate::request::Header;

fn compile(settings: Value) -> Result<Targets, String> {
    let mut errors = Errors::default();
    let read = types::Targets::read(&settings.into(), &Path::ROOT, &mut errors);
    let at = Path::ROOT.field("targets");
    let targets = read.and_then(|settings| Targets::compile(&settings, &at, &mut errors));
    targets.ok_or_else(|| errors.to_string())
}

fn default() -> Targets {
    compile(json!({})).unwrap()
}

/// What `METHOD [//host]/path [name: value]...` reaches, in words.
fn reach(targets: &Targets, address: &str) -> String {
    let mut parts = address.split_whitespace();
    let method = parts.next().unwrap();
    let url = parts.next().unwrap();
    let (host, path) = match url.strip_prefix("@") {
        Some(rest) => rest.split_at(rest.find('/').unwrap()),
        None => ("gateway.example.com", url),
    };
    let headers: Vec<Header<'_>> = parts
        .map(|header| {
            let (name, value) = header.split_once('=').unwrap();
            (name.as_bytes(), value.as_bytes())
        })
        .collect();
    let at = Location::new(method.as_bytes(), path.as_bytes(), Some(host.as_bytes()), headers);
    words(targets.resolve(&at))
}

fn words(address: Result<Option<Address<'_>>, Refusal>) -> String {
    match address {
        Ok(None) => "outside".to_owned(),
        Err(refusal) => format!("400 {}", refusal.reason),
        Ok(Some(address)) => {
            let model = address.model.as_ref();
            let predictor = model.and_then(|m| m.predictor.as_ref());
            format!(
                "{} {}{} {}",
                address.family.as_str(),
                model.map_or("-", |m| &m.id),
                predictor.map_or_else(String::new, |p| format!(" ({p})")),
                address.operation.as_str()
            )
        }
    }
}

/// Each line: an address, `=>`, and what it reaches; a refusal by `400` and a part of its reason.
fn check(targets: &Targets, table: &str) {
    let mut rows = 0;
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (address, expected) = line.split_once("=>").unwrap();
        let (address, expected) = (address.trim(), expected.trim());
        let found = reach(targets, address);
        let fits = match expected.strip_prefix("400 ") {
            Some(part) => found.starts_with("400 ") && found.contains(part),
            None => found == expected,
        };
        assert!(fits, "{address}\n  expected {expected}\n  found    {found}");
        rows += 1;
    }
    assert!(rows > 0);
}

#[test]
fn seldon_v1_by_path() {
    check(
        &default(),
        "
        POST /seldon/prod/iris/api/v1.0/predictions => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/api/v0.1/predictions => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/api/v1.0/predictions/ => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/api/v1.0/predictions?a=/../b => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/api/v1.0/predictions#a => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/api/v1%2e0/predictions => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/%61pi/v1.0/%70redictions => seldon-v1 prod/iris predict
        OPTIONS /seldon/prod/iris/api/v1.0/predictions => seldon-v1 prod/iris predict
        GET /seldon/prod/iris/api/v1.0/predictions => seldon-v1 prod/iris other
        PUT /seldon/prod/iris/api/v1.0/predictions => seldon-v1 prod/iris other
        POST /seldon/prod/iris/api/v2.0/predictions => seldon-v1 prod/iris other
        POST /seldon/prod/iris/API/v1.0/predictions => seldon-v1 prod/iris other
        POST /seldon/prod/iris/api/v1.0/predictions/x => seldon-v1 prod/iris other
        POST /seldon/prod/iris/api/v1.0/feedback => seldon-v1 prod/iris feedback
        POST /seldon/prod/iris/api/v0.1/feedback => seldon-v1 prod/iris feedback
        GET /seldon/prod/iris/api/v1.0/feedback => seldon-v1 prod/iris other
        GET /seldon/prod/iris/api/v1.0/status => seldon-v1 prod/iris status
        GET /seldon/prod/iris/api/v1.0/status/classifier => seldon-v1 prod/iris status
        GET /seldon/prod/iris/api/v0.1/status/classifier => seldon-v1 prod/iris status
        GET /seldon/prod/iris/api/v1.0/metadata => seldon-v1 prod/iris metadata
        HEAD /seldon/prod/iris/api/v1.0/metadata => seldon-v1 prod/iris metadata
        POST /seldon/prod/iris/api/v1.0/metadata => seldon-v1 prod/iris other
        GET /seldon/prod/iris/api/v0.1/metadata/classifier => seldon-v1 prod/iris metadata
        GET /seldon/prod/iris/api/v1.0/health/status => seldon-v1 prod/iris status
        GET /seldon/prod/iris/api/v1.0/doc/ => seldon-v1 prod/iris docs
        GET /seldon/prod/iris/api/v0.1/doc/a/b/c/d/e/f/g/h => seldon-v1 prod/iris docs
        GET /seldon/prod/iris/ready => seldon-v1 prod/iris status
        DELETE /seldon/prod/iris/live => seldon-v1 prod/iris status
        GET /seldon/prod/iris/health/ping => seldon-v1 prod/iris status
        GET /seldon/prod/iris/health => seldon-v1 prod/iris other
        GET /seldon/prod/iris/prometheus => seldon-v1 prod/iris metrics
        POST /seldon/prod/iris/prometheus/ => seldon-v1 prod/iris metrics
        GET /seldon/prod/iris/prometh%65us => seldon-v1 prod/iris metrics
        GET /seldon/prod/iris/metrics?x => seldon-v1 prod/iris metrics
        GET /seldon/prod/iris/metrics/x => seldon-v1 prod/iris other
        POST /seldon/prod/iris/v1/models/classifier:predict => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/v1/models/classifier/:predict => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/v1/models:predict => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/v1/models/:predict => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/v1/models/classifier%3Apredict => seldon-v1 prod/iris predict
        GET /seldon/prod/iris/v1/models/classifier => seldon-v1 prod/iris status
        GET /seldon/prod/iris/v1/models/classifier/metadata => seldon-v1 prod/iris metadata
        POST /seldon/prod/iris/v1/models/classifier:unload => seldon-v1 prod/iris other
        POST /seldon/prod/iris/v2/models/classifier/infer => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/v2/models/fraud/versions/v1/infer => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/v2/models/infer => seldon-v1 prod/iris predict
        GET /seldon/prod/iris/v2/models/classifier => seldon-v1 prod/iris metadata
        GET /seldon/prod/iris/v2/models/classifier/ready => seldon-v1 prod/iris status
        GET /seldon/prod/iris/v2/health/ready => seldon-v1 prod/iris status
        GET /seldon/prod/iris/v2/docs/index.html => seldon-v1 prod/iris docs
        POST /seldon/prod/iris/v2/repository/index => seldon-v1 prod/iris admin
        POST /seldon/prod/iris/v2/repository/models/a/unload => seldon-v1 prod/iris admin
        GET /seldon/prod/iris/v2/systemsharedmemory/status => seldon-v1 prod/iris admin
        POST /seldon/prod/iris/v2/cudasharedmemory/region/a/register => seldon-v1 prod/iris admin
        POST /seldon/prod/iris/predict => seldon-v1 prod/iris predict
        GET /seldon/prod/iris/predict?json={} => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/send-feedback => seldon-v1 prod/iris feedback
        POST /seldon/prod/iris/transform-input => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/aggregate => seldon-v1 prod/iris predict
        GET /seldon/prod/iris/metadata => seldon-v1 prod/iris metadata
        GET /seldon/prod/iris/seldon.json => seldon-v1 prod/iris docs
        GET /seldon/prod/iris/ => seldon-v1 prod/iris other
        GET /seldon/prod/iris => seldon-v1 prod/iris other
        GET /seldon/prod/iris/unknown => seldon-v1 prod/iris other
        GET /seldon/prod/iris/%FF => seldon-v1 prod/iris other
        POST /seldon/prod/a.b-c/predict => seldon-v1 prod/a.b-c predict
        POST /seldon/prod/iris/predict namespace=x => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/predict seldon=fraud namespace=prod => seldon-v1 prod/iris predict
        POST /seldon/prod/iris/inference seldon=iris namespace=prod => seldon-v1 prod/iris other
        GET /seldon => seldon-v1 - other
        GET /seldon/ => seldon-v1 - other
        GET /seldon/prod => seldon-v1 - other
        GET /seldon/prod/ => seldon-v1 - other
        GET /seldon/prometheus => seldon-v1 - other
        GET /seldonx/prod/iris/ => outside
        GET / => outside
        GET /SELDON/prod/iris/ => outside
        GET /models/iris => outside
        GET * => outside
        GET /a;b/%2F/../c//d => outside
        ",
    );
}

#[test]
fn seldon_v1_refuses() {
    check(
        &default(),
        r"
        GET /seldon/prod/IRIS/ready => 400 DNS-1123
        GET /seldon/Prod/iris/ready => 400 DNS-1123
        GET /seldon/prod/%69ris/ready => 400 DNS-1123
        GET /seldon/prod/iris_2/ready => 400 DNS-1123
        GET /seldon/prod/-iris/ready => 400 DNS-1123
        GET /seldon/prod/iris./ready => 400 DNS-1123
        GET /seldon/*/iris/ready => 400 DNS-1123
        GET /seldon/prod//ready => 400 empty segment
        GET /seldon//iris/ready => 400 empty segment
        GET /seldon/prod/iris//ready => 400 empty segment
        GET /seldon/prod/iris/ready// => 400 empty segment
        GET //seldon/prod/iris/ready => 400 another spelling
        GET /%73eldon/prod/iris/ready => 400 another spelling
        GET /x/../seldon/prod/iris/ready => 400 another spelling
        GET /x/%2e%2e/seldon/prod/iris/ready => 400 another spelling
        GET /x/..;/seldon/prod/iris/ready => 400 another spelling
        GET /seldon;a/prod/iris/ready => 400 another spelling
        GET \seldon\prod\iris\ready => 400 another spelling
        GET /seldon%2Fprod/iris/ready => 400 another spelling
        GET //seldon.protos.Seldon/Predict => 400 another spelling
        GET /seldon/prod/iris/../fraud/ready => 400 . or ..
        GET /seldon/prod/iris/%2e%2e/fraud/ready => 400 . or ..
        GET /seldon/prod/iris/.%2E/fraud/ready => 400 . or ..
        GET /seldon/prod/iris/./ready => 400 . or ..
        GET /seldon/prod/iris/.. => 400 . or ..
        GET /seldon/prod/iris/..;/fraud => 400 ;
        GET /seldon/prod/iris/ready;x => 400 ;
        GET /seldon/prod/iris/ready%3bx => 400 ;
        GET /seldon/prod/iris%2Fready => 400 encoded /
        GET /seldon/prod/iris%2fready => 400 encoded /
        GET /seldon/prod/iris/a%5Cb => 400 encoded /
        GET /seldon/prod/iris/a\b => 400 encoded /
        GET /seldon/prod/iris/%25 => 400 encoded %
        GET /seldon/prod/iris/%252e%252e => 400 encoded %
        GET /seldon/prod/iris/ready%00 => 400 control
        GET /seldon/prod/iris/ready%0a => 400 control
        GET /seldon/prod/iris/ready%7f => 400 control
        GET /seldon/prod/iris/ready%C2%80 => 400 control
        GET /seldon/prod/iris/%zz => 400 hexadecimal
        GET /seldon/prod/iris/% => 400 hexadecimal
        GET @gw.example.com./seldon/prod/iris/ready => 400 dot
        GET @gw.example.com.:443/seldon/prod/iris/ready => 400 dot
        POST /seldon/prod/iris/ready seldon=iris seldon=iris => 400 empty or repeated
        POST /seldon/prod/iris/ready namespace= => 400 empty or repeated
        POST /seldon/prod/iris/ready x-seldon-route=a x-seldon-route=b => 400 empty or repeated
        POST /seldon/prod/iris/ready seldon-model=iris => 400 different models
        POST /seldon/prod/iris/inference seldon=fraud namespace=prod => 400 different deployments
        POST /seldon/prod/inference seldon=fraud namespace=prod => 400 different deployments
        POST /seldon/prod/iris/v2/models/inference/infer seldon=iris namespace=dev => 400 different deployments
        ",
    );
}

#[test]
fn seldon_v1_explainers() {
    check(
        &default(),
        "
        POST /seldon/prod/m-explainer/default/api/v1.0/explain => seldon-v1 prod/m (default) explain
        POST /seldon/prod/m-explainer/default/api/v0.1/explain => seldon-v1 prod/m (default) explain
        POST /seldon/prod/m-explainer/default/api/v1%2e0/explain => seldon-v1 prod/m (default) explain
        POST /seldon/prod/m-explainer/default/v1/models/m:explain => seldon-v1 prod/m (default) explain
        POST /seldon/prod/m-explainer/default/v1/models/:explain => seldon-v1 prod/m (default) explain
        POST /seldon/prod/m-explainer/default/v2/models/m/infer => seldon-v1 prod/m (default) explain
        POST /seldon/prod/m-explainer/v2/v2/models/m/infer => seldon-v1 prod/m (v2) explain
        POST /seldon/prod/m-explainer-explainer/a/api/v1.0/explain => seldon-v1 prod/m-explainer (a) explain
        POST /seldon/prod/m-explainer/v2/models/m/infer => seldon-v1 prod/m-explainer predict
        POST /seldon/prod/m-explainer/api/v1.0/predictions => seldon-v1 prod/m-explainer predict
        POST /seldon/prod/m-explainer/api/v1.0/explain => seldon-v1 prod/m-explainer explain
        GET /seldon/prod/m-explainer/prometheus => seldon-v1 prod/m-explainer metrics
        GET /seldon/prod/m-explainer/default/prometheus => seldon-v1 prod/m-explainer other
        GET /seldon/prod/m-explainer/default/v2/models/m => seldon-v1 prod/m-explainer other
        GET /seldon/prod/m-explainer/default => seldon-v1 prod/m-explainer other
        GET /seldon/prod/m-explainer => seldon-v1 prod/m-explainer other
        POST /seldon/prod/m/default/api/v1.0/explain => seldon-v1 prod/m other
        POST /seldon/prod/m/api/v1.0/explain => seldon-v1 prod/m explain
        POST /seldon/prod/-explainer/a/api/v1.0/explain => 400 DNS-1123
        POST /seldon/prod/m--explainer/a/api/v1.0/explain => 400 DNS-1123
        POST /seldon/prod/m-explainer/A/api/v1.0/explain => 400 DNS-1123
        POST /seldon/prod/m-explainer/%61/api/v1.0/explain => 400 DNS-1123
        POST /seldon/prod/m-explainer/a/v2/models/inference/infer seldon=m namespace=prod => 400 different deployments
        ",
    );
}

#[test]
fn seldon_v1_by_headers() {
    check(
        &default(),
        "
        POST /seldon.protos.Seldon/Predict seldon=iris namespace=prod => seldon-v1 prod/iris predict
        POST /seldon.protos.Seldon/SendFeedback seldon=iris namespace=prod => seldon-v1 prod/iris feedback
        POST /seldon.protos.Seldon/ModelMetadata seldon=iris namespace=prod => seldon-v1 prod/iris metadata
        POST /seldon.protos.Seldon/GraphMetadata seldon=iris namespace=prod => seldon-v1 prod/iris metadata
        POST /seldon.protos.Model/Predict seldon=iris namespace=prod => seldon-v1 prod/iris predict
        POST /seldon.protos.Model/Metadata seldon=iris namespace=prod => seldon-v1 prod/iris metadata
        POST /seldon.protos.Generic/TransformInput seldon=iris namespace=prod => seldon-v1 prod/iris predict
        POST /seldon.protos.Generic/SendFeedback seldon=iris namespace=prod => seldon-v1 prod/iris feedback
        POST /seldon.protos.Router/Route seldon=iris namespace=prod => seldon-v1 prod/iris predict
        POST /seldon.protos.Combiner/Aggregate seldon=iris namespace=prod => seldon-v1 prod/iris predict
        POST /seldon.protos.Combiner/Predict seldon=iris namespace=prod => seldon-v1 prod/iris other
        POST /tensorflow.serving.PredictionService/Predict seldon=iris namespace=prod => seldon-v1 prod/iris predict
        POST /tensorflow.serving.PredictionService/Classify seldon=iris namespace=prod => seldon-v1 prod/iris predict
        POST /tensorflow.serving.PredictionService/GetModelMetadata seldon=a namespace=b => seldon-v1 b/a metadata
        POST /tensorflow.serving.ModelService/GetModelStatus seldon=a namespace=b => seldon-v1 b/a status
        POST /tensorflow.serving.ModelService/HandleReloadConfigRequest seldon=a namespace=b => seldon-v1 b/a admin
        POST /inference.GRPCInferenceService/ModelInfer seldon=iris namespace=prod => seldon-v1 prod/iris predict
        POST /inference.GRPCInferenceService/ServerLive seldon=iris namespace=prod => seldon-v1 prod/iris status
        POST /inference.GRPCInferenceService/RepositoryModelLoad seldon=a namespace=b => seldon-v1 b/a admin
        POST /inference.GRPCInferenceService/New seldon=iris namespace=prod => seldon-v1 prod/iris other
        POST /inference.GRPCInferenceService seldon=iris namespace=prod => seldon-v1 prod/iris other
        GET /inference-x seldon=iris namespace=prod => seldon-v1 prod/iris other
        GET /a/seldonXprotos/b seldon=iris namespace=prod => seldon-v1 prod/iris other
        GET /seldon/inference seldon=iris namespace=prod => seldon-v1 prod/iris other
        GET /infer seldon=iris namespace=prod => outside
        GET /inference-x seldon=iris => outside
        GET /inference-x => outside
        POST /seldon.protos.Seldon/Predict => seldon-v1 - predict
        POST /seldon.protos.Seldon/Predict seldon=iris => seldon-v1 - predict
        POST /tensorflow.serving.ModelService/HandleReloadConfigRequest => seldon-v1 - admin
        POST /seldon.protos.Seldon/Predict seldon=IRIS namespace=prod => 400 DNS-1123
        POST /seldon.protos.Seldon/Predict seldon=a/b namespace=prod => 400 DNS-1123
        POST /seldon.protos.Seldon/Predict seldon=a,b namespace=prod => 400 DNS-1123
        POST /seldon.protos.Seldon/Predict seldon=a seldon=b namespace=prod => 400 repeated
        POST /seldon.protos.Seldon/Predict seldon= namespace=prod => 400 repeated
        POST /seldon.protos.Seldon/Predict seldon=a namespace= => 400 repeated
        POST /seldon.protos.Seldon/Predict seldon=a => seldon-v1 - predict
        POST /inference.GRPCInferenceService/ModelInfer seldon=a namespace=b seldon-model=c => 400 different models
        POST /v2/models/inference/infer seldon=a namespace=b => 400 different models
        POST //inference-x seldon=a namespace=b => 400 empty segment
        ",
    );
}

#[test]
fn seldon_v2() {
    check(
        &default(),
        "
        POST /v2/models/iris/infer => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/infer/ => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/infer?x=1 => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/versions/1/infer => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/%69nfer => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/infer_stream => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/generate => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/infer/chat/completions => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/infer_stream/embeddings => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/infer/images/generations => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/infer/chat => seldon-v2 seldon-mesh/iris other
        GET /v2/models/iris/infer => seldon-v2 seldon-mesh/iris other
        GET /v2/models/iris => seldon-v2 seldon-mesh/iris metadata
        GET /v2/models/iris/versions/1 => seldon-v2 seldon-mesh/iris metadata
        GET /v2/models/iris/ready => seldon-v2 seldon-mesh/iris status
        GET /v2/models/iris/versions/1/ready => seldon-v2 seldon-mesh/iris status
        GET /v2/models/iris/docs => seldon-v2 seldon-mesh/iris docs
        POST /v2/models/iris/config => seldon-v2 seldon-mesh/iris other
        POST /v2/models/p.pipeline/infer => seldon-v2 seldon-mesh/p.pipeline predict
        POST /v2/models/e.experiment/infer => seldon-v2 seldon-mesh/e.experiment predict
        POST /v2/pipelines/p/infer => seldon-v2 seldon-mesh/p.pipeline predict
        GET /v2/pipelines/p/ready => seldon-v2 seldon-mesh/p.pipeline status
        GET /v2/pipelines/p => seldon-v2 seldon-mesh/p.pipeline metadata
        GET /v2 => seldon-v2 - metadata
        GET /v2/ => seldon-v2 - metadata
        GET /v2/health/live => seldon-v2 - status
        GET /v2/health/ready => seldon-v2 - status
        GET /v2/docs => seldon-v2 - docs
        POST /v2/repository/index => seldon-v2 - admin
        POST /v2/repository/models/iris/load => seldon-v2 - admin
        GET /v2/models => seldon-v2 - other
        GET /v2/anything => seldon-v2 - other
        POST /v2/models/iris/infer seldon-model=iris => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/p/infer seldon-model=p.pipeline => seldon-v2 seldon-mesh/p.pipeline predict
        POST /v2/models/e/infer seldon-model=e.experiment => seldon-v2 seldon-mesh/e.experiment predict
        POST /v2/pipelines/p/infer seldon-model=p.pipeline => seldon-v2 seldon-mesh/p.pipeline predict
        POST /v2/models/p.pipeline/infer seldon-model=p.pipeline => seldon-v2 seldon-mesh/p.pipeline predict
        POST /v2/models/iris/infer seldon-model=iris x-seldon-route=:iris_1: => seldon-v2 seldon-mesh/iris predict
        POST /v2/models/iris/infer seldon=a namespace=b => seldon-v2 seldon-mesh/iris predict
        GET /v2/health/ready seldon-model=iris => seldon-v2 seldon-mesh/iris status
        POST /v2/repository/index seldon-model=iris => seldon-v2 seldon-mesh/iris admin
        POST /inference.GRPCInferenceService/ModelInfer seldon-model=iris => seldon-v2 seldon-mesh/iris predict
        POST /inference.GRPCInferenceService/ModelInfer seldon-model=p.pipeline => seldon-v2 seldon-mesh/p.pipeline predict
        POST /inference.GRPCInferenceService/ModelStreamInfer seldon-model=iris => seldon-v2 seldon-mesh/iris predict
        POST /inference.GRPCInferenceService/ModelReady seldon-model=iris => seldon-v2 seldon-mesh/iris status
        POST /inference.GRPCInferenceService/ModelMetadata seldon-model=iris => seldon-v2 seldon-mesh/iris metadata
        POST /inference.GRPCInferenceService/ModelConfig seldon-model=iris => seldon-v2 seldon-mesh/iris admin
        POST /inference.GRPCInferenceService/ModelStatistics seldon-model=iris => seldon-v2 seldon-mesh/iris admin
        POST /inference.GRPCInferenceService/SystemSharedMemoryRegister seldon-model=i => seldon-v2 seldon-mesh/i admin
        POST /inference.GRPCInferenceService/ModelInfer => seldon-v2 - predict
        POST /inference.GRPCInferenceService/RepositoryIndex => seldon-v2 - admin
        POST /inference.GRPCInferenceService/ServerReady => seldon-v2 - status
        POST /inference.GRPCInferenceService/ServerMetadata => seldon-v2 - metadata
        GET /anything seldon-model=iris => seldon-v2 seldon-mesh/iris other
        GET /metrics seldon-model=iris => seldon-v2 seldon-mesh/iris metrics
        GET /v2x => outside
        GET /v1/models/iris => outside

        POST /v2/models/iris/infer seldon-model=fraud => 400 different models
        POST /v2/models/iris/infer seldon-model=iris.other => 400 different models
        POST /v2/models/iris/infer seldon-model=iris.pipeline.experiment => 400 different models
        POST /v2/models/iris.pipeline/infer seldon-model=iris => 400 different models
        POST /v2/pipelines/p/infer seldon-model=p => 400 different models
        POST /v2/pipelines/p/infer seldon-model=p.experiment => 400 different models
        POST /v2/models/iris/infer seldon-model= => 400 repeated
        POST /v2/models/iris/infer seldon-model=iris seldon-model=iris => 400 repeated
        POST /v2/models/iris/infer seldon-model=iris x-seldon-route= => 400 repeated
        POST /v2/models/iris/infer x-seldon-route=:iris_1: => 400 without seldon-model
        POST /v2/models/iris/infer seldon-model=Iris => 400 DNS-1123
        POST /anything seldon-model=a/b => 400 DNS-1123
        POST /v2/models/Iris/infer => 400 DNS-1123
        POST /v2/models/iri%73/infer => 400 percent-encoded
        POST /v2/model%73/iris/infer => 400 percent-encoded
        POST /%762/models/iris/infer => 400 another spelling
        POST //v2/models/iris/infer => 400 another spelling
        POST /v2//models/iris/infer => 400 empty segment
        POST /v2/models//infer => 400 empty segment
        POST /v2/models/iris/../fraud/infer => 400 . or ..
        POST /x/../v2/models/iris/infer seldon-model=iris => 400 . or ..
        POST /v2/models/iris%2Finfer => 400 encoded /
        GET * seldon-model=iris => 400 does not begin
        POST @gw./v2/models/iris/infer => 400 dot
        ",
    );
}

#[test]
fn seldon_v2_namespaces_by_host() {
    let targets = compile(json!({"families": ["seldon-v2"], "seldonV2": [
        {"namespace": "blue", "hosts": ["blue.example.com", "*.blue.example.com"]},
        {"namespace": "green", "hosts": ["GREEN.example.com"]}]}));
    check(
        &targets.unwrap(),
        "
        GET @blue.example.com/v2/models/iris => seldon-v2 blue/iris metadata
        GET @BLUE.example.com:8443/v2/models/iris => seldon-v2 blue/iris metadata
        GET @a.blue.example.com/v2/models/iris => seldon-v2 blue/iris metadata
        GET @green.example.com/v2/models/iris => seldon-v2 green/iris metadata
        GET @red.example.com/v2/models/iris => 400 no namespace
        GET @red.example.com/v2/health/live => 400 no namespace
        GET @red.example.com/x seldon-model=iris => 400 no namespace
        GET @red.example.com/x => outside
        GET @blue.example.com/seldon/prod/iris/ready => outside
        GET @blue.example.com/inference-x seldon=iris namespace=prod => outside
        POST @blue.example.com/seldon.protos.Seldon/Predict => seldon-v2 - predict
        ",
    );
}

#[test]
fn families_that_are_off_are_not_read() {
    check(
        &compile(json!({"families": ["seldon-v1"], "seldonPrefix": "/ml/seldon"})).unwrap(),
        "
        GET /ml/seldon/prod/iris/ready => seldon-v1 prod/iris status
        GET /ml/seldon/prod/iris-explainer/a/api/v1.0/explain => seldon-v1 prod/iris (a) explain
        GET /ml/seldon => seldon-v1 - other
        GET /ml/seldon/prod/iris/ready seldon-model=x => seldon-v1 prod/iris status
        GET /seldon/prod/iris/ready => outside
        GET /v2/models/iris => outside
        GET /x seldon-model=iris => outside
        POST /inference.GRPCInferenceService/ModelInfer => seldon-v1 - predict
        ",
    );
    check(
        &compile(json!({"families": []})).unwrap(),
        "
        GET /seldon/prod/iris/ready => outside
        POST /inference.GRPCInferenceService/ModelInfer seldon-model=a => outside
        ",
    );
}

#[test]
fn kserve_by_host() {
    let targets = compile(json!({"families": ["kserve", "seldon-v1", "seldon-v2"], "kserve": {
        "hostTemplate": "{name}-{namespace}.example.com", "namespaces": ["prod", "a", "x-a"]}}));
    check(
        &targets.unwrap(),
        "
        POST @iris-prod.example.com/v1/models/iris:predict => kserve prod/iris predict
        POST @IRIS-prod.Example.com:443/v1/models/iris:explain => kserve prod/iris explain
        GET @iris-prod.example.com/v1/models/iris => kserve prod/iris status
        GET @iris-prod.example.com/v1/models => kserve prod/iris metadata
        POST @iris-prod.example.com/v2/models/other/infer => kserve prod/iris predict
        GET @iris-prod.example.com/v2/health/live => kserve prod/iris status
        POST @iris-prod.example.com/v2/repository/index => kserve prod/iris admin
        POST @iris-prod.example.com/openai/v1/chat/completions => kserve prod/iris predict
        GET @iris-prod.example.com/openai/v1/models => kserve prod/iris metadata
        POST @iris-prod.example.com/inference.GRPCInferenceService/ModelInfer => kserve prod/iris predict
        GET @iris-prod.example.com/metrics => kserve prod/iris metrics
        GET @iris-prod.example.com/ => kserve prod/iris other
        GET @big-iris-prod.example.com/metrics => kserve prod/big-iris metrics
        GET @iris-dev.example.com/metrics => 400 none, or several
        GET @iris-x-a.example.com/metrics => 400 none, or several
        GET @x-a.example.com/metrics => kserve a/x metrics
        GET @prod.example.com/metrics => outside
        GET @-prod.example.com/metrics => outside
        GET @iris.b-prod.example.com/metrics => outside
        GET @i_s-prod.example.com/metrics => 400 DNS-1123
        GET @iris-prod.example.com./metrics => 400 dot
        GET @iris-prod.example.com/seldon/prod/fraud/ready => 400 different models
        GET @iris-prod.example.com/v2/models/iris seldon-model=iris => 400 different models
        POST @iris-prod.example.com/inference.x/a seldon=a namespace=b => 400 different models
        GET @iris-prod.example.com/a//b => 400 empty segment
        POST @other.org/v2/models/iris/infer => seldon-v2 seldon-mesh/iris predict
        ",
    );
}

/// Quadratic work on such names would keep a worker busy for seconds each, and this test for minutes.
#[test]
fn long_names_of_services_are_read() {
    let targets = compile(json!({"families": ["kserve"], "kserve": {
        "hostTemplate": "{name}-{namespace}.example.com", "namespaces": ["prod"],
        "pathTemplate": "/serving/{namespace}/{name}"}}));
    let targets = targets.unwrap();
    for host in ["-".repeat(50_000), "-".repeat(50_000) + ".x", "a".repeat(50_000) + "-prod"] {
        let host = host + ".example.com";
        for _ in 0..20 {
            let at = Location::new(b"GET", b"/", Some(host.as_bytes()), []);
            assert!(!matches!(targets.resolve(&at), Ok(Some(_))));
        }
    }
}

#[test]
fn kserve_by_path() {
    let targets = compile(json!({"families": ["kserve"], "kserve": {
        "hostTemplate": "{name}.{namespace}.example.com",
        "pathTemplate": "/serving/{namespace}/{name}"}}));
    check(
        &targets.unwrap(),
        "
        POST /serving/prod/iris/v1/models/iris:predict => kserve prod/iris predict
        GET /serving/prod/iris/metrics => kserve prod/iris metrics
        GET /serving/prod/iris => kserve prod/iris other
        GET /serving/prod => outside
        GET /servings/prod/iris => outside
        GET //serving/prod/iris => 400 another spelling
        GET /serving//prod/iris => 400 another spelling
        GET /serving/prod/../x => 400 DNS-1123
        GET /serving/Prod/iris => 400 DNS-1123
        GET /serving/prod/a.b => 400 DNS-1123
        GET @iris.prod.example.com/v1/models/iris => kserve prod/iris status
        GET @iris.prod.example.com/serving/prod/iris/ready => kserve prod/iris status
        GET @iris.prod.example.com/serving/prod/fraud/ready => 400 different inference services
        GET @a.iris.prod.example.com/ => outside
        ",
    );
}

#[test]
fn fixed_routes_decide_first() {
    let targets = compile(json!({"fixed": [
        {"hosts": ["chat.example.com"], "model": "prod/chat"},
        {"hosts": [], "pathPrefix": "/llm/", "model": "prod/llm"},
        {"hosts": [], "pathPrefix": "/v2/models/big", "model": "prod/big"}]}));
    check(
        &targets.unwrap(),
        "
        POST @chat.example.com/v2/models/x/infer seldon-model=y => seldon-v1 prod/chat predict
        POST @chat.example.com:80/seldon/prod/iris/ready => seldon-v1 prod/chat other
        GET @chat.example.com/metrics => seldon-v1 prod/chat metrics
        GET @chat.example.com/a/../b => 400 . or ..
        GET @chat.example.com./ => 400 dot
        POST /llm/v2/models/a/infer => seldon-v1 prod/llm predict
        GET /llm/metrics => seldon-v1 prod/llm metrics
        GET /llm => outside
        POST //llm/v2/models/a/infer => 400 another spelling
        POST /llm/inference.x/a seldon=llm namespace=prod => seldon-v1 prod/llm other
        POST /llm/inference.x/a seldon=fraud namespace=prod => 400 different models
        POST /llm/inference.x/a seldon=llm seldon=fraud namespace=prod => 400 repeated
        POST /llm/a seldon=fraud namespace=prod => seldon-v1 prod/llm other
        POST /v2/models/big/infer => seldon-v1 prod/big predict
        POST /v2/models/bigger/infer => seldon-v1 prod/big predict
        POST /v2/models/small/infer => seldon-v2 seldon-mesh/small predict
        ",
    );
}

#[test]
fn tails() {
    let targets = compile(json!({"metricsPaths": ["/stats/prometheus/"]})).unwrap();
    for (path, method, operation) in [
        ("/api/v1.0/predictions?x", "POST", Operation::Predict),
        ("/stats/prometheus", "GET", Operation::Metrics),
        ("/prometheus", "GET", Operation::Other),
        ("/", "GET", Operation::Other),
    ] {
        let found = targets.operation_of_tail(path.as_bytes(), method.as_bytes());
        assert_eq!(found, Ok(operation), "{path}");
    }
    assert!(targets.operation_of_tail(b"/a/../b", b"GET").is_err());
}

#[test]
fn models_are_borrowed_from_the_path() {
    let targets = default();
    let at = Location::new(b"GET", b"/seldon/prod/iris/ready", None, []);
    let model = targets.resolve(&at).unwrap().unwrap().model.unwrap();
    assert!(matches!(model.id, Cow::Borrowed("prod/iris")));
    assert_eq!((model.namespace(), model.name()), ("prod", "iris"));
}

#[test]
fn settings_that_cannot_be_carried_out_are_refused() {
    for (settings, error) in [
        (json!({"seldonPrefix": "seldon"}), "targets.seldonPrefix: is not usable"),
        (json!({"seldonPrefix": "/seldon/"}), "targets.seldonPrefix: ends with /"),
        (json!({"seldonPrefix": "/"}), "targets.seldonPrefix: ends with /"),
        (json!({"seldonPrefix": "/a/../b"}), "targets.seldonPrefix: is not usable"),
        (json!({"seldonPrefix": "/a%20b"}), "targets.seldonPrefix: holds"),
        (json!({"seldonPrefix": "/v2/x"}), "targets.seldonPrefix: is under /v2"),
        (json!({"families": ["seldon-v1", "seldon-v1"]}), "targets.families[1]: is listed twice"),
        (json!({"seldonV2": []}), "targets.seldonV2: is empty"),
        (json!({"seldonV2": [{"namespace": "A"}]}), "targets.seldonV2[0].namespace: is not a name"),
        (
            json!({"seldonV2": [{"namespace": "a", "hosts": ["a:80"]}]}),
            "targets.seldonV2[0].hosts[0]: holds a port",
        ),
        (json!({"metricsPaths": ["metrics"]}), "targets.metricsPaths[0]: is not usable"),
        (json!({"fixed": [{"model": "chat"}]}), "targets.fixed[0].model: is not a model"),
        (
            json!({"fixed": [{"model": "a/b", "pathPrefix": "x"}]}),
            "targets.fixed[0].pathPrefix: is not usable",
        ),
        (json!({"kserve": {"namespaces": ["prod"]}}), "targets.kserve: is set without its family"),
        (json!({"families": ["kserve"]}), "targets.kserve: has no template"),
        (
            json!({"families": ["kserve"], "kserve": {"hostTemplate": "{name}-{namespace}.x.org"}}),
            "targets.kserve.hostTemplate: does not tell",
        ),
        (
            json!({"families": ["kserve"], "kserve": {"hostTemplate": "{name}.x.org"}}),
            "targets.kserve.hostTemplate: is not a template",
        ),
        (
            json!({"families": ["kserve"], "kserve": {"hostTemplate": "{name}.{namespace}.{domain}"}}),
            "targets.kserve.hostTemplate: is not a template",
        ),
        (
            json!({"families": ["kserve"], "kserve": {"hostTemplate": "{name}.{namespace}.x.org:80"}}),
            "targets.kserve.hostTemplate: is not a host",
        ),
        (
            json!({"families": ["kserve"], "kserve": {"pathTemplate": "/s/{namespace}/{name}/"}}),
            "targets.kserve.pathTemplate: ends with /",
        ),
        (
            json!({"families": ["kserve"], "kserve": {"pathTemplate": "{namespace}/{name}"}}),
            "targets.kserve.pathTemplate: is not usable",
        ),
    ] {
        let errors = compile(settings.clone()).expect_err(&settings.to_string());
        assert!(errors.contains(error), "{settings}\n  expected {error}\n  found    {errors}");
    }
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        Just("seldon"),
        Just("namespace"),
        Just("seldon-model"),
        Just("x-seldon-route"),
        Just("x"),
    ];
    let value = prop_oneof![
        "[a-c]{1,2}(\\.pipeline)?".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec((name.prop_map(str::to_owned), value), 0..4)
}

proptest! {
    #[test]
    fn no_bytes_panic(
        method in proptest::collection::vec(any::<u8>(), 0..6),
        path in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "(/(seldon|v2|models|pipelines|inference|[a-c]-explainer|[a-c%.;]{0,3}|%2[eEfF])){0,8}/?"
                .prop_map(String::into_bytes),
        ],
        host in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
        headers in headers(),
    ) {
        let kserve = compile(json!({"families": ["kserve", "seldon-v2", "seldon-v1"], "kserve": {
            "hostTemplate": "{name}-{namespace}.x", "pathTemplate": "/s/{namespace}/{name}",
            "namespaces": ["a"]}, "fixed": [{"pathPrefix": "/seldon/a/b", "model": "a/b"}]})).unwrap();
        for targets in [default(), kserve] {
            let headers = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_slice()));
            let at = Location::new(&method, &path, host.as_deref(), headers);
            if let Ok(Some(Address { model: Some(model), .. })) = targets.resolve(&at) {
                let (namespace, name) = model.id.split_once('/').unwrap();
                prop_assert!(names::is_name(namespace.as_bytes()));
                prop_assert!(names::is_name(name.as_bytes()));
            }
        }
    }

    #[test]
    fn a_path_below_a_deployment_reaches_it_or_is_refused(
        namespace in "[a-c]", name in "[a-c](-explainer)?",
        tail in "[ -~]{0,30}", headers in headers(),
    ) {
        let targets = default();
        let path = format!("/seldon/{namespace}/{name}/{tail}");
        let headers = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_slice()));
        let at = Location::new(b"POST", path.as_bytes(), Some(b"gw"), headers);
        match targets.resolve(&at) {
            Err(_) => {}
            Ok(found) => {
                let found = found.unwrap();
                let model = found.model.unwrap();
                let name = match model.predictor {
                    Some(_) => name.strip_suffix("-explainer").unwrap(),
                    None => &name,
                };
                prop_assert_eq!(found.family, Family::SeldonV1);
                prop_assert_eq!(&*model.id, format!("{namespace}/{name}"));
            }
        }
    }

    #[test]
    fn whatever_decodes_into_a_territory_is_in_it_or_refused(
        path in "(/|%2[fF]|\\\\){1,2}(s|%73)eldon(;x)?/(\\./|x/\\.\\./|/)?prod/iris/ready",
    ) {
        prop_assert_ne!(reach(&default(), &format!("GET {path}")), "outside");
    }
}

#[test]
fn a_route_takes_off_its_segments_and_nothing_else() {
    for (path, segments, left) in [
        ("/seldon/prod/iris/api/v1.0/predictions?a=/b", 3, "/api/v1.0/predictions?a=/b"),
        ("/seldon/prod/iris/", 3, "/"),
        ("/seldon/prod/iris", 3, "/seldon/prod/iris"),
        ("/seldon/prod/iris?a=/b", 3, "/seldon/prod/iris?a=/b"),
        ("/v2/models/iris/infer", 0, "/v2/models/iris/infer"),
    ] {
        assert_eq!(behind_route(path.as_bytes(), segments), left.as_bytes(), "{path}");
    }
}
