//! What was seen lately, in bounded memory: what is new takes the place of what nobody asked for. Pure.

use std::collections::HashMap;
use std::hash::Hash;

/// Two generations. What is touched is of the young one; when that is full it becomes the old one,
/// and what is left of the old one is forgotten, so that each touch costs the same however many
/// keys there ever were.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    most: usize,
}

impl<K: Hash + Eq + Copy, V: Default> Recent<K, V> {
    /// Remembers the last so many keys, and never more than twice as many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            most,
        }
    }

    /// What is known of a key. What `matters` is forgotten later than the rest.
    pub(super) fn touch(&mut self, key: K, matters: impl Fn(&V) -> bool) -> &mut V {
        if !self.young.contains_key(&key) {
            if self.young.len() >= self.most {
                self.turn(matters);
            }
            let known = self.old.remove(&key).unwrap_or_default();
            self.young.insert(key, known);
        }
        self.young.entry(key).or_default()
    }

    /// Forgets a key.
    pub(super) fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// A quarter of a generation at most goes on, or there would be no room for what is new.
    fn turn(&mut self, matters: impl Fn(&V) -> bool) {
        let young = std::mem::take(&mut self.young);
        let old = std::mem::replace(&mut self.old, young);
        let stays = old.into_iter().filter(|(_, value)| matters(value));
        self.young.extend(stays.take(self.most / 4));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
