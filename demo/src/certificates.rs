//! The mesh's certificates, as Istio's: an authority, and for each workload a key and an identity
//! (`spiffe://cluster.local/ns/<namespace>/sa/<service account>`). They live an hour, in memory.

use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder as _, CertificateBuilder, Result as BuilderResult};
use x509_cert::certificate::{Certificate, TbsCertificate};
use x509_cert::der::EncodePem as _;
use x509_cert::der::asn1::Ia5String;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::Validity;

const LIFETIME: Duration = Duration::from_secs(3600);

/// Who signs the certificates of the workloads.
pub struct Authority {
    name: Name,
    key: SigningKey,
    certificate: String,
}

impl Authority {
    /// An authority with a new key.
    pub fn new() -> Result<Self> {
        let name = Name::from_str("O=cluster.local")?;
        let key = SigningKey::generate();
        let profile = Profile { authority: name.clone(), identity: None };
        let certificate = sign(profile, 1, &key, &key)?;
        Ok(Self { name, key, certificate })
    }

    /// Certificate and key of a workload.
    pub fn workload(&self, namespace: &str, service_account: &str) -> Result<Workload> {
        let identity = format!("spiffe://cluster.local/ns/{namespace}/sa/{service_account}");
        let key = SigningKey::generate();
        let san = Ia5String::new(&identity)?;
        let identity = Some(GeneralName::UniformResourceIdentifier(san));
        let profile = Profile { authority: self.name.clone(), identity };
        let certificate = sign(profile, 2, &key, &self.key)?;
        let key = key.to_pkcs8_pem(LineEnding::LF).context("cannot write a key")?.to_string();
        Ok(Workload { certificate, key, authority: self.certificate.clone() })
    }
}

/// One end of mutual TLS.
pub struct Workload {
    certificate: String,
    key: String,
    authority: String,
}

impl Workload {
    /// Envoy's transport socket for what comes in: whoever has no certificate of the mesh is refused.
    pub fn server(&self) -> Value {
        let kind =
            "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
        let context = json!({
            "@type": kind,
            "require_client_certificate": true,
            "common_tls_context": self.context(),
        });
        json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
    }

    /// Envoy's transport socket for calls to others of the mesh.
    pub fn client(&self) -> Value {
        let kind =
            "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
        let context = json!({"@type": kind, "common_tls_context": self.context()});
        json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
    }

    fn context(&self) -> Value {
        let inline = |text: &str| json!({"inline_string": text});
        json!({
            "tls_certificates": [{
                "certificate_chain": inline(&self.certificate),
                "private_key": inline(&self.key),
            }],
            "validation_context": {"trusted_ca": inline(&self.authority)},
        })
    }
}

/// What the certificates of a mesh say: the authority may sign, a workload has an identity.
struct Profile {
    authority: Name,
    identity: Option<GeneralName>,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.authority.clone()
    }

    /// As in Istio's certificates, a workload is named in the extension only.
    fn get_subject(&self) -> Name {
        match self.identity {
            Some(_) => Name::default(),
            None => self.authority.clone(),
        }
    }

    fn build_extensions(
        &self,
        _key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> BuilderResult<Vec<Extension>> {
        let ca = BasicConstraints { ca: self.identity.is_none(), path_len_constraint: None };
        let mut extensions = vec![ca.to_extension(tbs.subject(), &[])?];
        if let Some(identity) = &self.identity {
            let san = SubjectAltName(vec![identity.clone()]);
            extensions.push(san.to_extension(tbs.subject(), &extensions)?);
        }
        Ok(extensions)
    }
}

fn sign(profile: Profile, serial: u32, key: &SigningKey, signer: &SigningKey) -> Result<String> {
    let public = SubjectPublicKeyInfo::from_key(key.verifying_key())?;
    let validity = Validity::from_now(LIFETIME)?;
    let builder = CertificateBuilder::new(profile, SerialNumber::from(serial), validity, public)?;
    let certificate: Certificate = builder.build::<_, DerSignature>(signer)?;
    certificate.to_pem(LineEnding::LF).context("cannot write a certificate")
}
