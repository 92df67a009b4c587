//! Models that stand in for others, in one call.

use std::collections::BTreeMap;

/// Of each model that has a stand-in, which. A call that brings this along has
/// its questions to the first answered by the second; what it was granted is
/// still the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substitutes(pub BTreeMap<String, String>);

impl Substitutes {
    /// Who answers for `model`.
    pub fn of<'a>(&'a self, model: &'a str) -> &'a str {
        self.0.get(model).map_or(model, String::as_str)
    }
}
