//! Addresses and what they reach, as the facts about the operators and servers have it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::host::Host;
use super::*;
use crate::config::read::Read;
use crate::config::{Errors, Path, types};
use crate::path::segments::behind_route;
use crate::refusal::Refusal;

mod addresses;
mod documented;

fn compile(settings: Value) -> Result<Targets, String> {
    let mut errors = Errors::default();
    let read = types::Targets::read(&settings.into(), &Path::ROOT, &mut errors);
    let at = Path::ROOT.field("targets");
    let targets = read.and_then(|settings| Targets::compile(&settings, &at, &mut errors));
    targets.ok_or_else(|| errors.to_string())
}

fn tail<'a>(path: &'a [u8], method: &'a [u8]) -> Location<'a> {
    Location::new(method, path, Host::default(), [])
}

fn default() -> Targets {
    compile(json!({})).unwrap()
}

fn words(address: Result<Option<Address>, Refusal>) -> String {
    match address {
        Ok(None) => "outside".to_owned(),
        Err(refusal) => format!("400 {}", refusal.reason),
        Ok(Some(address)) => {
            let model = address.model.as_ref();
            let predictor = model.and_then(|m| m.predictor.as_ref());
            format!(
                "{} {}{} {}",
                address.family.as_str(),
                model.map_or("-", |m| &m.id),
                predictor.map_or_else(String::new, |p| format!(" ({p})")),
                address.operation.as_str()
            )
        }
    }
}

