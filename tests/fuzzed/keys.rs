//! Key sets and certificates: a set verifies a token only where it has the key that signed it, and names of certificates
//! are pieces of them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use modelgate_engine::authn::names_in_certificate;
use serde_json::Value;

use super::tokens::{Gateway, published};

/// Whether a set has a key with this member, which says the same number.
fn has(set: &Value, [name, value]: [&str; 2]) -> bool {
    let number = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        // Of a secret every byte counts.
        if name == "n" { bytes[zeros..].to_vec() } else { bytes }
    };
    let keys = set.get("keys").and_then(Value::as_array);
    let mut said = keys.into_iter().flatten().filter_map(|key| key.get(name)?.as_str());
    said.any(|said| number(said) == number(value))
}

/// Data of a fuzzer: a set, or a certificate in DER. The error says what is wrong.
pub fn send(data: &[u8]) -> Result<(), String> {
    let lines = STANDARD.encode(data);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n");
    // Of what is encoded already: it is read, and no more is known of it.
    let _ = names_in_certificate(data);
    if let Some((uris, hosts)) = names_in_certificate(pem.as_bytes()) {
        let is_there = |name: &Vec<u8>| {
            name.is_empty() || data.windows(name.len()).any(|window| window == name)
        };
        if !uris.iter().chain(&hosts).all(is_there) {
            return Err(format!("{uris:?} {hosts:?}"));
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return Ok(()) };
    let Ok(mut gateway) = Gateway::new(text) else { return Ok(()) };
    let set: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let by_certificate = set.get("keys").is_none();
    for (token, member) in published() {
        if gateway.identify(token.as_bytes())?.is_some() && !by_certificate && !has(&set, member) {
            return Err(format!("{token} is verified without its key"));
        }
    }
    Ok(())
}
