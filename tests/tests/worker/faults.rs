//! What the proxy may do that the SDK has no answer for but a panic: the module goes on, and lets nobody
//! through whom it would not.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testbed::tokens::{self, Algorithm, Issuer};

use super::proxy::Worker;
use super::{config, prediction, serves, token, worker};

/// Statuses of proxy-wasm, the one behind them, and one that is none.
const STATUSES: [u32; 7] = [1, 2, 5, 9, 12, 13, u32::MAX];

/// A configuration whose keys have to be fetched.
pub fn remote() -> Result<String> {
    let mut rule = Issuer::shared()?.rule();
    if let Some(rule) = rule.as_object_mut() {
        rule.remove("jwks");
        rule.insert("jwksUri".into(), json!("https://idp.example.com/keys"));
        rule.insert("jwksCluster".into(), json!("outbound|443||idp.example.com"));
    }
    let config: Value = serde_json::from_str(&config(10, 0)?)?;
    Ok(tokens::with(config, "authentication", json!({"jwtRules": [rule]})).to_string())
}

/// The proxy counts tokens up to the end of its numbers, and begins anew.
#[test]
fn a_callouts_token_may_come_again() -> Result<()> {
    let mut worker = worker()?;
    let root = worker.configure(remote()?)?;
    worker.set_token(7);
    for fetch in 1..=3 {
        // Keys are kept for minutes.
        for _ in 0..1_000 {
            if worker.callouts() == fetch {
                break;
            }
            worker.tick(root)?;
        }
        ensure!(worker.callouts() == fetch, "{} fetches", worker.callouts());
        worker.answer(root, 7, &Issuer::shared()?.jwks())?;
        worker.tick(root)?;
        ensure!(worker.request(root, prediction(&fresh(&worker)?))?.code == 200, "fetch {fetch}");
    }
    Ok(())
}

/// A token of the group that may, issued when the worker's clock says.
pub fn fresh(worker: &Worker) -> Result<String> {
    let issuer = Issuer::shared()?;
    let claims = tokens::with(issuer.claims("alice"), "groups", json!(["ds"]));
    let claims = tokens::with(claims, "iat", json!(worker.clock()));
    let claims = tokens::with(claims, "exp", json!(worker.clock() + 3_600));
    issuer.mint(Algorithm::Rs256, &claims)
}

#[test]
fn answers_to_nobodys_callouts_are_nothing() -> Result<()> {
    let mut worker = worker()?;
    let root = worker.configure(config(10, 0)?)?;
    for (root, token) in [(root, 7), (root, u32::MAX), (root + 5, 7)] {
        worker.answer(root, token, "{}")?;
    }
    serves(&mut worker, root)?;
    let replaced = worker.configure(config(10, 1)?)?;
    worker.delete(root)?;
    worker.answer(root, 7, "{}")?;
    serves(&mut worker, replaced)
}

#[test]
fn whatever_the_proxy_refuses_nobody_is_let_through() -> Result<()> {
    for status in STATUSES {
        for (function, allowed, denied) in [
            ("proxy_get_header_map_pairs", 503, 503),
            ("proxy_replace_header_map_value", 503, 403),
            ("proxy_add_header_map_value", 503, 403),
            ("proxy_remove_header_map_value", 503, 403),
            ("proxy_get_property", 200, 403),
            ("proxy_set_property", 200, 403),
            // Held for good: nothing went on.
            ("proxy_send_local_response", 200, 0),
        ] {
            let mut worker = worker()?;
            let root = worker.configure(config(10, 0)?)?;
            worker.fail(function, status);
            let code = worker.request(root, prediction(&token(&["ds"])?))?.code;
            ensure!(code == allowed, "{function} with {status}: {code} to who may");
            let code = worker.request(root, prediction(&token(&["ops"])?))?.code;
            ensure!(code == denied, "{function} with {status}: {code} to who may not");
        }
    }
    Ok(())
}

#[test]
fn a_fetch_that_cannot_be_sent_is_tried_again() -> Result<()> {
    for status in STATUSES {
        let mut worker = worker()?;
        let root = worker.configure(remote()?)?;
        worker.fail("proxy_http_call", status);
        worker.tick(root)?;
        let code = worker.request(root, prediction(&token(&["ds"])?))?.code;
        ensure!([0, 401].contains(&code), "{code} without keys");
    }
    Ok(())
}

/// Access logs show the path that the proxy has, also of a request whose client does not wait.
#[test]
fn a_held_requests_path_shows_no_token_and_is_there_again() -> Result<()> {
    for kept in [false, true] {
        let mut config: Value = serde_json::from_str(&remote()?)?;
        let forward =
            config.pointer_mut("/authentication/jwtRules/0").and_then(Value::as_object_mut);
        forward.map(|rule| rule.insert("forwardOriginalToken".into(), json!(kept)));
        let mut worker = worker()?;
        let root = worker.configure(config.to_string())?;
        worker.tick(root)?;
        let token = fresh(&worker)?;
        let mut headers = prediction("");
        headers.retain(|(name, _)| name != "authorization" && name != ":path");
        let path = "/seldon/prod/m0/api/v1.0/predictions?a=1";
        headers.push((":path".into(), format!("{path}&access_token={token}")));
        let stream = worker.begin(root, headers)?;
        // What a rule forwards is no secret to the model, nor to its gateway's log.
        let shown = if kept { format!("{path}&access_token={token}") } else { path.to_owned() };
        ensure!(worker.header(":path") == Some(&shown), "held: {:?}", worker.header(":path"));
        worker.answer(root, 0, &Issuer::shared()?.jwks())?;
        worker.tick(root)?;
        // The token was read again where it was.
        ensure!(worker.answered().is_none(), "{:?}", worker.answered());
        ensure!(worker.header(":path") == Some(&shown), "then: {:?}", worker.header(":path"));
        worker.delete(stream)?;
    }
    Ok(())
}
