//! An iris classifier: multinomial logistic regression, trained by `models/train.py`.

use std::sync::LazyLock;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Weights of the live model and of a retrained one that disagrees with it on a few flowers.
static WEIGHTS: LazyLock<Result<Weights, String>> = LazyLock::new(|| {
    read(include_str!("../../tests/models/iris.json")).map_err(|error| format!("{error:#}"))
});

#[derive(Debug)]
struct Weights {
    classes: Vec<String>,
    main: Iris,
    shadow: Iris,
}

/// One set of weights: a row for each class.
#[derive(Debug, Clone, PartialEq)]
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
        highest(&self.predict(features)?)
    }
}

/// So many flowers of all three species and between them, always the same: petals grow with each
/// other, and the rest scatters.
pub fn flowers(count: u32) -> impl Iterator<Item = [f64; 4]> {
    (0..count).map(move |i| {
        let scatter = |step: u32, values: u32| f64::from(i * step % values) - f64::from(values / 2);
        let petal_length = 1.1 + f64::from(i * 37 % count) / f64::from(count) * 5.7;
        let petal_width = (0.41 * petal_length - 0.36 + scatter(13, 7) * 0.1).max(0.1);
        let sepal_length = 4.3 + 0.41 * petal_length + scatter(7, 11) * 0.16;
        let sepal_width = 3.4 - 0.1 * petal_length + scatter(5, 9) * 0.16;
        [sepal_length, sepal_width, petal_length, petal_width].map(|cm| (cm * 10.0).round() / 10.0)
    })
}

/// How many answers agree, differ in a score, and differ in the class.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// Every score is within the tolerance.
    pub matched: u64,
    /// One is not, and the class is the same.
    pub score: u64,
    /// Another class, however close the scores are.
    pub class: u64,
}

impl Agreement {
    /// Adds the answers of two models about one flower, compared in the plainest way.
    pub fn add(&mut self, live: &[f64], retrained: &[f64], tolerance: f64) -> Result<()> {
        *if highest(live)? != highest(retrained)? {
            &mut self.class
        } else if live.iter().zip(retrained).all(|(x, y)| (x - y).abs() <= tolerance) {
            &mut self.matched
        } else {
            &mut self.score
        } += 1;
        Ok(())
    }

    /// Of the two models, without gateway and network.
    pub fn of(flowers: impl Iterator<Item = [f64; 4]>, tolerance: f64) -> Result<Self> {
        let (live, retrained) = (Iris::main()?, Iris::shadow()?);
        let mut agreement = Self::default();
        for flower in flowers {
            agreement.add(&live.predict(&flower)?, &retrained.predict(&flower)?, tolerance)?;
        }
        Ok(agreement)
    }
}

/// Index of the highest score.
fn highest(scores: &[f64]) -> Result<usize> {
    let best = scores.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    best.map(|(class, _)| class).context("no classes")
}

fn read(text: &str) -> Result<Weights> {
    let file: Value = serde_json::from_str(text)?;
    let list = |value: &Value| value.as_array().cloned().context("not a list");
    let numbers = |value: &Value| -> Result<Vec<f64>> {
        list(value)?.iter().map(|x| x.as_f64().context("not a number")).collect()
    };
    let iris = |name: &str| -> Result<Iris> {
        let weights = file.get(name).context("no such weights")?;
        let rows = list(weights.get("coefficients").context("no coefficients")?)?;
        Ok(Iris {
            coefficients: rows.iter().map(numbers).collect::<Result<_>>()?,
            intercepts: numbers(weights.get("intercepts").context("no intercepts")?)?,
        })
    };
    let classes = list(file.get("classes").context("no classes")?)?;
    let classes = classes.iter().filter_map(|name| Some(name.as_str()?.to_owned()));
    Ok(Weights { classes: classes.collect(), main: iris("main")?, shadow: iris("shadow")? })
}

fn weights() -> Result<&'static Weights> {
    WEIGHTS.as_ref().map_err(anyhow::Error::msg).context("models/iris.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flowers_show_every_way_to_agree_and_differ() {
        for count in [100, 200, 400] {
            let Agreement { matched, score, class } =
                Agreement::of(flowers(count), 0.1).expect("weights");
            assert!(matched > 50 && score > 5 && class > 0, "{matched} {score} {class}");
            assert_eq!(matched + score + class, u64::from(count));
        }
    }

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
