//! gRPC by tonic: answers arrive as the server sent them, refusals as statuses.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use proto::inference::{
    InferTensorContents, ModelInferRequest, ModelReadyRequest, RepositoryIndexRequest,
    ServerLiveRequest,
};
use proto::seldon::seldon_client::SeldonClient;
use proto::seldon::{DefaultData, Feedback, SeldonMessage, Tensor, default_data, seldon_message};
use serde_json::{Value, json};
use testbed::gateway::{Cluster, Gateway};
use testbed::iris::Iris;
use testbed::model_servers::{ModelServer, Weights};
use testbed::seldon::Deployment;
use testbed::tokens::Issuer;
use testbed::wasmplugin::WasmPlugin;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{AsciiMetadataKey, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, IntoRequest as _, Request};

use crate::support::{FLOWER, outcomes, settled};

/// Header lines: names may repeat.
pub type Metadata<'a> = &'a [(&'a str, &'a str)];

/// A connection to a server of gRPC.
pub async fn channel(address: SocketAddr) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    endpoint.connect().await.with_context(|| format!("connecting to {address}"))
}

/// A request with these header lines.
pub fn request<T>(message: T, metadata: Metadata<'_>) -> Result<Request<T>> {
    let mut request = message.into_request();
    add(&mut request, metadata)?;
    Ok(request)
}

fn add<T>(request: &mut Request<T>, metadata: Metadata<'_>) -> Result<()> {
    for (name, value) in metadata {
        let name = AsciiMetadataKey::from_bytes(name.as_bytes())?;
        request.metadata_mut().append(name, MetadataValue::try_from(*value)?);
    }
    Ok(())
}

/// Who has which token.
struct Tokens {
    /// In the group that may ask.
    member: String,
    /// Known, but in no group.
    other: String,
    /// Signed by somebody else.
    forged: String,
}

impl Tokens {
    fn new() -> Result<Self> {
        let bearer = |token: Result<String>| Ok::<_, anyhow::Error>(format!("Bearer {}", token?));
        Ok(Self {
            member: bearer(Issuer::shared()?.token("alice", &["ds"]))?,
            other: bearer(Issuer::shared()?.token("bob", &[]))?,
            forged: bearer(Issuer::stranger()?.token("mallory", &["ds"]))?,
        })
    }
}

/// Members of the group `ds` may ask this model, and are copied to this cluster.
fn config(model: &str, family: &str, cluster: &str, ignore: &[&str]) -> Result<Value> {
    Ok(json!({
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "authorization": {"defaultAction": "DENY", "policies": [
            {
                "name": "data-science",
                "models": [model],
                "rules": [{
                    "to": [{"operation": {"operations": ["predict", "status"]}}],
                    "when": [{"key": "request.auth.claims[groups]", "values": ["ds"]}],
                }],
            },
            {"name": "health", "rules": [{"to": [{"operation": {"operations": ["status"]}}]}]},
        ]},
        "targets": {"families": [family]},
        "shadows": [{
            "name": "same",
            "models": [model],
            "cluster": cluster,
            "timeout": "10s",
            "compare": {"ignore": ignore},
        }],
    }))
}

/// A question with typed tensors for the probabilities of the classes.
pub fn flower_of(flower: [f64; 4]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "iris".to_owned(),
        inputs: vec![InferInputTensor {
            name: "flower".to_owned(),
            datatype: "FP64".to_owned(),
            shape: vec![1, 4],
            contents: Some(InferTensorContents {
                fp64_contents: flower.to_vec(),
                ..InferTensorContents::default()
            }),
            ..InferInputTensor::default()
        }],
        outputs: vec![InferRequestedOutputTensor {
            name: "predict_proba".to_owned(),
            ..InferRequestedOutputTensor::default()
        }],
        ..ModelInferRequest::default()
    }
}

fn flower(id: &str) -> ModelInferRequest {
    ModelInferRequest { id: id.to_owned(), ..flower_of(FLOWER) }
}

