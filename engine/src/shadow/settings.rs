//! The shadows that an operator wrote, checked and compiled.

mod carried;

use std::time::Duration;

use self::carried::{Keep, keep, query, set, strip};
use super::breaker;
use super::compare::{Pointers, Rules, Tolerance, Volatile};
use super::id::ShadowId;
use super::names::Line;
use super::path::{PAYLOAD, template};
use super::seal::Seal;
use crate::authz::{ModelMap, ModelNames, Models};
use crate::cluster;
use crate::config::types::{self, SampleBy};
use crate::config::{Errors, Path, Warning};
use crate::path::template::Template;
use crate::place::Scale;
use crate::routing::Operation;
use crate::time::nanos;

/// Where credentials and identities travel, as authentication is configured.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Headers that carry tokens or keys.
    pub headers: Vec<String>,
    /// Query parameters that carry tokens.
    pub params: Vec<String>,
    /// Headers that authentication sets from claims: `outputPayloadToHeader` and
    /// `outputClaimToHeaders`.
    pub identity: Vec<String>,
}

/// Every shadow, and which models have which.
#[derive(Debug, Default)]
pub struct Shadows {
    list: Vec<Shadow>,
    by_model: ModelMap,
    buffered_bytes: usize,
    pub(super) seal: Seal,
}

/// One shadow.
#[derive(Debug)]
pub struct Shadow {
    /// For metrics and logs.
    pub name: Box<str>,
    /// The Envoy cluster.
    pub cluster: Box<str>,
    /// How long an answer may take.
    pub timeout: Duration,
    models: Models,
    pub(super) operations: Vec<Operation>,
    pub(super) percent: f64,
    pub(super) sample_by: SampleBy,
    /// Where keys fall, before it is salted.
    pub(super) scale: Scale,
    pub(super) authority: Box<str>,
    pub(super) path: Option<Template>,
    /// Headers that the copy gets besides those that each does.
    pub(super) keep: Keep,
    /// Headers that the copy does not get, folded, in order.
    pub(super) strip: Vec<Vec<u8>>,
    /// Query parameters that the copy gets.
    pub(super) query: Vec<Box<[u8]>>,
    /// Whether the copy gets a payload that is in the query: no token is ever there.
    pub(super) payload: bool,
    pub(super) set: Vec<Line>,
    pub(super) request_bytes: usize,
    pub(super) response_bytes: usize,
    pub(super) buffered_bytes: usize,
    pub(super) in_flight: usize,
    pub(super) breaker: breaker::Rules,
    pub(super) compare: Rules,
    /// The index of its baseline, which is a shadow of its own in all but selection.
    pub(super) baseline: Option<ShadowId>,
    /// The index of the shadow whose baseline it is.
    pub(super) baseline_of: Option<ShadowId>,
}

/// Longest `timeout`: an answer that comes later tells little about the present.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// Longest name of a shadow, which stands in every name of its metrics.
const MAX_NAME: usize = 64;

/// Most copies of one shadow under way at once.
const MAX_IN_FLIGHT: u32 = 10_000;

/// Most differences that are described for one pair.
const MAX_DIFFERENCES: u32 = 64;

impl Shadows {
    /// Compiles `shadows` and `shadowLimits` of the document at `root`; `None` after at least one
    /// error was recorded. The conditions (`when`) are for whoever calls [`Shadows::select`].
    pub fn compile(
        settings: &[types::Shadow],
        limits: &types::ShadowLimits,
        credentials: &Credentials,
        names: ModelNames,
        root: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        errors.scope(|errors| {
            let mut shadows = Self { buffered_bytes: limits.buffered_bytes.0, ..Self::default() };
            if limits.buffered_bytes.0 == 0 {
                let path = root.field("shadowLimits");
                errors.add(&path.field("bufferedBytes"), "is 0", "at least 1B, as 32MiB");
            }
            let path = root.field("shadows");
            let shadow_names = settings.iter().map(|setting| setting.name.as_str());
            let fix = "a name of its own for each shadow";
            errors.duplicate(&path, Some("name"), shadow_names, fix);
            for (i, setting) in settings.iter().enumerate() {
                let path = path.index(i);
                if setting.limits.buffered_bytes > limits.buffered_bytes {
                    let path = path.field("limits");
                    let fix = "at most shadowLimits.bufferedBytes, which holds for all together";
                    errors.add(&path.field("bufferedBytes"), "is more than all may hold", fix);
                }
                let shadow = Shadow::compile(setting, credentials, names, &path, errors);
                shadows.by_model.add(i, Some([&shadow.models]));
                shadows.list.push(shadow);
            }
            for (i, setting) in settings.iter().enumerate() {
                shadows.add_baseline(i, setting, credentials, names);
            }
            shadows
        })
    }

