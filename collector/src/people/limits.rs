//! How soon somebody who failed to sign in may try again: by address, and by name. Pure.

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
}

impl Asking {
    /// `known` says that this name has come in from this address before: then only the address
    /// counts.
    pub(super) fn new(name: &str, address: Option<IpAddr>, known: bool) -> Self {
        Self {
            source: address.map(Customer::of),
            name: (!known || address.is_none()).then(|| hash(name)),
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
        if asking.source.is_none() {
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

    /// The try was right: what came before is forgotten.
    pub(super) fn succeed(&mut self, asking: &Asking) {
        if let Some(key) = asking.source {
            self.sources.0.remove(&key);
        }
        if let Some(key) = asking.name {
            self.names.0.remove(&key);
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
        });
        if now.since(tries.last) > FORGOTTEN {
            tries.count = 0;
        }
        tries.count = tries.count.saturating_add(1);
        tries.last = now;
        tries.next = now + delay(tries.count, longest);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn from(address: &str, name: &str) -> Asking {
        Asking::new(name, Some(address.parse().unwrap()), false)
    }

    #[test]
    fn the_delay_grows_and_has_an_end() {
        let seconds: Vec<_> = [1, 4, 5, 6, 7, 10, 60]
            .map(|tries| delay(tries, LONGEST.0).as_secs())
            .into();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 32, 900]);
    }

    #[test]
    fn an_address_is_held_up_whatever_name_it_tries() {
        let mut limits = Limits::default();
        for n in 0..5 {
            assert!(
                limits
                    .ask(&from("192.0.2.1", &format!("name {n}")), at(0))
                    .is_ok()
            );
        }
        assert!(limits.ask(&from("192.0.2.1", "another"), at(0)).is_err());
        assert!(limits.ask(&from("192.0.2.2", "another"), at(0)).is_ok());
        assert!(limits.ask(&from("192.0.2.1", "another"), at(1)).is_ok());
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        let mut limits = Limits::default();
        for n in 0..5 {
            let asking = from(&format!("2001:db8::{n}"), &format!("name {n}"));
            assert!(limits.ask(&asking, at(0)).is_ok());
        }
        assert!(limits.ask(&from("2001:db8::ffff", "x"), at(0)).is_err());
        assert!(limits.ask(&from("2001:db8:0:1::", "x"), at(0)).is_ok());
    }

    #[test]
    fn a_name_is_held_up_from_everywhere_but_where_it_is_known() {
        let mut limits = Limits::default();
        for n in 0..5 {
            assert!(
                limits
                    .ask(&from(&format!("192.0.2.{n}"), "ada"), at(0))
                    .is_ok()
            );
        }
        assert!(limits.ask(&from("198.51.100.1", "ada"), at(0)).is_err());
        let known = Asking::new("ada", "198.51.100.1".parse().ok(), true);
        assert!(limits.ask(&known, at(0)).is_ok());
    }

    #[test]
    fn success_and_time_forget() {
        let mut limits = Limits::default();
        let asking = from("192.0.2.1", "ada");
        for second in [0, 0, 0, 0, 0, 1] {
            assert!(limits.ask(&asking, at(second)).is_ok());
        }
        limits.succeed(&asking);
        for _ in 0..5 {
            assert!(limits.ask(&asking, at(1)).is_ok());
        }
        assert!(limits.ask(&asking, at(1)).is_err());
        for _ in 0..5 {
            assert!(limits.ask(&asking, at(4000)).is_ok());
        }
    }

    #[test]
    fn behind_a_proxy_all_together_are_slowed_down() {
        let mut limits = Limits::default();
        let mut taken = |second| {
            let names = (0..100).map(|n| format!("{second} {n}"));
            let asked = names.map(|name| limits.ask(&Asking::new(&name, None, false), at(second)));
            asked.filter(Result::is_ok).count()
        };
        assert_eq!(taken(0), 60);
        assert_eq!(taken(5), 10);
        assert_eq!(taken(4000), 60);
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let mut limits = Limits::default();
        for n in 0..u32::try_from(MOST).unwrap() + 50 {
            let address = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            let _ = limits.ask(&Asking::new(&n.to_string(), Some(address), false), at(0));
        }
        assert_eq!(limits.names.0.len(), MOST);
        assert_eq!(limits.sources.0.len(), MOST);
    }
}
