//! The built-in model behind the Open Inference Protocol, as KServe and MLServer serve it: version 2 with one FP64 input of
//! four columns, and version 1.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::executor::{Answer, Question};
use crate::iris::Iris;

/// The answer, if the address is one of the protocol.
pub fn answer(iris: &Iris, question: &Question<'_>) -> Option<Answer> {
    let path = question.path.split(['?', '#']).next().unwrap_or_default();
    let answered = match (question.method, path) {
        ("GET", "/v2") => Ok(json!({"name": "modelgate", "version": "1", "extensions": []})),
        ("GET", "/v2/health/live") => Ok(json!({"live": true})),
        ("GET", "/v2/health/ready") => Ok(json!({"ready": true})),
        ("POST", path) if path.starts_with("/v1/models/") => {
            let name = path.strip_prefix("/v1/models/")?.strip_suffix(":predict")?;
            (!name.contains('/')).then(|| first_version(iris, question.body))?
        }
        (method, path) => {
            let rest = path.strip_prefix("/v2/models/")?;
            let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
            // A version stands before what is asked.
            let asked = rest.strip_prefix("versions/").and_then(|rest| rest.split_once('/'));
            match (method, asked.map_or(rest, |(_, asked)| asked)) {
                ("GET", "") => Ok(json!({
                    "name": name, "versions": ["1"], "platform": "modelgate",
                    "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}],
                    "outputs": [{"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]}],
                })),
                ("GET", "ready") => Ok(json!({"name": name, "ready": true})),
                ("POST", "infer") => second_version(iris, name, question.body),
                _ => return None,
            }
        }
    };
    let (status, body) = match answered {
        Ok(body) => (200, body),
        Err(error) => (400, json!({"error": format!("{error:#}")})),
    };
    Some(Answer::new(status, "application/json", body.to_string()))
}

fn first_version(iris: &Iris, body: &[u8]) -> Result<Value> {
    let message: Value = serde_json::from_slice(body).context("not JSON")?;
    let rows = message.get("instances").and_then(Value::as_array).context("no instances")?;
    let answers = rows.iter().map(|row| iris.predict(&numbers(row)?));
    Ok(json!({"predictions": answers.collect::<Result<Vec<_>>>()?}))
}

fn second_version(iris: &Iris, name: &str, body: &[u8]) -> Result<Value> {
    let message: Value = serde_json::from_slice(body).context("not JSON")?;
    let input = message.pointer("/inputs/0").context("no inputs")?;
    let data = input.get("data").context("the input has no data")?;
    // Flat, or a list for each row.
    let nested = data.as_array().context("data is not a list")?.iter().any(Value::is_array);
    let values = match nested {
        true => {
            data.as_array().into_iter().flatten().map(numbers).collect::<Result<Vec<_>>>()?.concat()
        }
        false => numbers(data)?,
    };
    ensure!(!values.is_empty(), "the input has no data");
    let answers = values.chunks(4).map(|row| iris.predict(row)).collect::<Result<Vec<_>>>()?;
    let Some(columns) = answers.first().map(Vec::len) else { bail!("the input has no rows") };
    let mut answer = json!({
        "model_name": name,
        "outputs": [{
            "name": "predict_proba", "datatype": "FP64", "shape": [answers.len(), columns], "data": answers.concat(),
        }],
    });
    if let (Some(fields), Some(id)) = (answer.as_object_mut(), message.get("id")) {
        fields.insert("id".to_owned(), id.clone());
    }
    Ok(answer)
}

fn numbers(row: &Value) -> Result<Vec<f64>> {
    let row = row.as_array().context("not a list of numbers")?;
    row.iter().map(|x| x.as_f64().context("not a number")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_answer_and_nothing_else() {
        let iris = Iris::main().unwrap();
        let row = json!([6.0, 2.7, 4.2, 1.3]);
        let first = json!({"instances": [row]}).to_string();
        let second = json!({"id": "a", "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": row}]}).to_string();
        for (method, path, body, wanted) in [
            (
                "POST",
                "/v1/models/iris:predict",
                first.as_str(),
                Some((200, r#"{"predictions":[["#)),
            ),
            ("POST", "/v1/models/iris:predict", "{}", Some((400, "no instances"))),
            ("POST", "/v1/models/a/b:predict", first.as_str(), None),
            ("POST", "/v2/models/iris/infer?x", second.as_str(), Some((200, r#""id":"a""#))),
            (
                "POST",
                "/v2/models/iris/versions/1/infer",
                second.as_str(),
                Some((200, "predict_proba")),
            ),
            (
                "POST",
                "/v2/models/iris/infer",
                r#"{"inputs": [{"data": [1, 2]}]}"#,
                Some((400, "features")),
            ),
            ("GET", "/v2/models/iris", "", Some((200, r#""shape":[-1,4]"#))),
            ("GET", "/v2/models/iris/ready", "", Some((200, "ready"))),
            ("GET", "/v2/health/live", "", Some((200, "live"))),
            ("POST", "/v2/repository/index", "", None),
            ("POST", "/v1/chat/completions", "{}", None),
        ] {
            let question = Question { method, path, puid: None, body: body.as_bytes() };
            let got = answer(&iris, &question);
            let got = got.map(|answer| (answer.status, String::from_utf8(answer.body).unwrap()));
            match (&got, wanted) {
                (Some((status, text)), Some((code, part))) => {
                    assert!(*status == code && text.contains(part), "{method} {path}: {got:?}");
                }
                (None, None) => {}
                _ => panic!("{method} {path}: {got:?}"),
            }
        }
    }
}
