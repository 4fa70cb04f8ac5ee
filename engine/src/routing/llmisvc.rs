//! KServe's LLMInferenceServices: by path, `/{namespace}/{name}/...`, and by the name under which they publish
//! their model, in a path or a header: `publishers/{namespace}/models/{model}`.

use crate::config::types::Family;
use crate::path::plain::Plain;
use crate::path::segments::slashes;
use crate::refusal::Refusal;

use super::kserve::Service;
use super::location::Location;
use super::names::{Named, id, named};
use super::resolve::CONTRADICTION;
use super::{Address, Operation, Targets};

const NOT_PUBLISHED: Refusal = Refusal::new(
    "x-gateway-model-name or x-gateway-base-model-name names no model that a service publishes",
);

impl Targets {
    /// Refuses an address that is one of an LLMInferenceService's, by its path or its headers, and another model's too.
    /// One that is nobody's else is its.
    pub(super) fn with_llmisvc(
        &self,
        at: &Location<'_>,
        address: Option<Address>,
    ) -> Result<Option<Address>, Refusal> {
        let Some(namespaces) = &self.llmisvc else { return Ok(address) };
        let path = at.path().strip_prefix(b"/").unwrap_or_default();
        let mut found: Option<Named<'_>> = None;
        let headers = at.routing.published().into_iter().flatten();
        for (i, text) in std::iter::once(path).chain(headers).enumerate() {
            if i > 0 {
                at.routing.check()?;
                // KServe's routes take no other value.
                if !text.starts_with(b"publishers/") {
                    continue;
                }
            }
            let fixed = self.fixed.published(&at.host, text)?;
            let (namespace, name, segments) = match fixed.or_else(|| named(namespaces, text)) {
                Some(one) if i == 0 || one.2 == slashes(text).saturating_add(1) => one,
                None if i == 0 => continue,
                _ => return Err(NOT_PUBLISHED),
            };
            // A fixed route has read the path with and without its prefix.
            let routed = if i == 0 && fixed.is_none() { segments } else { 0 };
            let (first, second, _) = *found.get_or_insert((namespace, name, routed));
            if (first, second) != (namespace, name) {
                return Err(CONTRADICTION);
            }
        }
        let Some((namespace, name, segments)) = found else { return Ok(address) };
        let id = id(namespace, name)?;
        match address {
            Some(one) if one.model.as_ref().is_none_or(|model| model.id != id) => {
                Err(CONTRADICTION)
            }
            Some(one) if segments == 0 => Ok(Some(one)),
            other => {
                at.routing.check()?;
                let service = Service { id, segments };
                let own = self.of_service(service, &Plain::new(at.path())?, at.method);
                let own = Address { family: Family::LlmIsvc, ..own };
                // Which of two routes takes it is not known: a closed operation counts.
                let is_closed = own.operation.is_closed() && own.operation != Operation::Other;
                Ok(Some(other.filter(|_| !is_closed).unwrap_or(own)))
            }
        }
    }
}
