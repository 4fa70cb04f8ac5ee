//! Certificates of a mesh's workloads and others, and clients that show them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

/// Name, URI SANs, DNS SANs, common name.
const CLIENTS: [(&str, &[&str], &[&str], &str); 6] = [
    ("web", &["spiffe://cluster.local/ns/prod/sa/web"], &[], ""),
    ("batch", &["spiffe://cluster.local/ns/prod/sa/batch-job"], &[], ""),
    ("dev", &["spiffe://other.domain/ns/dev/sa/web"], &[], "somebody"),
    ("dns", &[], &["client.example.com"], "client"),
    ("subject", &[], &[], "only a subject"),
    (
        "two",
        &["spiffe://cluster.local/ns/dev/sa/first", "spiffe://cluster.local/ns/prod/sa/web"],
        &[],
        "",
    ),
];

/// Who has two names.
pub const SEVERAL_NAMES: &str = "two";

pub struct Certificates {
    server: (String, String),
    authority: String,
    root: CertificateDer<'static>,
    clients: BTreeMap<&'static str, (CertificateDer<'static>, Vec<u8>)>,
}

impl Certificates {
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "differential");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?;
        let (authority, root) = (root.pem(), root.der().clone());
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(["models.example.com".to_owned()])?.signed_by(&key, &issuer)?;
        let server = (certificate.pem(), key.serialize_pem());
        let mut clients = BTreeMap::new();
        for (name, uris, hosts, subject) in CLIENTS {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            if !subject.is_empty() {
                params.distinguished_name.push(DnType::CommonName, subject);
            }
            for uri in uris {
                params.subject_alt_names.push(SanType::URI((*uri).try_into()?));
            }
            for host in hosts {
                params.subject_alt_names.push(SanType::DnsName((*host).try_into()?));
            }
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &issuer)?;
            clients.insert(name, (certificate.der().clone(), key.serialize_der()));
        }
        Ok(Self { server, authority, root, clients })
    }

    /// Envoy's transport socket for a listener that asks for a certificate and does not insist.
    pub fn transport_socket(&self) -> Value {
        let inline = |text: &str| json!({"inline_string": text});
        let (chain, key) = &self.server;
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "tls_certificates": [{
                        "certificate_chain": inline(chain),
                        "private_key": inline(key),
                    }],
                    "validation_context": {"trusted_ca": inline(&self.authority)},
                },
            },
        })
    }

    /// A client with this certificate, or none, that says which server it means, or does not.
    pub fn client(&self, certificate: &str, says_server: bool) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = if certificate.is_empty() {
            config.with_no_client_auth()
        } else {
            let (chain, key) = self.clients.get(certificate).context("no such certificate")?;
            let key = PrivateKeyDer::try_from(key.clone()).map_err(|e| anyhow!(e))?;
            config.with_client_auth_cert(vec![chain.clone()], key)?
        };
        config.enable_sni = says_server;
        Ok(config)
    }
}
