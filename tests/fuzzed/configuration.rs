//! The text of a configuration: it is refused with a reason that a terminal may show, or it decides; and it is the
//! same configuration when another writer of JSON has written it.

use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::{Decision, Plan};
use modelgate_engine::request::{Attributes, Header, Request};
use serde_json::Value;

use super::nowhere::Nowhere;

/// Requests that some configurations tell apart.
const PATHS: [&[u8]; 4] = [
    b"/seldon/prod/iris/api/v1.0/predictions",
    b"/v2/models/iris/infer?access_token=e30.e30.e30",
    b"/v1/chat/completions",
    b"/..;/%2e\xff",
];

fn read(text: &[u8]) -> (Option<Plan>, String) {
    let mut errors = Errors::default();
    let plan = Plan::read(text, &mut errors);
    let warnings = errors.warnings().iter().map(|warning| format!("{warning}\n"));
    let said = warnings.collect::<String>() + &errors.to_string();
    (plan, said)
}

fn decide(plan: &Plan, path: &[u8]) -> Decision {
    let lines: [Header<'_>; 5] = [
        (b":method", b"POST"),
        (b":authority", b"models.example.com"),
        (b":path", path),
        (b"authorization", b"Bearer e30.e30.e30"),
        (b"x-request-id", b"7"),
    ];
    let attributes = Attributes::new(&Nowhere);
    plan.decide(&Request::new(&lines, &attributes), &mut plan.token_cache(), |_| Ok(()))
}

/// Data of a fuzzer: the text. The error says what is wrong.
pub fn send(data: &[u8]) -> Result<(), String> {
    let (plan, said) = read(data);
    if said.chars().any(|c| c.is_control() && c != '\n') {
        return Err(format!("a terminal would obey {said:?}"));
    }
    if said != read(data).1 {
        return Err("it is not the same twice".into());
    }
    let Some(plan) = plan else {
        return if said.is_empty() { Err("refused without a reason".into()) } else { Ok(()) };
    };
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        let (anew, said) = read(value.to_string().as_bytes());
        anew.ok_or_else(|| format!("refused once it is written anew: {said}"))?;
    }
    for path in PATHS {
        let (one, two) = (decide(&plan, path), decide(&plan, path));
        if (one.facts.verdict, one.reply(), one.edits())
            != (two.facts.verdict, two.reply(), two.edits())
        {
            return Err(format!("{} is decided in two ways", path.escape_ascii()));
        }
    }
    Ok(())
}
