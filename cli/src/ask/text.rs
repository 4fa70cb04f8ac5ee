//! A decision for people: stage by stage, what was found and why.

mod policies;

use std::fmt::Write as _;

use modelgate_engine::pipeline::Explanation;
use modelgate_engine::rewrite::RewriteView;
use modelgate_engine::shadow::Unselected;
use serde_json::Value;

use super::decided::{Bench, Decided};
use super::json::{by, challenge, host, path, shown, stage, text};
use super::request::Asked;
use policies::{any_of, failed};

/// Columns of the names of stages.
const NAMES: usize = 13;

/// The most characters of a value.
const LONG: usize = 200;

/// Writes with or without colours.
pub struct Page {
    out: String,
    is_colored: bool,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

const GOOD: &str = "32";
const BAD: &str = "31";
const FAINT: &str = "2";
const BOLD: &str = "1";
const LOUD: &str = "1;33";

impl Page {
    /// An empty page.
    pub fn new(is_colored: bool) -> Self {
        Self { out: String::new(), is_colored }
    }

    /// What is on it.
    pub fn text(self) -> String {
        self.out
    }

    fn paint(&self, code: &str, text: &str) -> String {
        // What a client wrote commands no terminal.
        let text: String =
            text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        if self.is_colored { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text }
    }

    /// A line of a stage; without a name it goes on.
    fn line(&mut self, name: &str, text: &str) {
        let name = self.paint(BOLD, &format!("{name:NAMES$}"));
        let _ = writeln!(self.out, "{name} {text}");
    }

    fn more(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.out, "{:NAMES$} {:indent$}{text}", "", "");
    }

    fn mark(&self, is_good: bool) -> String {
        if is_good { self.paint(GOOD, "\u{2713}") } else { self.paint(BAD, "\u{2717}") }
    }
}

/// Everything about one request.
pub fn page(bench: &Bench, asked: &Asked, decided: &Decided, is_colored: bool) -> String {
    let mut page = Page::new(is_colored);
    let address = format!("{} {}", asked.method(), path(&asked.path));
    let on =
        if asked.host.is_empty() { String::new() } else { format!(" on {}", host(&asked.host)) };
    let request = page.paint(BOLD, &format!("{address}{on}"));
    page.line("request", &request);
    let name = page.paint(FAINT, &bench.configuration.name);
    page.line("configuration", &name);
    if bench.assumed.is_any() {
        let names = bench.assumed.names().join(", ");
        let warning = format!("NOT CHECKED, assumed to be right: tokens of {names}");
        let warning = page.paint(LOUD, &warning);
        page.line("signatures", &warning);
    }
    let has_id = asked.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-request-id"));
    reasons(&mut page, bench, &decided.explanation, has_id);
    if decided.decision.reply().is_none() {
        headers(&mut page, &decided.explanation);
    }
    answer(&mut page, bench, decided);
    page.text()
}

/// The stages before the answer.
pub fn reasons(page: &mut Page, bench: &Bench, explanation: &Explanation, has_id: bool) {
    route(page, bench, explanation);
    for (i, removed) in explanation.removed.iter().enumerate() {
        let what = format!("{} is taken off: {}", text(&removed.name), removed.why);
        let what = page.paint("0", &what);
        page.line(if i == 0 { "sanitized" } else { "" }, &what);
    }
    bypasses(page, explanation);
    credentials(page, bench, explanation);
    if let Some(policies) = &explanation.policies {
        policies::policies(page, bench, policies);
    }
    splits(page, bench, explanation);
    quotas(page, bench, explanation);
    shadows(page, bench, explanation, has_id);
}

/// What changes of the headers. A line that is set replaces those of its name, whether or not there are any.
fn headers(page: &mut Page, explanation: &Explanation) {
    let edits = &explanation.edits;
    let is_set = |name: &[u8]| edits.iter().any(|edit| edit.name == name && edit.value.is_some());
    let shown_edits = edits.iter().filter(|edit| edit.value.is_some() || !is_set(&edit.name));
    for (i, edit) in shown_edits.enumerate() {
        let line = match &edit.value {
            Some(value) => format!("+ {}: {}", text(&edit.name), cut(&shown(edit, value))),
            None => format!("- {}", text(&edit.name)),
        };
        let line = page.paint("0", &line);
        let from = page.paint(FAINT, &format!("({})", stage(edit.stage)));
        page.line(if i == 0 { "headers" } else { "" }, &format!("{line} {from}"));
    }
}

