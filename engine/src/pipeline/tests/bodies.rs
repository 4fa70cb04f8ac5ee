//! Which model a body names, and what is decided of it, however it is cut. The same rows go through Envoy.

use super::*;
use crate::body::ModelReader;

const SETTINGS: &str = include_str!("bodies.json");
const ROWS: &str = include_str!("bodies.txt");

/// A row: request, header, body, model, operation, status.
fn rows() -> impl Iterator<Item = [&'static str; 6]> {
    let lines = ROWS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        columns.try_into().unwrap_or_else(|_| panic!("not six columns: {line}"))
    })
}

/// What becomes of a request whose body comes in chunks of this size: model, operation, status.
fn outcome(plan: &Plan, [request, header, body]: [&str; 3], size: usize) -> [String; 3] {
    let (method, address) = request.split_once(' ').unwrap();
    let (host, path) = address.split_at(address.find('/').unwrap());
    let (name, value) = header.split_once(": ").unwrap_or(("content-type", "application/json"));
    let lines = [(":method", method), (":path", path), (":authority", host), (name, value)];
    let lines = lines.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let attributes = Attributes::new(&NoHost);
    let request = Request::new(&lines, &attributes);
    let Decision { facts, next } = plan.decide(&request, &mut plan.token_cache(), |_| Ok(()));
    let mut decision = match next {
        Next::AwaitModel(awaited) => {
            let mut reader = ModelReader::default();
            let mut chunks = body.as_bytes().chunks(size);
            let mut facts = Some(facts);
            let mut decided = None;
            let read = chunks.try_for_each(|chunk| {
                reader.read(chunk)?;
                if let Some((facts, model)) =
                    facts.take_if(|_| reader.model().is_some()).zip(reader.model())
                {
                    decided = Some(plan.decide_model(&request, &awaited, model, facts, |_| Ok(())));
                }
                Ok(())
            });
            let read = read.and_then(|()| reader.finish().map(drop));
            match (decided, read) {
                (Some(decision), Ok(())) => decision,
                // What it was decided as stays in the log.
                (Some(decision), Err(refusal)) if code(&decision).is_none() => {
                    plan.refuse_body(decision.facts, refusal)
                }
                (Some(decision), Err(_)) => decision,
                (None, Err(refusal)) => plan.refuse_body(facts.unwrap(), refusal),
                (None, Ok(())) => panic!("neither decided nor refused"),
            }
        }
        next => Decision { facts, next },
    };
    let model = decision.facts.model.take();
    [
        model.map_or("-".to_owned(), |model| model.to_string()),
        decision.facts.operation.map_or("-", Operation::as_str).to_owned(),
        code(&decision).unwrap_or(200).to_string(),
    ]
}

#[test]
fn a_body_names_the_model_however_it_is_cut() {
    let plan = plan(serde_json::from_str(SETTINGS).unwrap());
    let (mut checked, mut wrong) = (0, Vec::new());
    for [request, header, body, model, operation, status] in rows() {
        for size in [1, 2, 3, 7, 16, usize::MAX] {
            let size = size.min(body.len()).max(1);
            let [found, of, code] = outcome(&plan, [request, header, body], size);
            // A body that is refused to its end may have been decided, or not.
            let is_known = status != "400" || found != "-";
            let expected = if is_known { model } else { "-" };
            if [&*found, &*of, &*code] != [expected, operation, status] {
                wrong.push(format!("{request} {header} {body} by {size}: {found} {of} {code}"));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 400, "{checked}");
}

/// Whoever wrote policies for models has not opened the names that they do not have.
#[test]
fn other_names_need_an_allow_whatever_the_default_is() {
    for (policies, status) in [
        (json!([]), "200"),
        (json!([{"name": "a", "models": ["prod/llama"], "rules": [{}]}]), "403"),
        (
            json!([{"name": "d", "action": "DENY", "models": ["prod/llama", "llm/known"], "rules": [{}]}]),
            "403",
        ),
        (json!([{"name": "a", "rules": [{}]}]), "200"),
    ] {
        let plan = plan(json!({
            "targets": {
                "families": ["seldon-v1", "openai"], "bodyModels": ["prod/llama"],
                "openai": [{"namespace": "llm", "hosts": ["models.example.com"]}],
            },
            "authorization": {"defaultAction": "ALLOW", "policies": policies},
        }));
        for address in
            ["gateway/seldon/prod/llama/v1/completions", "models.example.com/v1/completions"]
        {
            let request = format!("POST {address}");
            let [.., code] = outcome(&plan, [&request, "", r#"{"model":"alias"}"#], 7);
            assert_eq!(code, status, "{request} {policies}");
        }
    }
}

/// Beside a name in the body, the header that leads to a deployment may have the deployment's own.
#[test]
fn a_published_name_leads_to_the_deployment_of_the_adapter() {
    let plan = plan(json!({
        "targets": {"families": ["llmisvc"], "llmisvc": ["prod"], "bodyModels": ["prod/llama"]},
        "authorization": {"defaultAction": "DENY", "policies": [{"name": "a", "models": ["prod/llama", "prod/llama/sql"], "rules": [{}]}]},
    }));
    let of_path = "publishers/prod/models/llama/v1/completions";
    for (path, header, model, expected) in [
        ("v1/completions", "publishers/prod/models/llama", "llama", "prod/llama 200"),
        ("v1/completions", "publishers/prod/models/llama", "sql", "prod/llama/sql 200"),
        ("v1/completions", "publishers/prod/models/llama", "law", "prod/llama/law 403"),
        ("v1/completions", "publishers/prod/models/llama/", "sql", "- 400"),
        ("v1/completions", "publishers/prod/models/mistral", "llama", "prod/mistral 403"),
        (of_path, "publishers/prod/models/llama", "sql", "prod/llama/sql 200"),
        (of_path, "publishers/prod/models/llama2", "sql", "- 400"),
        (of_path, "sql", "sql", "prod/llama/sql 200"),
        (of_path, "other", "sql", "- 400"),
    ] {
        for name in ["x-gateway-model-name", "x-gateway-base-model-name"] {
            let (request, header) = (format!("POST gateway/{path}"), format!("{name}: {header}"));
            let body = json!({"model": model}).to_string();
            let [found, _, code] = outcome(&plan, [&request, &header, &body], 7);
            assert_eq!(format!("{found} {code}"), expected, "{request} {header} {body}");
        }
    }
}

/// The deployment's split holds for its adapters.
#[test]
fn a_split_by_address_says_the_variant_before_the_body_comes() {
    let plan = plan(json!({
        "targets": {"families": ["seldon-v1"], "bodyModels": ["prod/llama"]},
        "splits": [{"name": "s", "models": ["prod/llama"], "header": "x-variant", "variants": [{"name": "a", "weight": 1}]}],
    }));
    let decision = decide(&plan, "POST /seldon/prod/llama/v1/completions", &[]);
    let edits = decision.edits().unwrap();
    assert!(edits.added().any(|(name, value)| name == b"x-variant" && value == b"a"), "{edits:?}");
}
