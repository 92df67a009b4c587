//! What an entry is kept under.
//!
//! A key begins with whose it is: tenant, plugin, the name that was granted, and
//! the caller's own tags. Each part is written with its length before it, so no
//! two lists of parts are written alike, whatever is in them.

/// Whose entries these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub tenant: String,
    pub plugin: String,
    /// Capability and name: `search.docs`.
    pub scope: String,
    /// What else sets one caller's entries apart.
    pub tags: Vec<String>,
}

/// There is no authentication yet, so all callers are of one tenant.
pub const TENANT: &str = "default";

impl Owner {
    pub fn new(plugin: &str, scope: &str) -> Owner {
        Owner {
            tenant: TENANT.to_owned(),
            plugin: plugin.to_owned(),
            scope: scope.to_owned(),
            tags: Vec::new(),
        }
    }
}

/// A tag as one owner alone knows it.
pub(super) fn own_tag(owner: &Owner, public: bool, tag: &str) -> String {
    key(owner, public, &["tag", tag])
}

/// The whole key. Of a public cache the owner is the scope alone.
pub(super) fn key(owner: &Owner, public: bool, parts: &[&str]) -> String {
    let mut key = String::new();
    if public {
        key.push('*');
        add(&mut key, &owner.scope);
    } else {
        for part in [&owner.tenant, &owner.plugin, &owner.scope] {
            add(&mut key, part);
        }
        key.push_str(&owner.tags.len().to_string());
        key.push('#');
        for tag in &owner.tags {
            add(&mut key, tag);
        }
    }
    for part in parts {
        add(&mut key, part);
    }
    key
}

fn add(key: &mut String, part: &str) {
    key.push_str(&part.len().to_string());
    key.push(':');
    key.push_str(part);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Nothing crosses: whatever tenants, plugins, grants, tags and keys are
    /// called, two that differ have two keys.
    #[test]
    fn two_that_differ_in_anything_never_share_a_key() {
        let odd = ["", "a", "1:a", "a1:", ":", "#", "0#", "*", "2:ab", "ab"];
        let mut keys = BTreeSet::new();
        let mut count = 0;
        for tenant in odd {
            for plugin in odd {
                for scope in odd {
                    for tags in [vec![], vec!["a"], vec!["1:a"], vec!["a", ""], vec!["", "a"]] {
                        for part in odd {
                            let owner = Owner {
                                tenant: tenant.into(),
                                plugin: plugin.into(),
                                scope: scope.into(),
                                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
                            };
                            keys.insert(key(&owner, false, &[part]));
                            count += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(keys.len(), count);
        let owner = Owner::new("p", "search.docs");
        assert_ne!(key(&owner, false, &["a", "b"]), key(&owner, false, &["ab"]));
        assert!(!keys.contains(&key(&owner, true, &["a"])));
    }

    #[test]
    fn of_a_public_cache_only_the_scope_counts() {
        let (one, two) = (Owner::new("one", "sql.shop"), Owner::new("two", "sql.shop"));
        assert_eq!(key(&one, true, &["q"]), key(&two, true, &["q"]));
        let other = Owner::new("one", "sql.other");
        assert_ne!(key(&one, true, &["q"]), key(&other, true, &["q"]));
    }
}