    /// Adds the copies to the live model that measure the noise of shadow `i`. They are counted
    /// under a name that no shadow can have.
    fn add_baseline(
        &mut self,
        i: usize,
        setting: &types::Shadow,
        credentials: &Credentials,
        names: ModelNames,
    ) {
        let cluster = &setting.compare.baseline_cluster;
        let (index, Some(shadow)) = (self.list.len(), self.list.get_mut(i)) else { return };
        if cluster.is_empty() {
            return;
        }
        shadow.baseline = Some(ShadowId::new(index));
        let mut setting = types::Shadow {
            name: format!("{}/baseline", setting.name),
            cluster: cluster.clone(),
            authority: None,
            path: setting.compare.baseline_path.clone(),
            ..setting.clone()
        };
        // The shadow's own credentials are nothing to the live model, and a header may choose the shadow's model.
        setting.headers.set.0.clear();
        // What is wrong with the setting was told of the shadow itself.
        let mut errors = Errors::default();
        let baseline = Shadow::compile(&setting, credentials, names, &Path::ROOT, &mut errors);
        self.list.push(Shadow { baseline_of: Some(ShadowId::new(i)), ..baseline });
    }

    /// Lets copies be known by a seal of the configuration with this text.
    pub fn seal_with(&mut self, configuration: &[u8]) {
        self.seal = Seal::of(configuration);
    }

    /// The index of a shadow's baseline.
    pub fn baseline(&self, shadow: ShadowId) -> Option<ShadowId> {
        self.get(shadow)?.baseline
    }

    /// Whether the index is a baseline's.
    pub fn is_baseline(&self, shadow: ShadowId) -> bool {
        self.get(shadow).is_some_and(|shadow| shadow.baseline_of.is_some())
    }

    /// The shadow with this index in the configuration; baselines follow them.
    pub fn get(&self, shadow: ShadowId) -> Option<&Shadow> {
        self.list.get(shadow.index())
    }

    /// All of them, in the order of the configuration, and then the baselines.
    pub fn iter(&self) -> impl Iterator<Item = &Shadow> {
        self.list.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Bytes that all of them may hold at once.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// The shadows of `namespace/name`, in order.
    pub(super) fn of_model(&self, id: &str) -> Vec<ShadowId> {
        let fits =
            |shadow: &ShadowId| self.get(*shadow).is_some_and(|shadow| shadow.models.matches(id));
        self.by_model.candidates(Some(id)).map(ShadowId::new).filter(fits).collect()
    }
}

impl Shadow {
    fn compile(
        setting: &types::Shadow,
        credentials: &Credentials,
        names: ModelNames,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Self {
        check_name(&setting.name, &path.field("name"), errors);
        let models = Models::compile_some(&setting.models, names, &path.field("models"), errors);
        let authority = authority(setting, path, errors);
        if setting.percent > 100.0 {
            let fix = "a number from 0 to 100";
            errors.add_value(&path.field("percent"), "is too large", setting.percent, fix);
        }
        if setting.timeout.is_zero() || setting.timeout > MAX_TIMEOUT {
            let shown = format!("{}ms", setting.timeout.as_millis());
            errors.add_value(&path.field("timeout"), "is out of range", shown, "1ms to 10m");
        }
        check_limits(&setting.limits, &path.field("limits"), errors);
        if setting.breaker.failures == 0 {
            let path = path.field("breaker");
            errors.add(&path.field("failures"), "is 0", "at least 1, as 20");
        }
        let own_path = setting.path.as_deref();
        let own_path = own_path.and_then(|text| template(text, &path.field("path"), errors));
        Self {
            name: setting.name.as_str().into(),
            cluster: setting.cluster.as_str().into(),
            timeout: setting.timeout,
            models: models.unwrap_or_default(),
            operations: operations(&setting.operations, &path.field("operations"), errors),
            percent: setting.percent,
            sample_by: setting.sample_by,
            scale: Scale::new(&[&setting.name]),
            authority,
            path: own_path,
            keep: keep(&setting.headers.keep, credentials, &path.field("headers"), errors),
            strip: strip(&setting.headers, credentials, &path.field("headers"), errors),
            query: query(&setting.query.keep, credentials, &path.field("query"), errors),
            payload: !credentials.params.iter().any(|name| name == PAYLOAD),
            set: set(&setting.headers, credentials, &path.field("headers"), errors),
            request_bytes: setting.limits.request_bytes.0,
            response_bytes: setting.limits.response_bytes.0,
            buffered_bytes: setting.limits.buffered_bytes.0,
            in_flight: setting.limits.in_flight as usize,
            breaker: breaker::Rules {
                failures: setting.breaker.failures,
                retry_after: nanos(setting.breaker.retry_after),
            },
            compare: rules(setting, &path.field("compare"), errors),
            baseline: None,
            baseline_of: None,
        }
    }
}

fn check_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
        let fix = format!("1 to {MAX_NAME} letters, digits, dots, underscores and hyphens");
        errors.add_value(path, "cannot stand in a metric", name, fix);
    }
}

