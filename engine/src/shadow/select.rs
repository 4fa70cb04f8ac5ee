//! Which shadows a request gets.

mod explain;

use super::id::ShadowId;
use super::names::MARK;
use super::path::needs_predictor;
use super::sample::chosen;
use super::settings::{Shadow, Shadows};
use crate::config::types::SampleBy;
use crate::header::folded;
use crate::request::Request;
use crate::routing::{Address, is_stream};

pub use explain::{ShadowView, Unselected};

impl Shadows {
    /// The shadows of a request, in the order of the configuration.
    ///
    /// `request` is the request as it came. `principal` is the caller's, where there is one; without
    /// one the choice is made by request id, as for splits. `trusted` says whether the request comes
    /// from another gateway, whose copies are known by any mark. `when` says whether the conditions of
    /// the shadow with this index hold, and is asked last.
    pub fn select(
        &self,
        request: &Request<'_>,
        address: &Address,
        principal: Option<&[u8]>,
        trusted: impl Fn() -> bool,
        mut when: impl FnMut(ShadowId) -> bool,
    ) -> Vec<ShadowId> {
        let Some(model) = address.model.as_ref().filter(|_| !self.is_empty()) else {
            return Vec::new();
        };
        let mut found = self.of_model(&model.id);
        let is_copy =
            |mark: &[u8]| self.seal.is_mark(mark, request.attributes().now()) || trusted();
        if found.is_empty() || is_never_copied(request, is_copy) {
            return Vec::new();
        }
        let id = request.header(b"x-request-id").filter(|id| !id.is_empty());
        found.retain(|i| {
            self.get(*i).is_some_and(|shadow| {
                shadow.operations.contains(&address.operation)
                    && (!self.asks_for_predictor(*i, shadow) || model.predictor.is_some())
                    && self.samples(shadow, principal, id)
                    && when(*i)
            })
        });
        found
    }

    /// Whether the copy, or the second one, needs the predictor that the address names.
    fn asks_for_predictor(&self, id: ShadowId, shadow: &Shadow) -> bool {
        self.needs_predictor(id)
            || shadow.baseline.is_some_and(|baseline| self.needs_predictor(baseline))
    }

    /// Whether the caller or the request is of the share that is copied.
    fn samples(&self, shadow: &Shadow, principal: Option<&[u8]>, id: Option<&[u8]>) -> bool {
        let (scale, key) = match shadow.sample_by {
            SampleBy::Principal if principal.is_some() => (shadow.scale, principal),
            // Clients may choose it.
            _ => (self.seal.salt(shadow.scale), id),
        };
        chosen(shadow.percent, scale, key)
    }

    fn needs_predictor(&self, shadow: ShadowId) -> bool {
        let path = self.get(shadow).and_then(|shadow| shadow.path.as_ref());
        path.is_some_and(needs_predictor)
    }
}

