//! Certificates, and both ends of TLS before programs that speak plain text.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, DnType, IsCa, Issuer, KeyPair,
    generate_simple_self_signed,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate and its key.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub key: String,
    der: CertificateDer<'static>,
    pair: KeyPair,
}

impl Certificate {
    /// For one host.
    pub fn self_signed(host: &str) -> Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([host.to_owned()])?;
        Ok(Self::of(&cert, signing_key))
    }

    fn of(certificate: &rcgen::Certificate, pair: KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: pair.serialize_pem(),
            der: certificate.der().clone(),
            pair,
        }
    }
}

/// Who signs the certificates of others.
#[derive(Debug)]
pub struct Authority {
    /// Its own certificate, PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// With a new key.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// A certificate for one host.
    pub fn sign(&self, host: &str) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new([host.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok(Certificate::of(&certificate, key))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A server's end: what comes over TLS goes on to a server that speaks plain text.
#[derive(Debug)]
pub struct Terminator {
    presented: Arc<Mutex<TlsConfig>>,
    refused: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

type TlsConfig = Arc<ServerConfig>;

impl Terminator {
    /// Listens with this certificate, before the server `to`.
    pub async fn listen(at: SocketAddr, certificate: &Certificate, to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(at).await.with_context(|| format!("listening at {at}"))?;
        let presented = Arc::new(Mutex::new(server_config(certificate)?));
        let refused = Arc::new(AtomicUsize::new(0));
        let (current, count) = (Arc::clone(&presented), Arc::clone(&refused));
        let serving = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let config = Arc::clone(&current.lock().unwrap_or_else(PoisonError::into_inner));
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let Ok(mut tls) = TlsAcceptor::from(config).accept(tcp).await else {
                        count.fetch_add(1, Ordering::Relaxed);
                        return;
                    };
                    // Whatever fails closes the connection, which is what the client sees of it.
                    let Ok(mut plain) = TcpStream::connect(to).await else { return };
                    let _ = copy_bidirectional(&mut tls, &mut plain).await;
                });
            }
        });
        Ok(Self { presented, refused, serving })
    }

    /// Shows another certificate from the next connection on.
    pub fn present(&self, certificate: &Certificate) -> Result<()> {
        let config = server_config(certificate)?;
        *self.presented.lock().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// How many connections ended before the handshake did: a client refuses what it is shown.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn server_config(certificate: &Certificate) -> Result<TlsConfig> {
    let key = PrivateKeyDer::try_from(certificate.pair.serialize_der()).map_err(|e| anyhow!(e))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der.clone()], key)?;
    Ok(Arc::new(config))
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
        let mut config = ClientConfig::builder_with_provider(provider())
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
