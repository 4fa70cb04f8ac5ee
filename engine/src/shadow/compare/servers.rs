//! Answers as servers write them, by table: what is a decision, what is a score, what does not count.

mod baseline;
mod bytes;
mod decisions;
mod envelopes;
mod labels;

use super::tests::{head, line, rules, shown};
use super::*;
use crate::config::{Errors, Path};

fn values(pointers: &[&str]) -> Pointers {
    let texts: Vec<String> = pointers.iter().map(|t| (*t).to_owned()).collect();
    Pointers::compile(&texts, "", &Path::ROOT, &mut Errors::default())
}

fn plain() -> Rules {
    Rules { show_values: false, ..rules(&[], &[]) }
}

fn within(absolute: f64) -> Rules {
    Rules { tolerance: Tolerance { relative: 1e-6, absolute }, ..plain() }
}

fn oip(datatype: &str, shape: &str, data: &str) -> String {
    format!(
        r#"{{"outputs":[{{"name":"o","datatype":"{datatype}","shape":{shape},"data":{data}}}]}}"#
    )
}

fn binary(head: &str, tail: &[u8]) -> (Head, Vec<u8>) {
    let length = head.len().to_string();
    let lines: [crate::request::Header<'_>; 3] = [
        (b":status", b"200"),
        (b"content-type", b"application/octet-stream"),
        (b"inference-header-content-length", length.as_bytes()),
    ];
    (Head::of(&lines), [head.as_bytes(), tail].concat())
}

fn tensors(id: &str, tensors: &[(&str, usize)]) -> String {
    let outputs: Vec<String> = tensors
        .iter()
        .enumerate()
        .map(|(i, (datatype, size))| {
            format!(r#"{{"name":"o{i}","datatype":"{datatype}","shape":[1,2],"parameters":{{"binary_data_size":{size}}}}}"#)
        })
        .collect();
    format!(r#"{{"id":"{id}","model_name":"m","outputs":[{}]}}"#, outputs.join(","))
}

/// Every row of the page's table, by the settings in it.
#[test]
fn the_page_tells_the_truth() {
    let page = include_str!("../../../../docs/comparison.md");
    let rows: Vec<&str> =
        page.lines().skip_while(|l| !l.starts_with("| server |")).skip(2).collect();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" |").map(str::trim).collect();
        let [server, live, shadow, compare, verdict] = cells[..] else { panic!("{row}") };
        let [live, shadow] = [live, shadow].map(|cell| cell.trim_matches('`'));
        let compare = Some(compare.trim_matches('`')).filter(|c| !c.is_empty()).unwrap_or("{}");
        let shadows = crate::shadow::settings::tests::shadows(&format!(
            r#"[{{"name": "a", "models": ["*"], "cluster": "c", "compare": {compare}}}]"#
        ));
        let json = head("200", "application/json");
        let compared = shadows.get(crate::shadow::ShadowId::new(0)).unwrap().compare.compare(
            Whole { head: &json, body: live.as_bytes() },
            Whole { head: &json, body: shadow.as_bytes() },
            &About::default(),
        );
        let found = match compared.agreement {
            Agreement::Matched => "matched".to_owned(),
            Agreement::Mismatched(report) => {
                report.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
            }
            Agreement::Uncomparable(_) => "uncomparable".to_owned(),
        };
        assert_eq!(found, verdict, "{server}: {live}");
    }
    assert!(rows.len() > 20);
}
