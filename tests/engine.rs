//! The engine through its public face, natively and (`cargo xtask test wasm`) as WebAssembly in Node:
//! what differs there is the size of `usize`, the allocator, and whatever needs a host.
#![cfg(test)]

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use modelgate::config::{self, Errors, PluginConfig};
use modelgate::matcher::StringMatch;

fn read(text: &str) -> (Option<PluginConfig>, String) {
    let mut errors = Errors::default();
    let config = config::read(text.as_bytes(), &mut errors);
    (config, errors.to_string())
}

#[test]
fn a_valid_configuration_is_read() {
    let (config, errors) = read(r#"{"authorization": {"defaultAction": "DENY"}}"#);
    assert!(config.is_some(), "{errors}");
    assert_eq!(errors, "");
}

#[test]
fn an_empty_configuration_is_refused() {
    for text in ["", " \n", "{}"] {
        let (config, errors) = read(text);
        assert!(config.is_none(), "{text:?}");
        assert!(errors.starts_with("pluginConfig: is empty"), "{errors}");
    }
}

#[test]
fn every_error_is_reported_with_its_path() {
    let (config, errors) = read(
        r#"{"mode": "MAYBE", "shadows": [{"name": 1}], "tokenCache": {},
            "shadowLimits": {"bufferedBytes": "99999999999999999999GiB"}}"#,
    );
    assert!(config.is_none());
    for path in ["mode: ", "shadows[0].name: ", "tokenCache: ", "shadowLimits.bufferedBytes: "] {
        assert!(errors.lines().any(|line| line.starts_with(path)), "{path} in\n{errors}");
    }
}

#[test]
fn sizes_are_bounded_alike_on_32_and_64_bits() {
    let limit = |size: &str| {
        read(&format!(r#"{{"shadowLimits": {{"bufferedBytes": "{size}"}}}}"#)).0.is_some()
    };
    assert!(limit("1024MiB"));
    for size in ["1025MiB", "4096MiB", "4294967296B", "18446744073709551616B"] {
        assert!(!limit(size), "{size}");
    }
}

#[test]
fn strings_match_as_istio() {
    for (pattern, yes, no) in
        [("a", "a", "ab"), ("a*", "ab", "b"), ("*a", "ba", "ab"), ("*", "a", "")]
    {
        let pattern = StringMatch::new(pattern);
        assert!(pattern.matches(yes.as_bytes()) && !pattern.matches(no.as_bytes()), "{pattern:?}");
    }
}
