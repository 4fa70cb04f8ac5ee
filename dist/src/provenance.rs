//! Where the files come from: an in-toto Statement (v1) with SLSA's provenance (v1). It is not signed: whoever
//! publishes a release signs it.

use serde_json::{Value, json};

use crate::{Artifact, VERSION};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The statement about these files.
pub fn statement(artifacts: &[Artifact], commit: &str, compiler: &str) -> Value {
    let subjects = artifacts
        .iter()
        .map(|artifact| json!({"name": artifact.name, "digest": {"sha256": artifact.sha256()}}))
        .collect::<Vec<_>>();
    json!({
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                // What to run in a checkout of the commit to get the same files.
                "buildType": format!("pkg:generic/modelgate@{VERSION}#cargo-xtask-dist"),
                "externalParameters": {"commit": commit},
                "internalParameters": {"compiler": compiler},
                "resolvedDependencies": [
                    {"name": "modelgate", "digest": {"gitCommit": commit}},
                ],
            },
            "runDetails": {"builder": {"id": format!("pkg:generic/modelgate-dist@{VERSION}")}},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_subject() {
        let artifacts = [Artifact::new("abc".to_owned(), b"abc".to_vec())];
        let statement = statement(&artifacts, "c0ffee", "rustc 1.95.0");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(statement["subject"], json!([{"name": "abc", "digest": {"sha256": sha256}}]));
        let build = &statement["predicate"]["buildDefinition"];
        assert_eq!(build["resolvedDependencies"][0]["digest"]["gitCommit"], "c0ffee");
        assert_eq!(build["internalParameters"]["compiler"], "rustc 1.95.0");
    }
}
