//! Whose territory an address is in, what it reaches there, and which addresses contradict themselves.

use std::borrow::Cow;

use crate::config::types::{self, Family};
use crate::config::{Errors, Path};
use crate::refusal::Refusal;

use super::fixed::FixedRoutes;
use super::kserve::{self, KServe};
use super::location::Location;
use super::names::{is_label, named};
use super::operation::Operations;
use super::seldon_v1::{self, SeldonV1};
use super::seldon_v2::SeldonV2;
use super::setting::check_path;
use super::{Address, Model, Operation, grpc};
use crate::order;
use crate::path::plain::{Plain, other_readings};
use crate::path::segments::{after, is_under};

const DISGUISED: Refusal = Refusal::new("the path is a model's address in another spelling");
pub(super) const CONTRADICTION: Refusal =
    Refusal::new("the host, the path and the headers select different models");

/// Reads addresses.
#[derive(Debug)]
pub struct Targets {
    pub(super) fixed: FixedRoutes,
    pub(super) families: Vec<Family>,
    pub(super) seldon_v1: Option<SeldonV1>,
    pub(super) seldon_v2: Option<SeldonV2>,
    pub(super) kserve: Option<KServe>,
    /// The namespaces of LLMInferenceServices.
    pub(super) llmisvc: Option<Vec<String>>,
    pub(super) operations: Operations,
}

impl Targets {
    /// Compiles the settings at `path`; `None` after at least one error was recorded.
    pub fn compile(
        settings: &types::Targets,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        errors.scope(|errors| Self::read(settings, path, errors))
    }

    fn read(settings: &types::Targets, path: &Path<'_>, errors: &mut Errors) -> Self {
        let has = |family| settings.families.contains(&family);
        let names = settings.families.iter().map(|family| family.as_str());
        errors.duplicate(&path.field("families"), None, names, "each once");
        let kserve = path.field("kserve");
        if !has(Family::KServe) && settings.kserve != no_kserve() {
            let fix = "add kserve to targets.families, or leave this out";
            errors.add(&kserve, "is set without its family", fix);
        }
        let namespaces = &settings.llmisvc;
        if has(Family::LlmIsvc) == namespaces.is_empty()
            || !namespaces.iter().all(|namespace| is_label(namespace.as_bytes()))
        {
            let what = "is not a list of namespaces, or is there without its family";
            let fix = "namespaces as prod, and llmisvc in targets.families";
            errors.add(&path.field("llmisvc"), what, fix);
        }
        check_prefix(settings, path, errors);
        for (i, metrics) in settings.metrics_paths.iter().enumerate() {
            let path = path.field("metricsPaths");
            check_path(metrics, &path.index(i), errors);
        }
        check_openai(settings, path, errors);
        let fixed = FixedRoutes::compile(settings, path, errors);
        check_predict_paths(settings, path, errors);
        Self {
            fixed,
            families: settings.families.clone(),
            seldon_v1: has(Family::SeldonV1).then(|| SeldonV1::new(&settings.seldon_prefix)),
            seldon_v2: has(Family::SeldonV2)
                .then(|| SeldonV2::compile(&settings.seldon_v2, &path.field("seldonV2"), errors)),
            kserve: has(Family::KServe).then(|| KServe::compile(&settings.kserve, &kserve, errors)),
            llmisvc: has(Family::LlmIsvc).then(|| order::distinct(namespaces.iter().cloned())),
            operations: Operations::new(&settings.metrics_paths, &settings.predict_paths),
        }
    }

