//! What led the fuzzers to code of its own, before their oracles: an input in each line of a corpus. Addresses
//! are replayed in `tests/deputy/`. CONTRIBUTING.md says how to look further, and how to add to it.
#![cfg(test)]

mod body;
mod comparison;
mod configuration;
mod header_map;
mod keys;
mod lines;
mod nowhere;
mod patterns;
mod policies;
mod signatures;
mod tokens;
mod usage;

fn replay(corpus: &str, mut send: impl FnMut(&[u8]) -> Result<(), String>) {
    assert!(!corpus.is_empty());
    for line in corpus.lines() {
        let data =
            lines::unescaped(line).unwrap_or_else(|| panic!("not a line of a corpus: {line}"));
        assert_eq!(lines::escaped(&data), line);
        send(&data).unwrap_or_else(|wrong| panic!("{wrong}\n{line}"));
    }
}

#[test]
fn tokens_say_what_was_signed() {
    let mut gateway = tokens::Gateway::new(&tokens::keys()).unwrap();
    replay(include_str!("../../fuzz/corpora/tokens.txt"), |data| tokens::send(&mut gateway, data));
}

macro_rules! targets {
    ($($test:ident: $target:ident in $corpus:literal;)*) => {$(
        #[test]
        fn $test() {
            replay(include_str!(concat!("../../fuzz/corpora/", $corpus)), $target::send);
        }
    )*};
}

targets! {
    bodies_name_one_model: body in "body.txt";
    answers_agree_with_themselves: comparison in "comparison.txt";
    configurations_are_refused_or_decide: configuration in "configuration.txt";
    header_maps_are_read_as_they_are: header_map in "header_map.txt";
    keys_verify_what_they_signed: keys in "keys.txt";
    patterns_match_as_istio_says: patterns in "patterns.txt";
    policies_decide_without_their_index: policies in "policies.txt";
    usage_is_the_same_however_it_is_cut: usage in "usage.txt";
}
