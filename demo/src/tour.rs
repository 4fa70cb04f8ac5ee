//! The steps of the tour.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use modelgate_cli::report::counts::{Kind, Outcome};
use testbed::envoy::Taken;
use testbed::iris::{Agreement, flowers};
use testbed::wait::until;

use crate::agreement;
use crate::args::Models;
use crate::ask::Ask;
use crate::flowers::{MANY, VERSICOLOR};
use crate::guide::{Expected, Guide};
use crate::log;
use crate::settings::{self, MISTAKES};
use crate::site::{SHADOW_DELAY, Site};
use crate::variables::{Caller, Place};

const FRIENDLY: &str = "/models/prod/iris:predict";

/// Between two of many questions: no more copies are under way at once than the shadow's limits take,
/// on a slow machine either.
const PACE: Duration = Duration::from_millis(5);

/// Requests whose decision the gateway counts, until all of them are.
const COUNTED: Duration = Duration::from_secs(10);

/// The whole tour.
pub async fn walk(guide: &mut Guide, site: &Site, models: Models) -> Result<()> {
    let mut tour = Tour { guide, site, models };
    tour.tokens().await?;
    tour.policies().await?;
    tour.addresses().await?;
    tour.metrics().await?;
    tour.headers().await?;
    tour.mistake().await?;
    tour.shadow().await?;
    tour.counters().await
}

struct Tour<'a> {
    guide: &'a mut Guide,
    site: &'a Site,
    models: Models,
}

