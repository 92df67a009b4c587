//! Places that all plugins share, and that one plugin cannot take from the
//! others.
//!
//! Guarantees: all plugins together hold no more places than there are, one
//! plugin no more than half of them (where there is one, that one). A place is
//! held until it is dropped, wherever it has gone: an answer that was handed to
//! the host keeps its own. A plugin that holds none is not remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    plugins: HashMap<Arc<str>, usize>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All of these are taken.
    All(usize),
    /// The plugin has its share, which is as many.
    Share(usize),
}

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    plugin: Arc<str>,
}

impl Places {
    /// A place for `plugin`, if there are `most` in all.
    pub(crate) fn take(self: &Arc<Places>, plugin: &str, most: usize) -> Result<Place, Full> {
        let mut taken = self.lock();
        if taken.all >= most {
            return Err(Full::All(most));
        }
        let (plugin, own) = match taken.plugins.get_key_value(plugin) {
            Some((plugin, own)) => (Arc::clone(plugin), *own),
            None => (Arc::from(plugin), 0),
        };
        let share = (most / 2).max(1);
        if own >= share {
            return Err(Full::Share(share));
        }
        taken.all += 1;
        taken.plugins.insert(Arc::clone(&plugin), own + 1);
        let places = Arc::clone(self);
        Ok(Place { places, plugin })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        match taken.plugins.get_mut(&self.plugin) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.plugins.remove(&self.plugin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_plugin_takes_half_and_all_of_them_no_more_than_there_are() {
        let places = Arc::<Places>::default();
        let mut greedy: Vec<_> = (0..2).map(|_| places.take("greedy", 5).unwrap()).collect();
        assert_eq!(places.take("greedy", 5).unwrap_err(), Full::Share(2));
        let others = [("a", 5), ("a", 5), ("b", 5)].map(|(plugin, most)| places.take(plugin, most).unwrap());
        assert_eq!(places.take("c", 5).unwrap_err(), Full::All(5));
        assert_eq!(places.taken(), 5);
        greedy.pop();
        greedy.push(places.take("greedy", 5).unwrap());
        drop((greedy, others));
        assert_eq!(places.taken(), 0);
        assert!(places.lock().plugins.is_empty(), "nobody is remembered");
    }

    #[test]
    fn a_single_place_is_anybodys() {
        let places = Arc::<Places>::default();
        let place = places.take("a", 1).unwrap();
        assert_eq!(places.take("b", 1).unwrap_err(), Full::All(1));
        drop(place);
        places.take("b", 1).unwrap();
        assert_eq!(places.take("b", 0).unwrap_err(), Full::All(0));
    }
}