fn route(page: &mut Page, bench: &Bench, explanation: &Explanation) {
    let view = &explanation.route;
    if view.excluded {
        page.line(
            "excluded",
            "the host is one of exclude.hosts, and the address no model's: nothing is asked",
        );
        return;
    }
    for (i, rewrite) in view.rewrites.iter().enumerate() {
        let name = bench.configuration.name_of("rewrites", i);
        let name = page.paint("0", &name);
        let mark = page.mark(*rewrite == RewriteView::Applies);
        let line = format!("{mark} {name}: {}", rewrite.as_str());
        page.line(if i == 0 { "rewrite" } else { "" }, &line);
    }
    for new in view.path.iter().map(|path| text(path)) {
        let new = page.paint("0", &path(&new));
        page.more(2, &format!("path {new}"));
    }
    for new in view.authority.iter().map(|authority| text(authority)) {
        let new = page.paint("0", &new);
        page.more(2, &format!("authority {new}"));
    }
    if let Some(refusal) = view.refusal {
        let mark = page.mark(false);
        page.line("address", &format!("{mark} no server may see it: {}", refusal.reason));
        return;
    }
    let by = view.named_by.map(|by| by.as_str()).unwrap_or_default();
    match &view.address {
        None => page.line("address", "no model's"),
        Some(address) => {
            let model = match (&address.model, &address.in_body) {
                (_, Some(in_body)) if explanation.policies.is_none() => {
                    format!("a model that the body names: {}", in_body.about())
                }
                (Some(model), _) => model.id.to_string(),
                (None, _) => "a server's own".to_owned(),
            };
            let operation = address.operation.as_str();
            let what = page.paint(BOLD, &format!("{model}, {operation}"));
            let closed =
                if address.operation.is_closed() { ", which only its name opens" } else { "" };
            page.line("address", &format!("{what}{closed} ({})", address.family.as_str()));
            page.more(2, &format!("named by {by}"));
        }
    }
}

fn bypasses(page: &mut Page, explanation: &Explanation) {
    for (i, view) in explanation.bypasses.iter().enumerate() {
        let mark = page.mark(view.matches);
        page.line(if i == 0 { "bypass" } else { "" }, &format!("{mark} {}", view.name));
        if !view.matches {
            any_of(page, 2, &view.from);
            any_of(page, 2, &view.to);
        }
    }
}

fn credentials(page: &mut Page, bench: &Bench, explanation: &Explanation) {
    if explanation.is_preflight {
        page.line("credentials", "not asked of a CORS preflight");
        return;
    }
    let Some(view) = &explanation.credentials else { return };
    if view.places.is_empty() {
        return;
    }
    if let Some(key) = &view.api_key {
        let mark = page.mark(key.is_ok());
        let said = match key {
            Ok(principal) => page.paint("0", &format!("API key of {principal}")),
            Err(why) => format!("API key: {why}"),
        };
        page.line("credentials", &format!("{mark} {said}"));
    } else if view.tokens.is_empty() {
        let places = page.paint("0", &view.places.join(", "));
        page.line("credentials", &format!("none, at any of these places: {places}"));
    }
    for (i, token) in view.tokens.iter().enumerate() {
        let mark = page.mark(token.refused.is_none());
        let issuer = token.issuer.as_deref().unwrap_or("any issuer");
        let claimed = token.claims.as_ref().and_then(|claims| claims.get("iss")?.as_str());
        let assumed = claimed.is_some_and(|issuer| bench.assumed.is_of(issuer));
        let verdict = match (token.refused, assumed) {
            (Some(why), _) => format!("{why} ({})", token.result.as_str()),
            (None, true) => page.paint(LOUD, "accepted, its signature NOT CHECKED"),
            (None, false) => "verified".to_owned(),
        };
        let place = page.paint("0", &token.place);
        let rule = page.paint("0", issuer);
        let line = format!("{mark} {place}, by the rule of {rule}: {verdict}");
        page.line(if i == 0 { "credentials" } else { "" }, &line);
        if let Some(claims) = &token.claims {
            let how = match (assumed, token.algorithm, &token.key_id) {
                (true, ..) | (_, None, _) => String::new(),
                (_, Some(algorithm), None) => format!("{algorithm}, "),
                (_, Some(algorithm), Some(id)) => format!("{algorithm}, key {id}, "),
            };
            let claims = cut(&Value::Object(claims.clone()).to_string());
            let said = page.paint(FAINT, &format!("{how}says {claims}"));
            page.more(2, &said);
        }
    }
}

