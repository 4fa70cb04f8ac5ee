//! The names behind the numbers of counters.

use super::Plan;
use crate::authz::PolicyId;
use crate::shadow::ShadowId;
use crate::split::VariantId;
use crate::telemetry::{Names, OTHER};

impl Names for Plan {
    fn policy(&self, label: u32) -> &str {
        let index = usize::try_from(label).ok().filter(|_| label != u32::MAX);
        index.map_or(OTHER, |index| self.authorizer.policy_name(PolicyId::new(index)))
    }

    fn shadow(&self, index: u32) -> &str {
        let shadow =
            usize::try_from(index).ok().and_then(|index| self.shadows.get(ShadowId::new(index)));
        shadow.map_or(OTHER, |shadow| &shadow.name)
    }

    fn issuer(&self, remote: u32) -> &str {
        let remote = usize::try_from(remote).ok().and_then(|remote| self.remotes().get(remote));
        remote.map_or(OTHER, |remote| remote.issuer())
    }

    fn quota(&self, index: u32) -> &str {
        self.quotas.name(index)
    }

    fn variant(&self, id: VariantId) -> (&str, &str) {
        self.splits.names(id).unwrap_or((OTHER, OTHER))
    }
}
