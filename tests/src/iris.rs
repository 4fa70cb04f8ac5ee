//! An iris classifier: multinomial logistic regression, trained by `models/train.py`.

use std::sync::LazyLock;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// Weights of the live model and of a retrained one that disagrees with it on a few flowers.
static WEIGHTS: LazyLock<Result<Weights, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../models/iris.json")).map_err(|error| error.to_string())
});

#[derive(Debug, Deserialize)]
struct Weights {
    classes: Vec<String>,
    main: Iris,
    shadow: Iris,
}

/// One set of weights: a row for each class.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Iris {
    coefficients: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
}

impl Iris {
    /// The live model.
    pub fn main() -> Result<Self> {
        Ok(weights()?.main.clone())
    }

    /// The model that is to replace it.
    pub fn shadow() -> Result<Self> {
        Ok(weights()?.shadow.clone())
    }

    /// Names of the classes, in the order of the probabilities.
    pub fn classes() -> Result<Vec<String>> {
        Ok(weights()?.classes.clone())
    }

    /// Probabilities of the classes for sepal length and width, petal length and width in cm.
    pub fn predict(&self, features: &[f64]) -> Result<Vec<f64>> {
        let scores = self.coefficients.iter().zip(&self.intercepts).map(|(row, intercept)| {
            ensure!(row.len() == features.len(), "{} features, not {}", row.len(), features.len());
            Ok(row.iter().zip(features).map(|(w, x)| w * x).sum::<f64>() + intercept)
        });
        let scores = scores.collect::<Result<Vec<f64>>>()?;
        // The largest score is subtracted so that the exponentials stay finite.
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parts: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = parts.iter().sum();
        Ok(parts.iter().map(|part| part / sum).collect())
    }

    /// Index of the most probable class.
    pub fn class(&self, features: &[f64]) -> Result<usize> {
        let probabilities = self.predict(features)?;
        let best = probabilities.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map(|(class, _)| class).context("no classes")
    }
}

fn weights() -> Result<&'static Weights> {
    WEIGHTS.as_ref().map_err(anyhow::Error::msg).context("models/iris.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_three_species_apart() {
        let flowers =
            [([5.1, 3.5, 1.4, 0.2], 0), ([6.0, 2.7, 4.2, 1.3], 1), ([6.7, 3.1, 5.6, 2.4], 2)];
        for (flower, class) in flowers {
            for iris in [Iris::main().unwrap(), Iris::shadow().unwrap()] {
                let probabilities = iris.predict(&flower).unwrap();
                assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert!(probabilities[class] > 0.5, "{flower:?}: {probabilities:?}");
            }
        }
        assert!(Iris::main().unwrap().predict(&[1.0]).is_err());
    }
}