#[tokio::test]
async fn mlserver_answers_through_the_gateway() -> Result<()> {
    const CLUSTER: &str = "outbound|80||seldon-mesh.seldon-mesh.svc.cluster.local";
    // The same server by another name: one that is the live model by its name is not asked.
    const SHADOW: &str = "outbound|80||seldon-mesh-shadow.seldon-mesh.svc.cluster.local";
    let model = ModelServer::mlserver(Weights::Main).await?;
    let config = config("seldon-mesh/iris", "seldon-v2", SHADOW, &[])?;
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .cluster(Cluster::http2(CLUSTER, model.grpc))
        .cluster(Cluster::http2(SHADOW, model.grpc))
        .prefix("/inference.GRPCInferenceService", CLUSTER)
        .start()
        .await?;
    let Tokens { member, other, forged } = Tokens::new()?;
    let mut client = GrpcInferenceServiceClient::new(channel(gateway.address).await?);
    let mut direct = GrpcInferenceServiceClient::new(channel(model.grpc).await?);
    let known = [("seldon-model", "iris"), ("authorization", &*member)];

    // Whether the server lives is no secret, and belongs to no model.
    assert!(client.server_live(ServerLiveRequest {}).await?.into_inner().live);
    let ready = ModelReadyRequest { name: "iris".to_owned(), ..ModelReadyRequest::default() };
    assert!(client.model_ready(request(ready, &known)?).await?.into_inner().ready);

    let answer = client.model_infer(request(flower("one"), &known)?).await?;
    let expected = direct.model_infer(flower("one")).await?;
    assert_eq!(answer.get_ref(), expected.get_ref());
    for name in ["ce-modelid", "ce-requestid", "ce-specversion"] {
        assert!(expected.metadata().get(name).is_some(), "MLServer sends no {name}");
        assert_eq!(answer.metadata().get(name), expected.metadata().get(name));
    }
    let probabilities = answer.get_ref().outputs.first().and_then(|o| o.contents.as_ref());
    let probabilities = &probabilities.context("no tensor")?.fp64_contents;
    for (probability, expected) in probabilities.iter().zip(Iris::main()?.predict(&FLOWER)?) {
        assert!((probability - expected).abs() < 1e-9, "{probabilities:?}");
    }

    // What the server itself refuses arrives as it says it.
    let unknown = || ModelInferRequest { model_name: "nobody".to_owned(), ..flower("two") };
    let refused =
        client.model_infer(request(unknown(), &known)?).await.err().context("answered")?;
    let expected = direct.model_infer(unknown()).await.err().context("answered")?;
    assert_eq!((refused.code(), refused.message()), (expected.code(), expected.message()));
    assert_eq!(refused.code(), Code::NotFound);

    for (metadata, code, text) in [
        (&[("seldon-model", "iris")][..], Code::PermissionDenied, "RBAC: access denied"),
        (
            &[("seldon-model", "iris"), ("authorization", &*other)],
            Code::PermissionDenied,
            "RBAC: access denied",
        ),
        (
            &[("seldon-model", "iris"), ("authorization", &*forged)],
            Code::Unauthenticated,
            "Jwt verification fails",
        ),
        (
            &[("seldon-model", "fraud"), ("authorization", &*member)],
            Code::PermissionDenied,
            "RBAC: access denied",
        ),
        (
            &[("seldon-model", "fraud"), ("seldon-model", "iris"), ("authorization", &*member)],
            Code::InvalidArgument,
            "seldon-model",
        ),
    ] {
        let refused = client.model_infer(request(flower("three"), metadata)?).await;
        let refused = refused.err().with_context(|| format!("{metadata:?} was answered"))?;
        assert_eq!(refused.code(), code, "{metadata:?}: {refused}");
        assert!(refused.message().contains(text), "{metadata:?}: {refused}");
    }
    let admin = request(RepositoryIndexRequest::default(), &known)?;
    let refused = client.repository_index(admin).await.err().context("administration is open")?;
    assert_eq!(refused.code(), Code::PermissionDenied);

    // The two that the server was asked with a token; it is its own shadow.
    let stats = settled(&gateway, 2.0).await?;
    assert_eq!(outcomes(&stats, "matched"), 2.0);
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_stream_of_mlserver_passes_message_by_message() -> Result<()> {
    const CLUSTER: &str = "outbound|80||seldon-mesh.seldon-mesh.svc.cluster.local";
    let model = ModelServer::mlserver(Weights::Main).await?;
    let config = config("seldon-mesh/iris", "seldon-v2", CLUSTER, &[])?;
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .cluster(Cluster::http2(CLUSTER, model.grpc))
        .prefix("/inference.GRPCInferenceService", CLUSTER)
        .start()
        .await?;
    let Tokens { member, other, .. } = Tokens::new()?;
    let mut client = GrpcInferenceServiceClient::new(channel(gateway.address).await?);

    let (sender, receiver) = mpsc::channel(1);
    let mut call = Request::new(ReceiverStream::new(receiver));
    add(&mut call, &[("seldon-model", "iris"), ("authorization", &member)])?;
    // Each question waits for the answer to the one before: nothing holds a message back.
    sender.send(asked(0)).await?;
    let mut answers = client.model_stream_infer(call).await?.into_inner();
    for number in 0..4u8 {
        if number > 0 {
            sender.send(asked(number)).await?;
        }
        let answer = answers.message().await?.context("the stream ended early")?;
        let tensor = answer.outputs.first().and_then(|output| output.contents.as_ref());
        let probabilities = &tensor.context("no tensor")?.fp64_contents;
        let expected = Iris::main()?.predict(&numbered(number))?;
        assert_eq!(probabilities.len(), expected.len());
        for (probability, expected) in probabilities.iter().zip(expected) {
            assert!((probability - expected).abs() < 1e-9, "{number}: {probabilities:?}");
        }
    }
    drop(sender);
    assert_eq!(answers.message().await?, None);

    let mut call = Request::new(tokio_stream::iter([asked(0)]));
    add(&mut call, &[("seldon-model", "iris"), ("authorization", &other)])?;
    let refused = client.model_stream_infer(call).await.err().context("answered")?;
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::PermissionDenied, "RBAC: access denied")
    );

    // Streams are never copied.
    settled(&gateway, 0.0).await?;
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

