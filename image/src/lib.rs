//! The module as an OCI image in the form that Istio's agent reads: one layer, a gzipped tar with `plugin.wasm`.
//!
//! The same module gives the same bytes, and so the same digest: there are no times in it.

mod push;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use push::push;

/// Media types of the OCI image specification 1.1.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The name under which Istio's agent looks for the module in a layer.
const FILE: &str = "plugin.wasm";

/// A part of an image, addressed by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    media_type: &'static str,
    bytes: Vec<u8>,
    digest: String,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        let digest = format!("sha256:{}", hex(&bytes));
        Self { media_type, bytes, digest }
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// An image: manifest, configuration and layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    manifest: Blob,
    config: Blob,
    layer: Blob,
    version: String,
}

impl Image {
    /// Packs a module.
    ///
    /// # Errors
    /// If the bytes do not begin as a WebAssembly module does.
    pub fn new(module: &[u8], version: &str) -> Result<Self> {
        if !module.starts_with(b"\0asm") {
            bail!("not a WebAssembly module");
        }
        let tar = tar(module)?;
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        gzip.write_all(&tar)?;
        let layer = Blob::new(LAYER, gzip.finish()?);
        let labels = json!({
            "org.opencontainers.image.title": "modelgate",
            "org.opencontainers.image.description":
                "Authentication, authorization, rewriting and compared shadow traffic in front of models",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
        });
        let config = Blob::json(
            CONFIG,
            &json!({
                "architecture": "wasm",
                "os": "unknown",
                "config": {"Labels": labels},
                "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&tar))]},
            }),
        );
        let manifest = Blob::json(
            MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor(),
                "layers": [layer.descriptor()],
                "annotations": labels,
            }),
        );
        Ok(Self { manifest, config, layer, version: version.to_owned() })
    }

    /// `sha256:<hex>` of the manifest: what a registry calls the image, and, without the prefix, what `sha256` of
    /// a WasmPlugin with an `oci://` address holds.
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }

    fn index(&self) -> Value {
        let mut manifest = self.manifest.descriptor();
        if let Some(manifest) = manifest.as_object_mut() {
            let name = json!({"org.opencontainers.image.ref.name": self.version});
            manifest.insert("annotations".to_owned(), name);
        }
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]})
    }

    /// Every file of an image layout, by its path.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let version = json!({"imageLayoutVersion": "1.0.0"}).to_string().into_bytes();
        let mut files = vec![
            ("oci-layout".to_owned(), version),
            ("index.json".to_owned(), self.index().to_string().into_bytes()),
        ];
        for blob in [&self.manifest, &self.config, &self.layer] {
            files.push((format!("blobs/{}", blob.digest.replace(':', "/")), blob.bytes.clone()));
        }
        files
    }

    /// Writes an image layout (OCI image specification, image-layout.md) in place of what is in the folder.
    pub fn write_layout(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        for (name, bytes) in self.files() {
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, bytes))
                .with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// The layout as one archive, as `skopeo copy oci-archive:FILE` reads it.
    pub fn archive(&self) -> Result<Vec<u8>> {
        let files = self.files();
        archive(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
    }
}

fn tar(module: &[u8]) -> Result<Vec<u8>> {
    archive([(FILE, module)])
}

/// Without times, owners and whatever else differs between two machines.
fn archive<'f>(files: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(bytes.len())?);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes)?;
    }
    Ok(tar.into_inner()?)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn the_same_module_is_the_same_image() {
        let image = Image::new(MODULE, "1").unwrap();
        assert_eq!(image, Image::new(MODULE, "1").unwrap());
        assert_ne!(image.digest(), Image::new(MODULE, "2").unwrap().digest());
        assert!(Image::new(b"#!/bin/sh", "1").is_err());
    }

    #[test]
    fn a_layout_refers_to_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let image = Image::new(MODULE, "1").unwrap();
        image.write_layout(folder.path()).unwrap();
        let read = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            let bytes =
                fs::read(folder.path().join("blobs").join(digest.replace(':', "/"))).unwrap();
            assert_eq!(descriptor["size"], bytes.len());
            assert_eq!(digest, format!("sha256:{}", hex(&bytes)));
            bytes
        };
        let index = fs::read(folder.path().join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        let manifest: Value = serde_json::from_slice(&read(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&read(&manifest["config"])).unwrap();
        let layer = read(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(layer.as_slice()));
        let names: Vec<_> =
            tar.entries().unwrap().map(|e| e.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, [Path::new(FILE)]);
    }
}
