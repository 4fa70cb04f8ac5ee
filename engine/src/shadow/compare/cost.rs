//! What it costs to read and to compare answers: steps that grow with their bytes, whatever they hold,
//! and so does the time.

use std::time::{Duration, Instant};

use super::tests::{head, rules};
use super::*;

fn varint(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 127 {
        out.push((n & 127) as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A field of a message that holds bytes.
fn field(number: usize, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len()), bytes.to_vec()].concat()
}

fn list(from: usize, to: usize, item: impl Fn(usize) -> String) -> String {
    let items: Vec<String> = (from..to).map(item).collect();
    format!("[{}]", items.join(","))
}

/// A pair of answers that is about so many bytes long.
type Pair = fn(usize) -> (Vec<u8>, Vec<u8>);

struct Shape {
    what: &'static str,
    message: Option<Message>,
    unordered: &'static [&'static str],
    /// Whether the live model differs from itself somewhere.
    noise: bool,
    pair: Pair,
}

fn frame(message: Vec<u8>) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap();
    [vec![0], len.to_be_bytes().to_vec(), message].concat()
}

/// A message against a small one of its kind.
fn message(fields: Vec<Vec<u8>>) -> (Vec<u8>, Vec<u8>) {
    (frame(field(3, b"x")), frame(fields.concat()))
}

fn json(live: String, shadow: String) -> (Vec<u8>, Vec<u8>) {
    (live.into_bytes(), shadow.into_bytes())
}

