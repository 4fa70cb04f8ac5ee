//! Questions for the models, and what the comparison of their answers has to say.

use anyhow::Result;
use testbed::iris::Iris;

use crate::models::Flower;

/// A versicolor, about which both models agree.
pub const VERSICOLOR: Flower = [6.0, 2.7, 4.2, 1.3];

/// How many questions make up a comparison.
pub const MANY: u32 = 200;

/// Flowers of all three species and between them, always the same: petals grow with each other, and
/// the rest scatters.
pub fn many() -> impl Iterator<Item = Flower> {
    (0..MANY).map(|i| {
        let scatter = |step: u32, values: u32| f64::from(i * step % values) - f64::from(values / 2);
        let petal_length = 1.1 + f64::from(i * 37 % MANY) / f64::from(MANY) * 5.7;
        let petal_width = (0.41 * petal_length - 0.36 + scatter(13, 7) * 0.1).max(0.1);
        let sepal_length = 4.3 + 0.41 * petal_length + scatter(7, 11) * 0.16;
        let sepal_width = 3.4 - 0.1 * petal_length + scatter(5, 9) * 0.16;
        [sepal_length, sepal_width, petal_length, petal_width].map(|cm| (cm * 10.0).round() / 10.0)
    })
}

/// How many answers agree, differ in a score, and differ in the class.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    pub matched: u64,
    pub score: u64,
    pub class: u64,
}

/// Compares the two models without gateway and network, in the plainest way. Another class is another
/// class, however close the scores are.
pub fn agreement(tolerance: f64) -> Result<Agreement> {
    let (live, retrained) = (Iris::main()?, Iris::shadow()?);
    let mut agreement = Agreement::default();
    for flower in many() {
        let (a, b) = (live.predict(&flower)?, retrained.predict(&flower)?);
        *if live.class(&flower)? != retrained.class(&flower)? {
            &mut agreement.class
        } else if a.iter().zip(&b).all(|(x, y)| (x - y).abs() <= tolerance) {
            &mut agreement.matched
        } else {
            &mut agreement.score
        } += 1;
    }
    Ok(agreement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_questions_show_every_way_to_agree_and_differ() {
        let Agreement { matched, score, class } = agreement(0.1).unwrap();
        assert!(matched > 100 && score > 10 && class > 0, "{matched} {score} {class}");
        assert_eq!(matched + score + class, u64::from(MANY));
    }
}
