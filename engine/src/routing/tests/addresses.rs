//! The table of addresses (`addresses.txt`), read.

/// Rows that are read under the same settings.
#[derive(Debug)]
pub struct Section<'t> {
    /// What it is about.
    pub title: &'t str,
    /// `targets`, as JSON.
    pub targets: &'t str,
    /// The rows.
    pub rows: Vec<Row<'t>>,
}

/// A request, and what it reaches.
#[derive(Debug)]
pub struct Row<'t> {
    /// As it is written.
    pub text: &'t str,
    /// HTTP method.
    pub method: &'t str,
    /// `:authority`.
    pub host: &'t str,
    /// `:path`, with query.
    pub path: &'t str,
    /// Header lines.
    pub headers: Vec<(&'t str, &'t str)>,
    /// What is reached, in words.
    pub reaches: &'t str,
    /// What becomes of it in Envoy, where that is something else.
    pub in_envoy: Option<&'t str>,
}

/// The sections.
pub fn sections() -> Vec<Section<'static>> {
    let mut sections = Vec::new();
    let mut title = "";
    for line in include_str!("addresses.txt").lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("## ") {
            title = text;
        } else if let Some(targets) = line.strip_prefix("targets ") {
            sections.push(Section { title, targets, rows: Vec::new() });
        } else if let Some(section) = sections.last_mut().filter(|_| !line.is_empty()) {
            section.rows.push(row(line).unwrap_or_else(|| panic!("not a row: {line}")));
        }
    }
    sections
}

fn row(text: &str) -> Option<Row<'_>> {
    let (address, reaches) = text.split_once(" => ")?;
    let (reaches, in_envoy) = match reaches.split_once(" | ") {
        Some((reaches, envoy)) => (reaches, Some(envoy.split_once(" [")?.0)),
        None => (reaches, None),
    };
    let mut words = address.split_whitespace();
    let (method, url) = (words.next()?, words.next()?);
    let (host, path) = match url.strip_prefix('@') {
        Some(rest) => rest.split_at(rest.find('/')?),
        None => ("gateway.example.com", url),
    };
    let headers = words.map(|word| word.split_once('=')).collect::<Option<_>>()?;
    Some(Row { text, method, host, path, headers, reaches, in_envoy })
}

/// Whether that is what was expected: the same, or a refusal for that reason.
pub fn fits(expected: &str, found: &str) -> bool {
    match expected.strip_prefix("400 ") {
        Some(part) => found.starts_with("400 ") && found.contains(part),
        None => found == expected,
    }
}