fn shapes() -> Vec<Shape> {
    let none: &[&str] = &[];
    let one = |what, pair: Pair| Shape { what, message: None, unordered: none, noise: false, pair };
    let bag = |what, pair: Pair| Shape { unordered: &["/bag"], ..one(what, pair) };
    let noisy = |what, pair: Pair| Shape { noise: true, ..one(what, pair) };
    let infer =
        |what, pair: Pair| Shape { message: Some(Message::ModelInferResponse), ..one(what, pair) };
    let seldon =
        |what, pair: Pair| Shape { message: Some(Message::SeldonMessage), ..one(what, pair) };
    vec![
        infer("a map of parameters", |n| {
            message((0..n / 9).map(|i| field(4, &field(1, format!("{i:05}").as_bytes()))).collect())
        }),
        infer("one name in a map again and again", |n| {
            message((0..n / 7).map(|_| field(4, &field(1, b"abc"))).collect())
        }),
        infer("unknown fields, then one field again and again", |n| {
            let unknown = (0..n / 4).map(|_| field(7, b""));
            message(unknown.chain((0..n / 4).map(|_| field(3, b""))).collect())
        }),
        infer("unknown fields of many numbers", |n| {
            message((0..n / 5).map(|i| field(1000 + i, b"")).collect())
        }),
        infer("outputs with parameters", |n| {
            let output = |i: usize| {
                let name = format!("{:07}", n - i);
                field(5, &[field(1, name.as_bytes()), field(4, &field(1, b"k"))].concat())
            };
            message((0..n / 18).map(output).collect())
        }),
        infer("unknown fields that are there twice", |n| {
            message((0..n / 5).map(|i| field(1000 + i / 2, b"")).collect())
        }),
        seldon("tags", |n| {
            let tags = (0..n / 9).flat_map(|i| field(2, &field(1, format!("{i:05}").as_bytes())));
            message(vec![field(2, &tags.collect::<Vec<_>>())])
        }),
        seldon("a struct of names", |n| {
            let entries =
                (0..n / 9).flat_map(|i| field(1, &field(1, format!("{i:05}").as_bytes())));
            message(vec![field(6, &field(5, &entries.collect::<Vec<_>>()))])
        }),
        one("numbers", |n| {
            json(list(0, n / 7, |i| format!("{i}.5")), list(0, n / 7, |i| format!("{i}.25")))
        }),
        one("escapes", |n| {
            let text = |end: &str| format!("[\"{}{end}\"]", "\\n".repeat(n / 2));
            json(text("a"), text("b"))
        }),
        one("embeddings in base64", |n| {
            let text = |first: &str| {
                let text = format!("{first}{}", "zczMPc3M".repeat(n / 8 - 1));
                format!(r#"{{"data":[{{"index":0,"embedding":"{text}"}}]}}"#)
            };
            json(text("zczMPc3M"), text("zszMPc3M"))
        }),
        one("names backwards, and one more", |n| {
            let names = |m| list(0, n / 10, |i| format!("\"{:05}\":1", n / 10 + m - i));
            json(
                names(0).replace('[', "{").replace(']', "}"),
                names(1).replace('[', "{").replace(']', "}"),
            )
        }),
        one("one name again and again", |n| {
            let names = |v| format!("{{{}\"a\":{v}}}", "\"a\":1,".repeat(n / 6));
            json(names(1), names(2))
        }),
        one("long numbers in strings", |n| {
            let digits = |end| {
                let text = format!("\"0.{end}{}\"", "7".repeat(900));
                list(0, n / 900, |_| text.clone())
            };
            json(
                format!("{{\"predictions\":{}}}", digits(1)),
                format!("{{\"predictions\":{}}}", digits(2)),
            )
        }),
        one("digits that lie between two doubles", |n| {
            let digits = |end| list(0, n / 26, |_| format!("1.7976931348623158{end}79e308"));
            json(
                format!("{{\"predictions\":[{}]}}", digits(1)),
                format!("{{\"predictions\":[{}]}}", digits(2)),
            )
        }),
        noisy("members that the shadow has more", |n| {
            let extra = list(0, n / 8, |i| format!("{i}.5"));
            json("{\"a\":1}".to_owned(), format!("{{\"a\":1,\"b\":{extra}}}"))
        }),
        bag("ids of which none is the same", |n| {
            let bag = |m: usize| list(0, n / 20, |i| ((1 << 60) + 2 * i + m).to_string());
            json(format!("{{\"bag\":{}}}", bag(0)), format!("{{\"bag\":{}}}", bag(1)))
        }),
        one("JSON in strings", |n| {
            let text = |v| format!("\"[{}{v}]\"", "0,".repeat(n / 2));
            json(format!("[{}]", text(1)), format!("[{}]", text(2)))
        }),
        one("short JSON in strings", |n| {
            json(
                list(0, n / 12, |i| format!("\"[0,{i}]\"")),
                list(0, n / 12, |i| format!("\"[0,{i}1]\"")),
            )
        }),
        one("outputs with the same long name in front", |n| {
            let name = "n".repeat(500);
            let outputs = |m: usize| {
                list(m, n / 540 + m, |i| format!("{{\"name\":\"{name}{i:05}\",\"data\":[]}}"))
            };
            json(
                format!("{{\"outputs\":{}}}", outputs(0)),
                format!("{{\"outputs\":{}}}", outputs(1)),
            )
        }),
        one("lists in lists", |n| {
            let deep =
                |v: &str| list(0, n / 110, |_| format!("{}{v}{}", "[".repeat(50), "]".repeat(50)));
            json(deep("1"), deep("2"))
        }),
        bag("texts that differ at their ends", |n| {
            let text = "n".repeat(900);
            let bag = |m: usize| list(0, n / 900, |i| format!("\"{text}{}\"", i * 2 + m));
            json(format!("{{\"bag\":{}}}", bag(0)), format!("{{\"bag\":{}}}", bag(1)))
        }),
        bag("long numbers", |n| {
            let digits = "7".repeat(900);
            let bag =
                |m: usize| list(0, n / 900, |i| format!("\"0.{:03}{digits}\"", i * 2 % 999 + m));
            json(format!("{{\"bag\":{}}}", bag(0)), format!("{{\"bag\":{}}}", bag(1)))
        }),
        bag("numbers in reverse", |n| {
            let count = n / 7;
            json(
                format!("{{\"bag\":{}}}", list(0, count, |i| i.to_string())),
                format!("{{\"bag\":{}}}", list(0, count, |i| (count - i - 1).to_string())),
            )
        }),
        bag("one value again and again", |n| {
            json(
                format!("{{\"bag\":[{}0]}}", "0,".repeat(n / 2)),
                format!("{{\"bag\":[{}1]}}", "0,".repeat(n / 2)),
            )
        }),
        bag("rows with the same sums", |n| {
            // Names in the one order and in the other: alike but for what is compared.
            let bag = |x: &str| list(0, n / 20, |_| format!("{{\"a\":true,\"b\":{x}}}"));
            json(
                format!("{{\"bag\":{}}}", bag("[1e300,2e301]")),
                format!("{{\"bag\":{}}}", bag("[1e300,3e301]")),
            )
        }),
        noisy("a long name over numbers", |n| {
            let numbers = |m: usize| list(0, n / 16, |i| format!("{}", i * 2 + m));
            let name = "n".repeat(n / 2);
            json(format!("{{\"{name}\":{}}}", numbers(0)), format!("{{\"{name}\":{}}}", numbers(1)))
        }),
        noisy("long names in each other", |n| {
            let name = "n".repeat(n / 64);
            let open = format!("{{\"{name}\":").repeat(60);
            let doc = |m: usize| {
                format!("{open}{}{}", list(0, n / 64, |i| format!("{}", i * 2 + m)), "}".repeat(60))
            };
            json(doc(0), doc(1))
        }),
    ]
}

impl Shape {
    /// The steps for a pair of about so many bytes, and how many bytes it has.
    fn steps(&self, size: usize) -> (u32, usize) {
        let (live, shadow) = (self.pair)(size);
        let rules = rules(&["/meta", "/*/id"], self.unordered);
        let mut head = head("200", "application/json");
        if self.message.is_some() {
            head.media_type = b"application/grpc"[..].into();
        }
        let about = About {
            message: self.message,
            noise: self.noise.then(|| {
                let mut noise = Noise::default();
                noise.add(
                    PathHash::WHOLE.step(pointer::Step::Name(b"a")),
                    Kind::Value,
                    Seen::By(1.0),
                );
                Rc::new(noise)
            }),
            is_baseline: false,
        };
        let mut steps = Steps::default();
        let (a, b) = (Whole { head: &head, body: &live }, Whole { head: &head, body: &shadow });
        rules.compare_within(a, b, &about, &mut steps);
        (MAX_STEPS - steps.left(), live.len() + shadow.len())
    }
}

#[test]
fn steps_grow_with_bytes() {
    for shape in shapes() {
        let mut least = f64::MAX;
        let mut size = 1 << 12;
        while size <= 1 << 18 {
            let (steps, bytes) = shape.steps(size);
            let bytes = bytes as f64;
            let rate = f64::from(steps) / (bytes * bytes.log2());
            // Values of two bytes each, looked at some times, or ordered.
            assert!(rate < 0.25, "{}: {steps} steps for {bytes} bytes", shape.what);
            assert!(f64::from(steps) > bytes / 64.0, "{}: {steps} for {bytes}", shape.what);
            assert!(rate < least * 2.0, "{}: {rate} after {least}, {bytes} bytes", shape.what);
            least = least.min(rate);
            size *= 2;
        }
    }
}

/// A step takes about as long in lists without order and under many pointers as elsewhere.
#[test]
fn orders_and_pointers_are_paid_for() {
    let numbers = |from: usize| list(0, 10_000, |i| (from + 10_000 - i).to_string());
    let doc = |from: usize| format!("{{\"bag\":{}}}", numbers(from));
    let steps = |rules: &Rules| {
        let head = head("200", "application/json");
        let (live, shadow) = (doc(0), doc(0) + " ");
        let (a, b) = (live.as_bytes(), shadow.as_bytes());
        let (a, b) = (Whole { head: &head, body: a }, Whole { head: &head, body: b });
        rules.compare(a, b, &About::default()).steps
    };
    let plain = steps(&rules(&[], &[]));
    // Two lists of ten thousand in order, by a sort that compares twice in each of thirteen rounds.
    assert!(steps(&rules(&[], &["/bag"])) > plain + 2 * 10_000 * 2 * 13 / 8);
    let texts: Vec<String> = (0..64).map(|i| format!("/bag/*/{i}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    // Sixteen pointers to a step, for each value and once more to see what is left out.
    assert!(steps(&rules(&texts, &[])) >= plain + 2 * 10_000 * 64 / 16);
    let name = "n".repeat(320);
    let text = format!("{{\"{name}\":1}}");
    let doc = json::read(text.as_bytes(), &mut Steps::default()).unwrap();
    let texts: Vec<String> = (0..64).map(|i| format!("/{name}{i}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut steps = Steps::default();
    assert!(
        walk::compare(&rules(&texts, &[]), &doc, &doc, Report::default(), &mut steps).is_some()
    );
    assert!(MAX_STEPS - steps.left() > 64 * 10 / 16, "names are looked at by their bytes");
}

/// To decode an escape takes some ten times as long as to look at the two bytes that it has.
#[test]
fn escapes_are_paid_for() {
    let steps = |text: &str| {
        let mut steps = Steps::default();
        json::read(format!("\"{text}\"").as_bytes(), &mut steps).unwrap();
        MAX_STEPS - steps.left()
    };
    for escape in ["\\n", "\\u00e9"] {
        let plain = steps(&"n".repeat(escape.len() * 10_000));
        assert_eq!(steps(&escape.repeat(10_000)), plain + 5_000, "{escape}");
    }
    // Also one in each of many strings.
    let mut paid = Steps::default();
    json::read(list(0, 1000, |_| "\"\\n\"".to_owned()).as_bytes(), &mut paid).unwrap();
    assert!(MAX_STEPS - paid.left() > 1000 + 1000 / 2);
}

/// To know whose an answer is and to find partners for its outputs is paid for, and before it is done.
#[test]
fn joining_outputs_by_name_is_paid_for() {
    let steps = |member: &str| {
        let outputs = |m: usize| {
            let name = "n".repeat(512);
            list(0, 1000, |i| format!("{{\"{member}\":\"{name}{:04}\"}}", i * 7 % 1000 + m))
        };
        let doc = |m| format!("{{\"outputs\":{}}}", outputs(m));
        let (live, shadow) = (doc(0), doc(0) + " ");
        let mut steps = Steps::default();
        let head = head("200", "application/json");
        let (a, b) = (live.as_bytes(), shadow.as_bytes());
        let (a, b) = (Whole { head: &head, body: a }, Whole { head: &head, body: b });
        rules(&[], &[]).compare_within(a, b, &About::default(), &mut steps);
        MAX_STEPS - steps.left()
    };
    let (joined, listed) = (steps("name"), steps("nome"));
    // Two times a thousand names of seventeen steps each, in nine rounds, eight to a step; what is not
    // joined is looked at for a decision instead.
    assert!(joined > listed + 2 * 1000 * 17, "{joined} {listed}");
    // Without steps nothing is put in order.
    let mut steps = Steps::default();
    steps.take(MAX_STEPS as usize - 100);
    let names = list(0, 1000, |i| format!("{{\"name\":\"{i}\"}}"));
    let text = format!("{{\"outputs\":{names}}}");
    let doc = json::read(text.as_bytes(), &mut Steps::default()).unwrap();
    assert_eq!(walk::compare(&rules(&[], &[]), &doc, &doc, Report::default(), &mut steps), None);
}

/// What is not counted takes time all the same: a square of these sizes takes minutes, and a busy machine
/// some seconds.
#[test]
#[expect(clippy::disallowed_methods, reason = "this test has a clock")]
fn a_full_answer_takes_no_time_to_speak_of() {
    for shape in shapes() {
        let began = Instant::now();
        let (steps, bytes) = shape.steps(1 << 20);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(30), "{}: {took:?}, {steps}, {bytes}", shape.what);
    }
}
