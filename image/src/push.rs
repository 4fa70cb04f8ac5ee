//! Pushing an image to a registry, with the credentials that `docker login` keeps.

use anyhow::{Context as _, Result};
use docker_credential::DockerCredential;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};

use crate::Image;

/// Pushes to `registry/repository:tag`; over plain HTTP if `insecure`.
pub async fn push(image: &Image, reference: &str, insecure: bool) -> Result<()> {
    // An error says that there is one already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let reference: Reference =
        reference.parse().with_context(|| format!("{reference} names no image"))?;
    let registry = reference.resolve_registry();
    let protocol = if insecure { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
    let authentication = match docker_credential::get_credential(registry) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            RegistryAuth::Basic(user, password)
        }
        Ok(DockerCredential::IdentityToken(token)) => RegistryAuth::Bearer(token),
        // No file, or nothing for this registry.
        Err(_) => RegistryAuth::Anonymous,
    };
    let pushed = async {
        client.auth(&reference, &authentication, RegistryOperation::Push).await?;
        for blob in [&image.layer, &image.config] {
            client.push_blob(&reference, blob.bytes.clone(), &blob.digest).await?;
        }
        let media_type = image.manifest.media_type.parse()?;
        client.push_manifest_raw(&reference, image.manifest.bytes.clone(), media_type).await?;
        anyhow::Ok(())
    };
    pushed.await.with_context(|| {
        format!(
            "pushing to {reference} (`docker login {registry}` first, where it asks who you are)"
        )
    })
}