    /// What an address reaches. `Ok(None)`: it is outside every territory (only then may
    /// `exclude.hosts` take it). `Err`: no server may see it, 400.
    pub fn resolve<'a>(&'a self, at: &Location<'a>) -> Result<Option<Address>, Refusal> {
        let address = self.by_path_and_host(at)?;
        self.with_llmisvc(at, address)
    }

    /// The same without LLMInferenceServices.
    ///
    /// Fixed routes come first, and regardless of `seldon-model`: the route behind overwrites it.
    fn by_path_and_host<'a>(&'a self, at: &Location<'a>) -> Result<Option<Address>, Refusal> {
        if let Some(address) = self.fixed(at) {
            return address.map(Some);
        }
        if self.families.is_empty() {
            let fixed = |path: Vec<u8>| self.fixed.find(&at.host, &path) != Ok(None);
            return if other_readings(at.path()).any(fixed) { Err(DISGUISED) } else { Ok(None) };
        }
        let path = at.path();
        let territory = self.territory(at, path)?;
        // A server that is less exact than Envoy must not find another model, or one at all.
        let same = |path: Vec<u8>| self.territory(at, &path).is_ok_and(|other| other == territory);
        if !other_readings(path).all(same) {
            return Err(DISGUISED);
        }
        let Territory { v1_path, v1_headers, v2_path, service, kserve, .. } = territory;
        let v2_header = self.seldon_v2.is_some() && at.routing.seldon_model().is_some();
        let seldon = v1_path || v1_headers || v2_header || v2_path;
        if !seldon && kserve.is_none() && service.is_none() {
            return Ok(None);
        }
        at.routing.check()?;
        let plain = Plain::new(path)?;
        let operation = |segments| self.operations.of(after(plain.decoded(), segments), at.method);

        // In the virtual host of a service of KServe's /v2 is its own path. But the template fits
        // hosts without a service as well, and there the routes for every host take it, whatever hosts
        // Seldon v2 is said to have.
        if let Some(service) = kserve {
            let v2_path = v2_path && !self.kserve.as_ref().is_some_and(KServe::knows_services);
            if v1_path || v1_headers || v2_header || v2_path {
                return Err(CONTRADICTION);
            }
            return Ok(Some(self.of_service(service, &plain, at.method)));
        }
        if (v1_path || v1_headers) && (v2_header || v2_path) {
            return Err(CONTRADICTION);
        }
        if let Some(v1) = self.seldon_v1.as_ref().filter(|_| v1_path) {
            let reached = v1.by_path(&plain, &at.routing, path)?;
            let operation = match reached {
                _ if reached.explainer => Operation::Explain,
                _ if reached.model.is_none() => Operation::Other,
                _ => operation(reached.segments),
            };
            let (family, routed) = (Family::SeldonV1, reached.segments);
            return Ok(Some(Address::new(family, operation, reached.model, routed)));
        }
        if v1_headers {
            let model = seldon_v1::by_headers(&at.routing, path)?;
            let family = Family::SeldonV1;
            return Ok(Some(Address::new(family, operation(0), model, 0)));
        }
        let open_inference = service != Some(grpc::Service::SeldonV1);
        match &self.seldon_v2 {
            Some(v2) if v2_header || v2_path || open_inference => {
                let model = v2.model(&plain, &at.host, &at.routing)?;
                let family = Family::SeldonV2;
                Ok(Some(Address::new(family, operation(0), model, 0)))
            }
            _ => {
                let family = self.family();
                Ok(Some(Address::new(family, operation(0), None, 0)))
            }
        }
    }

    /// What a request does with a service of KServe's. An inference service says at its root that it is
    /// alive; the router of an inference graph takes its requests there.
    pub(super) fn of_service(
        &self,
        service: kserve::Service,
        plain: &Plain<'_>,
        method: &[u8],
    ) -> Address {
        let tail = after(plain.decoded(), service.segments);
        let operation = match (tail, method) {
            (b"", b"GET" | b"HEAD") => Operation::Status,
            (b"", b"POST" | b"OPTIONS") => Operation::Predict,
            _ => self.operations.of(tail, method),
        };
        let model = Some(Model { id: service.id, predictor: None });
        Address::new(Family::KServe, operation, model, service.segments)
    }

    /// The fixed route that takes an address, and what it reaches.
    pub(super) fn fixed<'a>(&'a self, at: &Location<'a>) -> Option<Result<Address, Refusal>> {
        let found = match self.fixed.find(&at.host, at.path()) {
            Ok(found) => found,
            Err(refusal) => return Some(Err(refusal)),
        };
        let fixed = self.fixed.get(found?)?;
        if other_readings(at.path()).any(|path| self.fixed.find(&at.host, &path) != Ok(found)) {
            return Some(Err(DISGUISED));
        }
        // The virtual host of an inference service has no routes for every host.
        let service = || self.kserve.as_ref()?.service(&at.host, b"").ok()?;
        let model = fixed.model();
        let is_other = |id: &str| model.as_ref().is_none_or(|model| *model.id != *id);
        if !fixed.has_exact_host() && service().is_some_and(|one| is_other(&one.id)) {
            return Some(Err(CONTRADICTION));
        }
        if let Err(refusal) = self.check_seldon_v1(at, model.as_ref()) {
            return Some(Err(refusal));
        }
        Some(Plain::new(at.path()).map(|plain| {
            let operation = fixed.operation(&self.operations, &plain, at.method);
            let in_body = fixed.in_body(operation, at.method);
            let family = if model.is_none() { Family::OpenAi } else { self.family() };
            Address { family, operation, model, routed: 0, in_body }
        }))
    }

    /// Refuses headers by which the operator's gRPC route takes the request to another model than
    /// the one that is known otherwise: which of two routes comes first is not known here.
    pub(super) fn check_seldon_v1(
        &self,
        at: &Location<'_>,
        model: Option<&Model>,
    ) -> Result<(), Refusal> {
        if self.seldon_v1.is_none() || at.routing.seldon_v1().is_none() {
            return Ok(());
        }
        at.routing.check()?;
        for path in std::iter::once(Cow::Borrowed(at.path()))
            .chain(other_readings(at.path()).map(Cow::Owned))
        {
            let selected = seldon_v1::by_headers(&at.routing, &path)?;
            if selected.is_some_and(|selected| model.is_none_or(|model| model.id != selected.id)) {
                return Err(CONTRADICTION);
            }
        }
        Ok(())
    }

    /// Whether a family reads this routing header of a request that goes upstream to this address with this path: then it
    /// is part of the address. Else it may choose a route all the same, where a rewrite writes it.
    pub(crate) fn reads_header(&self, name: &[u8], path: &[u8], to: Option<&Address>) -> bool {
        match name {
            b"seldon" | b"namespace" => self.seldon_v1.is_some() && seldon_v1::is_taken(path),
            _ if name.starts_with(b"x-gateway") => {
                to.is_some_and(|to| to.family == Family::LlmIsvc && to.routed == 0)
            }
            _ => self.seldon_v2.is_some(),
        }
    }

    /// The family of an address that no family names.
    pub(super) fn family(&self) -> Family {
        self.families.first().copied().unwrap_or(Family::SeldonV2)
    }

    /// Whose routes may take a path.
    fn territory(&self, at: &Location<'_>, path: &[u8]) -> Result<Territory, Refusal> {
        let kserve = match &self.kserve {
            Some(kserve) => kserve.service(&at.host, path)?,
            None => None,
        };
        Ok(Territory {
            fixed: self.fixed.find(&at.host, path)?,
            v1_path: self.seldon_v1.as_ref().is_some_and(|v1| v1.contains(path)),
            v1_headers: self.seldon_v1.is_some()
                && at.routing.seldon_v1().is_some()
                && seldon_v1::is_taken(path),
            v2_path: self.seldon_v2.is_some() && SeldonV2::contains(path),
            service: grpc::service(path),
            kserve,
            llmisvc: self.llmisvc.as_ref().map(|namespaces| {
                let found = named(namespaces, path.strip_prefix(b"/").unwrap_or_default());
                found.map_or(0, |(.., segments)| segments)
            }),
        })
    }
}

