//! What stands behind the gateway where nothing else does: the built-in models, and key sets from files.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use modelgate_local::executor::{Executor, Question};
use modelgate_local::iris::Iris;
use modelgate_local::open_inference;
use tokio::net::TcpListener;

type Handler = Arc<dyn Fn(&Question<'_>) -> Response<Full<Bytes>> + Send + Sync>;

/// The built-in model, or the retrained one that disagrees with it on a few flowers.
///
/// # Errors
///
/// It cannot listen.
pub async fn model(is_retrained: bool) -> Result<SocketAddr> {
    let (name, iris) = match is_retrained {
        false => ("iris", Iris::main()?),
        true => ("iris-v2", Iris::shadow()?),
    };
    let executor = Executor::new(name, "default", iris.clone())?;
    serve(Arc::new(move |question| {
        let answer = open_inference::answer(&iris, question);
        let answer = answer.unwrap_or_else(|| executor.answer(question));
        let mut response = Response::builder().status(answer.status);
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        response.body(Full::from(answer.body)).unwrap_or_default()
    }))
    .await
}

/// A server of one file, read for each request: it may change meanwhile.
///
/// # Errors
///
/// It cannot listen.
pub async fn file(path: PathBuf) -> Result<SocketAddr> {
    serve(Arc::new(move |_| {
        let (status, body) = match std::fs::read(&path) {
            Ok(body) => (200, body),
            Err(_) => (503, Vec::new()),
        };
        let response =
            Response::builder().status(status).header("content-type", "application/json");
        response.body(Full::from(body)).unwrap_or_default()
    }))
    .await
}

async fn serve(handler: Handler) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.context("no free port on 127.0.0.1")?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = Arc::clone(&handler);
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let service = service_fn(move |request| answer(request, Arc::clone(&handler)));
                // A peer that hangs up is no failure of the server.
                let server = Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

async fn answer(
    request: Request<Incoming>,
    handler: Handler,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let puid = parts.headers.get("seldon-puid").and_then(|value| value.to_str().ok());
    let method = parts.method.as_str();
    Ok(handler(&Question { method, path: &path, puid, body: &body }))
}