/// A flower for each number.
fn numbered(number: u8) -> [f64; 4] {
    let [sepal, width, petal, last] = FLOWER;
    [sepal, width, petal + f64::from(number) / 4.0, last]
}

fn asked(number: u8) -> ModelInferRequest {
    let mut question = flower("stream");
    for input in &mut question.inputs {
        input.contents = Some(InferTensorContents {
            fp64_contents: numbered(number).to_vec(),
            ..InferTensorContents::default()
        });
    }
    question
}

#[tokio::test]
async fn seldons_wrapper_answers_through_the_gateway() -> Result<()> {
    let model = ModelServer::seldon(Weights::Main).await?;
    let deployment = Deployment::single("prod", "iris", model.http).grpc(model.grpc);
    let fraud = Deployment::single("prod", "fraud", model.http).grpc(model.grpc);
    let cluster = "outbound|5001||iris-default.prod.svc.cluster.local";
    let gateway = Gateway::new()
        .extension(
            &WasmPlugin::with_config(config("prod/iris", "seldon-v1", cluster, &[])?)?
                .under_test()?,
        )
        .deployment(&deployment)
        .deployment(&fraud)
        .start()
        .await?;
    let Tokens { member, other, forged } = Tokens::new()?;
    let mut client = SeldonClient::new(channel(gateway.address).await?);
    let mut direct = SeldonClient::new(channel(model.grpc).await?);
    let tensor = Tensor { shape: vec![1, 4], values: FLOWER.to_vec() };
    let data = DefaultData {
        data_oneof: Some(default_data::DataOneof::Tensor(tensor)),
        ..DefaultData::default()
    };
    let question = SeldonMessage {
        data_oneof: Some(seldon_message::DataOneof::Data(data)),
        ..SeldonMessage::default()
    };
    let iris = [("seldon", "iris"), ("namespace", "prod")];

    let known = [&iris[..], &[("authorization", &*member)]].concat();
    let answer = client.predict(request(question.clone(), &known)?).await?.into_inner();
    assert_eq!(answer, direct.predict(question.clone()).await?.into_inner());
    let Some(seldon_message::DataOneof::Data(data)) = answer.data_oneof else {
        anyhow::bail!("no data")
    };
    let Some(default_data::DataOneof::Tensor(tensor)) = data.data_oneof else {
        anyhow::bail!("no tensor")
    };
    for (probability, expected) in tensor.values.iter().zip(Iris::main()?.predict(&FLOWER)?) {
        assert!((probability - expected).abs() < 1e-9, "{tensor:?}");
    }

    for (metadata, code, text) in [
        (iris.to_vec(), Code::PermissionDenied, "RBAC: access denied"),
        (
            [&iris[..], &[("authorization", &*other)]].concat(),
            Code::PermissionDenied,
            "RBAC: access denied",
        ),
        (
            [&iris[..], &[("authorization", &*forged)]].concat(),
            Code::Unauthenticated,
            "Jwt verification fails",
        ),
        (
            vec![("seldon", "fraud"), ("namespace", "prod"), ("authorization", &*member)],
            Code::PermissionDenied,
            "RBAC: access denied",
        ),
        ([&[("seldon", "fraud")], &known[..]].concat(), Code::InvalidArgument, "seldon"),
    ] {
        let refused = client.predict(request(question.clone(), &metadata)?).await;
        let refused = refused.err().with_context(|| format!("{metadata:?} was answered"))?;
        assert_eq!(refused.code(), code, "{metadata:?}: {refused}");
        assert!(refused.message().contains(text), "{metadata:?}: {refused}");
    }
    // Feedback is an operation of its own.
    let feedback = client.send_feedback(request(Feedback::default(), &known)?).await;
    assert_eq!(feedback.err().context("answered")?.code(), Code::PermissionDenied);

    assert_eq!(outcomes(&settled(&gateway, 1.0).await?, "matched"), 1.0);
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}
