//! What answers of real servers say, however they are cut into chunks.

use super::*;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";

fn tokens(input: u32, output: u32) -> Tokens {
    Tokens { input: Some(input), output: Some(output), cached: None, reasoning: None }
}

/// Reads chunks, a nanosecond after the other.
fn read<'c>(kind: &str, chunks: impl IntoIterator<Item = &'c [u8]>, is_over: bool) -> Report {
    let mut reader = AnswerReader::new(kind.as_bytes(), b"").unwrap();
    for (now, chunk) in (0..).zip(chunks) {
        reader.read(chunk, || now);
    }
    reader.report(is_over)
}

fn events(data: &[&str]) -> String {
    data.iter().map(|data| format!("data: {data}\n\n")).collect()
}

/// An answer, what it costs, and how many of its events hold something generated.
struct Case {
    name: &'static str,
    kind: &'static str,
    text: String,
    tokens: Tokens,
    generated: u32,
}

fn case(name: &'static str, text: &str, tokens: Tokens) -> Case {
    Case { name, kind: JSON, text: text.to_owned(), tokens, generated: 0 }
}

fn stream(name: &'static str, text: String, tokens: Tokens, generated: u32) -> Case {
    Case { name, kind: EVENTS, text, tokens, generated }
}

#[rustfmt::skip]
fn answers() -> Vec<Case> {
    vec![
        case("OpenAI chat", r#"{"id":"chatcmpl-1","object":"chat.completion","created":1741569952,"model":"gpt-5.4","choices":[{"index":0,"message":{"role":"assistant","content":"{\"usage\":{\"prompt_tokens\":7}} \\\"usage\": \u007b","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default"}"#,
            Tokens { cached: Some(4), reasoning: Some(3), ..tokens(19, 10) }),
        case("vLLM completions", r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":" a \"b\" {","logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null,"prompt_logprobs":null}],"service_tier":null,"system_fingerprint":null,"usage":{"prompt_tokens":5,"total_tokens":21,"completion_tokens":16,"prompt_tokens_details":null},"kv_transfer_params":null}"#,
            tokens(5, 16)),
        case("embeddings", r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[-0.0069,1e-5,{"usage":{"prompt_tokens":1}},0.5]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            Tokens { input: Some(8), ..Tokens::default() }),
        case("Responses", "{\n  \"id\": \"resp_1\",\n  \"object\": \"response\", \"status\": \"completed\",\n  \"output\": [{\"type\": \"message\", \"content\": [{\"type\": \"output_text\", \"text\": \"hi\"}]}],\n  \"usage\": {\n    \"input_tokens\": 36,\n    \"input_tokens_details\": {\"cached_tokens\": 0},\n    \"output_tokens\": 87,\n    \"output_tokens_details\": {\"reasoning_tokens\": 64},\n    \"total_tokens\": 123\n  },\n  \"metadata\": {}\n}\n",
            Tokens { cached: Some(0), reasoning: Some(64), ..tokens(36, 87) }),
        case("Anthropic messages", r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi!"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":100,"cache_read_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0},"output_tokens":6,"service_tier":"standard"}}"#,
            Tokens { cached: Some(30), ..tokens(142, 6) }),
        case("Anthropic's, translated to OpenAI's", r#"{"choices":[],"usage":{"completion_tokens":6,"prompt_tokens":142,"total_tokens":148,"prompt_tokens_details":{"cached_tokens":30},"cache_creation_input_tokens":100,"cache_read_input_tokens":30}}"#,
            Tokens { cached: Some(30), ..tokens(142, 6) }),
        case("llama.cpp", r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"x"}}],"created":1,"model":"m","usage":{"completion_tokens":4,"prompt_tokens":9,"total_tokens":13},"id":"c","timings":{"cache_n":5,"prompt_n":4,"prompt_ms":1.5,"predicted_n":4,"predicted_ms":2.25}}"#,
            tokens(9, 4)),
        case("both spellings, one of which is left at 0", r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"input_tokens":0,"output_tokens":0,"input_tokens_details":null}}"#,
            tokens(5, 7)),
        case("the same in another order", r#"{"usage":{"output_tokens":0,"input_tokens":0,"completion_tokens":7,"prompt_tokens":5}}"#,
            tokens(5, 7)),
        case("numbers with a point", r#"{"usage":{"prompt_tokens":5.0,"completion_tokens":70.00}}"#, tokens(5, 70)),
        case("numbers that count nothing", r#"{"usage":{"prompt_tokens":5.5,"completion_tokens":-7,"output_tokens":8}}"#,
            Tokens { output: Some(8), ..Tokens::default() }),
        case("the most that counts", r#"{"usage":{"prompt_tokens":999999999,"completion_tokens":999999999.0}}"#, tokens(999_999_999, 999_999_999)),
        case("more than one answer can cost", r#"{"usage":{"prompt_tokens":1234567890,"completion_tokens":5000000000,"output_tokens":1000000000.0,"input_tokens":8}}"#,
            Tokens { input: Some(8), ..Tokens::default() }),
        stream("a byte order mark", "\u{feff}data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n".to_owned(),
            tokens(1, 2), 0),
        stream("OpenAI chat with include_usage", events(&[
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"\n"},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
            r#"{"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":2,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":0}}}"#,
            "[DONE]",
        ]), Tokens { cached: Some(0), ..tokens(19, 2) }, 2),
        stream("vLLM with continuous_usage_stats, reasoning and a tool", events(&[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null,"usage":{"prompt_tokens":7,"total_tokens":7,"completion_tokens":0}}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"so"},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":7,"total_tokens":8,"completion_tokens":1}}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]},"logprobs":{"content":[{"token":"x"}]},"finish_reason":null}],"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3}}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[]},"logprobs":null,"finish_reason":"tool_calls","stop_reason":null}],"usage":{"prompt_tokens":7,"total_tokens":11,"completion_tokens":4}}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":7,"total_tokens":11,"completion_tokens":4}}"#,
            "[DONE]",
        ]), tokens(7, 4), 2),
        stream("completions", events(&[
            r#"{"object":"text_completion","choices":[{"index":0,"text":" a","finish_reason":null}]}"#,
            r#"{"object":"text_completion","choices":[{"index":0,"text":"","finish_reason":"stop"}]}"#,
            r#"{"object":"text_completion","choices":[],"usage":{"prompt_tokens":3,"total_tokens":4,"completion_tokens":1}}"#,
            "[DONE]",
        ]), tokens(3, 1), 1),
        stream("llama.cpp, of which nobody asked for usage", events(&[
            r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"object":"chat.completion.chunk"}"#,
            r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"x"}}],"object":"chat.completion.chunk"}"#,
            r#"{"choices":[{"finish_reason":"length","index":0,"delta":{}}],"object":"chat.completion.chunk","timings":{"cache_n":20,"prompt_n":2,"prompt_ms":30.9,"prompt_per_token_ms":1.2,"predicted_n":1,"predicted_ms":661.0}}"#,
            "[DONE]",
        ]), Tokens { cached: Some(20), ..tokens(22, 1) }, 1),
        stream("Responses", concat!(
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"usage\":null,\"output\":[]}}\n\n",
            "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\"}}\n\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\",\"item_id\":\"m\"}\n\n",
            "event: response.output_text.delta\ndata: {\"delta\":\" there\",\"type\":\"response.output_text.delta\"}\n\n",
            "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"text\":\"Hi there\"}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{\"usage\":{\"output_tokens\":999}}],\"usage\":{\"input_tokens\":37,\"output_tokens\":11,\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":48}}}\n\n",
        ).to_owned(), Tokens { reasoning: Some(0), ..tokens(37, 11) }, 2),
        stream("Anthropic messages", concat!(
            "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":75,\"output_tokens\":1}}}\r\n\r\n",
            "event: content_block_start\r\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\r\n\r\n",
            "event: ping\r\ndata: {\"type\": \"ping\"}\r\n\r\n",
            "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\r\n\r\n",
            "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"!\"}}\r\n\r\n",
            "event: content_block_stop\r\ndata: {\"type\":\"content_block_stop\",\"index\":0}\r\n\r\n",
            "event: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\r\n\r\n",
            "event: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n",
        ).to_owned(), Tokens { cached: Some(75), ..tokens(100, 15) }, 2),
        stream("lines ended by CR, a text over several lines, comments, no blank behind the colon",
            ": hi\rid: 1\rdata:{\"choices\":[],\rdata:\"usage\":{\"prompt_tokens\":1,\rdata: \"completion_tokens\":2}}\r\r".to_owned(),
            tokens(1, 2), 0),
        stream("no empty lines", "data: {\"choices\":[{\"text\":\"a\"}]}\ndata: {\"choices\":[{\"text\":\"b\"}]}\ndata: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\ndata: [DONE]\n".to_owned(),
            tokens(1, 2), 2),
        stream("data that is no JSON", "data: ping\n\ndata\n\ndata:\n\ndatas: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: 7\n\ndata: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n".to_owned(),
            tokens(1, 2), 0),
    ]
}