fn visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic())
}

/// The host in the name of a cluster, `outbound|port|subset|host` where Istio named it; `None` for
/// what names none.
pub(super) fn host_of(cluster: &str) -> Option<&str> {
    let host = match cluster::parts(cluster) {
        None => Some(cluster).filter(|name| !name.starts_with("outbound|")),
        Some((_, _, host)) => Some(host),
    };
    host.filter(|host| visible(cluster) && !host.is_empty())
}

/// Whether two clusters may lead to the same pods: the same host, as far as their subsets go, for
/// any port. A service without a subset is all of them.
pub(super) fn share_pods(a: &str, b: &str) -> bool {
    let ((a, of_a), (b, of_b)) = (pods(a), pods(b));
    of_a == of_b && (a == b || a.is_empty() || b.is_empty())
}

/// Whether two clusters are known to lead to different pods: other subsets of one host. Another host says nothing, since
/// the same pods have several.
pub(super) fn are_other_pods(a: &str, b: &str) -> bool {
    pods(a).1 == pods(b).1 && !share_pods(a, b)
}

/// The subset and the host that a cluster's name says.
fn pods(cluster: &str) -> (&str, &str) {
    cluster::parts(cluster).map_or(("", cluster), |(_, subset, host)| (subset, host))
}

/// The authority that is set, or the host in the cluster's name.
fn authority(setting: &types::Shadow, path: &Path<'_>, errors: &mut Errors) -> Box<str> {
    let cluster = setting.cluster.as_str();
    let host = host_of(cluster);
    if host.is_none() {
        let fix = "an Envoy cluster, as outbound|8000||iris-v2.prod.svc.cluster.local";
        errors.add_value(&path.field("cluster"), "is not the name of a cluster", cluster, fix);
    }
    match setting.authority.as_deref() {
        Some(authority) if !visible(authority) => {
            let fix = "a host, with or without port, or leave the field out";
            errors.add_value(&path.field("authority"), "is not a host", authority, fix);
            Box::default()
        }
        Some(authority) => authority.into(),
        None => host.unwrap_or_default().into(),
    }
}

/// Feedback teaches a model: what the live one learns from its answers is no lesson for another.
fn is_never_copied(operation: Operation) -> bool {
    operation == Operation::Feedback || operation.is_closed()
}

fn operations(words: &[String], path: &Path<'_>, errors: &mut Errors) -> Vec<Operation> {
    let possible = || {
        let open = Operation::WORDS.iter().filter_map(|w| Operation::from_word(w));
        let open: Vec<&str> =
            open.filter(|o| !is_never_copied(*o)).map(Operation::as_str).collect();
        format!("some of {}", open.join(", "))
    };
    if words.is_empty() {
        errors.add(path, "is empty", format!("{}; percent 0 turns a shadow off", possible()));
    }
    let mut read = Vec::new();
    for (i, word) in words.iter().enumerate() {
        match Operation::from_word(word) {
            Some(operation) if is_never_copied(operation) => {
                errors.add_value(&path.index(i), "is never copied", word, possible());
            }
            Some(operation) => read.push(operation),
            None => errors.add_value(&path.index(i), "is unknown", word, possible()),
        }
    }
    read
}

