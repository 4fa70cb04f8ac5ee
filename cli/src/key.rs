//! `modelgate key`: API keys, of which the configuration holds only the hash.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use sha2::{Digest as _, Sha256};

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Makes a random key of 256 bits and the entry for `authentication.apiKeys.keys`.
    ///
    /// The key is shown once and stored nowhere: give it to the client.
    New {
        /// Names the client; its identity in policies is `apikey/<name>`.
        name: String,
    },
}

impl Key {
    pub fn run(self) -> Result<ExitCode> {
        let Self::New { name } = self;
        let mut random = [0; 32];
        getrandom::fill(&mut random).context("the system gave no random bytes")?;
        let key = format!("mg_{}", URL_SAFE_NO_PAD.encode(random));
        println!("key, for the client (shown once): {key}");
        println!("entry, for authentication.apiKeys.keys:");
        println!("- {}", entry(&name, &key));
        Ok(ExitCode::SUCCESS)
    }
}

/// The entry of the configuration, as YAML and JSON alike.
fn entry(name: &str, key: &str) -> serde_json::Value {
    let hash = Sha256::digest(key.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!({ "name": name, "sha256": hex })
}

#[cfg(test)]
mod tests {
    use super::entry;

    #[test]
    fn the_entry_holds_the_hash_and_not_the_key() {
        // SHA-256 of "abc": FIPS 180-4, appendix B.1.
        assert_eq!(
            entry("nightly", "abc").to_string(),
            r#"{"name":"nightly","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#
        );
    }
}
