//! Who may have a connection of the page at a time, so that no stranger takes all of them.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use watchward_daemon::customer::Customer;
use watchward_daemon::shares::{Share, Shares};

/// How many connections there may be at once, and how many of them of one customer: a browser opens
/// six.
const ALL: usize = 512;
const OF_A_CUSTOMER: u32 = 64;

/// How many this machine itself may have besides: what asks for `/-/healthy` from here is answered
/// whatever comes from elsewhere.
const OF_THIS_MACHINE: usize = 64;

/// The places that there are.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    here: Arc<Semaphore>,
    customers: Shares<Customer>,
    behind_proxy: bool,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Option<Share<Customer>>,
}

impl Places {
    /// All are free. Behind a proxy one address is everybody's.
    pub(super) fn new(behind_proxy: bool) -> Self {
        Self {
            all: Arc::new(Semaphore::new(ALL)),
            here: Arc::new(Semaphore::new(OF_THIS_MACHINE)),
            customers: Shares::of(OF_A_CUSTOMER),
            behind_proxy,
        }
    }

    /// A place for whoever comes from this address, if there is one.
    pub(super) fn take(&self, from: IpAddr) -> Option<Place> {
        let from = from.to_canonical();
        if self.behind_proxy {
            let permit = self.all.clone().try_acquire_owned().ok()?;
            return Some(Place::new(permit, None));
        }
        if from.is_loopback() {
            let permit = self.here.clone().try_acquire_owned().ok()?;
            return Some(Place::new(permit, None));
        }
        let share = self.customers.take(Customer::of(from))?;
        let permit = self.all.clone().try_acquire_owned().ok()?;
        Some(Place::new(permit, Some(share)))
    }
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, share: Option<Share<Customer>>) -> Self {
        Self {
            _permit: permit,
            _share: share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_room_for_others_and_for_this_machine() {
        let places = Places::new(false);
        let take = |text: &str| places.take(text.parse().unwrap());
        let taken: Vec<_> = (0..100).filter_map(|_| take("192.0.2.1")).collect();
        assert_eq!(taken.len(), 64);
        let taken_by_a_network: Vec<_> = (0..100)
            .filter_map(|n| take(&format!("2001:db8::{n}")))
            .collect();
        assert_eq!(taken_by_a_network.len(), 64);
        assert!(take("192.0.2.2").is_some());
        let many: Vec<_> = (0..64_000)
            .filter_map(|n| take(&format!("198.51.{}.{}", n / 256, n % 256)))
            .collect();
        assert_eq!(taken.len() + taken_by_a_network.len() + many.len(), ALL);
        assert!(take("192.0.2.2").is_none());
        assert!(take("127.0.0.1").is_some());
        assert!(take("::ffff:127.0.0.1").is_some());
        drop(taken);
        assert!(take("192.0.2.2").is_some());
    }

    #[test]
    fn a_proxy_may_have_all() {
        let places = Places::new(true);
        let take = || places.take("192.0.2.1".parse().unwrap());
        let taken: Vec<_> = (0..ALL).filter_map(|_| take()).collect();
        assert_eq!(taken.len(), ALL);
    }
}
