//! A certificate for a gateway, and the client's end of TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// A self-signed certificate and its key.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub key: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// For one host.
    pub fn self_signed(host: &str) -> Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([host.to_owned()])?;
        Ok(Self {
            certificate: cert.pem(),
            key: signing_key.serialize_pem(),
            der: cert.der().clone(),
        })
    }
}

/// A local port whose connections go on over TLS: what is sent there in plain text arrives as a client of HTTPS sends it.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Tunnel {
    /// To a server that must have this certificate for this host; `protocol` is offered by ALPN.
    pub async fn open(
        to: SocketAddr,
        host: &str,
        trusted: &Certificate,
        protocol: &str,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der.clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let host = ServerName::try_from(host.to_owned()).context("not a host")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            while let Ok((mut plain, _)) = listener.accept().await {
                let (connector, host) = (connector.clone(), host.clone());
                tokio::spawn(async move {
                    // Whatever fails closes the connection, which is what the client sees of it.
                    let Ok(tcp) = TcpStream::connect(to).await else { return };
                    let Ok(mut tls) = connector.connect(host, tcp).await else { return };
                    let _ = copy_bidirectional(&mut plain, &mut tls).await;
                });
            }
        });
        Ok(Self { address, serving })
    }

    /// Where plain requests go.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
