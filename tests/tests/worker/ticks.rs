//! The timer ticks when something is due, and not before.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testbed::tokens::Issuer;

use super::faults::{fresh, remote};
use super::{config, prediction, token, worker};

#[test]
fn a_worker_without_work_ticks_once_a_second() -> Result<()> {
    let mut worker = worker()?;
    let root = worker.configure(config(10, 0)?)?;
    let idle = worker.pass(root, 10_000)?;
    ensure!(idle == 10, "{idle} ticks in ten seconds");
    for _ in 0..1_000 {
        ensure!(worker.request(root, prediction(&token(&["ds"])?))?.code == 200);
        worker.pass(root, 1)?;
    }
    let busy = worker.pass(root, 10_000)?;
    ensure!(busy == 10, "{busy} ticks in ten seconds");
    Ok(())
}

#[test]
fn keys_are_fetched_when_they_are_due() -> Result<()> {
    let mut worker = worker()?;
    let root = worker.configure(remote()?)?;
    worker.pass(root, 2)?;
    ensure!(worker.callouts() == 1, "{} fetches at once", worker.callouts());
    worker.pass(root, 500)?;
    // After a failure it is tried again in a second, less up to a quarter.
    worker.answer(root, 0, "not a key set")?;
    worker.pass(root, 740)?;
    ensure!(worker.callouts() == 1, "{} fetches too soon", worker.callouts());
    let ticks = worker.pass(root, 262)?;
    ensure!(worker.callouts() == 2, "{} fetches after a second", worker.callouts());
    ensure!(ticks <= 3, "{ticks} ticks for it");
    worker.answer(root, 0, &Issuer::shared()?.jwks())?;
    // Their age is minutes.
    let ticks = worker.pass(root, 60_000)?;
    ensure!((worker.callouts(), ticks) == (2, 60), "{} fetches, {ticks} ticks", worker.callouts());
    Ok(())
}

#[test]
fn a_paused_request_waits_for_keys_or_its_time_and_no_longer() -> Result<()> {
    let mut config: Value = serde_json::from_str(&remote()?)?;
    let rule = config.pointer_mut("/authentication/jwtRules/0").and_then(Value::as_object_mut);
    rule.map(|rule| rule.insert("timeout".into(), json!("350ms")));
    for answer in [true, false] {
        let mut worker = worker()?;
        let root = worker.configure(config.to_string())?;
        worker.pass(root, 20)?;
        let headers = prediction(&fresh(&worker)?);
        let first = worker.begin(root, headers.clone())?;
        worker.pass(root, 100)?;
        if answer {
            worker.answer(root, 0, &Issuer::shared()?.jwks())?;
            worker.pass(root, 2)?;
            ensure!(worker.resumed() == 1, "{} resumed", worker.resumed());
        } else {
            worker.pass(root, 248)?;
            ensure!(worker.answered().is_none(), "{:?} too soon", worker.answered());
            let ticks = worker.pass(root, 4)?;
            ensure!(worker.answered() == Some(401), "{:?}", worker.answered());
            ensure!(ticks <= 3, "{ticks} ticks for it");
        }
        worker.delete(first)?;
    }
    Ok(())
}
