//! Medians, ratios and tables.

/// The values of one quantity, one for each round.
#[derive(Debug, Clone, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds the value of the next round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The median; of an even number the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let half = sorted.len() / 2;
        if sorted.len() % 2 == 1 { at(half) } else { (at(half.wrapping_sub(1)) + at(half)) / 2.0 }
    }

    /// The smallest and the largest value.
    pub fn range(&self) -> (f64, f64) {
        let fold = |f: fn(f64, f64) -> f64| self.0.iter().copied().fold(f64::NAN, f);
        (fold(f64::min), fold(f64::max))
    }

    /// The smallest value: what a round takes that nothing else on the machine disturbed.
    pub fn least(&self) -> f64 {
        self.range().0
    }

    /// Round by round, how many times `other` this is: what slows a whole round down cancels out.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(this, other)| this / other).collect())
    }
}

/// The value that this share of the values does not exceed (nearest rank).
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Lines of cells, the first being the heading, as a Markdown table: the first column to the left,
/// the others to the right.
pub fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            text += &if column == 0 {
                format!("| {cell:width$} |")
            } else {
                format!(" {cell:>width$} |")
            };
        }
        text += "\n";
        if number == 0 {
            for (column, &width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width);
                text += &if column == 0 {
                    format!("| {dashes} |")
                } else {
                    format!(" {}: |", dashes.get(1..).unwrap_or_default())
                };
            }
            text += "\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        Series(values.to_vec())
    }

    #[test]
    fn medians() {
        assert_eq!(series(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(series(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert!(series(&[]).median().is_nan());
        assert_eq!(series(&[2.0, 6.0]).over(&series(&[1.0, 2.0])).range(), (2.0, 3.0));
    }

    #[test]
    fn quantiles() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!((quantile(&mut values, 0.5), quantile(&mut values, 0.99)), (100.0, 198.0));
        assert_eq!(quantile(&mut [7.0], 0.99), 7.0);
        assert!(quantile(&mut [], 0.5).is_nan());
    }

    #[test]
    fn tables_are_markdown() {
        let lines =
            [vec!["a".to_owned(), "number".to_owned()], vec!["long".to_owned(), "1".to_owned()]];
        assert_eq!(table(&lines), "| a    | number |\n| ---- | -----: |\n| long |      1 |\n");
    }
}