fn splits(page: &mut Page, bench: &Bench, explanation: &Explanation) {
    let mut name = "variant";
    for split in explanation.splits.iter().filter(|split| split.is_for_model) {
        let title = bench.configuration.name_of("splits", split.index);
        match &split.chosen {
            Some(choice) => {
                let mark = page.mark(true);
                let variant = page.paint(BOLD, &choice.variant);
                let by = page.paint("0", &by(choice));
                let line = format!("{mark} {title}: {variant} in {}, by {by}", choice.header);
                page.line(name, &line);
            }
            None if split.when.matches => {
                page.line(name, &format!("\u{b7} {title}: an earlier split applies"))
            }
            None => {
                page.line(name, &format!("\u{b7} {title}: its conditions do not hold"));
                failed(page, 2, &split.when);
            }
        }
        name = "";
    }
}

fn quotas(page: &mut Page, bench: &Bench, explanation: &Explanation) {
    let mut name = "quotas";
    for quota in explanation.quotas.iter().filter(|quota| quota.is_for_model) {
        let title = bench.configuration.name_of("quotas", quota.index);
        let Some(counted) = &quota.counted else {
            page.line(name, &format!("\u{b7} {title}: its conditions do not hold"));
            failed(page, 2, &quota.when);
            name = "";
            continue;
        };
        let limits = [(counted.requests, "requests"), (counted.tokens, "tokens")];
        let limits = limits.iter().filter_map(|(limit, of)| Some(format!("{} {of}", (*limit)?)));
        let limits = limits.collect::<Vec<_>>().join(" and ");
        let line = format!("{title}: at most {limits} in {} s", counted.window);
        page.line(name, &format!("{} {line}", page.mark(true)));
        let model = counted.model.as_deref().map_or("", |_| ", for each model");
        let value = match (counted.by.as_str(), counted.value.as_deref()) {
            ("none", _) => "of all together".to_owned(),
            (by, None) => format!("by {by}, which is not there: counted with all who lack it"),
            (by, Some(value)) => format!("by {by}: {}", cut(value)),
        };
        page.more(2, &format!("{value}{model}"));
        name = "";
    }
}

fn shadows(page: &mut Page, bench: &Bench, explanation: &Explanation, has_id: bool) {
    for (i, (view, when)) in explanation.shadows.iter().enumerate() {
        let shadow = bench.plan.shadows().get(view.id);
        let title = shadow.map_or("?", |shadow| &*shadow.name);
        let share = match (view.percent, view.by_principal) {
            (percent, _) if percent >= 100.0 => String::new(),
            (percent, true) => format!(" ({percent} % of the callers)"),
            (percent, false) => format!(" ({percent} % of the requests, by their id)"),
        };
        let line = match view.unselected {
            None => format!("{} {title}: gets a copy{share}", page.mark(true)),
            Some(why) => format!("\u{b7} {title}: {}{share}", why.as_str()),
        };
        page.line(if i == 0 { "shadows" } else { "" }, &line);
        if view.unselected == Some(Unselected::Sample) && !view.by_principal && !has_id {
            page.more(
                2,
                "there is no x-request-id, by which it would be chosen: a gateway makes one",
            );
        }
        failed(page, 2, when);
    }
}

fn answer(page: &mut Page, bench: &Bench, decided: &Decided) {
    if decided.needs_body {
        let said = page.paint(LOUD, "undecided: the body names the model; give it with --body");
        page.line("answer", &said);
        return;
    }
    let facts = &decided.decision.facts;
    let is_allowed = decided.is_allowed();
    let code = if is_allowed { GOOD } else { BAD };
    let mut said = page.paint(code, facts.verdict.as_str());
    let by = bench.plan.decided_by(facts);
    if !by.is_empty() {
        let by = page.paint("0", by);
        let _ = write!(said, " by {by}");
        let rule = facts.rule.filter(|_| facts.policy.is_some());
        let _ = rule.map(|rule| write!(said, ", rule {rule}"));
    }
    if let Some(model) = &decided.named_in_body {
        let model = page.paint("0", model);
        let _ = write!(said, "; the body names {model}");
    }
    if let Some(reply) = decided.decision.reply() {
        let _ = write!(said, ": {} {}", reply.code, reply.body);
        page.line("answer", &said);
        let details = page.paint(FAINT, &format!("response code details {}", reply.details));
        page.more(2, &details);
        if let Some(said) = &reply.www_authenticate {
            let challenge = challenge(said);
            let challenge = page.paint(FAINT, &format!("www-authenticate {challenge}"));
            page.more(2, &challenge);
        }
    } else if bench.plan.is_report_only() {
        page.line("answer", &said);
        page.more(
            2,
            "mode is REPORT: nothing of this is carried out, and the request goes on as it came",
        );
    } else {
        page.line("answer", &format!("{said}: it goes on"));
    }
    if let Some(cookie) = &decided.set_cookie {
        let cookie = page.paint("0", &text(cookie));
        page.more(2, &format!("the answer sets {cookie}"));
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONG) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
