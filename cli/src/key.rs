//! `modelgate key`: API keys, of which the configuration holds only the hash.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::output;

/// What can be done with keys.
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
    /// Prints the key and its entry.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes, the name cannot be that of a key, or nothing can be printed.
    pub fn run(self) -> Result<ExitCode> {
        let Self::New { name } = self;
        let mut random = [0; 32];
        getrandom::fill(&mut random).context("the system gave no random bytes")?;
        let key = format!("mg_{}", URL_SAFE_NO_PAD.encode(random));
        let entry = entry(&name, &key);
        accepted(&entry)?;
        output::print(&format!(
            "key, for the client (shown once): {key}\n\
             entry, for authentication.apiKeys.keys:\n\
             - {entry}\n"
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The entry of the configuration, as YAML and JSON alike.
fn entry(name: &str, key: &str) -> Value {
    let hash = Sha256::digest(key.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "name": name, "sha256": hex })
}

/// Asks the engine, so that no key is handed out whose entry the filter would refuse.
fn accepted(entry: &Value) -> Result<()> {
    let config = json!({"authentication": {"apiKeys": {"keys": [entry]}}});
    let mut errors = Errors::default();
    Plan::read(config.to_string().as_bytes(), &mut errors);
    ensure!(errors.is_empty(), "{errors}");
    Ok(())
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
