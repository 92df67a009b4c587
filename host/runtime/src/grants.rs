//! What plugins may reach: the operator's ceiling, and what a version asks for
//! beyond the one before it.

use std::collections::BTreeMap;

use arc_swap::ArcSwap;

/// By capability, the names within it.
pub type Grants = BTreeMap<String, Vec<String>>;

/// The operator's word on all plugins together. It can change while they run:
/// the gate asks at each call, so what is withdrawn is gone at once.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    now: ArcSwap<Rules>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rules {
    /// `[plugins.max_grants]`: what a plugin may be granted at most.
    pub(crate) ceiling: Grants,
    /// `[plugins] auto_widen`: a version that reaches further than the one
    /// before needs nobody's consent.
    pub(crate) auto_widen: bool,
}

impl Policy {
    pub(crate) fn new(rules: Rules) -> Policy {
        Policy {
            now: ArcSwap::from_pointee(rules),
        }
    }

    pub(crate) fn rules(&self) -> arc_swap::Guard<std::sync::Arc<Rules>> {
        self.now.load()
    }

    /// Puts other rules in force. `false` if they are the same.
    pub(crate) fn change(&self, rules: Rules) -> bool {
        let changed = **self.now.load() != rules;
        if changed {
            self.now.store(std::sync::Arc::new(rules));
        }
        changed
    }
}

impl Rules {
    /// Whether the ceiling allows this name of this capability.
    pub(crate) fn allows(&self, capability: &str, scope: &str) -> bool {
        has(&self.ceiling, capability, scope)
    }
}

/// Whether the grants hold this name of this capability.
pub(crate) fn has(grants: &Grants, capability: &str, scope: &str) -> bool {
    grants
        .get(capability)
        .is_some_and(|scopes| scopes.iter().any(|known| known == scope))
}

/// What a version can really reach: it has to ask for it and be granted it.
pub(crate) fn reach(wants: &[String], grants: &Grants) -> Grants {
    let mut reach = grants.clone();
    reach.retain(|capability, scopes| wants.contains(capability) && !scopes.is_empty());
    reach
}

/// What `newer` reaches and `older` does not, as people read it: `sql: shop`.
pub(crate) fn widened(older: &Grants, newer: &Grants) -> Vec<String> {
    newer
        .iter()
        .filter_map(|(capability, scopes)| {
            let new = scopes.iter().filter(|scope| !has(older, capability, scope));
            let new: Vec<&str> = new.map(String::as_str).collect();
            (!new.is_empty()).then(|| format!("{capability}: {}", new.join(", ")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(of: &[(&str, &[&str])]) -> Grants {
        of.iter()
            .map(|(capability, scopes)| {
                let scopes = scopes.iter().map(ToString::to_string).collect();
                (capability.to_string(), scopes)
            })
            .collect()
    }

    #[test]
    fn a_version_reaches_what_it_wants_and_is_granted() {
        let granted = grants(&[("sql", &["shop"]), ("llm", &["main"]), ("http", &[])]);
        let wants = ["sql", "http", "search"].map(String::from);
        assert_eq!(reach(&wants, &granted), grants(&[("sql", &["shop"])]));
    }

    #[test]
    fn only_what_is_new_widens() {
        let older = grants(&[("sql", &["shop", "hr"])]);
        let newer = grants(&[("sql", &["shop", "stock"]), ("llm", &["main"])]);
        assert_eq!(widened(&older, &newer), ["llm: main", "sql: stock"]);
        assert!(widened(&newer, &grants(&[("sql", &["stock"])])).is_empty());
    }
}
