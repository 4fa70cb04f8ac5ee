//! Which settings of shadows are taken, and what is said of the others.

use super::*;
use crate::config::read::Read;

/// Reads and compiles a list of shadows.
pub fn compile(settings: &str, credentials: &Credentials) -> Result<Shadows, String> {
    let json = serde_json::from_str(settings).unwrap();
    let mut errors = Errors::default();
    let list = Vec::<types::Shadow>::read(&json, &Path::ROOT.field("shadows"), &mut errors);
    let limits = types::ShadowLimits::absent().unwrap();
    let compiled = list.and_then(|l| {
        Shadows::compile(&l, &limits, credentials, ModelNames::Objects, &Path::ROOT, &mut errors)
    });
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
        let compiled = Shadows::compile(
            &list,
            &limits,
            &credentials,
            ModelNames::Objects,
            &Path::ROOT,
            &mut errors,
        );
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
        let other = a.contains("|v1|") && b.contains("|v2|");
        assert_eq!((are_other_pods(a, b), are_other_pods(b, a)), (other, other), "{a} {b}");
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

#[test]
fn a_baseline_is_not_the_shadow_itself() {
    const PATHS: &str = r#""path": "/v2/models/next/infer""#;
    for (cluster, baseline, more, of_baseline, is_refused) in [
        ("c", "live", "", "", false),
        ("c", "c", "", "", true),
        ("outbound|8000||next.prod", "outbound|8000||next.prod", "", "", true),
        ("outbound|8000||next.prod", "outbound|9000||next.prod", "", "", true),
        ("outbound|8000|v2|iris.prod", "outbound|8000||iris.prod", "", "", true),
        ("outbound|8000|v2|iris.prod", "outbound|8000|v1|iris.prod", "", "", false),
        // Several models in the same pods, by their paths; a header or an authority alone is the shadow's.
        ("c", "c", PATHS, "", true),
        ("c", "c", PATHS, r#", "baselinePath": "/v2/models/iris/infer""#, false),
        ("c", "c", PATHS, r#", "baselinePath": "/v2/models/next/infer""#, true),
        ("c", "c", r#""authority": "next""#, "", true),
    ] {
        let more = if more.is_empty() { String::new() } else { format!(", {more}") };
        let shadow = format!(
            r#"[{{"name": "a", "models": ["*"], "cluster": "{cluster}"{more},
                 "compare": {{"baselineCluster": "{baseline}"{of_baseline}}}}}]"#
        );
        let compiled = compile(&shadow, &Credentials::default());
        assert_eq!(compiled.is_err(), is_refused, "{shadow}: {:?}", compiled.err());
        assert!(compiled.err().is_none_or(|e| e.contains("may lead to the shadow itself")));
    }
}

#[test]
fn ignoring_everything_is_refused_and_all_predictions_warned_of() {
    for (pointer, is_refused, is_warned) in [
        ("", true, false),
        ("/*", true, false),
        ("/*/*/*", true, false),
        ("/predictions", false, true),
        ("/outputs/*/data", false, true),
        ("/data/ndarray", false, true),
        ("/*/values", false, true),
        ("/", false, false),
        ("/meta/*", false, false),
        ("/predictions/*/time", false, false),
        ("/*/meta_info/id", false, false),
    ] {
        let shadow = format!(
            r#"[{{"name": "a", "models": ["*"], "cluster": "c", "compare": {{"ignore": ["{pointer}"]}}}}]"#
        );
        let json = serde_json::from_str(&shadow).unwrap();
        let mut errors = Errors::default();
        let list = Vec::<types::Shadow>::read(&json, &Path::ROOT, &mut errors).unwrap();
        let limits = types::ShadowLimits::absent().unwrap();
        let none = Credentials::default();
        let compiled =
            Shadows::compile(&list, &limits, &none, ModelNames::Objects, &Path::ROOT, &mut errors);
        assert_eq!(compiled.is_none(), is_refused, "{pointer}: {errors}");
        assert_eq!(
            errors.warnings().len(),
            usize::from(is_warned),
            "{pointer}: {:?}",
            errors.warnings()
        );
    }
}
