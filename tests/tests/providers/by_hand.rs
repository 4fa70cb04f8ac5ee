//! Tokens and key sets of providers that cannot be run here, built by hand after their vendors' documentation;
//! and sets of those that can, in forms that a run does not give. Nothing is copied: the keys are new.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::tokens::now;
use testbed::upstream::{Answer, Upstream};

use crate::keys::{Key, encode};
use crate::side_by_side::{Case, Expected, Fetched, Token, Who, compare};

/// Claims that every token has, and these.
fn claims(issuer: &str, subject: &str, more: Value) -> Value {
    let mut claims = json!({"iss": issuer, "sub": subject, "iat": now(), "exp": now() + 3600});
    if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
        claims.extend(more);
    }
    claims
}

fn set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// Serves the sets, each by its number.
async fn served(cases: Vec<(Case, &str)>) -> Result<(Upstream, Vec<Case>)> {
    let sets: Vec<String> = cases.iter().map(|(case, _)| case.jwks.clone()).collect();
    let types: Vec<String> = cases.iter().map(|(_, of)| (*of).to_owned()).collect();
    let issuer = Upstream::start(move |received| {
        let i = received.path.trim_start_matches('/').parse().unwrap_or(usize::MAX);
        match (sets.get(i), types.get(i)) {
            (Some(set), Some(of)) => Answer::new(200, of, set.clone()),
            _ => Answer::new(404, "text/plain", "no such set"),
        }
    })
    .await?;
    let address = issuer.address();
    let cases = cases.into_iter().enumerate().map(|(i, (mut case, _))| {
        case.fetched = Fetched { uri: format!("https://issuer/{i}"), from: address, tls: None };
        case
    });
    let cases = cases.collect();
    Ok((issuer, cases))
}

