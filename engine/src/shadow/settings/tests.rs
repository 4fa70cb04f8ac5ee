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
fn what_is_wrong_makes_nothing() {
    let wrong = r#"[{"name": "a b", "models": [], "cluster": "c"}]"#;
    let errors = compile(wrong, &Credentials::default()).unwrap_err();
    assert_eq!(errors.lines().count(), 2, "{errors}");
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
    let shadow = shadows.get(ShadowId::new(0)).unwrap();
    assert_eq!(&*shadow.authority, "iris-v2.prod.svc.cluster.local");
    assert_eq!((shadow.percent, shadow.timeout), (100.0, Duration::from_secs(2)));
    assert_eq!(shadow.operations, [Operation::Predict]);
    assert_eq!((shadow.in_flight, shadow.buffered_bytes), (64, 8 << 20));
}
