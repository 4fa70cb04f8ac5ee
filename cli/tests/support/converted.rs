//! What holds for every case of a conversion.

use super::cases::Case;
use super::support::{Outcome, modelgate};

/// Converts a text.
pub fn convert(text: &str, arguments: &[String]) -> Outcome {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    modelgate(&[&["convert", "-"], &arguments[..]].concat(), text)
}

/// Converts a case, which is told of as it says, and whose plugin `check` accepts; `None` if it is refused.
pub fn made(case: &Case, text: &str) -> Option<Outcome> {
    let name = &case.name;
    let made = convert(text, &case.arguments);
    let wanted = match case.verdict.as_str() {
        "exact" => 0,
        "remarks" => 1,
        "refused" => 2,
        other => panic!("{name}: {other} is no verdict"),
    };
    assert_eq!(made.status, wanted, "{name}: {}\n{}", made.stderr, made.stdout);
    for part in &case.told {
        match part.strip_prefix("never: ") {
            Some(part) => assert!(!made.stderr.contains(part), "{name}: {part} in {}", made.stderr),
            None => assert!(made.stderr.contains(part), "{name}: {part} in {}", made.stderr),
        }
    }
    if wanted == 2 {
        assert_eq!(made.stdout, "", "{name}: something was written");
        return None;
    }
    // What is listed stands in the head, too.
    for line in made.stderr.lines().filter(|line| line.starts_with("standard input:")) {
        assert!(made.stdout.contains(&format!("# - {line}\n")), "{name}: {line}");
    }
    let checked = modelgate(&["check", "-"], &made.stdout);
    assert_eq!(checked.status, 0, "{name}: {}{}", checked.stdout, made.stdout);
    Some(made)
}
