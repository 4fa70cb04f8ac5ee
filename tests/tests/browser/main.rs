//! The report's page, opened in a real browser. Needs `CHROMIUM` and `MODELGATE`.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::browser::Browser;
use testbed::report::report;

const STATS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report/stats.txt");

/// The page of what a gateway counted, and the report as JSON.
fn page(stats: &str) -> Result<(TempDir, Value)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("report.html");
    let html = format!("--html={}", file.display());
    let require = "--require=agreement>=0.99,compared>=400";
    let reported = report(&[stats, &html, require, "--format=json"])?;
    ensure!(reported.status == 1, "{}{}", reported.text, reported.errors);
    Ok((folder, serde_json::from_str(&reported.text)?))
}

fn open(folder: &TempDir) -> Result<Browser> {
    let mut browser = Browser::start()?;
    browser.open(&folder.path().join("report.html"))?;
    Ok(browser)
}

/// Figures of the page by name, as the browser reads them.
const FIGURES: &str = r#"Object.fromEntries(
    [...document.querySelectorAll('article[data-shadow="iris-v2"] [data-figure]')]
        .map(e => [e.dataset.figure, Number(e.value ?? e.dataset.value)]))"#;

#[test]
fn the_browser_reads_the_figures_of_the_report() -> Result<()> {
    let (folder, report) = page(STATS)?;
    let shadow = report.pointer("/shadows/0").context("a shadow")?;
    let mut browser = open(&folder)?;
    let figures = browser.evaluate(FIGURES)?;
    let mut compared = 0;
    for (figure, pointer) in [
        ("selected", "/selected"),
        ("compared", "/compared"),
        ("in-flight", "/inFlight"),
        ("agreement", "/agreement/share/value"),
        ("agreement-lower", "/agreement/share/lower"),
        ("class-changes", "/classChanges/share/value"),
        ("failures", "/failures/share/value"),
        ("drops", "/drops/share/value"),
        ("live-p50", "/milliseconds/live/p50/value"),
        ("shadow-p95", "/milliseconds/shadow/p95/value"),
        ("ratio-p99", "/milliseconds/ratio/p99/value"),
        ("score-p99", "/scoreDifference/p99/value"),
        ("outcome-matched", "/outcomes/matched"),
        ("outcome-shadow_failed", "/outcomes/shadow_failed"),
        ("outcome-timeout", "/outcomes/timeout"),
        ("difference-class", "/differences/class"),
        ("difference-score", "/differences/score"),
    ] {
        let expected = shadow.pointer(pointer).and_then(Value::as_f64).context(pointer)?;
        assert_eq!(figures[figure].as_f64(), Some(expected), "{figure}");
        compared += 1;
    }
    assert_eq!(compared, 17);
    assert_eq!(browser.evaluate("document.querySelector('section').dataset.met")?, "false");
    let verdicts =
        "[...document.querySelectorAll('section tbody td:last-child')].map(e => e.innerText)";
    assert_eq!(browser.evaluate(verdicts)?, json!(["not met", "met"]));
    Ok(())
}

#[test]
fn the_plots_show_what_was_counted() -> Result<()> {
    let (folder, report) = page(STATS)?;
    let mut browser = open(&folder)?;
    // Outcomes, kinds of differences, agreement with its baseline, latencies, score differences.
    let plots = "[...document.querySelectorAll('svg')].map(svg => [svg.getAttribute('role'),
        svg.getAttribute('aria-label').length > 10, svg.getBoundingClientRect().height > 50])";
    assert_eq!(browser.evaluate(plots)?, json!(vec![json!(["img", true, true]); 5]));
    let outside = "[...document.querySelectorAll('svg')].flatMap(svg => {
        const frame = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text, rect, circle, line')].filter(e => {
            const box = e.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1
                || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
        }).map(e => e.outerHTML);
    })";
    assert_eq!(browser.evaluate(outside)?, json!([]), "drawn beyond its plot");
    let width = |outcome: &str| {
        format!(
            "document.querySelector('[data-figure=\"outcome-{outcome}\"] rect')
                .getBoundingClientRect().width"
        )
    };
    let matched = browser.evaluate(&width("matched"))?.as_f64().context("a width")?;
    let mismatched = browser.evaluate(&width("mismatched"))?.as_f64().context("a width")?;
    let counts = |outcome: &str| report["shadows"][0]["outcomes"][outcome].as_f64();
    let expected = counts("mismatched").zip(counts("matched")).map(|(a, b)| a / b);
    let expected = expected.context("two counts")?;
    assert!((mismatched / matched - expected).abs() < 0.01, "{mismatched} to {matched}");
    Ok(())
}

/// The least contrast of these elements with the page's ground.
const CONTRAST: &str = r"(() => {
    const light = colour => {
        const parts = colour.match(/[\d.]+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const ground = light(getComputedStyle(document.body).backgroundColor);
    return Math.min(...[...document.querySelectorAll('SHOWN')].map(e => {
        const style = getComputedStyle(e);
        const colour = light(e.namespaceURI.includes('svg') ? style.fill : style.color);
        return (Math.max(colour, ground) + 0.05) / (Math.min(colour, ground) + 0.05);
    }));
})()";

#[test]
fn the_page_needs_nothing_else_in_light_and_dark() -> Result<()> {
    let (folder, _) = page(STATS)?;
    let mut browser = open(&folder)?;
    let requests = browser.seen("Network.requestWillBeSent");
    let urls: Vec<&Value> = requests.iter().map(|r| &r["params"]["request"]["url"]).collect();
    assert_eq!(urls.len(), 1, "the page loads something: {urls:?}");
    for event in ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"] {
        assert_eq!(browser.seen(event), [&Value::Null; 0]);
    }
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme)?;
        // WCAG 2.2, §1.4.3 of text and §1.4.11 of what is drawn.
        for (shown, least) in [("p, td, th, li, h2, text", 4.5), ("rect, circle", 3.0)] {
            let contrast = browser.evaluate(&CONTRAST.replace("SHOWN", shown))?;
            let contrast = contrast.as_f64().context("a ratio")?;
            assert!(contrast >= least, "{scheme}: {shown} with a contrast of {contrast}");
        }
        grounds.push(browser.evaluate("getComputedStyle(document.body).backgroundColor")?);
    }
    assert_ne!(grounds[0], grounds[1], "light and dark are the same");
    Ok(())
}

#[test]
fn a_hostile_name_stays_text() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let name =
        r#"<img src=x onerror=document.title='hit'><script>document.title='hit'</script>\"'"#;
    let stats = folder.path().join("stats.txt");
    let labels = format!("{{shadow=\"{name}\"}}");
    std::fs::write(&stats, format!("modelgate_shadow_selected_total{labels} 3\n"))?;
    let (folder, _) = page(path(&stats)?)?;
    let mut browser = open(&folder)?;
    let shown = browser.evaluate("document.querySelector('article').dataset.shadow")?;
    assert_eq!(shown, name.replace("\\\"", "\""));
    assert_eq!(browser.evaluate("document.querySelectorAll('img, script').length")?, 0);
    assert_eq!(browser.evaluate("document.title")?, "Shadow report");
    Ok(())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("UTF-8")
}