#[test]
fn every_cut_gives_the_same() {
    for Case { name, kind, text, tokens, generated } in answers() {
        let text = text.as_bytes();
        let times = generated.checked_sub(1);
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            let report = read(kind, [head, tail], true);
            assert_eq!(
                (report.result, report.tokens),
                (AnswerResult::Read, tokens),
                "{name}: {cut}"
            );
        }
        let report = read(kind, text.chunks(1), true);
        assert_eq!((report.result, report.tokens), (AnswerResult::Read, tokens), "{name}");
        assert_eq!(report.first.is_some(), generated > 0, "{name}: {report:?}");
        assert_eq!(report.per_event.is_some(), times.is_some_and(|t| t > 0), "{name}: {report:?}");
        // All at once took no time.
        let expected = times.filter(|times| *times > 0).map(|_| 0);
        assert_eq!(read(kind, [text], true).per_event, expected, "{name}");
    }
}

#[test]
fn the_time_between_is_the_mean() {
    let text =
        answers().into_iter().find(|case| case.name.starts_with("OpenAI chat with")).unwrap();
    let report = read(EVENTS, text.text.split_inclusive("\n\n").map(str::as_bytes), true);
    assert_eq!((report.first, report.per_event), (Some(1), Some(1)));
    let mut reader = AnswerReader::new(EVENTS.as_bytes(), b"").unwrap();
    for now in [1_000, 1_010, 1_050, 1_120] {
        reader.read(b"data: {\"choices\":[{\"text\":\"x\"}]}\n\n", || now);
    }
    let report = reader.report(true);
    assert_eq!((report.first, report.per_event), (Some(1_000), Some(40)));
    assert_eq!(report.result, AnswerResult::NoUsage);
}

