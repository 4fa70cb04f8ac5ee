//! No circles: of two modules that stand side by side, with all that is in them, only one imports from the
//! other, by whatever way round. A module and the folder of its parts are one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// The sources that are held to it.
const SOURCES: [&str; 7] =
    ["engine/src", "cli/src", "local/src", "bench/src", "xtask/src", "demo/src", "image/src"];

/// Fails with the circles that there are.
pub fn check(root: &Path) -> Result<()> {
    let mut found = Vec::new();
    for source in SOURCES {
        let modules = read(&root.join(source))?;
        found.extend(circles(&modules).into_iter().map(|circle| format!("{source}: {circle}")));
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("modules import each other in a circle:\n{}", found.join("\n"))
}

/// The segments of a module's path, and its text.
type Modules = BTreeMap<Vec<String>, String>;

fn read(source: &Path) -> Result<Modules> {
    let mut modules = Modules::new();
    let mut folders = vec![source.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inner = path.strip_prefix(source)?.with_extension("");
                let mut name: Vec<String> =
                    inner.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                if name.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
                    name.pop();
                }
                modules.insert(name, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(without_tests(modules))
}

/// What tests import is no part of what is built.
fn without_tests(mut modules: Modules) -> Modules {
    let declared = |text: &str| -> Vec<String> {
        let after = text.split("#[cfg(test)]\n").skip(1).filter_map(|text| text.lines().next());
        let names = after.filter_map(|line| line.rsplit_once("mod ")?.1.strip_suffix(';'));
        names.map(str::to_owned).collect()
    };
    let tests: BTreeSet<Vec<String>> = modules
        .iter()
        .flat_map(|(name, text)| {
            declared(text).into_iter().map(|test| [name.as_slice(), &[test]].concat())
        })
        .collect();
    modules.retain(|name, _| !tests.iter().any(|test| name.starts_with(test)));
    modules
}

/// In each folder, the modules that import each other.
fn circles(modules: &Modules) -> Vec<String> {
    // For each folder, from one module in it to another, with the imports that lead there.
    let mut edges: BTreeMap<&[String], BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    let imports: Vec<(&[String], &[String])> = modules
        .iter()
        .flat_map(|(name, text)| imports(name, text, modules).map(|to| (name.as_slice(), to)))
        .collect();
    for (from, to) in imports {
        let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        if let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) {
            let folder = edges.entry(from.get(..shared).unwrap_or_default()).or_default();
            folder.entry(a).or_default().insert(b);
        }
    }
    let mut found = Vec::new();
    for (folder, edges) in &edges {
        for start in edges.keys() {
            if let Some(way) = way_back(edges, start).filter(|way| way.iter().min() == Some(start))
            {
                let place = folder.iter().map(|part| format!("{part}::")).collect::<String>();
                found.push(format!("{place}{{{} -> {start}}}", way.join(" -> ")));
            }
        }
    }
    found
}

/// The shortest way from a module to itself.
fn way_back<'m>(
    edges: &BTreeMap<&'m str, BTreeSet<&'m str>>,
    start: &&'m str,
) -> Option<Vec<&'m str>> {
    let mut ways = std::collections::VecDeque::from([vec![*start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in edges.get(way.last()?).into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if seen.insert(*next) {
                ways.push_back([&way[..], &[*next]].concat());
            }
        }
    }
    None
}

/// The modules from which one imports.
fn imports<'m>(
    name: &'m [String],
    text: &str,
    modules: &'m Modules,
) -> impl Iterator<Item = &'m [String]> {
    let known = move |mut path: Vec<String>| {
        while !path.is_empty() && !modules.contains_key(&path) {
            path.pop();
        }
        modules.get_key_value(&path).map(|(name, _)| name.as_slice()).filter(|to| *to != name)
    };
    paths(text).into_iter().filter_map(move |path| {
        let mut parts = path.iter().map(String::as_str).peekable();
        let mut full = match parts.peek() {
            Some(&"crate") => Vec::new(),
            _ => name.to_vec(),
        };
        for part in parts {
            match part {
                "crate" | "self" => {}
                "super" => drop(full.pop()),
                part => full.push(part.to_owned()),
            }
        }
        known(full)
    })
}

/// The paths in a text that begin with `crate`, `self` or `super`; lists in braces one by one.
fn paths(text: &str) -> Vec<Vec<String>> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    // What begins a path, as long as a brace is open.
    let mut before: Vec<Vec<String>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut rest = code.as_str();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let begins = |word: &str| ["crate", "self", "super"].contains(&word);
        if word > 0 {
            let (name, tail) = rest.split_at(word);
            rest = tail;
            if !path.is_empty() || begins(name) {
                path.push(name.to_owned());
                match rest.strip_prefix("::") {
                    Some(tail) => rest = tail,
                    None => found.push(std::mem::replace(&mut path, inner(&before))),
                }
            }
            continue;
        }
        match first {
            '{' => before.push(std::mem::take(&mut path)),
            '}' => drop(before.pop()),
            _ => {}
        }
        if matches!(first, '{' | '}' | ',') {
            path = inner(&before);
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    found
}

/// What a path within the braces that are open begins with; nothing in a block.
fn inner(before: &[Vec<String>]) -> Vec<String> {
    match before.last() {
        Some(last) if !last.is_empty() => last.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(modules: &[(&str, &str)]) -> Vec<String> {
        let name =
            |path: &str| path.split("::").filter(|p| !p.is_empty()).map(str::to_owned).collect();
        let modules = modules.iter().map(|(path, text)| (name(path), (*text).to_owned()));
        circles(&without_tests(modules.collect()))
    }

    #[test]
    fn a_circle_is_found_by_whatever_way() {
        for (a, b, found) in [
            ("use crate::b::B;", "", false),
            ("use crate::b::B;", "use super::a::A;", true),
            ("use crate::{few, b::{B, C}};", "use crate::a;", true),
            ("fn f() { crate::b::f() }", "fn g(a: crate::a::A) {}", true),
            ("use crate::b::B; // crate::b", "// use crate::a::A;", false),
            ("use crate::b::B;", "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}", false),
            ("use super::b::B;", "use crate::b::c::C;", false),
        ] {
            let circles =
                of(&[("", "mod a; mod b;"), ("a", a), ("b", b), ("b::c", "use super::B;")]);
            assert_eq!(!circles.is_empty(), found, "{a} {b}: {circles:?}");
        }
    }

    #[test]
    fn what_tests_import_is_passed_over() {
        for (declared, found) in [("#[cfg(test)]\nmod t;", false), ("mod t;", true)] {
            let circles = of(&[
                ("", ""),
                ("a", "use crate::b::B;"),
                ("b", declared),
                ("b::t", "use crate::a::A;"),
            ]);
            assert_eq!(!circles.is_empty(), found, "{circles:?}");
        }
    }

    #[test]
    fn there_are_none() {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    }

    #[test]
    fn the_way_is_shown_once() {
        let modules = [
            ("", ""),
            ("x::a", "use super::b::B;"),
            ("x::b", "use super::c::C;"),
            ("x::c", "use crate::x::a;"),
        ];
        assert_eq!(of(&modules), ["x::{a -> b -> c -> a}"]);
        let apart = [("a", "use crate::b::c::C;"), ("b", "use crate::a::A;"), ("b::c", "")];
        assert_eq!(of(&apart), ["{a -> b -> a}"]);
    }
}