fn check_limits(limits: &types::Limits, path: &Path<'_>, errors: &mut Errors) {
    for (field, size) in [
        ("requestBytes", limits.request_bytes),
        ("responseBytes", limits.response_bytes),
        ("bufferedBytes", limits.buffered_bytes),
    ] {
        if size.0 == 0 {
            errors.add(&path.field(field), "is 0", "at least 1B; percent 0 turns a shadow off");
        } else if size > limits.buffered_bytes {
            let fix = "at most bufferedBytes, or what is larger never fits";
            errors.add(&path.field(field), "is more than bufferedBytes", fix);
        }
    }
    if limits.in_flight == 0 || limits.in_flight > MAX_IN_FLIGHT {
        let fix = format!("1 to {MAX_IN_FLIGHT}; percent 0 turns a shadow off");
        errors.add_value(&path.field("inFlight"), "is out of range", limits.in_flight, fix);
    }
}

fn rules(setting: &types::Shadow, path: &Path<'_>, errors: &mut Errors) -> Rules {
    let compare = &setting.compare;
    if compare.relative_tolerance >= 1.0 {
        let at = path.field("relativeTolerance");
        let fix = "less than 1, as 0.01 for one percent";
        errors.add_value(&at, "lets any number pass", compare.relative_tolerance, fix);
    }
    if compare.max_differences == 0 || compare.max_differences > MAX_DIFFERENCES {
        let at = path.field("maxDifferences");
        let fix = format!("1 to {MAX_DIFFERENCES}");
        errors.add_value(&at, "is out of range", compare.max_differences, fix);
    }
    let baseline = compare.baseline_cluster.as_str();
    if !baseline.is_empty() && host_of(baseline).is_none() {
        let fix = "the live model's Envoy cluster, as outbound|8000||iris.prod.svc.cluster.local";
        errors.add_value(
            &path.field("baselineCluster"),
            "is not the name of a cluster",
            baseline,
            fix,
        );
    }
    let paths = setting.path.as_ref().zip(compare.baseline_path.as_ref());
    let is_apart = paths.is_some_and(|(shadow, live)| shadow != live);
    if !baseline.is_empty() && !is_apart && share_pods(&setting.cluster, baseline) {
        let fix = "the live model's cluster; for models in the same pods, path and baselinePath";
        let at = path.field("baselineCluster");
        errors.add_value(&at, "may lead to the shadow itself", baseline, fix);
    }
    let at = path.field("baselinePath");
    if compare.baseline_path.is_some() && baseline.is_empty() {
        errors.add(&at, "is the path of no copy", "baselineCluster besides, or leave it out");
    }
    if let Some(text) = &compare.baseline_path {
        template(text, &at, errors);
    }
    let ignore = path.field("ignore");
    for (i, pointer) in compare.ignore.iter().enumerate() {
        check_ignored(pointer, &ignore.index(i), errors);
    }
    Rules {
        tolerance: Tolerance {
            relative: compare.relative_tolerance,
            absolute: compare.absolute_tolerance,
        },
        ignore: Pointers::compile(&compare.ignore, "RFC 6901, as /meta/*/id", &ignore, errors),
        unordered: Pointers::compile(
            &compare.unordered,
            "RFC 6901, as /outputs/*/data",
            &path.field("unordered"),
            errors,
        ),
        values: Pointers::compile(
            &compare.values,
            "RFC 6901, as /predictions/*/detection_box",
            &path.field("values"),
            errors,
        ),
        volatile: (compare.volatile == types::Volatile::Ignore).then(Volatile::default),
        max_differences: compare.max_differences,
        show_values: setting.log_values,
        max_bytes: setting.limits.response_bytes.0,
    }
}

/// Where all predictions of an answer are: what is ignored there leaves nothing to compare.
const PREDICTIONS: &[&str] = &[
    "*",
    "predictions",
    "outputs",
    "data",
    "ndarray",
    "tensor",
    "values",
    "jsonData",
    "strData",
    "results",
    "choices",
    "output",
    "content",
];

fn check_ignored(pointer: &str, path: &Path<'_>, errors: &mut Errors) {
    let fix = "a part of them, as /meta";
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return;
    }
    let mut tokens = pointer.split('/').skip(1);
    if tokens.clone().all(|token| token == "*") {
        errors.add_value(path, "ignores whole answers", pointer, fix);
    } else if tokens.all(|token| PREDICTIONS.contains(&token)) {
        errors.warn_value(
            Warning::IgnoredPredictions,
            path,
            "ignores all predictions",
            pointer,
            fix,
        );
    }
}

#[cfg(test)]
pub(super) mod tests;
