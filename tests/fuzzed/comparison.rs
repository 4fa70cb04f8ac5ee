//! Both answers of a comparison, with settings: it ends within its steps, an answer agrees with itself, order of the two
//! changes no verdict, and JSON is read as serde reads it.

use modelgate_engine::config::{Errors, Path};
use modelgate_engine::shadow::Head;
use modelgate_engine::shadow::compare::{
    About, Agreement, Comparison, Kind, Message, Pointers, Rules, Tolerance, Volatile, Whole,
};
use serde_json::Value;

/// As many steps as one comparison has.
const MOST: u32 = 1 << 21;

/// What stands between the two answers.
const BETWEEN: &[u8] = b"\n---\n";

/// Settings, by letters in the first line.
struct Setting<'a>(&'a [u8]);

impl Setting<'_> {
    fn has(&self, letter: u8) -> bool {
        self.0.contains(&letter)
    }

    fn rules(&self) -> Rules {
        let mut errors = Errors::default();
        let mut pointers = |letter, text: &str| {
            let texts = self.has(letter).then(|| text.to_owned());
            let texts: Vec<_> = texts.into_iter().collect();
            Pointers::compile(&texts, "", &Path::ROOT, &mut errors)
        };
        Rules {
            ignore: pointers(b'i', "/meta"),
            unordered: pointers(b'o', "/*"),
            values: pointers(b'v', "/outputs/*/data"),
            tolerance: match self.has(b't') {
                true => Tolerance { relative: 1e-3, absolute: 1e-6 },
                false => Tolerance { relative: 0.0, absolute: 0.0 },
            },
            volatile: (!self.has(b'n')).then(Volatile::default),
            max_differences: 4,
            show_values: self.has(b's'),
            max_bytes: if self.has(b'z') { 64 } else { 1 << 20 },
        }
    }

    /// `length`: how much of a body with tensors behind it is JSON.
    fn head(&self, length: &[u8]) -> Head {
        let media: &[u8] = match self.0 {
            [b'j', ..] => b"application/json",
            [b'g', ..] => b"application/grpc",
            [b'e', ..] => b"text/event-stream",
            [b'b', ..] => b"application/octet-stream",
            _ => b"",
        };
        let status: &[u8] = if self.has(b'r') { b"400" } else { b"200" };
        let mut lines = vec![(&b":status"[..], status), (b"content-type", media)];
        if self.has(b'c') {
            lines.push((b"content-encoding", b"deflate"));
        }
        if let [b'b', ..] = self.0 {
            lines.push((b"inference-header-content-length", length));
        }
        if let [b'g', ..] = self.0 {
            lines.push((b"grpc-status", b"0"));
            lines.push((b"grpc-encoding", b"gzip"));
        }
        Head::of(&lines)
    }

    fn about(&self) -> About {
        let message = match self.0 {
            [b'g', b'I', ..] => Some(Message::ModelInferResponse),
            [b'g', b'S', ..] => Some(Message::SeldonMessage),
            [b'g', b'T', ..] => Some(Message::PredictResponse),
            _ => None,
        };
        About { message, noise: None, is_baseline: self.has(b'l') }
    }
}

/// A verdict without its words.
fn verdict(of: &Comparison) -> &'static str {
    match of.agreement {
        Agreement::Matched => "matched",
        Agreement::Mismatched(_) => "mismatched",
        Agreement::Uncomparable(_) => "uncomparable",
    }
}

/// A message as gRPC frames it, where bodies are messages.
fn framed(setting: &Setting<'_>, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    match setting.0 {
        [b'g', ..] if !setting.has(b'x') => {
            [&[u8::from(setting.has(b'c'))], &length[..], body].concat()
        }
        _ => body.to_vec(),
    }
}

/// Data of a fuzzer: a line of settings, an answer, and behind [`BETWEEN`] the other one. The error says what is wrong.
pub fn send(data: &[u8]) -> Result<(), String> {
    let end = data.iter().position(|c| *c == b'\n').unwrap_or(data.len());
    let (setting, bodies) = (Setting(&data[..end]), data.get(end + 1..).unwrap_or_default());
    let between = bodies.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    let (live, shadow) = match between {
        Some(at) => (&bodies[..at], &bodies[at + BETWEEN.len()..]),
        None => (bodies, bodies),
    };
    let (rules, about) = (setting.rules(), setting.about());
    let length = live.iter().position(|c| *c == b'}').map_or(0, |at| at + 1).to_string();
    let head = setting.head(length.as_bytes());
    let compare = |live: &[u8], shadow: &[u8]| {
        let (live, shadow) = (framed(&setting, live), framed(&setting, shadow));
        let whole = |body| Whole { head: &head, body };
        let compared = rules.compare(whole(&live), whole(&shadow), &about);
        if let Agreement::Mismatched(report) = &compared.agreement {
            let _ = report.to_string();
        }
        match compared.steps <= MOST {
            true => Ok(compared),
            false => Err(format!("{} steps", compared.steps)),
        }
    };
    let (there, back) = (compare(live, shadow)?, compare(shadow, live)?);
    if verdict(&there) != verdict(&back) {
        return Err(format!("{there:?}, and the other way {back:?}"));
    }
    for one in [live, shadow] {
        if verdict(&compare(one, one)?) != "matched" {
            return Err(format!("{} differs from itself", one.escape_ascii()));
        }
        if let [b'j', ..] = setting.0
            && !setting.has(b'c')
            && !setting.has(b'r')
        {
            read_as_by_serde(one, &compare)?;
        }
    }
    Ok(())
}

type Compared = Result<Comparison, String>;

/// What both readers take is the same; what one of them refuses alone is of a kind that is known.
fn read_as_by_serde(
    body: &[u8],
    compare: &impl Fn(&[u8], &[u8]) -> Compared,
) -> Result<(), String> {
    // What cannot be read differs in shape from what can, and not at all from what cannot either.
    let unreadable = |other: &[u8]| {
        let compared = compare(body, other)?.agreement;
        Ok::<_, String>(matches!(compared, Agreement::Uncomparable(_)))
    };
    let is_read = !unreadable(b"<")? && body != b"<";
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => {
            let text = value.to_string();
            if !is_read {
                return match depth(&value) > 60 || text.len() > 100_000 {
                    true => Ok(()),
                    false => Err(format!("serde reads {text}")),
                };
            }
            // Numbers that a double does not hold come back as others.
            let is_exact = !body.iter().any(|c| matches!(c, b'.' | b'e' | b'E'))
                && !body.split(|c| !c.is_ascii_digit()).any(|digits| digits.len() > 15)
                && !body.windows(2).any(|pair| pair == b"-0");
            match compare(body, text.as_bytes())?.agreement {
                Agreement::Mismatched(report) if is_exact => Err(format!("{text}: {report}")),
                Agreement::Mismatched(report) if report.kinds.contains(&Kind::Shape) => {
                    Err(format!("{text}: {report}"))
                }
                _ => Ok(()),
            }
        }
        Err(error) if is_read => {
            let text = String::from_utf8_lossy(body);
            let words = ["NaN", "Infinity", "\\u", "\u{fffd}"];
            let is_known = words.iter().any(|word| text.contains(word))
                || error.to_string().contains("number out of range");
            if is_known { Ok(()) } else { Err(format!("serde refuses it: {error}")) }
        }
        Err(_) => Ok(()),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