impl Tour<'_> {
    /// A prediction under Seldon's own address.
    fn prediction(&self) -> Ask {
        Ask::post(&self.models.prediction("iris"), self.models.question(&VERSICOLOR))
    }

    async fn ask(&mut self, ask: &Ask, expected: &Expected) -> Result<()> {
        self.guide.ask(&self.site.variables, ask, expected).await?;
        Ok(())
    }

    async fn tokens(&mut self) -> Result<()> {
        self.guide.step("No token", "A prediction, asked for by nobody in particular:")?;
        self.ask(&self.prediction(), &Expected::denied()).await?;
        self.guide.why(
            "No token is no mistake: the request is anonymous, as in Istio. But authorization has \
             defaultAction: DENY, and no policy allows anonymous callers anything.",
        )?;
        self.guide.step(
            "A forged token",
            "In Alice's name, with the right key id, but signed with somebody else's key:",
        )?;
        let expected = Expected::unauthenticated("Jwt verification fails");
        self.ask(&self.prediction().by(Caller::Forged), &expected).await?;
        self.guide.why(
            "A bad token is refused, whatever the policies say: nobody becomes anonymous by mistake.",
        )?;
        self.guide.step("An expired token", "Alice's token of an hour ago:")?;
        let expected = Expected::unauthenticated("Jwt is expired");
        self.ask(&self.prediction().by(Caller::Expired), &expected).await?;
        self.guide.why("Status and text are those of Istio's own JWT filter.")
    }

    async fn policies(&mut self) -> Result<()> {
        self.guide.step("The wrong group", "Bob's token is good, and he is in group marketing:")?;
        self.ask(&self.prediction().by(Caller::Bob), &Expected::denied()).await?;
        self.guide.why(
            "prod/iris is open to the groups data-science and applications, by the policies of \
             those names.",
        )?;
        self.guide.step("The right group", "Alice is in data-science. Which iris is this?")?;
        let predicted = Expected::allowed(self.models.sign_of_prediction());
        self.ask(&self.prediction().by(Caller::Alice), &predicted).await?;
        self.guide.why(
            "Policy prod/data-science allows her predict on prod/iris. The answer is the model's, \
             byte for byte: probabilities of setosa, versicolor and virginica.",
        )?;
        let rewritten = format!(
            "The rewrite `friendly` turned the path into {}, which is what Seldon's route takes. The \
             policy is the same: it names the model, not the address.",
            self.models.prediction("iris")
        );
        self.guide.step("A friendly address", "The same question, without Seldon's path:")?;
        let friendly = Ask::post(FRIENDLY, self.models.question(&VERSICOLOR));
        self.ask(&friendly.by(Caller::Alice), &predicted).await?;
        self.guide.why(&rewritten)?;
        self.guide.step(
            "Another operation",
            "An application may predict. May it also read how the model is made?",
        )?;
        let metadata = Ask::get(Place::Gateway, self.models.metadata());
        self.ask(&self.prediction().by(Caller::App), &predicted).await?;
        self.ask(&metadata.clone().by(Caller::App), &Expected::denied()).await?;
        self.ask(&metadata.by(Caller::Alice), &Expected::allowed(self.models.sign_of_metadata()))
            .await?;
        self.guide.why(
            "Policies name operations (predict, metadata, explain, ...); modelgate knows which path \
             is which, for each protocol.",
        )?;
        self.guide
            .step("A suspended account", "Carol is in data-science, and in the group suspended:")?;
        self.ask(&self.prediction().by(Caller::Carol), &Expected::denied()).await?;
        self.guide.why("Policy prod/suspended denies, and DENY comes before ALLOW.")
    }

    async fn addresses(&mut self) -> Result<()> {
        self.guide.step(
            "An address with two readings",
            "Some application may call prod/echo. For Envoy's routes this path is below prod/echo; \
             for a server that decodes %2F and walks the dots it is a prediction of prod/iris:",
        )?;
        let tail = self.models.own_path("iris");
        let path = format!("/seldon/prod/echo/..%2Firis{tail}");
        let trick = Ask::post(&path, self.models.question(&VERSICOLOR)).by(Caller::App);
        self.ask(&trick, &Expected::refused()).await?;
        self.guide.why(
            "What two readers may read differently cannot be authorized. Below /seldon/ no path \
             holds %2F, %5C, %25, `;`, empty or dot segments.",
        )
    }

    async fn metrics(&mut self) -> Result<()> {
        self.guide.step(
            "Metrics",
            "Metrics tell who asks how often. From outside, even Alice does not get them:",
        )?;
        let outside = Ask::get(Place::Gateway, "/seldon/prod/iris/prometheus").by(Caller::Alice);
        self.ask(&outside, &Expected::denied()).await?;
        self.guide.why(
            "Operation metrics is closed unless a policy names it. Prometheus does not come through \
             the gateway; it scrapes the pod, at port 6000, with its own identity:",
        )?;
        let scrape = |from| Ask::get(from, "/prometheus");
        let page = Expected::allowed(self.models.sign_of_metrics());
        self.ask(&scrape(Place::Prometheus), &page).await?;
        if self.models == Models::Seldon {
            self.guide.why(
                "The page is empty: Seldon's wrapper shows what a model measures itself, and this \
                 one measures nothing.",
            )?;
        }
        self.guide.why("And a notebook, elsewhere in the mesh:")?;
        self.ask(&scrape(Place::Notebook), &Expected::denied()).await?;
        self.guide.why(
            "The pod's sidecar runs wasmplugin/sidecar-prometheus.yaml, unchanged: the bypass \
             `prometheus` is for cluster.local/ns/monitoring/sa/prometheus, known by its certificate. \
             ($PROMETHEUS and $NOTEBOOK are the callers' own sidecars, which add it.)",
        )
    }

    async fn headers(&mut self) -> Result<()> {
        self.guide.step(
            "Forged headers",
            "Models trust what the gateway tells them. prod/echo answers with headers that it got; \
             this caller sends some of them itself:",
        )?;
        let path = self.models.prediction("echo");
        let forged = Ask::post(&path, self.models.question(&VERSICOLOR))
            .by(Caller::App)
            .header("x-user", "root")
            .header("x_user", "root")
            .header("seldon-internal-model", "other")
            .header("x-experiment", "blue");
        let received = concat!(
            r#"{"authorization":null,"seldon-internal-model":null,"x-experiment":"blue","#,
            r#""x-user":"payments","x_user":null}"#
        );
        self.ask(&forged, &Expected::allowed(received)).await?;
        self.guide.why(
            "x-user is the subject of the verified token; client copies are gone, in either \
             spelling. The token itself stays at the gateway (forwardOriginalToken: false).",
        )
    }

    async fn mistake(&mut self) -> Result<()> {
        self.guide.step(
            "A mistake in the configuration",
            "Somebody edits the WasmPlugin, in a hurry, and the gateway receives it:",
        )?;
        let mut plugin = self.site.plugin.clone();
        self.guide.screen.gap()?;
        self.guide
            .screen
            .lines(settings::with_mistakes(&mut plugin)?.iter().map(ToString::to_string))?;
        let envoy = &self.site.gateway.envoy;
        let logged = envoy.log()?.len();
        let taken = envoy.update(&plugin.under_test()?).await?;
        self.guide.screen.gap()?;
        let log = envoy.log()?;
        let new = log.get(logged..).unwrap_or_default();
        let errors: Vec<&str> =
            new.lines().filter_map(|line| log::about(line, &MISTAKES)).collect();
        self.guide.screen.lines(errors.iter().map(|line| format!("| {line}")))?;
        self.guide.screen.gap()?;
        self.guide.check(taken == Taken::No, "Envoy refuses the new configuration")?;
        let both = MISTAKES.iter().all(|name| errors.iter().any(|e| e.contains(name)));
        self.guide.check(both, "its log names both mistakes at once")?;
        let predicted = Expected::allowed(self.models.sign_of_prediction());
        self.ask(&self.prediction().by(Caller::Alice), &predicted).await?;
        self.guide.why("The old configuration stays, whole. Nothing is ever applied by halves.")
    }

    async fn shadow(&mut self) -> Result<()> {
        self.guide.step(
            "Does the shadow agree?",
            &format!(
                "iris-v2 was retrained. Before it goes live it gets copies of real requests, and its \
                 answers are compared with the live ones and thrown away. The file says one request in \
                 ten; for a short tour the running gateway gets a new configuration, and then {MANY} \
                 questions, about different flowers:"
            ),
        )?;
        let mut plugin = self.site.plugin.clone();
        let changes = settings::for_comparison(&mut plugin)?;
        self.guide.screen.gap()?;
        self.guide.screen.lines(changes.iter().map(ToString::to_string))?;
        let envoy = &self.site.gateway.envoy;
        let taken = envoy.update(&plugin.under_test()?).await?;
        self.guide.check(taken == Taken::Yes, "Envoy takes it, without a restart")?;

        let ask = Ask::post(FRIENDLY, self.models.question(&VERSICOLOR)).by(Caller::Alice);
        let mut command = vec![format!("for i in {{1..{MANY}}}; do")];
        command.extend(ask.curl());
        command.push("; done".to_owned());
        self.guide.screen.command(&command)?;
        self.guide.screen.gap()?;
        let before = agreement::settled(envoy, 0.0).await?;
        let (answered, mean) = self.ask_many().await.context("the questions")?;
        let good = answered == MANY;
        self.guide.check(good, &format!("{answered} of {MANY} answered with a prediction"))?;
        self.guide.screen.lines(["waiting for the gateway's metrics ..."])?;
        let after = before.selected + f64::from(MANY);
        let counted = match agreement::settled(envoy, after).await {
            Ok(now) => now.since(&before),
            Err(error) => return self.guide.check(false, &format!("{error:#}")),
        };
        self.guide.screen.gap()?;
        self.guide.screen.lines(agreement::table(&counted))?;
        self.guide
            .screen
            .lines(["".to_owned(), format!("live, for the caller: {mean:.1} ms on average")])?;
        self.guide.screen.gap()?;
        let expected = Agreement::of(flowers(MANY), settings::tolerance(&plugin)?)?;
        let found = |name: &str, count: f64, expected: u64| {
            (
                count == expected as f64,
                format!("{count} {name}, {expected} by the tour's own reckoning"),
            )
        };
        let differ = expected.score + expected.class;
        for (good, text) in [
            found("matched", counted.outcome(Outcome::Matched), expected.matched),
            found("mismatched", counted.outcome(Outcome::Mismatched), differ),
            found("of another class", counted.kind(Kind::Class), expected.class),
        ] {
            self.guide.check(good, &text)?;
        }
        if let Some(line) = envoy.log()?.lines().filter_map(log::difference).next_back() {
            self.guide
                .why("The log says where answers differ (and no values, unless asked to):")?;
            self.guide.screen.lines([format!("| {line}")])?;
        }
        let late = match self.models {
            Models::Builtin => format!(
                "This shadow answers {} ms late on purpose, and the caller does not notice. ",
                SHADOW_DELAY.as_millis()
            ),
            Models::Seldon | Models::Mlserver => String::new(),
        };
        self.guide.why(&format!(
            "{late}The live request never waits for its copy. The copy carries no token and no \
             identity, only the question."
        ))
    }

    /// How many questions were answered with a prediction, and the mean of the latencies in
    /// milliseconds.
    async fn ask_many(&mut self) -> Result<(u32, f64)> {
        let variables = &self.site.variables;
        let sign = self.models.sign_of_prediction();
        let mut answered = 0;
        let mut waited = Duration::ZERO;
        let first = Ask::get(Place::Gateway, FRIENDLY);
        let mut connection = first.connect(variables).await?;
        let mut pace = tokio::time::interval(PACE);
        for flower in flowers(MANY) {
            pace.tick().await;
            let ask = Ask::post(FRIENDLY, self.models.question(&flower)).by(Caller::Alice);
            let start = Instant::now();
            let answer = connection.send(&ask.request(variables)?).await?;
            waited += start.elapsed();
            answered += u32::from(answer.status == 200 && answer.text().contains(sign));
        }
        self.guide.count(Place::Gateway, &Expected::allowed(sign), u64::from(MANY));
        Ok((answered, waited.as_secs_f64() * 1000.0 / f64::from(MANY)))
    }

    async fn counters(&mut self) -> Result<()> {
        self.guide.step(
            "What Prometheus sees of all this",
            "The gateway counts every request once, by model, operation and decision:",
        )?;
        self.guide.screen.command(&[
            "curl -s \"$ADMIN/stats/prometheus\"".to_owned(),
            "| grep ^modelgate_requests_total".to_owned(),
        ])?;
        self.guide.screen.gap()?;
        let expected = self.guide.decisions().clone();
        let envoy = &self.site.gateway.envoy;
        let sum: u64 = expected.values().sum();
        let name = "modelgate_requests_total";
        let complete = until("every request to be counted", COUNTED, async || {
            let stats = envoy.stats().await?;
            Ok((stats.sum(name, &[]) >= sum as f64).then_some(()))
        });
        if let Err(error) = complete.await {
            self.guide.check(false, &format!("{error:#}"))?;
        }
        let page = envoy.admin("/stats/prometheus").await?;
        self.guide.screen.lines(page.lines().filter(|line| line.starts_with(name)))?;
        self.guide.screen.gap()?;
        let stats = envoy.stats().await?;
        for (decision, told) in expected {
            let counted = stats.sum(name, &[("decision", decision)]);
            self.guide.check(counted == told as f64, &format!("{told} {decision}"))?;
        }
        if let Some(model) = self.site.live.builtin() {
            let iris = [("model", "prod/iris"), ("decision", "allowed")];
            let allowed = stats.sum(name, &iris);
            let received = model.received();
            let asked = received.iter().filter(|r| r.path.starts_with("/api/")).count();
            let text = format!("the live model received {asked} of them: those that were allowed");
            self.guide.check(asked as f64 == allowed, &text)?;
        }
        Ok(())
    }
}

/// How to go on by hand.
pub fn by_hand(guide: &mut Guide, site: &Site, models: Models, file: &str) -> Result<()> {
    let screen = &mut guide.screen;
    screen.heading("Try it yourself")?;
    screen.text(
        "Everything still runs. In another terminal, read the addresses and tokens (good for an \
         hour) into the shell; then every curl line above works, or these:",
    )?;
    screen.command(&[format!(". {file}")])?;
    let question = models.question(&VERSICOLOR);
    let metrics = "curl -s \"$ADMIN/stats/prometheus\" | grep ^modelgate_".to_owned();
    screen.command(&Ask::post(FRIENDLY, question).by(Caller::Alice).curl())?;
    screen.command(&Ask::get(Place::Gateway, models.metadata()).by(Caller::App).curl())?;
    screen.command(&Ask::get(Place::Prometheus, "/prometheus").curl())?;
    screen.command(&[metrics])?;
    screen.gap()?;
    for place in [Place::Gateway, Place::Admin] {
        let address = site.variables.address(place).context("not running")?;
        screen.lines([format!("{} is http://{address}", place.variable())])?;
    }
    screen.gap()?;
    screen.text("Ctrl-C ends it all.")?;
    Ok(())
}