/// Whose routes may take a path.
#[derive(PartialEq, Eq)]
struct Territory {
    fixed: Option<usize>,
    v1_path: bool,
    v1_headers: bool,
    v2_path: bool,
    service: Option<grpc::Service>,
    kserve: Option<kserve::Service>,
    /// How many segments an LLMInferenceService's route takes off. Which names these are need not be
    /// compared: of paths that can be read in two ways those that hold other names are refused.
    llmisvc: Option<usize>,
}

/// A path of the operator's own must not make a prediction of what is known to be something else.
fn check_predict_paths(settings: &types::Targets, path: &Path<'_>, errors: &mut Errors) {
    let operations = Operations::new(&settings.metrics_paths, &[]);
    for (i, predict) in settings.predict_paths.iter().enumerate() {
        let path = path.field("predictPaths");
        let path = path.index(i);
        check_path(predict, &path, errors);
        let known = operations.of_any_method(predict.trim_matches('/').as_bytes());
        if !matches!(known, Operation::Predict | Operation::Other) {
            let what = format!("is an address with the operation {}", known.as_str());
            errors.add_value(&path, what, predict, "the path of a prediction");
        }
    }
}

fn check_prefix(settings: &types::Targets, path: &Path<'_>, errors: &mut Errors) {
    let prefix = &settings.seldon_prefix;
    let path = path.field("seldonPrefix");
    check_path(prefix, &path, errors);
    if prefix.ends_with('/') {
        errors.add_value(
            &path,
            "ends with /",
            prefix,
            "the path without its trailing /, as /seldon",
        );
    }
    if settings.families.contains(&Family::SeldonV2) && is_under(prefix.as_bytes(), b"/v2") {
        errors.add_value(&path, "is under /v2, which is Seldon v2's", prefix, "another path");
    }
}

fn check_openai(settings: &types::Targets, path: &Path<'_>, errors: &mut Errors) {
    let path = path.field("openai");
    match (settings.families.contains(&Family::OpenAi), settings.openai.as_slice()) {
        (true, []) => {
            let fix = "a namespace with its hosts, or leave openai out of families";
            errors.add(&path, "is empty", fix);
        }
        (false, [_, ..]) => {
            let fix = "add openai to targets.families, or leave this out";
            errors.add(&path, "is set without its family", fix);
        }
        _ => {}
    }
}

fn no_kserve() -> types::KServe {
    types::KServe {
        host_template: None,
        namespaces: Vec::new(),
        path_template: None,
        services: Vec::new(),
    }
}
