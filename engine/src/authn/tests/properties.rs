//! For any bytes at all: no panic, and no identity that nobody signed.

use proptest::prelude::*;

use super::*;

fn everything() -> Authenticator {
    authenticator(json!({
        "jwtRules": [
            rule(json!({"fromHeaders": [{"name": "authorization", "prefix": "Bearer "}, {"name": "x"}],
                "fromParams": ["t"], "fromCookies": ["c"], "outputPayloadToHeader": "x-p"})),
            rule(json!({"issuer": "other"})),
        ],
        "apiKeys": {"keys": [{"name": "n", "sha256": "00".repeat(32)}]},
    }))
}

/// Bytes that often look like parts of a token.
fn tokenish() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just(r#"{"alg":"ES256"}"#.to_owned()),
        Just(r#"{"alg":"RS256","kid":"x"}"#.to_owned()),
        r#"\{"(iss|exp|aud|a)":("me"|1|\[\]|\{\}|-1|null)\}"#,
        ".{0,12}",
    ];
    let part = prop_oneof![
        json.prop_map(|text| b64(text).into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..20),
        Just(b"Bearer ".to_vec()),
    ];
    proptest::collection::vec(part, 0..5).prop_map(|parts| parts.join(&b'.'))
}

proptest! {
    #[test]
    fn arbitrary_requests_never_panic_and_are_never_identified(
        bearer in tokenish(), x in tokenish(), cookie in tokenish(), path in tokenish(), key in tokenish(),
        verifies in any::<bool>(), has_key in any::<bool>(),
    ) {
        let authenticator = everything();
        let host = TestHost::new(verifies);
        let attributes = Attributes::new(&host);
        let bearer = [b"Bearer ", bearer.as_slice()].concat();
        let cookie = [b"c=", cookie.as_slice()].concat();
        let path = [b"/?t=", path.as_slice()].concat();
        let mut headers: Vec<Header<'_>> = vec![
            (b":path", &path), (b"authorization", &bearer), (b"x", &x), (b"cookie", &cookie),
        ];
        if has_key {
            headers.push((b"x-api-key", &key));
        }
        let request = Request::new(&headers, &attributes);
        let mut edits = Edits::default();
        let outcome = authenticator.authenticate(&request, &mut no_cache(), &mut edits);
        prop_assert!(matches!(outcome.identification, Identification::Refused(_)));
        authenticator.strip(&request, None, None, &mut edits);
    }

    #[test]
    fn a_changed_token_never_verifies(at in any::<prop::sample::Index>(), to in any::<u8>(), how in 0u8..3) {
        let authenticator = everything();
        let good = mint(&json!({"iss": "me", "sub": "s", "n": 1})).into_bytes();
        let mut token = good.clone();
        let i = at.index(token.len());
        match how {
            0 => token[i] = to,
            1 => token.insert(i, to),
            _ => { token.remove(i); }
        }
        for verifies in [true, false] {
            let host = TestHost::new(verifies);
            let attributes = Attributes::new(&host);
            let mut cache = TokenCache::new(&types::TokenCache { bytes: Size::mib(1) });
            for bytes in [&good, &token] {
                let headers: [Header<'_>; 2] = [(b":path", b"/"), (b"x", bytes)];
                let request = Request::new(&headers, &attributes);
                let outcome = authenticator.authenticate(&request, &mut cache, &mut Edits::default());
                let identified = matches!(outcome.identification, Identification::Identified(_));
                prop_assert_eq!(identified, *bytes == good);
            }
        }
    }

    #[test]
    fn any_signature_is_judged_alike_by_host_and_engine(signature in proptest::collection::vec(any::<u8>(), 60..70)) {
        let token = format!("{}.{}.{}", b64(r#"{"alg":"ES256"}"#), b64(r#"{"iss":"me"}"#), b64(signature));
        // The comparison is in there.
        prop_assert_eq!(bearer(&one_rule(json!({})), &token).verdict(), "Jwt verification fails");
    }
}
