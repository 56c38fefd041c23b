//! How soon somebody who failed to sign in may try again: by address, and by name. Pure.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use watchward_daemon::customer::Customer;
use watchward_protocol::time::Timestamp;

/// Tries that cost no waiting.
const FREE: u32 = 4;

/// How long to wait at most, for one address and for one name. A name has to be tried in peace by
/// whom it belongs to, however many strangers try it too.
const LONGEST: (Duration, Duration) = (Duration::from_secs(15 * 60), Duration::from_secs(30));

/// When tries are forgotten: so long after the last.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

/// How long it takes until one of them is forgotten: where many people share an address, somebody
/// mistypes all the time.
const EASED: Duration = Duration::from_secs(5 * 60);

/// Where nobody can say who asks, behind a proxy: so many tries at once, and so many each second
/// in the long run, for all together.
const TOGETHER: (f64, f64) = (60.0, 2.0);

/// How many addresses, and how many names, are remembered.
const MOST: usize = 10_000;

/// Who asks, as far as counting goes: a customer's address, and a name's hash, because
/// what is typed as a name may be a password.
#[derive(Debug)]
pub(super) struct Asking {
    source: Option<Customer>,
    name: Option<[u8; 32]>,
    /// Whether it counts among those of whom nobody can say where they come from.
    together: bool,
}

impl Asking {
    /// `known` says that this name has come in from this address before: then only the address
    /// counts.
    pub(super) fn new(name: &str, address: Option<IpAddr>, known: bool) -> Self {
        Self {
            source: address.map(Customer::of),
            name: (!known || address.is_none()).then(|| hash(name)),
            together: address.is_none(),
        }
    }

    /// Somebody with a link. It is 256 bits long, so nobody has to be kept from guessing it: a
    /// stranger's tries hold up their own address at the most.
    pub(super) fn link(address: Option<IpAddr>) -> Self {
        Self {
            source: address.map(Customer::of),
            name: None,
            together: false,
        }
    }
}

fn hash(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

/// Counts tries. A try counts from when it begins, so that many at once gain nothing.
#[derive(Debug, Default)]
pub(super) struct Limits {
    sources: Counts<Customer>,
    names: Counts<[u8; 32]>,
    /// By account: who tries codes of its second factor knows its password.
    codes: Counts<i64>,
    together: Together,
}

/// Tries from where nobody can say.
#[derive(Debug, Default)]
struct Together {
    used: f64,
    last: Option<Timestamp>,
}

impl Together {
    fn ask(&mut self, now: Timestamp) -> Result<(), Duration> {
        let (most, each_second) = TOGETHER;
        let rested = self.last.map_or(Duration::ZERO, |last| now.since(last));
        self.used = (self.used - rested.as_secs_f64() * each_second).max(0.0);
        self.last = Some(now);
        if self.used + 1.0 > most {
            return Err(Duration::from_secs(1));
        }
        self.used += 1.0;
        Ok(())
    }
}

impl Limits {
    /// Takes a try, or says how long to wait for the next one.
    pub(super) fn ask(&mut self, asking: &Asking, now: Timestamp) -> Result<(), Duration> {
        let wait = asking
            .source
            .map_or(Duration::ZERO, |key| self.sources.wait(&key, now));
        let wait = wait.max(
            asking
                .name
                .map_or(Duration::ZERO, |key| self.names.wait(&key, now)),
        );
        if !wait.is_zero() {
            return Err(wait);
        }
        if asking.together {
            self.together.ask(now)?;
        }
        if let Some(key) = asking.source {
            self.sources.count(key, LONGEST.0, now);
        }
        if let Some(key) = asking.name {
            self.names.count(key, LONGEST.1, now);
        }
        Ok(())
    }

    /// The try that was taken then was right: it costs nothing. Those before it count on, or
    /// whoever has one account could guess at all others in peace.
    pub(super) fn succeed(&mut self, asking: &Asking, then: Timestamp) {
        if let Some(key) = asking.source {
            self.sources.take_back(&key, LONGEST.0, then);
        }
        if let Some(key) = asking.name {
            self.names.take_back(&key, LONGEST.1, then);
        }
    }

    /// Takes a try of a code for this account, from wherever, or says how long to wait.
    pub(super) fn ask_code(&mut self, account: i64, now: Timestamp) -> Result<(), Duration> {
        let wait = self.codes.wait(&account, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.codes.count(account, LONGEST.0, now);
        Ok(())
    }

    /// The code was right.
    pub(super) fn right_code(&mut self, account: i64) {
        self.codes.0.remove(&account);
    }

    /// Forgets who tried this name.
    pub(super) fn forget_name(&mut self, name: &str) {
        self.names.0.remove(&hash(name));
    }
}

#[derive(Debug)]
struct Counts<K>(HashMap<K, Tries>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[derive(Clone, Copy, Debug)]
struct Tries {
    count: u32,
    next: Timestamp,
    last: Timestamp,
    /// Until when the passing of time is reckoned in.
    eased: Timestamp,
}

impl Tries {
    fn ease(&mut self, now: Timestamp) {
        if now.since(self.last) > FORGOTTEN {
            self.count = 0;
        }
        while self.count > 0 && now.since(self.eased) >= EASED {
            self.count -= 1;
            self.eased = self.eased + EASED;
        }
        if self.count == 0 {
            self.eased = now;
        }
    }
}

impl<K: Copy + Eq + Hash> Counts<K> {
    fn wait(&self, key: &K, now: Timestamp) -> Duration {
        self.0
            .get(key)
            .map_or(Duration::ZERO, |tries| tries.next.since(now))
    }

    fn count(&mut self, key: K, longest: Duration, now: Timestamp) {
        self.make_room(&key, now);
        let tries = self.0.entry(key).or_insert(Tries {
            count: 0,
            next: now,
            last: now,
            eased: now,
        });
        tries.ease(now);
        tries.count = tries.count.saturating_add(1);
        tries.last = now;
        tries.next = now + delay(tries.count, longest);
    }

    fn take_back(&mut self, key: &K, longest: Duration, then: Timestamp) {
        let Some(tries) = self.0.get_mut(key) else {
            return;
        };
        tries.count = tries.count.saturating_sub(1);
        // Meanwhile another may have been taken, whose delay stands.
        tries.next = match tries.last == then {
            true => then,
            false => tries.last + delay(tries.count, longest),
        };
        if tries.count == 0 {
            self.0.remove(key);
        }
    }

    fn make_room(&mut self, key: &K, now: Timestamp) {
        if self.0.len() < MOST || self.0.contains_key(key) {
            return;
        }
        self.0.retain(|_, tries| now.since(tries.last) <= FORGOTTEN);
        let oldest = self.0.iter().min_by_key(|(_, tries)| tries.last);
        if let Some(key) = oldest.map(|(key, _)| *key).filter(|_| self.0.len() >= MOST) {
            self.0.remove(&key);
        }
    }
}

/// The delay after so many tries: doubles each time, once the free ones are used.
fn delay(tries: u32, longest: Duration) -> Duration {
    let Some(doublings) = tries.checked_sub(FREE + 1) else {
        return Duration::ZERO;
    };
    let seconds = 1_u64.checked_shl(doublings.min(32)).unwrap_or(u64::MAX);
    Duration::from_secs(seconds).min(longest)
}
