//! String matches, path templates and rewrites, against plain readings of what Istio and Envoy say of them.

use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use modelgate_engine::request::{Attributes, Header, Request};
use serde_json::{Value, json};

use super::nowhere::Nowhere;

fn plan(config: &Value) -> Option<Plan> {
    Plan::read(config.to_string().as_bytes(), &mut Errors::default())
}

/// The code of its answer, whether a policy has decided, and the path that it goes on with.
fn decide(plan: &Plan, path: &[u8]) -> (Option<u32>, bool, Option<Vec<u8>>) {
    let lines: [Header<'_>; 3] =
        [(b":method", b"GET"), (b":authority", b"models"), (b":path", path)];
    let attributes = Attributes::new(&Nowhere);
    let request = Request::new(&lines, &attributes);
    let decision = plan.decide(&request, &mut plan.token_cache(), |_| Ok(()));
    let edits = decision.edits();
    let new = edits.and_then(|edits| edits.added().find(|(name, _)| *name == b":path"));
    let code = decision.reply().map(|reply| reply.code);
    (code, decision.facts.policy.is_some(), new.map(|(_, path)| path.to_vec()))
}

/// RFC 3986 `pchar`, and `*`: what an operator of Envoy's templates takes.
fn is_pchar(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=*".contains(&c)
}

/// Envoy's `uri_template`: `{*}` is a segment, `{**}` any number of characters of segments.
fn fits_template(template: &[u8], path: &[u8]) -> bool {
    if let Some(rest) = template.strip_prefix(b"{**}") {
        let taken = path.iter().take_while(|c| **c == b'/' || is_pchar(**c)).count();
        return (0..=taken).any(|end| fits_template(rest, &path[end..]));
    }
    if let Some(rest) = template.strip_prefix(b"{*}") {
        let taken = path.iter().take_while(|c| is_pchar(**c)).count();
        return (1..=taken).any(|end| fits_template(rest, &path[end..]));
    }
    match (template.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((a, template)), Some((b, path))) => a == b && fits_template(template, path),
        _ => false,
    }
}

/// Istio's string match of a path. What refuses takes any bytes for `*`.
fn fits(pattern: &str, path: &[u8]) -> bool {
    if pattern.contains("{*}") || pattern.contains("{**}") {
        return fits_template(pattern.as_bytes(), path);
    }
    match (pattern, pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        ("*", ..) => !path.is_empty(),
        (_, Some(end), _) => path.ends_with(end.as_bytes()),
        (_, _, Some(start)) => path.starts_with(start.as_bytes()),
        _ => path == pattern.as_bytes(),
    }
}

fn bare(path: &[u8]) -> &[u8] {
    let end = path.iter().position(|c| matches!(c, b'?' | b'#'));
    &path[..end.unwrap_or(path.len())]
}

fn send_match(pattern: &str, path: &[u8]) -> Result<(), String> {
    let rules = |field: &str| json!([{"to": [{"operation": {field: [pattern]}}]}]);
    let deny = |field: &str| {
        let policy = json!({"name": "p", "action": "DENY", "rules": rules(field)});
        plan(&json!({"authorization": {"policies": [policy]}}))
    };
    let (Some(paths), Some(others)) = (deny("paths"), deny("notPaths")) else { return Ok(()) };
    let expected = fits(pattern, bare(path));
    for (plan, expected) in [(paths, expected), (others, !expected)] {
        // A path that servers read in several ways is refused anyway.
        let (code, by_policy, _) = decide(&plan, path);
        if code != Some(400) && by_policy != expected {
            return Err(format!("{pattern} {}: {code:?}", path.escape_ascii()));
        }
    }
    Ok(())
}

/// The variables of a pattern in a path, where neither has an escape.
fn captured<'p>(pattern: &'p str, path: &'p str) -> Option<Vec<(&'p str, &'p str)>> {
    let (mut pattern, mut path) = (pattern.strip_prefix('/')?, path.strip_prefix('/')?);
    let mut found = Vec::new();
    loop {
        let (segment, more) =
            pattern.split_once('/').map_or((pattern, None), |(a, b)| (a, Some(b)));
        if let (Some(name), None) =
            (segment.strip_prefix('{').and_then(|s| s.strip_suffix("=**}")), more)
        {
            found.push((name, path));
            return Some(found);
        }
        let (part, rest) = path.split_once('/').map_or((path, None), |(a, b)| (a, Some(b)));
        match segment.split_once('{') {
            None if segment == part => {}
            None => return None,
            Some((before, from)) => {
                let (name, after) = from.split_once('}')?;
                let value = part.strip_prefix(before)?.strip_suffix(after)?;
                found.push((name, value));
            }
        }
        match (more, rest) {
            (None, None) => {
                return found.iter().all(|(_, value)| !value.is_empty()).then_some(found);
            }
            (Some(more), Some(rest)) => (pattern, path) = (more, rest),
            _ => return None,
        }
    }
}

fn send_rewrite(pattern: &str, template: &str, path: &[u8]) -> Result<(), String> {
    let rule = json!({"name": "r", "match": {"path": pattern}, "path": template});
    let Some(plan) = plan(&json!({"rewrites": [rule]})) else { return Ok(()) };
    let (code, _, Some(new)) = decide(&plan, path) else { return Ok(()) };
    let decoded: Vec<u8> = percent_encoding::percent_decode(bare(&new)).collect();
    let mut segments = decoded.split(|c| matches!(c, b'/' | b'\\'));
    if !new.starts_with(b"/")
        || decoded.starts_with(b"//")
        || decoded.iter().any(u8::is_ascii_control)
        || segments.any(|segment| matches!(segment, b"." | b".."))
    {
        return Err(format!("{} is written, {code:?}", new.escape_ascii()));
    }
    let (Ok(text), false) =
        (std::str::from_utf8(bare(path)), path.contains(&b'%') || pattern.contains('%'))
    else {
        return Ok(());
    };
    let captured = captured(pattern, text).ok_or_else(|| format!("{pattern} takes {text}"))?;
    let mut expected = template.to_owned();
    // A value may look like a variable: each is filled in once.
    let mut filled = String::new();
    while let Some((before, from)) = expected.split_once('{') {
        let (name, after) = from.split_once('}').ok_or("a template without an end")?;
        let value =
            captured.iter().find(|(known, _)| *known == name).ok_or("an unknown variable")?;
        filled = filled + before + value.1;
        expected = after.to_owned();
    }
    let expected = [(filled + &expected).as_bytes(), &path[bare(path).len()..]].concat();
    if expected == new {
        return Ok(());
    }
    Err(format!("{} and not {}", new.escape_ascii(), expected.escape_ascii()))
}

/// Data of a fuzzer: lines. A pattern and a path; or a pattern, a template and a path. The error says what is wrong.
pub fn send(data: &[u8]) -> Result<(), String> {
    let lines: Vec<&[u8]> = data.splitn(3, |c| *c == b'\n').collect();
    let text = |line| std::str::from_utf8(line);
    match *lines {
        [pattern, path] => match text(pattern) {
            Ok(pattern) => send_match(pattern, path),
            Err(_) => Ok(()),
        },
        [pattern, template, path] => match (text(pattern), text(template)) {
            (Ok(pattern), Ok(template)) => send_rewrite(pattern, template, path),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}
