//! Questions about a flower, and answers compared.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::gateway::Running;
use testbed::stats::Stats;
use testbed::wait::until;

/// What is asked about.
pub const FLOWER: [f64; 4] = [6.0, 2.7, 4.2, 1.3];

/// Compares numbers within what two implementations of `exp` may differ.
pub fn assert_close(answer: Option<&Value>, expected: &[f64]) -> Result<()> {
    let answer = answer.and_then(Value::as_array).context("no list of numbers")?;
    assert_eq!(answer.len(), expected.len());
    for (number, expected) in answer.iter().zip(expected) {
        let number = number.as_f64().context("not a number")?;
        assert!((number - expected).abs() < 1e-9, "{number} is not {expected}");
    }
    Ok(())
}

/// A question of the seldon protocol.
pub fn seldon() -> Value {
    json!({"data": {"ndarray": [FLOWER]}})
}

/// A question of the Open Inference Protocol for probabilities.
pub fn open_inference() -> Value {
    open_inference_about(FLOWER)
}

/// The same about another flower.
pub fn open_inference_about(flower: [f64; 4]) -> Value {
    json!({
        "inputs": [{"name": "flower", "shape": [1, 4], "datatype": "FP64", "data": flower}],
        "outputs": [{"name": "predict_proba"}],
    })
}

/// Waits until `count` copies have their outcome.
pub async fn settled(gateway: &Running, count: f64) -> Result<Stats> {
    until("the copies to be compared", Duration::from_secs(15), async || {
        let stats = gateway.envoy.stats().await?;
        let selected = stats.sum("modelgate_shadow_selected_total", &[]);
        let ended = stats.sum("modelgate_shadow_outcomes_total", &[]);
        Ok((selected == count && ended == count).then_some(stats))
    })
    .await
}

/// How many copies ended this way.
pub fn outcomes(stats: &Stats, outcome: &str) -> f64 {
    stats.sum("modelgate_shadow_outcomes_total", &[("outcome", outcome)])
}
