//! Finds in Envoy's log what a reader should see.

/// Warnings and worse, with the lines that belong to them.
pub fn serious(log: &str) -> impl Iterator<Item = &str> {
    const SERIOUS: [&str; 3] = ["[warning]", "[error]", "[critical]"];
    /// Envoy says this to everybody.
    const USUAL: &str = "global_downstream_max_connections";
    let mut within = false;
    log.lines().filter(move |line| {
        if line.starts_with('[') {
            within = SERIOUS.iter().any(|level| line.contains(level)) && !line.contains(USUAL);
        }
        within
    })
}

/// What a line says of one of these fields.
pub fn about<'a>(line: &'a str, fields: &[&str]) -> Option<&'a str> {
    let text = line.rsplit_once("modelgate:").map_or(line, |(_, text)| text);
    fields.iter().any(|field| text.contains(field)).then(|| text.trim())
}

/// Where two answers differ, if the line says so.
pub fn difference(line: &str) -> Option<&str> {
    let (_, text) = line.split_once("modelgate: shadow ")?;
    Some(text).filter(|text| text.contains(" at /"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[1][info][main] starting
[1][error][wasm] wasm log: modelgate: refused:
shadows[0].percent: is too large
[1][info][main] going on
[1][warning][wasm] wasm log: modelgate: shadow iris-v2 differs: score at /data/0 by 0.2
";

    #[test]
    fn finds_what_matters() {
        assert_eq!(serious(LOG).count(), 3);
        let about: Vec<&str> = LOG.lines().filter_map(|line| about(line, &["percent"])).collect();
        assert_eq!(about, ["shadows[0].percent: is too large"]);
        let differences: Vec<&str> = LOG.lines().filter_map(difference).collect();
        assert_eq!(differences, ["iris-v2 differs: score at /data/0 by 0.2"]);
    }
}
