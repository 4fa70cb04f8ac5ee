//! Requests to servers that take the model from the body, as an honest client sends them, and as nobody does.

use testbed::dice::Dice;

/// The model that the caller may use, by its name in the body.
pub const OWN: &str = "own/model-7B:chat";

/// One that they may not.
const OTHER: &str = "other";

/// A request.
#[derive(Debug, Clone)]
pub struct Spelling {
    pub method: &'static str,
    pub host: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Vec<u8>,
    /// What the caller may name.
    pub own: &'static str,
}

const PREFIXES: [(&str, &str); 5] = [
    ("models.example.com", ""),
    ("models.example.com", "/openai"),
    ("gateway.example.com", "/seldon/prod/llama"),
    ("gateway.example.com", "/seldon/prod/chat"),
    ("chat-prod.kserve.example.com", "/openai"),
];

/// The first of these are predictions.
const PREDICTIONS: usize = 4;
const TAILS: [&str; 8] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1//chat/completions",
    "/v1/chat%2Fcompletions",
    "/v1/models",
    "/v1/chat/completions/",
];

impl Spelling {
    /// Whether a server that decodes and tidies paths as it likes could take it for a prediction.
    pub fn is_prediction(&self) -> bool {
        let path = self.path.to_ascii_lowercase().replace("%2f", "/").replace("//", "/");
        self.method == "POST" && TAILS.iter().take(PREDICTIONS).any(|tail| path.contains(tail))
    }
}

const HEADERS: [(&str, &str); 7] = [
    ("content-type", "application/json"),
    ("content-type", "application/json; charset=utf-8"),
    ("content-type", "application/json; charset=utf-16"),
    ("content-type", "text/plain"),
    ("content-encoding", "gzip"),
    ("x-gateway-model-name", OTHER),
    ("x-gateway-model-name", OWN),
];

/// Blanks of JSON, and what only some readers take for one.
const BLANKS_OF_JSON: usize = 6;
const BLANKS: [&str; 10] = ["", " ", "\n", "\t", "\r\n", "  ", "\u{b}", "\u{a0}", "/* */", "//\n"];

/// Names of members that are `model`, or nearly.
const NAMES: [&str; 14] = [
    "model",
    "model",
    "\\u006dodel",
    "m\\u006Fdel",
    "mode\\u006c",
    "Model",
    "MODEL",
    "model\\u0000",
    "model ",
    "mod\u{435}l",
    "\\u006Dodel",
    "m\\odel",
    "lora",
    "adapter_id",
];

/// Other members.
const MEMBERS: [&str; 9] = [
    r#""messages":[{"role":"user","content":"hello"}]"#,
    r#""messages":[{"role":"user","content":"\"model\":\"other\""}]"#,
    r#""stream":true"#,
    r#""temperature":0.7"#,
    r#""seed":-0.0e+10"#,
    r#""metadata":{"model":"other"}"#,
    r#""tools":[[{"model":["other"]}]]"#,
    r#""top_p":1e400"#,
    r#""user":"\ud83d\ude00\u0041""#,
];

/// Members that some readers take, and others not.
const ODD_MEMBERS: [&str; 4] = [r#""n":01"#, r#""x":NaN"#, r#""user":"\ud83d""#, r#""user":"a	b""#];

/// Bytes that mean something to some reader.
const BYTES: &[u8] =
    b"\"\\{}[]:,'/*\0\x01\x1a\x7f\x80\xc0\xed\xef\xbb\xbf\xfe\xff nrtubmodelother0-.eE+";

/// One request.
pub fn spelling(dice: &mut Dice) -> Spelling {
    let (host, prefix) = dice.pick(&PREFIXES);
    let (predictions, _) = TAILS.split_at(PREDICTIONS);
    let tails = if dice.percent(85) { predictions } else { &TAILS };
    let tail = dice.pick(tails);
    let mut headers = vec![("content-type", "application/json")];
    if dice.percent(8) {
        headers.push(dice.pick(&HEADERS));
    }
    let mut body = object(dice).into_bytes();
    mutate(&mut body, dice);
    Spelling {
        method: if dice.percent(3) { "GET" } else { "POST" },
        host,
        path: format!("{prefix}{tail}"),
        headers,
        body,
        own: OWN,
    }
}

/// An object with the model somewhere among other members.
fn object(dice: &mut Dice) -> String {
    let mut members: Vec<String> = dice.some(&MEMBERS, 0, 2);
    if dice.percent(5) {
        members.extend(dice.some(&ODD_MEMBERS, 1, 1));
    }
    let models = match dice.below(10) {
        0 => 2,
        1 => 0,
        _ => 1,
    };
    for _ in 0..models {
        let name = if dice.percent(70) { "model" } else { dice.pick(&NAMES) };
        let member = format!("\"{name}\"{}:{}{}", blank(dice), blank(dice), value(dice));
        members.insert(dice.below(members.len() + 1), member);
    }
    let mut text = String::new();
    if dice.percent(2) {
        text.push('\u{feff}');
    }
    text += &blank(dice);
    text.push('{');
    for (number, member) in members.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        text += &blank(dice);
        text += member;
        text += &blank(dice);
    }
    if dice.percent(2) {
        text.push(',');
    }
    text.push('}');
    text += &blank(dice);
    if dice.percent(2) {
        text += r#"{"model":"other"}"#;
    }
    text
}

/// Seldom one that is not JSON's.
fn blank(dice: &mut Dice) -> String {
    let (of_json, _) = BLANKS.split_at(BLANKS_OF_JSON);
    let blanks = if dice.percent(1) { &BLANKS } else { of_json };
    if dice.percent(70) { String::new() } else { dice.pick(blanks).to_owned() }
}

/// The value of `model`: the caller's own, another's, or something that is not a name.
fn value(dice: &mut Dice) -> String {
    match dice.below(20) {
        0 => format!("\"{OTHER}\""),
        1 => format!("[\"{OWN}\"]"),
        2 => format!("{{\"model\":\"{OWN}\"}}"),
        3 => dice.pick(&["null", "true", "1", "\"\"", "'other'", "other"]).to_owned(),
        4 => format!("\"{OWN}\\u0000{OTHER}\""),
        5 => format!("\"{OWN}\",\"model\":\"{OTHER}\""),
        6 => format!("\"{OTHER}\\b\\b\\b\\b\\b{OWN}\""),
        7..12 => format!("\"{}\"", escaped(OWN, dice)),
        _ => format!("\"{OWN}\""),
    }
}

/// The same text, some of it in escapes.
fn escaped(text: &str, dice: &mut Dice) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        let code = u32::from(c);
        escaped += &match dice.below(6) {
            0 => format!("\\u{code:04x}"),
            1 => format!("\\u{code:04X}"),
            2 if c == '/' => "\\/".to_owned(),
            _ => c.to_string(),
        };
    }
    escaped
}

/// Sometimes bytes change, go, come or come again.
fn mutate(body: &mut Vec<u8>, dice: &mut Dice) {
    if !dice.percent(20) {
        return;
    }
    for _ in 0..=dice.below(3) {
        let at = dice.below(body.len());
        let byte = dice.pick(BYTES);
        match dice.below(5) {
            0 => body.insert(at, byte),
            1 => drop(body.splice(at..(at + 1).min(body.len()), [byte])),
            2 if !body.is_empty() => drop(body.remove(at)),
            3 => body.truncate(at),
            _ => {
                let piece: Vec<u8> = body.iter().copied().skip(at).take(dice.below(30)).collect();
                let to = dice.below(body.len() + 1);
                body.splice(to..to, piece);
            }
        }
    }
}
