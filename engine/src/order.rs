//! Order in little code. Each type that the standard library's sorts are used with brings five
//! kibibytes of them into the module, made for long lists in a hurry; what is put in order here is
//! short, or done once for each configuration.

use std::borrow::Borrow;
use std::cmp::Ordering;

/// Sorts by heapsort: never slower than n log n, without allocation. Equal items may change places.
pub fn sort_by<T>(items: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    let mut less = |items: &[T], a: usize, b: usize| {
        let pair = items.get(a).zip(items.get(b));
        pair.is_some_and(|(a, b)| compare(a, b) == Ordering::Less)
    };
    // The first half of the turns makes a heap of all; the others take the largest off it.
    let (mut root, mut end) = (items.len() / 2, items.len());
    while end > 1 {
        if root > 0 {
            root -= 1;
        } else {
            end -= 1;
            items.swap(0, end);
        }
        let mut parent = root;
        loop {
            let left = 2 * parent + 1;
            if left >= end {
                break;
            }
            let right = left + 1;
            let child = if right < end && less(items, left, right) { right } else { left };
            if !less(items, parent, child) {
                break;
            }
            items.swap(parent, child);
            parent = child;
        }
    }
}

/// The items in order; equal ones keep their places.
pub fn stable_by<T>(
    items: impl IntoIterator<Item = T>,
    mut compare: impl FnMut(&T, &T) -> Ordering,
) -> Vec<T> {
    let mut items: Vec<(usize, T)> = items.into_iter().enumerate().collect();
    sort_by(&mut items, |(i, a), (j, b)| compare(a, b).then(i.cmp(j)));
    items.into_iter().map(|(_, item)| item).collect()
}

/// Sorts by the items' own order. Equal items may change places.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// The different items, in order.
pub fn distinct<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    sort(&mut items);
    items.dedup();
    items
}

/// Whether an item is among those of a list in order ([`distinct`]).
pub fn holds<T: Borrow<Q>, Q: Ord + ?Sized>(items: &[T], item: &Q) -> bool {
    items.binary_search_by(|other| other.borrow().cmp(item)).is_ok()
}

/// The places of the texts that stand in the list before, in order.
pub fn repeated(texts: &[&[u8]]) -> Vec<usize> {
    let mut places: Vec<(&[u8], usize)> = texts.iter().copied().zip(0..).collect();
    sort(&mut places);
    let pairs = places.iter().zip(places.iter().skip(1));
    let mut found: Vec<usize> =
        pairs.filter(|((one, _), (other, _))| one == other).map(|(_, (_, place))| *place).collect();
    sort(&mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorts_as_the_standard_library(mut items: Vec<u8>) {
            let mut expected = items.clone();
            expected.sort_unstable();
            let mut unique = expected.clone();
            unique.dedup();
            prop_assert!((0..=u8::MAX).all(|n| holds(&unique, &n) == items.contains(&n)));
            prop_assert_eq!(distinct(items.iter().copied()), unique);
            sort(&mut items);
            prop_assert_eq!(&items, &expected);
            sort_by(&mut items, |a, b| b.cmp(a));
            expected.reverse();
            prop_assert_eq!(&items, &expected);
        }

        #[test]
        fn what_stands_before_is_found(texts in proptest::collection::vec("[ab]{0,2}", 0..12)) {
            let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
            let before = |i: &usize| texts[..*i].contains(&texts[*i]);
            let expected: Vec<usize> = (0..texts.len()).filter(before).collect();
            prop_assert_eq!(repeated(&texts), expected);
        }

        #[test]
        fn equal_items_keep_their_places(items: Vec<(u8, u8)>) {
            let tens = |(a, _): &(u8, u8)| a / 10;
            let mut expected = items.clone();
            expected.sort_by_key(tens);
            prop_assert_eq!(stable_by(items, |a, b| tens(a).cmp(&tens(b))), expected);
        }
    }
}
