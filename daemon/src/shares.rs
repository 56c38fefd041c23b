//! Fair shares: how much of something one address or one host may hold at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts what each key holds.
#[derive(Debug)]
pub struct Shares<K> {
    limit: u32,
    held: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// At most so many for each key.
    pub fn of(limit: u32) -> Self {
        Self {
            limit,
            held: Arc::default(),
        }
    }

    /// One more for this key, if it may have one; given back when it is dropped.
    pub fn take(&self, key: K) -> Option<Share<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(key).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Share {
            key,
            held: Arc::clone(&self.held),
        })
    }
}

/// What a key holds.
#[derive(Debug)]
pub struct Share<K: Copy + Eq + Hash> {
    key: K,
    held: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_takes_nothing_from_another_and_gives_back_what_it_drops() {
        let shares = Shares::of(2);
        let first = shares.take('a').unwrap();
        let _second = shares.take('a').unwrap();
        assert!(shares.take('a').is_none());
        assert!(shares.take('b').is_some());
        drop(first);
        assert!(shares.take('a').is_some());
        assert_eq!(
            shares.held.lock().unwrap().len(),
            1,
            "what nobody holds is forgotten"
        );
    }
}