fn case(rule: Value, jwks: String, policies: Vec<(&'static str, Who)>, tokens: Vec<Token>) -> Case {
    let nowhere = Fetched { uri: String::new(), from: ([127, 0, 0, 1], 0).into(), tls: None };
    Case { rule, jwks, fetched: nowhere, policies, tokens }
}

/// Microsoft Entra ID, tokens of version 2: no `alg` in the set, and an `issuer` with a template in each key.
fn entra() -> Result<Case> {
    const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let [old, new] = [Key::rsa()?, Key::rsa()?];
    let jwk = |key: &Key, kid: &str| {
        let mut more = key.certificate()?;
        let members = more.as_object_mut().context("members")?;
        members.insert("use".into(), json!("sig"));
        members.insert("kid".into(), json!(kid));
        members.insert("x5t".into(), json!(kid));
        let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
        members.insert("issuer".into(), json!(template));
        key.jwk(more)
    };
    let header = |kid: &str| json!({"typ": "JWT", "alg": "RS256", "kid": kid});
    let person = claims(
        &issuer,
        "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
        json!({
            "aud": "11111111-aaaa", "azp": "22222222-bbbb", "tid": TENANT, "ver": "2.0", "nbf": now(),
            "oid": "00000000-0000-0000-66f3-3332eca7ea81", "scp": "Models.Predict Models.Explain",
            "roles": ["Predictor"], "groups": ["3aa4f2c5-0000-0000-0000-6c9b3c8d0c1f"],
        }),
    );
    let machine = claims(
        &issuer,
        "33333333-cccc",
        json!({
            "aud": "11111111-aaaa", "azp": "22222222-bbbb", "tid": TENANT, "ver": "2.0", "idtyp": "app",
            "oid": "33333333-cccc", "roles": ["Predictor"],
        }),
    );
    // Version 1, as an API gets them whose registration does not ask for version 2.
    let first = claims(
        &format!("https://sts.windows.net/{TENANT}/"),
        "a",
        json!({
            "aud": "api://11111111-aaaa", "appid": "22222222-bbbb", "ver": "1.0",
        }),
    );
    let tokens = vec![
        Token::bearer(
            "Entra, a person",
            &new.sign(&header("new"), &person, false)?,
            Expected::Passes(&["role", "group", "scope", "presenter", "tenant"]),
        ),
        Token::bearer(
            "Entra, a machine",
            &old.sign(&header("old"), &machine, false)?,
            Expected::Passes(&["role", "presenter", "tenant"]),
        ),
        Token::bearer(
            "Entra, version 1",
            &new.sign(&header("new"), &first, false)?,
            Expected::Refused(401, "Jwt issuer is not configured"),
        ),
    ];
    let policies = vec![
        ("role", Who::When("request.auth.claims[roles]", "Predictor")),
        ("group", Who::When("request.auth.claims[groups]", "3aa4f2c5-0000-0000-0000-6c9b3c8d0c1f")),
        ("scope", Who::When("request.auth.claims[scp]", "Models.Predict")),
        ("presenter", Who::When("request.auth.presenter", "22222222-bbbb")),
        ("tenant", Who::When("request.auth.claims[tid]", TENANT)),
    ];
    let rule = json!({
        "issuer": issuer, "audiences": ["11111111-aaaa"], "spaceDelimitedClaims": ["scp"],
    });
    Ok(case(rule, set(&[jwk(&old, "old")?, jwk(&new, "new")?]), policies, tokens))
}

/// Amazon Cognito: access tokens have no `aud`, groups are in `cognito:groups`.
fn cognito() -> Result<Case> {
    let issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE";
    let key = Key::rsa()?;
    let jwk = key.jwk(json!({"alg": "RS256", "kid": "k=", "use": "sig"}))?;
    let header = json!({"alg": "RS256", "kid": "k="});
    let access = claims(
        issuer,
        "aaaa-bbbb",
        json!({
            "client_id": "client-1", "token_use": "access", "scope": "aws.cognito.signin.user.admin models/predict",
            "cognito:groups": ["ds"], "username": "jane", "auth_time": now(), "version": 2,
        }),
    );
    let id = claims(
        issuer,
        "aaaa-bbbb",
        json!({
            "aud": "client-1", "token_use": "id", "cognito:groups": ["ds"], "cognito:username": "jane",
            "email_verified": true, "auth_time": now(),
        }),
    );
    let tokens = vec![
        Token::bearer(
            "Cognito, access token",
            &key.sign(&header, &access, false)?,
            Expected::Passes(&["group", "client", "access", "scope"]),
        ),
        Token::bearer(
            "Cognito, ID token",
            &key.sign(&header, &id, false)?,
            Expected::Passes(&["group"]),
        ),
    ];
    let policies = vec![
        ("group", Who::When("request.auth.claims[cognito:groups]", "ds")),
        ("client", Who::When("request.auth.claims[client_id]", "client-1")),
        ("access", Who::When("request.auth.claims[token_use]", "access")),
        ("scope", Who::When("request.auth.claims[scope]", "models/predict")),
        ("verified", Who::When("request.auth.claims[email_verified]", "true")),
    ];
    Ok(case(json!({"issuer": issuer}), set(&[jwk]), policies, tokens))
}

/// Google's ID tokens.
fn google() -> Result<Case> {
    let key = Key::rsa()?;
    let jwk = key.jwk(json!({"alg": "RS256", "kid": "g", "use": "sig"}))?;
    let header = json!({"alg": "RS256", "kid": "g", "typ": "JWT"});
    let account = claims(
        "https://accounts.google.com",
        "107517467455664443766",
        json!({
            "aud": "https://models.example.com", "azp": "107517467455664443766",
            "email": "batch@project.iam.gserviceaccount.com", "email_verified": true,
        }),
    );
    let elsewhere =
        claims("https://accounts.google.com", "1", json!({"aud": "https://other.example.com"}));
    let tokens = vec![
        Token::bearer(
            "Google, service account",
            &key.sign(&header, &account, false)?,
            Expected::Passes(&["mail", "subject", "presenter"]),
        ),
        Token::bearer(
            "Google, for somebody else",
            &key.sign(&header, &elsewhere, false)?,
            Expected::Refused(403, "Audiences in Jwt are not allowed"),
        ),
    ];
    let policies = vec![
        ("mail", Who::When("request.auth.claims[email]", "batch@project.iam.gserviceaccount.com")),
        ("verified", Who::When("request.auth.claims[email_verified]", "true")),
        ("subject", Who::Principal("https://accounts.google.com/107517467455664443766".into())),
        ("presenter", Who::When("request.auth.presenter", "107517467455664443766")),
    ];
    let rule = json!({"issuer": "https://accounts.google.com", "audiences": ["https://models.example.com"]});
    Ok(case(rule, set(&[jwk]), policies, tokens))
}

/// Google's Identity-Aware Proxy: ES256, in a header of its own.
fn iap() -> Result<Case> {
    const AUDIENCE: &str = "/projects/123/global/backendServices/456";
    let key = Key::ec();
    let jwk = key.jwk(json!({"alg": "ES256", "kid": "i", "use": "sig"}))?;
    let header = json!({"alg": "ES256", "kid": "i", "typ": "JWT"});
    let person = claims(
        "https://cloud.google.com/iap",
        "accounts.google.com:1234",
        json!({
            "aud": AUDIENCE, "email": "jane@example.com", "hd": "example.com",
        }),
    );
    let elsewhere = claims(
        "https://cloud.google.com/iap",
        "accounts.google.com:1234",
        json!({
            "aud": "/projects/123/global/backendServices/789",
        }),
    );
    let carried = |name, claims: &Value, expected| -> Result<Token> {
        let text = key.sign(&header, claims, false)?;
        Ok(Token::carried(name, ("x-goog-iap-jwt-assertion", text), expected))
    };
    let tokens = vec![
        carried("IAP", &person, Expected::Passes(&["domain", "mail", "subject"]))?,
        carried(
            "IAP, another backend",
            &elsewhere,
            Expected::Refused(403, "Audiences in Jwt are not allowed"),
        )?,
    ];
    let policies = vec![
        ("domain", Who::When("request.auth.claims[hd]", "example.com")),
        ("mail", Who::When("request.auth.claims[email]", "jane@example.com")),
        ("subject", Who::Principal("*/accounts.google.com:1234".into())),
    ];
    let rule = json!({
        "issuer": "https://cloud.google.com/iap",
        "audiences": [AUDIENCE],
        "fromHeaders": [{"name": "x-goog-iap-jwt-assertion"}],
    });
    Ok(case(rule, set(&[jwk]), policies, tokens))
}

/// AWS's application load balancer: ES256 in a header of its own, with padding; the key as PEM, so that somebody
/// has to make a set of it.
fn load_balancer() -> Result<Case> {
    let key = Key::ec();
    let jwk = key.jwk(json!({"alg": "ES256", "kid": "a"}))?;
    let issuer = "https://idp.example.com";
    let header = json!({
        "alg": "ES256", "kid": "a", "typ": "JWT", "iss": issuer, "client": "c", "exp": now() + 120,
        "signer": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/ml/1",
    });
    let padded = {
        let claims = |filler: &str| claims(issuer, "jane", json!({"name": filler}));
        // However long the claims are, one of two neighbours needs padding in its text.
        let needs = |claims: &Value| !claims.to_string().len().is_multiple_of(3);
        let plain = claims("jane");
        if needs(&plain) { plain } else { claims("janet") }
    };
    let text = key.sign(&header, &padded, true)?;
    anyhow::ensure!(text.contains('='), "no padding: {text}");
    let good = Token::carried("ALB", ("x-amzn-oidc-data", text), Expected::Passes(&["subject"]));
    let row = "`h.p.s.`, `h..p.s`, white space, padding or unused bits in base64url";
    let part = if header.to_string().len().is_multiple_of(3) {
        "Jwt payload is an invalid Base64url encoded"
    } else {
        "Jwt header is an invalid Base64url encoded"
    };
    let tokens = vec![good.refused_by_modelgate(401, part, row)?];
    let rule = json!({"issuer": issuer, "fromHeaders": [{"name": "x-amzn-oidc-data"}]});
    let policies = vec![("subject", Who::Principal(format!("{issuer}/jane")))];
    Ok(case(rule, set(&[jwk]), policies, tokens))
}

/// A workflow of GitHub Actions: a subject with `/` in it is no part of a principal that one can write.
fn workflow() -> Result<Case> {
    const ISSUER: &str = "https://token.actions.githubusercontent.com";
    const SUBJECT: &str = "repo:octo-org/octo-repo:ref:refs/heads/main";
    let key = Key::rsa()?;
    let jwk = key.jwk(json!({"alg": "RS256", "kid": "w", "use": "sig"}))?;
    let claims =
        claims(ISSUER, SUBJECT, json!({"aud": "models", "repository": "octo-org/octo-repo"}));
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "w"});
    let tokens = vec![Token::bearer(
        "GitHub Actions",
        &key.sign(&header, &claims, false)?,
        Expected::Passes(&["claim"]),
    )];
    let policies = vec![
        ("principal", Who::Principal(format!("{ISSUER}/{SUBJECT}"))),
        ("claim", Who::When("request.auth.claims[sub]", SUBJECT)),
        ("repository", Who::Principal(format!("{ISSUER}/repo:octo-org/*"))),
    ];
    Ok(case(json!({"issuer": ISSUER, "audiences": ["models"]}), set(&[jwk]), policies, tokens))
}