#[test]
fn every_address_of_the_table_reaches_what_it_says() {
    let sections = addresses::sections();
    let mut wrong = Vec::new();
    for section in &sections {
        let targets = compile(serde_json::from_str(section.targets).unwrap()).unwrap();
        for row in &section.rows {
            let headers = row.headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
            let (method, path) = (row.method.as_bytes(), row.path.as_bytes());
            let found = match Host::new(Some(row.host.as_bytes())) {
                Ok(host) => words(targets.resolve(&Location::new(method, path, host, headers))),
                Err(refusal) => words(Err(refusal)),
            };
            if !addresses::fits(row.reaches, &found) {
                wrong.push(format!("{}: {}\n  found {found}", section.title, row.text));
            }
            assert_ne!(
                row.in_envoy,
                Some(row.reaches),
                "a mark that changes nothing: {}",
                row.text
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(sections.iter().map(|section| section.rows.len()).sum::<usize>() > 500);
}

/// Quadratic work on such names would keep a worker busy for seconds each, and this test for minutes.
#[test]
fn long_names_of_services_are_read() {
    let targets = compile(json!({"families": ["kserve"], "kserve": {
        "hostTemplate": "{name}-{namespace}.example.com", "namespaces": ["prod"],
        "pathTemplate": "/serving/{namespace}/{name}"}}));
    let targets = targets.unwrap();
    for host in ["-".repeat(50_000), "-".repeat(50_000) + ".x", "a".repeat(50_000) + "-prod"] {
        let host = host + ".example.com";
        for _ in 0..20 {
            let host = Host::new(Some(host.as_bytes())).unwrap();
            let at = Location::new(b"GET", b"/", host, []);
            assert!(!matches!(targets.resolve(&at), Ok(Some(_))));
        }
    }
}

#[test]
fn tails() {
    let targets = compile(json!({"metricsPaths": ["/stats/prometheus/"]})).unwrap();
    for (path, method, operation) in [
        ("/api/v1.0/predictions?x", "POST", Operation::Predict),
        ("/stats/prometheus", "GET", Operation::Metrics),
        ("/prometheus", "GET", Operation::Other),
        ("/", "GET", Operation::Other),
    ] {
        let found = targets.operation_of_tail(&tail(path.as_bytes(), method.as_bytes()));
        assert_eq!(found, Ok(operation), "{path}");
    }
    assert!(targets.operation_of_tail(&tail(b"/a/../b", b"GET")).is_err());
}

#[test]
fn a_model_is_a_namespace_and_a_name() {
    let targets = default();
    let at = Location::new(b"GET", b"/seldon/prod/iris/ready", Host::default(), []);
    let model = targets.resolve(&at).unwrap().unwrap().model.unwrap();
    assert_eq!(*model.id, *"prod/iris");
    assert_eq!((model.namespace(), model.name()), ("prod", "iris"));
}

#[test]
fn settings_that_cannot_be_carried_out_make_nothing() {
    let errors = compile(json!({"seldonPrefix": "seldon"})).unwrap_err();
    assert!(errors.starts_with("targets.seldonPrefix: is not usable"), "{errors}");
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        Just("seldon"),
        Just("namespace"),
        Just("seldon-model"),
        Just("x-seldon-route"),
        Just("x"),
    ];
    let value = prop_oneof![
        "[a-c]{1,2}(\\.pipeline)?".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec((name.prop_map(str::to_owned), value), 0..4)
}

proptest! {
    #[test]
    fn no_bytes_panic(
        method in proptest::collection::vec(any::<u8>(), 0..6),
        path in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "(/(seldon|v2|models|pipelines|inference|[a-c]-explainer|[a-c%.;]{0,3}|%2[eEfF])){0,8}/?"
                .prop_map(String::into_bytes),
        ],
        host in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
        headers in headers(),
    ) {
        let kserve = compile(json!({"families": ["kserve", "seldon-v2", "seldon-v1"], "kserve": {
            "hostTemplate": "{name}-{namespace}.x", "pathTemplate": "/s/{namespace}/{name}",
            "namespaces": ["a"]}, "fixed": [{"pathPrefix": "/seldon/a/b", "model": "a/b"}]})).unwrap();
        for targets in [default(), kserve] {
            let headers = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_slice()));
            let Ok(host) = Host::new(host.as_deref()) else { continue };
            let at = Location::new(&method, &path, host, headers);
            if let Ok(Some(Address { model: Some(model), .. })) = targets.resolve(&at) {
                let (namespace, name) = model.id.split_once('/').unwrap();
                prop_assert!(names::is_name(namespace.as_bytes()));
                prop_assert!(names::is_name(name.as_bytes()));
            }
        }
    }

    #[test]
    fn a_path_below_a_deployment_reaches_it_or_is_refused(
        namespace in "[a-c]", name in "[a-c](-explainer)?",
        tail in "[ -~]{0,30}", headers in headers(),
    ) {
        let targets = default();
        let path = format!("/seldon/{namespace}/{name}/{tail}");
        let headers = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_slice()));
        let at = Location::new(b"POST", path.as_bytes(), Host::default(), headers);
        match targets.resolve(&at) {
            Err(_) => {}
            Ok(found) => {
                let found = found.unwrap();
                let model = found.model.unwrap();
                let name = match model.predictor {
                    Some(_) => name.strip_suffix("-explainer").unwrap(),
                    None => &name,
                };
                prop_assert_eq!(found.family, Family::SeldonV1);
                prop_assert_eq!(&*model.id, format!("{namespace}/{name}"));
            }
        }
    }

    #[test]
    fn whatever_decodes_into_a_territory_is_in_it_or_refused(
        path in "(/|%2[fF]|\\\\){1,2}(s|%73)eldon(;x)?/(\\./|x/\\.\\./|/)?prod/iris/ready",
    ) {
        let targets = default();
        let at = Location::new(b"GET", path.as_bytes(), Host::default(), []);
        prop_assert!(!matches!(targets.resolve(&at), Ok(None)));
    }
}

#[test]
fn a_route_takes_off_its_segments_and_nothing_else() {
    for (path, segments, left) in [
        ("/seldon/prod/iris/api/v1.0/predictions?a=/b", 3, "/api/v1.0/predictions?a=/b"),
        ("/seldon/prod/iris/", 3, "/"),
        ("/seldon/prod/iris", 3, "/seldon/prod/iris"),
        ("/seldon/prod/iris?a=/b", 3, "/seldon/prod/iris?a=/b"),
        ("/v2/models/iris/infer", 0, "/v2/models/iris/infer"),
    ] {
        assert_eq!(behind_route(path.as_bytes(), segments), left.as_bytes(), "{path}");
    }
}