/// Nothing is taken that no server has said, at no place of the text.
#[test]
fn what_is_broken_off_is_said_to_be() {
    for Case { name, kind, text, tokens, .. } in answers() {
        let text = text.as_bytes();
        for cut in 0..text.len() {
            let (head, rest) = text.split_at(cut);
            let report = read(kind, [head], false);
            let is_said = report.tokens == tokens || report.result == AnswerResult::BrokenOff;
            let blank = rest.iter().all(u8::is_ascii_whitespace);
            assert!(
                is_said && (kind == EVENTS || blank || report.result != AnswerResult::Read),
                "{name}: {cut} {report:?}"
            );
            let close =
                |a: Option<u32>, b: Option<u32>| a.is_none_or(|a| b.is_some_and(|b| a <= b));
            assert!(
                close(report.tokens.input, tokens.input)
                    && close(report.tokens.output, tokens.output),
                "{name}: {cut} {report:?}"
            );
        }
    }
}

#[test]
fn results() {
    use AnswerResult as R;
    let usage = r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    for (kind, text, is_over, want) in [
        (JSON, usage, true, R::Read),
        // The client hangs up as soon as it has all.
        (JSON, usage, false, R::Read),
        (JSON, usage.strip_suffix('}').unwrap(), true, R::BrokenOff),
        (JSON, "", true, R::NoUsage),
        (JSON, "", false, R::BrokenOff),
        (JSON, "[[0.1, {\"usage\":{\"prompt_tokens\":1}}]]", true, R::NoUsage),
        (JSON, "\"usage\"", true, R::NoUsage),
        (JSON, "{}", true, R::NoUsage),
        (JSON, r#"{"usage":null}"#, true, R::NoUsage),
        (JSON, r#"{"usage":{"total_tokens":7}}"#, true, R::NoUsage),
        (JSON, r#"{"usage":[{"prompt_tokens":1}]}"#, true, R::NoUsage),
        (JSON, r#"{"a":{"usage":{"prompt_tokens":1}}}"#, true, R::NoUsage),
        (JSON, r#"{"choices":[{"usage":{"prompt_tokens":1}}]}"#, true, R::NoUsage),
        (
            JSON,
            r#"{"Usage":{"prompt_tokens":1},"\u0075sage":{"prompt_tokens":1}}"#,
            true,
            R::NoUsage,
        ),
        (JSON, r#"{"usage":{"prompt_tokens":-1,"completion_tokens":1.5}}"#, true, R::NoUsage),
        (JSON, r#"{"usage":{"prompt_tokens":"1","completion_tokens":1e3}}"#, true, R::NoUsage),
        (JSON, r#"{"usage":{"prompt_tokens":99999999999999999999}}"#, true, R::NoUsage),
        (JSON, r#"{"usage":{"prompt_tokens":null,"completion_tokens":[1]}}"#, true, R::NoUsage),
        (JSON, r#"{"timings":{"prompt_n":4}}"#, true, R::NoUsage),
        (EVENTS, "data: {\"usage\":{\"prompt_tokens\":1}}\n\n", true, R::Read),
        (EVENTS, "data: {\"usage\":{\"prompt_tokens\":1}}\n\n", false, R::BrokenOff),
        (EVENTS, "data: {\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n", false, R::Read),
        (EVENTS, "data: {}\n\ndata: [DONE]x\n\n", false, R::BrokenOff),
        (EVENTS, "data: {}\n\ndata: [DON\n\n", false, R::BrokenOff),
        (EVENTS, "data: {}\n\ndata: [DONE]\n\n", true, R::NoUsage),
        (EVENTS, "data: {\"type\":\"message_stop\"}\n\n", false, R::NoUsage),
        (EVENTS, "", true, R::NoUsage),
    ] {
        assert_eq!(read(kind, [text.as_bytes()], is_over).result, want, "{text}");
    }
    for (kind, coding, want) in [
        ("application/json", "", None),
        ("Application/JSON ; charset=utf-8", "identity", None),
        ("text/event-stream", " Identity ", None),
        ("text/plain", "", Some(R::MediaType)),
        ("", "", Some(R::MediaType)),
        ("application/grpc", "", Some(R::MediaType)),
        ("application/json", "br", Some(R::Compressed)),
    ] {
        let reader = AnswerReader::new(kind.as_bytes(), coding.as_bytes());
        assert_eq!(reader.err(), want, "{kind} {coding}");
    }
}

/// A generator, so that a failure comes again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[test]
fn any_cutting_gives_the_same() {
    let (answers, mut dice) = (answers(), Dice(7));
    for _ in 0..5_000 {
        let Case { name, kind, text, .. } = &answers[dice.below(answers.len())];
        // With a byte changed it may mean anything, but one thing only.
        let mut text = text.clone().into_bytes();
        for _ in 0..dice.below(3) {
            let at = dice.below(text.len());
            text[at] = b"\"{}[]:,\\ \r\n0x"[dice.below(13)];
        }
        let whole = read(kind, [text.as_slice()], true);
        let (mut rest, mut chunks) = (text.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(1 + dice.below(rest.len().min(90)));
            chunks.push(chunk);
            rest = behind;
        }
        let cut = read(kind, chunks, true);
        assert_eq!(
            (cut.result, cut.tokens),
            (whole.result, whole.tokens),
            "{name} {}",
            String::from_utf8_lossy(&text)
        );
        assert_eq!(cut.first.is_some(), whole.first.is_some(), "{name}");
    }
}

#[test]
fn any_bytes_are_read_to_their_end() {
    let mut dice = Dice(11);
    let words: [&[u8]; 16] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\\",
        b":",
        b",",
        b"usage",
        b"\"usage\":{",
        b"\"prompt_tokens\":1",
        b"data:",
        b"\n",
        b"\r",
        b"\"choices\":[{\"delta\":{",
        b"\xff\x00",
    ];
    for _ in 0..20_000 {
        let text: Vec<u8> =
            (0..dice.below(60)).flat_map(|_| words[dice.below(16)]).copied().collect();
        for kind in [JSON, EVENTS] {
            let whole = read(kind, [text.as_slice()], true);
            assert_eq!(read(kind, text.chunks(3), true).tokens, whole.tokens);
        }
    }
    let deep = [b"{\"a\":".repeat(1_000_000), b"[".repeat(1_000_000)].concat();
    assert_eq!(read(JSON, [deep.as_slice()], true).result, AnswerResult::BrokenOff);
}

#[test]
fn a_reader_is_small() {
    assert!(size_of::<AnswerReader>() < 300, "{}", size_of::<AnswerReader>());
}
