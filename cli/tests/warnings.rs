//! Every kind of setting that is weaker than it looks has a warning by its name, and settings that mean what they say
//! have none: the tables `warnings.yaml` and `warnings-*.yaml`, the project's own manifests and pages.
#![cfg(test)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use modelgate_engine::config::{Errors, Warning};
use modelgate_engine::pipeline::Plan;
use serde_json::Value;
use support::{modelgate, root};

/// The cases of one kind, of all tables.
fn table(kind: &str) -> Vec<Value> {
    let mut cases = Vec::new();
    for file in [
        "warnings.yaml",
        "warnings-addresses.yaml",
        "warnings-bodies.yaml",
        "warnings-callers.yaml",
        "warnings-listed.yaml",
        "warnings-models.yaml",
    ] {
        let text = std::fs::read_to_string(root().join("cli/tests").join(file)).expect("a table");
        let mut table: Value = serde_saphyr::from_str(&text).expect("YAML");
        cases.append(table[kind].as_array_mut().expect("a list"));
    }
    cases
}

/// `name place` of every warning.
fn warnings(settings: &Value, about: &str) -> Vec<String> {
    let mut errors = Errors::default();
    let plan = Plan::read(settings.to_string().as_bytes(), &mut errors);
    assert!(plan.is_some(), "{about}: refused\n{errors}");
    let named = errors.warnings().iter().map(|warning| {
        assert!(!warning.fix.is_empty() && !warning.what.is_empty());
        format!("{} {}", warning.name.expect("a name").as_str(), warning.path)
    });
    named.collect()
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| item.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn every_weak_setting_gets_its_warnings_and_no_others() {
    let cases = table("cases");
    assert!(cases.len() >= 120, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let about = case["about"].as_str().expect("what it is about");
        let (mut found, mut wanted) =
            (warnings(&case["settings"], about), texts(&case["warnings"]));
        found.sort_unstable();
        wanted.sort_unstable();
        assert!(!wanted.is_empty(), "{about}");
        if found != wanted {
            wrong.push(format!("{about}\n  found  {found:?}\n  wanted {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn settings_that_mean_what_they_say_get_none() {
    let mut wrong = Vec::new();
    for case in table("quiet") {
        let about = case["about"].as_str().expect("what it is about");
        let (found, known) = (warnings(&case["settings"], about), texts(&case["besides"]));
        if found != known {
            wrong.push(format!("{about}\n  found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files of the project below a folder.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

#[test]
fn the_projects_own_manifests_get_none() {
    let mut manifests = Vec::new();
    for folder in ["wasmplugin", "deploy"] {
        files(&root().join(folder), "yaml", &mut manifests);
    }
    // Templates of the chart are judged once they are rendered.
    manifests.retain(|file| !file.starts_with(root().join("deploy/chart")));
    // Patches and values are parts of others.
    let text = |file: &PathBuf| std::fs::read_to_string(file).expect("a manifest");
    manifests.retain(|file| text(file).contains("pluginConfig:"));
    manifests.push(root().join("docs/configuration.yaml"));
    let mut checked = 0;
    for file in manifests {
        let outcome = modelgate(&["check", file.to_str().expect("UTF-8")], "");
        checked += 1;
        assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
        assert!(!outcome.stdout.contains("warning"), "{}", outcome.stdout);
    }
    assert!(checked >= 5, "{checked}");
}

#[test]
fn each_name_of_a_configuration_s_own_warnings_is_in_the_tables() {
    let cases = table("cases");
    let listed: Vec<String> = cases.iter().flat_map(|case| texts(&case["warnings"])).collect();
    let listed: BTreeSet<&str> = listed.iter().filter_map(|line| line.split(' ').next()).collect();
    for name in Warning::WORDS.iter().take_while(|name| **name != "peer-names") {
        assert!(listed.contains(name), "{name} is in no case");
    }
}
