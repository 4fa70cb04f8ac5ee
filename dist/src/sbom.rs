//! The bill of materials, as SPDX 2.3: each file of the release, and the packages that were linked into it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::packages::{Package, linked};
use crate::{Artifact, VERSION};

/// Where packages of crates.io are from, for SPDX and its package URLs.
const CRATES: &str = "pkg:cargo";

/// The document of these files; `created` in UTC.
pub fn document(root: &Path, artifacts: &[Artifact], created: &str) -> Result<Value> {
    let mut contents = Vec::new();
    for artifact in artifacts {
        contents.push((artifact, linked_into(root, &artifact.name)?));
    }
    Ok(describe(&contents, created))
}

/// The module's packages, or the command's.
fn linked_into(root: &Path, file: &str) -> Result<Vec<Package>> {
    let triple = file
        .strip_prefix(&format!("modelgate-{VERSION}-"))
        .and_then(|rest| rest.strip_suffix(".tar.gz"));
    let packages = match triple {
        Some(triple) => linked(root, "modelgate-cli", triple)?,
        None => linked(root, "modelgate", "wasm32-unknown-unknown")?,
    };
    Ok(packages.into_iter().collect())
}

fn describe(contents: &[(&Artifact, Vec<Package>)], created: &str) -> Value {
    let mut packages = BTreeMap::new();
    let mut relationships = Vec::new();
    let mut files = Vec::new();
    for (artifact, linked) in contents {
        let id = id("File", &artifact.name);
        files.push(file(&id, artifact));
        relationships.push(relationship("SPDXRef-DOCUMENT", "DESCRIBES", &id));
        for package in linked {
            let of = self::id("Package", &format!("{}-{}", package.name, package.version));
            relationships.push(relationship(&id, "CONTAINS", &of));
            packages.entry(of.clone()).or_insert_with(|| foreign(&of, package));
        }
    }
    let all = files.into_iter().chain(packages.into_values()).collect::<Vec<_>>();
    // A document's name must be unique: it is made of what the document describes.
    let digests: String = contents.iter().map(|(artifact, _)| artifact.sha256()).collect();
    let unique = Artifact::new(String::new(), digests.into_bytes()).sha256();
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("modelgate-{VERSION}"),
        "documentNamespace": format!("urn:sha256:{unique}"),
        "creationInfo": {"created": created, "creators": [format!("Tool: modelgate-dist-{VERSION}")]},
        "packages": all,
        "relationships": relationships,
    })
}

/// A file of the release, as a package of its own.
fn file(id: &str, artifact: &Artifact) -> Value {
    json!({
        "SPDXID": id,
        "name": artifact.name,
        "versionInfo": VERSION,
        "packageFileName": artifact.name,
        "supplier": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "checksums": [{"algorithm": "SHA256", "checksumValue": artifact.sha256()}],
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": env!("CARGO_PKG_LICENSE"),
        "copyrightText": "NOASSERTION",
    })
}

/// A package of crates.io. Its checksum is that of the archive which the registry serves.
fn foreign(id: &str, package: &Package) -> Value {
    let Package { name, version, licence, sha256 } = package;
    json!({
        "SPDXID": id,
        "name": name,
        "versionInfo": version,
        "supplier": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("{CRATES}/{name}@{}", version.replace('+', "%2B")),
        }],
    })
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

/// Of letters, digits, `.` and `-` only (SPDX 2.3, 7.2).
fn id(kind: &str, name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("SPDXRef-{kind}-{}", name.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_contains_what_was_linked_into_it() {
        let package = |name: &str| Package {
            name: name.to_owned(),
            version: "1.0.0+x".to_owned(),
            licence: "MIT".to_owned(),
            sha256: "ab".to_owned(),
        };
        let (module, command) = (
            Artifact::new("m.wasm".to_owned(), vec![1]),
            Artifact::new("c_1.tar.gz".to_owned(), vec![2]),
        );
        let contents =
            [(&module, vec![package("log")]), (&command, vec![package("clap"), package("log")])];
        let document = describe(&contents, "2026-01-01T00:00:00Z");
        let ids: Vec<_> = document["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["SPDXID"].as_str().unwrap())
            .collect();
        let (clap, log) = ("SPDXRef-Package-clap-1.0.0-x", "SPDXRef-Package-log-1.0.0-x");
        assert_eq!(ids, ["SPDXRef-File-m.wasm", "SPDXRef-File-c-1.tar.gz", clap, log]);
        let contains: Vec<_> = document["relationships"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|r| r["relationshipType"] == "CONTAINS")
            .map(|r| {
                (r["spdxElementId"].as_str().unwrap(), r["relatedSpdxElement"].as_str().unwrap())
            })
            .collect();
        assert_eq!(contains, [(ids[0], log), (ids[1], clap), (ids[1], log)]);
        let purl = &document["packages"][2]["externalRefs"][0]["referenceLocator"];
        assert_eq!(purl, "pkg:cargo/clap@1.0.0%2Bx");
        // Other files, another document.
        let other = describe(&contents[..1], "2026-01-01T00:00:00Z");
        assert_ne!(document["documentNamespace"], other["documentNamespace"]);
    }
}
