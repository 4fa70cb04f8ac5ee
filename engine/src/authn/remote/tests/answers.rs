//! What an answer to a fetch does to a set, and what is said of it.

use super::*;

#[test]
fn an_empty_or_broken_answer_is_no_rotation() {
    let authenticator = one_remote();
    let remote = only(&authenticator);
    assert_eq!(fetch(remote, &good(), START), FetchResult::Ok);
    let weak = jwks(&[json!({"kty": "oct", "k": "AAAA"})]);
    let many = jwks(&vec![ec_key(); 257]);
    // A good key, and beside it what would take a hundred times its text.
    let small = vec![json!({"": 0}); 8_000];
    let small = json!({"keys": [ec_key()], "more": small}).to_string();
    let big = format!("{}{}", good(), " ".repeat(1 << 20));
    let mut now = START + 300 * SECOND;
    for (body, want) in [
        ("", FetchResult::Unusable),
        ("{}", FetchResult::Unusable),
        ("[]", FetchResult::Unusable),
        ("{\"keys\":[]}", FetchResult::Unusable),
        ("<html>", FetchResult::Unusable),
        (&weak, FetchResult::Unusable),
        (&many, FetchResult::Unusable),
        (&small, FetchResult::Unusable),
        (&big, FetchResult::TooLarge),
    ] {
        assert_eq!(fetch(remote, body, now), want, "{body:.60}");
        assert_eq!(remote.generation(now), Some(1));
        now += 60 * SECOND;
    }
    assert_eq!(send(&authenticator, &mut no_cache(), &token(), 900).verdict(), "me/s");
}

#[test]
fn answers_that_are_none() {
    type Lines = &'static [(&'static [u8], &'static [u8])];
    let served: (&[u8], &[u8]) = (b"x-envoy-upstream-service-time", b"3");
    for (lines, after, want) in [
        (&[] as Lines, 1, FetchResult::Failed),
        (&[], 5, FetchResult::Timeout),
        (&[(b":status", b"503")], 1, FetchResult::Failed),
        (&[(b":status", b"503")], 5, FetchResult::Timeout),
        (&[(b":status", b"504")], 1, FetchResult::Timeout),
        (&[(b":status", b"504"), served], 5, FetchResult::Failed),
        (&[(b":status", b"302"), served], 1, FetchResult::Failed),
        (&[(b":status", b"302"), served, (b"location", b"/k?code=s3cret")], 1, FetchResult::Failed),
        (&[(b":status", b"302"), served, (b"location", b"/k#t=s3cret")], 1, FetchResult::Failed),
        (&[(b":status", b"404"), served], 1, FetchResult::Failed),
        (&[(b":status", b"\xff\r\n")], 1, FetchResult::Failed),
    ] {
        let authenticator = one_remote();
        let remote = only(&authenticator);
        remote.started(START);
        let body = good();
        let answer = Answer { headers: lines, body: body.as_bytes(), body_len: body.len() };
        let fetched = remote.finished(Some(&answer), START + after * SECOND, 0);
        assert_eq!(fetched.result, want, "{lines:?} after {after} s");
        let line = fetched.line.unwrap();
        assert!(line.starts_with("the keys of me through idp: not fetched: "), "{line}");
        assert!(!line.contains("s3cret"), "{line}");
    }
}

#[test]
fn what_is_logged_is_news() {
    let authenticator = one_remote();
    let remote = only(&authenticator);
    let line = |after: u64, body: Option<&str>| {
        remote.started(START + after * SECOND);
        let headers = ok_headers();
        let answer =
            body.map(|b| Answer { headers: &headers, body: b.as_bytes(), body_len: b.len() });
        remote.finished(answer.as_ref(), START + after * SECOND, 0).line
    };
    let said = |line: Option<String>, what: &str| assert!(line.unwrap().contains(what));
    said(line(0, None), "there is no such cluster, or it has no endpoint; until there are some");
    assert_eq!(line(9, None), None);
    said(line(20, Some("{}")), "it is a key set without a list of keys");
    said(line(30, Some(&good())), "fetched again");
    assert_eq!(line(400, Some(&good())), None);
    said(line(800, None), "those fetched before serve on");
    let mixed = jwks(&[other_ec_key(), json!({"kty": "oct", "k": "c2VjcmV0"}), json!(1)]);
    said(
        line(900, Some(&mixed)),
        "refused: keys[1]: its secret is shorter than 32 bytes; keys[2]: it is not an object",
    );
    assert_eq!(line(1300, Some(&mixed)), None);
    // The keys that serve are the same, and those that do not are others.
    let signer = key("b", json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}));
    said(line(1700, Some(&jwks(&[other_ec_key(), signer]))), "keys[1] (kid b): it is shorter");
    assert_eq!(line(2100, Some(&jwks(&[other_ec_key()]))), None);
}

#[test]
fn a_compressed_set_is_inflated_within_the_limit() {
    let good = good();
    let block = |text: &str| {
        let length = u16::try_from(text.len()).unwrap();
        [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), text.as_bytes()].concat()
    };
    let end = |text: &str| {
        let mut last = block(text);
        last[0] = 1;
        last
    };
    let long = " ".repeat(60_000);
    for (coding, blocks, want) in [
        ("deflate", vec![end(&good)], FetchResult::Ok),
        ("identity", vec![good.clone().into_bytes()], FetchResult::Ok),
        ("br", vec![end(&good)], FetchResult::Unusable),
        ("gzip, gzip", vec![end(&good)], FetchResult::Unusable),
        ("gzip", vec![end(&good)], FetchResult::Unusable),
        // As long as it may be, and longer than it says that it is read.
        ("deflate", vec![block(&long), end(&good)], FetchResult::Unusable),
    ] {
        let authenticator = authenticator(json!({"jwtRules": [rule(json!({}))],
            "jwks": {"maxBytes": "32KiB"}}));
        let remote = only(&authenticator);
        remote.started(START);
        let body = blocks.concat();
        let mut headers = ok_headers();
        headers.push((b"content-encoding", coding.as_bytes()));
        // The wire's length is checked first; here it is what inflates that is too long.
        let body_len = body.len().min(32 * 1024);
        let answer = Answer { headers: &headers, body: &body, body_len };
        assert_eq!(remote.finished(Some(&answer), START, 0).result, want, "{coding}");
    }
}