/// Keys that verify, in sets of these shapes.
fn shapes() -> Result<Vec<(Case, &'static str)>> {
    let issuer = "https://idp.example.com";
    let signed = |name: &'static str, key: &Key, kid: &str, jwks: String| -> Result<Case> {
        let header = json!({"alg": key.algorithm(), "kid": kid});
        let claims = claims(issuer, "spiffe://example.com/ns/prod/sa/web", json!({}));
        let text = key.sign(&header, &claims, false)?;
        let tokens = vec![Token::bearer(name, &text, Expected::Passes(&["subject"]))];
        let policies = vec![
            (
                "subject",
                Who::When("request.auth.claims[sub]", "spiffe://example.com/ns/prod/sa/web"),
            ),
            // The last `/` divides issuer and subject.
            ("principal", Who::Principal(format!("{issuer}/spiffe://example.com/ns/prod/sa/web"))),
        ];
        Ok(case(json!({"issuer": issuer}), jwks, policies, tokens))
    };
    let with = |mut base: Value, more: Value| {
        if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
            base.extend(more);
        }
        base
    };
    // Keycloak: the key for encryption stands first.
    let [encrypts, signs] = [Key::rsa()?, Key::rsa()?];
    let keycloak = set(&[
        encrypts.jwk(with(
            encrypts.certificate()?,
            json!({"kid": "enc", "alg": "RSA-OAEP", "use": "enc", "x5t": "e"}),
        ))?,
        signs.jwk(with(
            signs.certificate()?,
            json!({"kid": "sig", "alg": "RS256", "use": "sig", "x5t": "s"}),
        ))?,
    ]);
    // SPIFFE: authorities for X.509 and for JWT side by side.
    let [x509, jwt] = [Key::rsa()?, Key::ec()];
    let bundle = json!({"spiffe_sequence": 1, "spiffe_refresh_hint": 300, "keys": [
        x509.jwk(with(x509.certificate()?, json!({"use": "x509-svid"})))?,
        jwt.jwk(json!({"kid": "spiffe", "use": "jwt-svid"}))?,
    ]})
    .to_string();
    // kube-apiserver, after a change of keys.
    let [before, after] = [Key::rsa()?, Key::ec()];
    let kubernetes = set(&[
        before.jwk(json!({"use": "sig", "kid": "before", "alg": "RS256"}))?,
        after.jwk(json!({"use": "sig", "kid": "after", "alg": "ES256"}))?,
    ]);
    // .NET: members that are absent, written as null.
    let net = Key::ec();
    let null = json!({
        "kid": "net", "use": "sig", "alg": null, "key_ops": null, "d": null, "p": null, "x5c": null,
        "x5t": null, "x5u": null,
    });
    let net_set = set(&[net.jwk(null)?]);
    // An exponent with leading zeros.
    let zeros = Key::rsa()?;
    let exponent = encode(&[0, 1, 0, 1]);
    let zeros_set = set(&[zeros.jwk(json!({"kid": "z", "e": exponent, "use": "sig"}))?]);
    Ok(vec![
        (signed("the set of Keycloak", &signs, "sig", keycloak)?, "application/json"),
        (signed("the bundle of SPIFFE", &jwt, "spiffe", bundle)?, "application/json"),
        (
            signed("the set of Kubernetes", &before, "before", kubernetes.clone())?,
            "application/jwk-set+json",
        ),
        (signed("the same, the new key", &after, "after", kubernetes)?, "application/jwk-set+json"),
        (signed("the set of .NET", &net, "net", net_set)?, "application/json; charset=utf-8"),
        (signed("an exponent of four octets", &zeros, "z", zeros_set)?, "application/json"),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_vendors_document_them() -> Result<()> {
    let cases = [entra()?, cognito()?, google()?, iap()?, load_balancer()?, workflow()?];
    let cases = cases.into_iter().map(|case| (case, "application/json; charset=utf-8"));
    let (_issuer, cases) = served(cases.collect()).await?;
    compare(&cases).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_of_every_shape() -> Result<()> {
    let (_issuer, cases) = served(shapes()?).await?;
    compare(&cases).await
}
