//! Requests as they end: what the gateway's access log says of each, for people or for programs.

use serde_json::Value;

/// A line for people.
pub fn text(line: &str, is_colored: bool) -> Option<String> {
    let fields: Value = serde_json::from_str(line).ok()?;
    let get = |name: &str| match fields.get(name) {
        Some(Value::String(text)) if text != "-" => text.trim_matches('"').to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let time = get("start_time");
    let time = time.get(11..19).unwrap_or_default();
    let decision = get("modelgate_decision");
    let status = get("response_code");
    let of = [get("modelgate_model"), get("modelgate_operation")].join(" ");
    let mut line = format!(
        "{time} {status:>3} {:15} {} {}  {}",
        // Envoy answers by itself what is no HTTP, and modelgate sees none of it.
        if decision.is_empty() { "(undecided)" } else { &decision },
        get("method"),
        get("path"),
        of.trim(),
    );
    let policy = get("modelgate_policy");
    let details = get("response_code_details");
    for (what, value) in [
        ("by", &policy),
        ("for", &get("modelgate_principal")),
        ("copied to", &get("modelgate_shadow")),
    ] {
        if !value.is_empty() {
            line = format!("{line}  {what} {value}");
        }
    }
    if !details.is_empty() && details != "via_upstream" {
        line = format!("{line}  ({details})");
    }
    // Clients choose paths: nothing that a terminal acts on.
    let line: String = line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let color = match decision.as_str() {
        _ if !is_colored => return Some(format!("{line}\n")),
        "allowed" | "bypassed" => "32",
        "excluded" => "2",
        "" => "33",
        _ => "31",
    };
    Some(format!("\u{1b}[{color}m{line}\u{1b}[0m\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_decided_and_why() {
        let logged = r#"{"start_time": "2026-11-28T20:00:00.123Z", "method": "POST", "path": "/models/prod/iris:predict\u001b",
            "response_code": 403, "response_code_details": "rbac_access_denied_matched_policy[none]", "modelgate_model": "prod/iris",
            "modelgate_operation": "predict", "modelgate_decision": "denied", "modelgate_policy": null,
            "modelgate_principal": "https://idp.example.com/alice"}"#;
        let line = text(logged, false).expect("a line");
        let wanted = "20:00:00 403 denied          POST /models/prod/iris:predict\u{fffd}  prod/iris predict  \
            for https://idp.example.com/alice  (rbac_access_denied_matched_policy[none])\n";
        assert_eq!(line, wanted);
        assert!(text(logged, true).expect("a line").starts_with("\u{1b}[31m"));
        assert_eq!(text("Envoy says something", false), None);
    }
}
