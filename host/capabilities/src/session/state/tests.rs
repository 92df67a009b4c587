//! The state of a session against a naive map, over many random histories, and
//! its bounds one by one.

use std::collections::BTreeSet;

use super::*;

/// A small generator, so that a failing history can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides).unwrap()
    }
}

fn history(seed: u64) {
    let mut dice = Dice(seed);
    let mut states = States::default();
    let mut naive: BTreeMap<(usize, usize), (Vec<u8>, u64)> = BTreeMap::new();
    let mut versions = BTreeSet::new();
    for step in 0..400 {
        let (plugin, key) = (dice.roll(3), dice.roll(4));
        let (plugin_name, key_name) = (format!("p{plugin}"), format!("k{key}"));
        let known = naive.get(&(plugin, key)).cloned();
        let expected = match dice.roll(4) {
            // Stale, or made up.
            0 => Some(dice.roll(50) as u64),
            1 => None,
            _ => known.as_ref().map(|(_, version)| *version),
        };
        let value = (dice.roll(4) > 0).then(|| vec![0; dice.roll(8)]);
        let swapped = states.swap(&plugin_name, &key_name, value.clone(), expected);
        if expected != known.as_ref().map(|(_, version)| *version) {
            assert_eq!(swapped, Err(SessionError::Conflict), "seed {seed} step {step}");
        } else if let Some(value) = value {
            let version = swapped.unwrap();
            assert!(version > 0 && versions.insert(version), "a version comes twice");
            naive.insert((plugin, key), (value, version));
        } else {
            assert_eq!(swapped, Ok(0));
            naive.remove(&(plugin, key));
        }
        for plugin in 0..3 {
            for key in 0..4 {
                let kept = states.get(&format!("p{plugin}"), &format!("k{key}")).unwrap();
                let kept = kept.map(|entry| (entry.value, entry.version));
                assert_eq!(
                    kept,
                    naive.get(&(plugin, key)).cloned(),
                    "seed {seed} step {step}"
                );
            }
        }
    }
}

#[test]
fn only_who_has_seen_a_value_last_replaces_it_and_no_version_comes_twice() {
    for seed in 1..=200 {
        history(seed * 7919);
    }
}

#[test]
fn past_each_bound_nothing_changes() {
    let mut states = States::default();
    for n in 0..MAX_KEYS {
        states.swap("p", &format!("k{n}"), Some(vec![1]), None).unwrap();
    }
    let one_more = states.swap("p", "more", Some(vec![1]), None);
    assert_eq!(one_more, Err(SessionError::TooManyKeys));
    // One that is there can still be replaced, and another plugin has its own.
    let version = states.get("p", "k0").unwrap().unwrap().version;
    states.swap("p", "k0", Some(vec![2]), Some(version)).unwrap();
    states.swap("q", "more", Some(vec![1]), None).unwrap();

    let mut states = States::default();
    let large = vec![0; MAX_VALUE_BYTES];
    assert_eq!(
        states.swap("p", "k", Some(vec![0; MAX_VALUE_BYTES + 1]), None),
        Err(SessionError::ValueTooLarge)
    );
    for key in ["a", "b", "c"] {
        states.swap("p", key, Some(large.clone()), None).unwrap();
    }
    // The keys count too.
    assert_eq!(
        states.swap("p", "d", Some(large.clone()), None),
        Err(SessionError::TooManyBytes)
    );
    assert_eq!(states.get("p", "d"), Ok(None));
    states
        .swap("p", "d", Some(vec![0; MAX_VALUE_BYTES - 4]), None)
        .unwrap();
    // What it replaces does not count.
    let version = states.get("p", "a").unwrap().unwrap().version;
    states.swap("p", "a", Some(large), Some(version)).unwrap();

    for key in [String::new(), "k".repeat(MAX_KEY_BYTES + 1)] {
        assert_eq!(states.swap("p", &key, None, None), Err(SessionError::BadKey));
        assert_eq!(states.get("p", &key), Err(SessionError::BadKey));
    }
    assert!(states.swap("p", &"k".repeat(MAX_KEY_BYTES), None, None).is_ok());
}

#[test]
fn after_everything_was_forgotten_an_old_version_is_still_an_old_one() {
    let mut states = States::default();
    let before = states.swap("p", "k", Some(vec![1]), None).unwrap();
    states.clear();
    assert_eq!(states.get("p", "k"), Ok(None));
    let after = states.swap("p", "k", Some(vec![2]), None).unwrap();
    assert!(after > before);
    assert_eq!(
        states.swap("p", "k", None, Some(before)),
        Err(SessionError::Conflict)
    );
}
