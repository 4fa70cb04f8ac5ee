//! Rules as promtool judges them, and as the documentation and the Prometheus operator have them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::documents::{PAGE, RULES, alerts, file, list, promises, read, rules, text, yaml};
use crate::prometheus::promtool;

const UNIT_TESTS: &str = "rules-test.yaml";
const OPERATOR: &str = "deploy/monitoring/prometheus-rule.yaml";

fn judged(arguments: &[&str], folder: &Path) -> Result<()> {
    let output = promtool(arguments, folder)?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    Ok(())
}

#[test]
fn promtool_accepts_the_rules() -> Result<()> {
    judged(
        &["check", "rules", "--lint=all", "--lint-fatal", "modelgate-rules.yaml"],
        &file("deploy/monitoring"),
    )
}

#[test]
fn each_rule_does_what_it_says() -> Result<()> {
    judged(&["test", "rules", UNIT_TESTS], &file("tests/monitoring"))
}

/// promtool says nothing of rules that no case is about.
#[test]
fn each_alert_and_recording_has_a_case() -> Result<()> {
    let cases = read(&format!("tests/monitoring/{UNIT_TESTS}"))?;
    for name in alerts()?.keys() {
        ensure!(cases.contains(&format!("alertname=\"{name}\", alertstate=\"firing\"")), "{name}");
    }
    let expressions: Vec<String> =
        rules()?.iter().map(|rule| text(rule, "expr").map(str::to_owned)).collect::<Result<_>>()?;
    for rule in rules()? {
        let Ok(name) = text(&rule, "record") else { continue };
        let is_used = expressions.iter().any(|expression| expression.contains(name));
        ensure!(is_used || cases.contains(name), "{name} is in no alert and no case");
    }
    Ok(())
}

#[test]
fn each_alert_is_in_the_runbook() -> Result<()> {
    let page = read(PAGE)?;
    let alerts = alerts()?;
    let promised = promises()?;
    let names: BTreeSet<&String> = alerts.keys().collect();
    ensure!(names == promised.keys().collect(), "{PAGE} lists {:?}", promised.keys());
    for (name, alert) in &alerts {
        let anchor = format!("{PAGE}#{}", name.to_lowercase());
        let annotations = alert.get("annotations").cloned().unwrap_or_default();
        ensure!(annotations.get("runbook_url") == Some(&json!(anchor)), "{name}");
        ensure!(page.contains(&format!("\n### {name}\n")), "{PAGE} has no section {name}");
        let severity = alert.pointer("/labels/severity").and_then(Value::as_str);
        let table = promised.get(name).map(|(severity, _)| severity.as_str());
        ensure!(severity == table, "{name}: {severity:?}, {PAGE} says {table:?}");
    }
    for section in page.split("\n### Modelgate").skip(1) {
        for part in ["**What it means.**", "**Look first at**", "**It goes away**"] {
            let name = section.lines().next().unwrap_or_default();
            ensure!(section.contains(part), "{name} has no {part}");
        }
    }
    Ok(())
}

/// The Prometheus operator wants the rules inside a resource, which kustomize cannot make of a file.
#[test]
fn the_operator_gets_the_same_rules() -> Result<()> {
    let plain = read(RULES)?;
    let (_, groups) = plain.split_once("\ngroups:\n").unwrap_or_default();
    let mut resource = "# Shows: modelgate-rules.yaml for the Prometheus operator; made of it, so change that one\n\
                        #   MODELGATE_WRITE_DOCS=1 cargo xtask test monitoring\n\
                        apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: modelgate\n  \
                        namespace: istio-system\nspec:\n  groups:\n"
        .to_owned();
    for line in groups.lines() {
        if !line.is_empty() {
            resource.push_str("  ");
        }
        resource.push_str(line);
        resource.push('\n');
    }
    if std::env::var_os("MODELGATE_WRITE_DOCS").is_some() {
        std::fs::write(file(OPERATOR), &resource)?;
    }
    let again = "MODELGATE_WRITE_DOCS=1 cargo xtask test monitoring";
    ensure!(read(OPERATOR)? == resource, "{OPERATOR} is not what {RULES} says: {again}");
    let (operator, rules) = (yaml(OPERATOR)?, yaml(RULES)?);
    ensure!(operator.pointer("/spec/groups") == rules.get("groups"), "{OPERATOR}");
    let kustomization = yaml("deploy/monitoring/kustomization.yaml")?;
    let named = list(&kustomization, "resources").any(|name| name == "prometheus-rule.yaml");
    ensure!(named, "the kustomization does not apply {OPERATOR}");
    Ok(())
}