/// Copies, preflights, and what goes on for as long as both sides please. What only asks for another protocol by
/// `upgrade` may be answered like any other request: it is selected, and counts as `uncomparable`.
fn is_never_copied(request: &Request<'_>, is_copy: impl Fn(&[u8]) -> bool) -> bool {
    request.method == b"CONNECT"
        || is_stream(request.path_only())
        || request.is_preflight()
        || request.headers().iter().any(|(name, value)| *folded(name) == *MARK && is_copy(value))
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::shadows;
    use super::*;
    use crate::config::types::Family;
    use crate::request::{Attributes, Header, NoHost};
    use crate::routing::{Model, Operation};

    fn select(
        settings: &str,
        model: Option<&str>,
        operation: Operation,
        extra: &[Header<'_>],
        principal: Option<&[u8]>,
    ) -> Vec<usize> {
        let shadows = shadows(settings);
        let mut headers: Vec<Header<'_>> = extra.to_vec();
        headers.extend([(&b":method"[..], &b"POST"[..]), (b":path", b"/predict")]);
        let attributes = Attributes::new(&NoHost);
        let request = Request::new(&headers, &attributes);
        let model = model.map(|id| Model { id: id.into(), predictor: None });
        let address = Address::new(Family::SeldonV1, operation, model, 0);
        let selected = shadows.select(&request, &address, principal, || false, |_| true);
        selected.into_iter().map(ShadowId::index).collect()
    }

    const THREE: &str = r#"[
        {"name": "a", "models": ["prod/iris"], "cluster": "a"},
        {"name": "b", "models": ["prod/*", "prod/iris", "*/iris"], "cluster": "b",
         "operations": ["predict", "explain"]},
        {"name": "c", "models": ["*"], "cluster": "c", "percent": 0}]"#;

    #[test]
    fn models_and_operations_choose() {
        for (model, operation, expected) in [
            (Some("prod/iris"), Operation::Predict, &[0, 1][..]),
            (Some("prod/fraud"), Operation::Predict, &[1]),
            (Some("test/iris"), Operation::Predict, &[1]),
            (Some("prod/iris"), Operation::Explain, &[1]),
            (Some("prod/iris"), Operation::Feedback, &[]),
            (Some("prod/iris"), Operation::Metrics, &[]),
            (Some("x/y"), Operation::Predict, &[]),
            (None, Operation::Predict, &[]),
        ] {
            assert_eq!(select(THREE, model, operation, &[], None), expected, "{model:?}");
        }
    }

    #[test]
    fn copies_preflights_and_streams_are_never_copied() {
        let plain: &[Header<'_>] = &[(b"accept", b"application/json")];
        let some = |extra| select(THREE, Some("prod/iris"), Operation::Predict, extra, None).len();
        for extra in [
            plain,
            &[(b":path", b"/v1/responses")],
            &[(b":path", b"/v1/responses/")],
            &[(b":path", b"/seldon/prod/responses/predict")],
        ] {
            assert_eq!(some(extra), 2);
        }
        for extra in [
            &[(&b":method"[..], &b"CONNECT"[..])][..],
            &[(b":path", b"/inference.GRPCInferenceService/ModelStreamInfer")],
            &[(b":path", b"/v2/models/m/infer_stream?x")],
            &[(b":path", b"/v2/models/m/infer_stream/chat/completions")],
            &[(b":path", b"/v2/models/m/versions/1/infer_stream/embeddings")],
            &[(b":path", b"/generate_stream/")],
            &[(b":path", b"/v1/responses/resp_1")],
            &[(b":path", b"/seldon/prod/iris/openai/v1/responses/resp_1/cancel")],
            &[
                (b":method", b"OPTIONS"),
                (b"origin", b"https://a"),
                (b"access-control-request-method", b"POST"),
            ],
        ] {
            assert_eq!(some(extra), 0, "{extra:?}");
        }
    }

    #[test]
    fn who_asks_for_another_protocol_is_selected() {
        let extra: &[Header<'_>] = &[(b"connection", b"upgrade"), (b"upgrade", b"websocket")];
        assert_eq!(select(THREE, Some("prod/iris"), Operation::Predict, extra, None), [0, 1]);
    }

    #[test]
    fn only_true_marks_turn_shadowing_off() {
        let shadows = shadows(THREE);
        let own = shadows.seal.mark("a", 0);
        let model = || Some(Model { id: "prod/iris".into(), predictor: None });
        for (name, mark, trusted, copies) in [
            ("x-modelgate-shadow", &own[..], false, 0),
            ("x_modelgate_shadow", &own, false, 0),
            ("x-modelgate-shadow", b"", false, 2),
            ("x-modelgate-shadow", b"a", false, 2),
            ("x_modelgate_shadow", b"a", false, 2),
            ("x-modelgate-shadow", b"a", true, 0),
            ("x-other", &own, true, 2),
        ] {
            let headers: [Header<'_>; 3] =
                [(name.as_bytes(), mark), (b":method", b"POST"), (b":path", b"/predict")];
            let attributes = Attributes::new(&NoHost);
            let request = Request::new(&headers, &attributes);
            let address = Address::new(Family::SeldonV1, Operation::Predict, model(), 0);
            let selected = shadows.select(&request, &address, None, || trusted, |_| true);
            assert_eq!(selected.len(), copies, "{name}: {mark:?}, {trusted}");
        }
    }

    #[test]
    fn clients_do_not_know_which_ids_are_chosen() {
        let all = |configuration: &[u8], how: &str, principal: Option<&[u8]>| {
            let mut shadows = shadows(&format!(
                r#"[{{"name": "a", "models": ["*"], "cluster": "a", "percent": 50, "sampleBy": "{how}"}}]"#
            ));
            shadows.seal_with(configuration);
            let chosen = (0..64u8).map(|id| {
                let id = [id];
                let headers: [Header<'_>; 3] =
                    [(b"x-request-id", &id), (b":method", b"POST"), (b":path", b"/predict")];
                let attributes = Attributes::new(&NoHost);
                let request = Request::new(&headers, &attributes);
                let model = Some(Model { id: "p/m".into(), predictor: None });
                let operation = Operation::Predict;
                let address = Address::new(Family::SeldonV1, operation, model, 0);
                shadows.select(&request, &address, principal, || false, |_| true).len()
            });
            chosen.collect::<Vec<_>>()
        };
        let of = |configuration: &[u8]| all(configuration, "request", None);
        assert_eq!(of(b"one"), of(b"one"), "all workers choose alike");
        assert_ne!(of(b"one"), of(b"two"));
        assert_ne!(all(b"one", "principal", None), all(b"two", "principal", None));
        // A caller is not another one because the settings are.
        let me = |configuration: &[u8]| all(configuration, "principal", Some(b"me"));
        assert_eq!(me(b"one"), me(b"two"));
    }

    #[test]
    fn samples_by_principal_or_request() {
        fn by(how: &str, id: &[u8], principal: Option<&[u8]>) -> usize {
            let settings = format!(
                r#"[{{"name": "a", "models": ["*"], "cluster": "a", "percent": 50, "sampleBy": "{how}"}}]"#
            );
            let id: &[Header<'_>] = &[(b"x-request-id", id)];
            select(&settings, Some("p/m"), Operation::Predict, id, principal).len()
        }
        let ids = || (0..64u8).map(|n| [n]);
        let differ = |f: &dyn Fn([u8; 1]) -> usize| ids().map(f).sum::<usize>() % 64 != 0;
        assert!(differ(&|id| by("request", &id, Some(b"me"))));
        assert!(!differ(&|id| by("principal", &id, Some(b"me"))));
        assert!(differ(&|p| by("principal", b"1", Some(&p))));
        assert!(differ(&|id| by("principal", &id, None)), "anonymous: by request");
    }
}
