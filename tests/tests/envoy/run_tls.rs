//! `modelgate run` before an issuer that speaks TLS: its keys are believed only with a certificate for its name.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use testbed::client::Request;
use testbed::tokens::Issuer;
use testbed::upstream::{Answer, Upstream};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::run::Run;

const PREDICT: &str = "/seldon/prod/iris/api/v1.0/predictions";

/// A server of TLS before a plain one, with a certificate for this name, which comes back as PEM.
async fn before(plain: SocketAddr, name: &str) -> Result<(SocketAddr, String)> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()])?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).map_err(|e| anyhow!(e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not believe the certificate hangs up.
                let mut stream = acceptor.accept(stream).await?;
                let mut plain = TcpStream::connect(plain).await?;
                copy_bidirectional(&mut stream, &mut plain).await
            });
        }
    });
    Ok((address, cert.pem()))
}

#[tokio::test]
async fn keys_are_believed_only_with_a_certificate_for_their_host() -> Result<()> {
    let issuer = Issuer::shared()?;
    let keys = issuer.jwks();
    let server =
        Upstream::start(move |_| Answer::new(200, "application/json", keys.clone())).await?;
    for (name, status) in [("idp.example.com", 200), ("other.example.com", 401)] {
        let (address, authority) = before(server.address(), name).await?;
        let folder = tempfile::tempdir()?;
        // What a platform has: the policies that it enforces with Istio, and the way to its issuer.
        let policy = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/convert/authorization.yaml"),
        )?;
        let selector = json!({"matchLabels": {"istio": "ingressgateway"}});
        let authentication = json!({
            "apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication",
            "metadata": {"name": "idp", "namespace": "istio-system"},
            "spec": {"selector": selector, "jwtRules": [
                {"issuer": issuer.name(), "jwksUri": "https://idp.example.com/jwks.json"},
            ]},
        });
        let at = |name: &str| folder.path().join(name);
        let policy = policy.replace("https://idp.example.com", issuer.name());
        std::fs::write(at("policies.yaml"), format!("{policy}---\n{authentication}\n"))?;
        let modelgate = std::env::var_os("MODELGATE").context("MODELGATE is not set")?;
        let modelgate = std::path::absolute(modelgate)?;
        let converted =
            Command::new(&modelgate).arg("convert").arg(at("policies.yaml")).output()?;
        ensure!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
        let made = String::from_utf8(converted.stdout)?;
        let port = address.port();
        let way = format!(
            "  resolution: STATIC\n  endpoints: [{{address: 127.0.0.1, ports: {{https: {port}}}}}]\n"
        );
        let here = made.replace("  resolution: DNS\n", &way);
        ensure!(here != made, "no ServiceEntry was made: {made}");
        std::fs::write(at("c.yaml"), here)?;
        std::fs::write(at("authority.pem"), authority)?;
        let mut command = Command::new(&modelgate);
        command.args(["run", "c.yaml"]).env("SSL_CERT_FILE", at("authority.pem"));
        command.current_dir(folder.path());
        let run = Run::spawn(folder, command)?;
        let gateway = run.gateway().await?;
        let token = issuer.token("alice", &["data-science"])?;
        let asked =
            Request::post_json(PREDICT, &json!({"data": {"ndarray": [[6.0, 2.7, 4.2, 1.3]]}}));
        let answer = asked.header("authorization", format!("Bearer {token}")).send(gateway).await?;
        assert_eq!(answer.status, status, "{name}: {}", run.said());
        let was_asked = !server.received().is_empty();
        assert_eq!(was_asked, status == 200, "{name}");
        server.forget();
    }
    Ok(())
}
