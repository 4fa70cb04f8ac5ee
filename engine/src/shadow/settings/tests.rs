//! Which settings of shadows are taken, and what is said of the others.

use super::*;
use crate::config::read::Read;

/// Reads and compiles a list of shadows.
pub fn compile(settings: &str, credentials: &Credentials) -> Result<Shadows, String> {
    let json = serde_json::from_str(settings).unwrap();
    let mut errors = Errors::default();
    let list = Vec::<types::Shadow>::read(&json, &Path::ROOT.field("shadows"), &mut errors);
    let limits = types::ShadowLimits::absent().unwrap();
    let compiled =
        list.and_then(|l| Shadows::compile(&l, &limits, credentials, &Path::ROOT, &mut errors));
    assert_eq!(compiled.is_none(), !errors.is_empty());
    compiled.ok_or_else(|| errors.to_string())
}

/// Shadows that must compile.
pub fn shadows(settings: &str) -> Shadows {
    compile(settings, &Credentials::default()).unwrap()
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    for (field, expected) in [
        (r#""models": []"#, "shadows[0].models: is empty"),
        (r#""models": ["iris"]"#, "shadows[0].models[0]: is not a model (iris)"),
        (r#""models": ["a/*b"]"#, "shadows[0].models[0]: has * elsewhere"),
        (r#""models": ["*a/b*"]"#, "shadows[0].models[0]: has * elsewhere"),
        (r#""models": ["/b"]"#, "shadows[0].models[0]: has an empty namespace or name"),
        (r#""models": ["prod/iris/v2"]"#, "shadows[0].models[0]: has more than one /"),
        (r#""models": ["Prod/iris"]"#, "shadows[0].models[0]: has a character that no model"),
        (r#""models": ["/iris*"]"#, "shadows[0].models[0]: has an empty namespace or name"),
        (r#""name": "a b""#, "shadows[0].name: cannot stand in a metric (a b)"),
        (r#""name": """#, "shadows[0].name: cannot stand in a metric"),
        (r#""percent": 100.5"#, "shadows[0].percent: is too large (100.5)"),
        (r#""cluster": """#, "shadows[0].cluster: is not the name of a cluster"),
        (r#""cluster": "outbound|x||h""#, "shadows[0].cluster: is not the name of a cluster"),
        (r#""cluster": "outbound|80||""#, "shadows[0].cluster: is not the name of a cluster"),
        (r#""authority": """#, "shadows[0].authority: is not a host"),
        (r#""timeout": "0ms""#, "shadows[0].timeout: is out of range (0ms)"),
        (r#""timeout": "11m""#, "shadows[0].timeout: is out of range"),
        (r#""path": "/{name}""#, "shadows[0].path: has an unknown variable (/{name})"),
        (r#""operations": ["metrics"]"#, "shadows[0].operations[0]: is never copied (metrics)"),
        (r#""operations": ["feedback"]"#, "shadows[0].operations[0]: is never copied (feedback)"),
        (r#""operations": ["predictt"]"#, "shadows[0].operations[0]: is unknown (predictt)"),
        (r#""operations": []"#, "shadows[0].operations: is empty"),
        (r#""limits": {"inFlight": 0}"#, "shadows[0].limits.inFlight: is out of range (0)"),
        (r#""limits": {"requestBytes": "0B"}"#, "shadows[0].limits.requestBytes: is 0"),
        (r#""limits": {"requestBytes": "9MiB"}"#, "limits.requestBytes: is more than buffered"),
        (r#""limits": {"bufferedBytes": "33MiB"}"#, "bufferedBytes: is more than all may hold"),
        (r#""breaker": {"failures": 0}"#, "shadows[0].breaker.failures: is 0"),
        (r#""headers": {"set": {"Cookie": "x"}}"#, "headers.set.Cookie: cannot be set"),
        (r#""headers": {"set": {"x_envoy_a": "x"}}"#, "headers.set.x_envoy_a: cannot be set"),
        (r#""headers": {"set": {"a b": "x"}}"#, "headers.set.a b: is not a header"),
        (r#""headers": {"set": {"a": "x\n"}}"#, "headers.set.a: is not a header's value"),
        (r#""headers": {"set": {"a": "x", "A": "y"}}"#, "headers.set.a: is given twice"),
        (r#""headers": {"remove": [":path"]}"#, "headers.remove[0]: is not a header (:path)"),
        (r#""headers": {"keep": ["x-api-key"]}"#, "headers.keep[0]: never reaches a shadow"),
        (r#""headers": {"keep": ["Authorization"]}"#, "headers.keep[0]: never reaches a shadow"),
        (r#""headers": {"keep": ["*"]}"#, "headers.keep[0]: is not a header (*)"),
        (r#""headers": {"keep": ["x-*-y"]}"#, "headers.keep[0]: is not a header (x-*-y)"),
        (r#""headers": {"keep": ["x-y**"]}"#, "headers.keep[0]: is not a header (x-y**)"),
        (r#""headers": {"keep": ["x y"]}"#, "headers.keep[0]: is not a header (x y)"),
        (r#""query": {"keep": [""]}"#, "shadows[0].query.keep[0]: is empty"),
        (r#""query": {"keep": ["t"]}"#, "shadows[0].query.keep[0]: never reaches a shadow (t)"),
        (r#""compare": {"relativeTolerance": 1}"#, "relativeTolerance: lets any number pass (1)"),
        (r#""compare": {"maxDifferences": 0}"#, "compare.maxDifferences: is out of range"),
        (r#""compare": {"ignore": ["meta"]}"#, "compare.ignore[0]: is not a JSON pointer"),
        (r#""compare": {"ignore": [""]}"#, "compare.ignore[0]: ignores whole answers"),
        (
            r#""compare": {"baselineCluster": "outbound|b"}"#,
            "compare.baselineCluster: is not the name",
        ),
        (r#""compare": {"baselinePath": "/p"}"#, "compare.baselinePath: is the path of no copy"),
        (
            r#""compare": {"baselineCluster": "b", "baselinePath": "p"}"#,
            "compare.baselinePath: does not begin with / (p)",
        ),
    ] {
        let mut fields = serde_json::json!({"name": "a", "models": ["*"], "cluster": "c"});
        let given: serde_json::Value = serde_json::from_str(&format!("{{{field}}}")).unwrap();
        fields.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let credentials = Credentials {
            headers: vec!["X-Api-Key".into()],
            params: vec!["t".into()],
            identity: vec!["x-user".into()],
        };
        let errors = compile(&format!("[{fields}]"), &credentials).unwrap_err();
        assert!(errors.contains(expected), "{field} gave: {errors}");
        assert_eq!(errors.lines().count(), 1, "{field} gave: {errors}");
    }
    let twice = r#"[{"name": "a", "models": ["*"], "cluster": "c"},
                    {"name": "a", "models": ["*"], "cluster": "c"}]"#;
    let errors = compile(twice, &Credentials::default()).unwrap_err();
    assert_eq!(errors, "shadows[1].name: is given twice (a): a name of its own for each shadow");
}

#[test]
fn secrets_in_plain_text_and_wide_names_are_warned_of() {
    for (headers, warning) in [
        (r#"{"set": {"Authorization": "s3cret"}}"#, Some("headers.set.Authorization: may hold a")),
        (r#"{"set": {"x_api_key": "s3cret"}}"#, Some("headers.set.x_api_key: may hold a secret")),
        (r#"{"set": {"x-machine": "s3cret"}}"#, Some("headers.set.x-machine: may hold a secret")),
        (r#"{"set": {"x-shadow": "s3cret"}}"#, None),
        (r#"{"keep": ["x-*"]}"#, Some("headers.keep[0]: hands credentials on")),
        (r#"{"keep": ["x-shop-*"]}"#, None),
    ] {
        let shadow =
            format!(r#"[{{"name": "a", "models": ["*"], "cluster": "c", "headers": {headers}}}]"#);
        let json = serde_json::from_str(&shadow).unwrap();
        let mut errors = Errors::default();
        let list = Vec::<types::Shadow>::read(&json, &Path::ROOT, &mut errors).unwrap();
        let limits = types::ShadowLimits::absent().unwrap();
        let credentials =
            Credentials { headers: vec!["X-Machine".into()], ..Credentials::default() };
        let compiled = Shadows::compile(&list, &limits, &credentials, &Path::ROOT, &mut errors);
        assert!(compiled.is_some() && errors.is_empty(), "{headers}: {errors}");
        let warnings: Vec<String> = errors.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{headers}: {warnings:?}");
        assert!(
            warnings
                .iter()
                .all(|w| w.contains(warning.unwrap_or_default()) && !w.contains("s3cret"))
        );
    }
}

#[test]
fn clusters_that_lead_to_the_same_pods() {
    for (a, b, expected) in [
        ("live", "live", true),
        ("live", "live-2", false),
        ("outbound|8000||iris.prod", "outbound|8000||iris.prod", true),
        ("outbound|8000|default|iris.prod", "outbound|8000||iris.prod", true),
        ("outbound|8000||iris.prod", "outbound|5001|v1|iris.prod", true),
        ("outbound|8000|v1|iris.prod", "outbound|8000|v1|iris.prod", true),
        ("outbound|8000|v1|iris.prod", "outbound|8000|v2|iris.prod", false),
        ("outbound|8000||iris.prod", "outbound|8000||iris.test", false),
        ("outbound|8000", "outbound|8000", true),
        ("outbound|8000||iris.prod", "iris.prod", true),
    ] {
        assert_eq!((share_pods(a, b), share_pods(b, a)), (expected, expected), "{a} {b}");
    }
}

#[test]
fn defaults_are_the_contracts() {
    let shadows = shadows(
        r#"[{"name": "iris-v2", "models": ["prod/iris", "a/*", "*/b", "*"],
             "cluster": "outbound|8000||iris-v2.prod.svc.cluster.local"}]"#,
    );
    let shadow = shadows.get(0).unwrap();
    assert_eq!(&*shadow.authority, "iris-v2.prod.svc.cluster.local");
    assert_eq!((shadow.percent, shadow.timeout), (100.0, Duration::from_secs(2)));
    assert_eq!(shadow.operations, [Operation::Predict]);
    assert_eq!((shadow.in_flight, shadow.buffered_bytes), (64, 8 << 20));
}
