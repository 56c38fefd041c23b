//! What the collector ordered last: handed to whom it concerns, and kept, so that it holds after a
//! restart without a collector.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_protocol::checks;
use watchward_protocol::host_keys::HostKeys;
use watchward_protocol::identities::Identities;
use watchward_protocol::instruments::Instruments;
use watchward_protocol::order::Order;
use watchward_protocol::restriction::{Bans, Gates, Probes};
use watchward_protocol::wire::{self, v1};

use super::lineage::Lists;
use crate::kept;

/// What the collector ordered last.
#[derive(Debug)]
pub struct Orders {
    directory: PathBuf,
    checks: watch::Sender<Vec<checks::Ordered>>,
    gates: watch::Sender<Option<Arc<Gates>>>,
    bans: watch::Sender<Buckets>,
    probes: watch::Sender<Option<Arc<Probes>>>,
    lists: Mutex<Lists>,
    instruments: watch::Sender<Option<Arc<Instruments>>>,
    identities: watch::Sender<Option<Arc<Identities>>>,
    host_keys: watch::Sender<Option<Arc<HostKeys>>>,
}

/// What the collector ordered last, as it changes.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// Checks beside those of the configuration.
    pub checks: watch::Receiver<Vec<checks::Ordered>>,
    /// Who may reach what from where; none: nothing was ever ordered.
    pub gates: watch::Receiver<Option<Arc<Gates>>>,
    /// Who is shut out.
    pub bans: watch::Receiver<Buckets>,
    /// Which gates of others to try.
    pub probes: watch::Receiver<Option<Arc<Probes>>>,
    /// What sshd is told about keys, with what is kept beside the order; none: nothing was ever ordered.
    pub instruments: watch::Receiver<Option<Arc<Instruments>>>,
    /// Keys that programs of this host log in elsewhere with; none: nothing was ever ordered.
    pub identities: watch::Receiver<Option<Arc<Identities>>>,
    /// What sshd shows of itself; none: nothing was ever ordered.
    pub host_keys: watch::Receiver<Option<Arc<HostKeys>>>,
}

/// The bans of each bucket that was spoken of since the agent started. Of another nothing is known:
/// what a host holds of it stays. It is not kept on the disk: the kernel holds bans by itself, and
/// the collector says them again.
pub type Buckets = BTreeMap<u8, Arc<Bans>>;

impl Orders {
    /// The orders kept in this folder, and how they change. Orders that cannot be read are as none:
    /// the collector says them again.
    pub fn open(directory: &Path) -> (Self, Ordered) {
        let (mut kept_checks, mut kept_gates, mut kept_probes) = (Vec::new(), None, None);
        let (mut lists, mut kept_identities, mut kept_host_keys) = (Lists::default(), None, None);
        for name in [
            KEPT,
            CHECKS,
            GATES,
            PROBES,
            INSTRUMENTS,
            IDENTITIES,
            HOST_KEYS,
        ] {
            let file = directory.join(name);
            match read(&file) {
                Ok(Some(Order::Checks(checks))) => kept_checks = checks,
                Ok(Some(Order::Gates(gates))) => kept_gates = Some(gates),
                Ok(Some(Order::Probes(probes))) => kept_probes = Some(probes),
                Ok(Some(Order::Instruments(told))) if name == KEPT => {
                    lists.kept = Arc::unwrap_or_clone(told);
                }
                Ok(Some(Order::Instruments(told))) => {
                    lists.order = Some(Arc::unwrap_or_clone(told));
                }
                Ok(Some(Order::Identities(all))) => kept_identities = Some(all),
                Ok(Some(Order::HostKeys(all))) => kept_host_keys = Some(all),
                Ok(Some(Order::Bans(_)) | None) => {}
                Err(error) => {
                    let (file, error) = (file.display(), format!("{error:#}"));
                    tracing::warn!(%file, error, "cannot read the last orders; waiting for the next");
                }
            }
        }
        let (checks, ordered_checks) = watch::channel(kept_checks);
        let (gates, ordered_gates) = watch::channel(kept_gates);
        let (bans, ordered_bans) = watch::channel(Buckets::new());
        let (probes, ordered_probes) = watch::channel(kept_probes);
        let (instruments, ordered_instruments) = watch::channel(lists.whole().map(Arc::new));
        let (identities, ordered_identities) = watch::channel(kept_identities);
        let (host_keys, ordered_host_keys) = watch::channel(kept_host_keys);
        let orders = Self {
            directory: directory.to_owned(),
            checks,
            gates,
            bans,
            probes,
            lists: Mutex::new(lists),
            instruments,
            identities,
            host_keys,
        };
        let ordered = Ordered {
            checks: ordered_checks,
            gates: ordered_gates,
            bans: ordered_bans,
            probes: ordered_probes,
            instruments: ordered_instruments,
            identities: ordered_identities,
            host_keys: ordered_host_keys,
        };
        (orders, ordered)
    }

    /// Takes an order. One that cannot be kept holds until the agent ends; one that is too large, or
    /// that this version does not know, changes nothing.
    pub(super) fn hear(&self, order: v1::Order) {
        match wire::order(order) {
            Ok(Some(order)) => self.take(order),
            Ok(None) => tracing::debug!("the collector ordered what this version does not know"),
            Err(error) => tracing::warn!(%error, "the collector sent an order that is not taken"),
        }
    }

    fn take(&self, order: Order) {
        match order.clone() {
            Order::Checks(checks) if *self.checks.borrow() != checks => {
                self.keep(CHECKS, order);
                tracing::info!(checks = checks.len(), "the collector ordered checks");
                self.checks.send_replace(checks);
            }
            Order::Gates(gates) if self.gates.borrow().as_ref() != Some(&gates) => {
                self.keep(GATES, order);
                let (count, generation) = (gates.gates.len(), gates.generation);
                tracing::info!(gates = count, generation, "the collector ordered gates");
                self.gates.send_replace(Some(gates));
            }
            Order::Probes(probes) if self.probes.borrow().as_ref() != Some(&probes) => {
                self.keep(PROBES, order);
                self.probes.send_replace(Some(probes));
            }
            Order::Instruments(told) if self.newer(&told) => {
                self.revoke(&told);
            }
            Order::Identities(all) => {
                if self.identities.borrow().as_ref() != Some(&all) {
                    self.keep(IDENTITIES, order);
                    let count = all.identities.len();
                    tracing::info!(identities = count, "the collector ordered identities");
                }
                // Also the same again, after a connection: then what there is is told again.
                self.identities.send_replace(Some(all));
            }
            Order::HostKeys(all) if self.host_keys.borrow().as_ref() != Some(&all) => {
                self.keep(HOST_KEYS, order);
                let (certificates, keys) = (all.certificates.len(), all.serials.len());
                tracing::info!(certificates, keys, "the collector ordered what sshd shows");
                self.host_keys.send_replace(Some(all));
            }
            Order::Bans(bans) => {
                self.bans.send_if_modified(|all| {
                    let before = all.insert(bans.bucket, bans.clone());
                    before.as_ref() != Some(&bans)
                });
            }
            Order::Checks(_)
            | Order::Gates(_)
            | Order::Probes(_)
            | Order::Instruments(_)
            | Order::HostKeys(_) => {}
        }
    }

    /// Whether these take the place of those before: what was revoked once is not let in again
    /// because an older word came late.
    fn newer(&self, told: &Instruments) -> bool {
        let before = self.instruments.borrow();
        // One of the far future would keep out all that come after it.
        let ahead = u64::try_from(clock::now().as_micros())
            .unwrap_or(0)
            .saturating_add(HOUR);
        let before = before.as_ref().filter(|before| before.generation <= ahead);
        before.is_none_or(|before| before.generation < told.generation)
    }

    /// Takes an order of what is revoked. Of what holds and the order does not know, nothing is let in
    /// again.
    fn revoke(&self, told: &Arc<Instruments>) {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let beside = lists.beside(told);
        // First what is kept: whoever ends between the two finds more, and not less.
        let is_kept =
            beside == lists.kept || self.keep(KEPT, Order::Instruments(Arc::new(beside.clone())));
        if is_kept {
            self.keep(INSTRUMENTS, Order::Instruments(told.clone()));
        }
        let (order, kept) = (Some(Instruments::clone(told)), beside);
        *lists = Lists { order, kept };
        let whole = lists.whole();
        let (revoked, generation) = (told.revoked.len(), told.generation);
        let kept = whole.as_ref().map_or(0, |it| it.kept);
        tracing::info!(
            revoked,
            kept,
            generation,
            "the collector ordered revocations"
        );
        self.instruments.send_replace(whole.map(Arc::new));
    }

    /// Says whether it is on the disk.
    fn keep(&self, name: &str, order: Order) -> bool {
        let file = self.directory.join(name);
        let kept = kept::replace(&file, &wire::encode_order(order));
        if let Err(error) = &kept {
            let file = file.display();
            tracing::warn!(%file, %error, "cannot keep the orders; they hold until the agent ends");
        }
        kept.is_ok()
    }
}

/// How far ahead of this host's clock a generation may be, in microseconds.
const HOUR: u64 = 3600 * 1_000_000;

const CHECKS: &str = "checks.order";
const GATES: &str = "gates.order";
const PROBES: &str = "probes.order";
const INSTRUMENTS: &str = "instruments.order";
/// What is kept beside it.
const KEPT: &str = "instruments-kept.order";
const IDENTITIES: &str = "identities.order";
const HOST_KEYS: &str = "host_keys.order";

fn read(file: &Path) -> anyhow::Result<Option<Order>> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let order = wire::decode_order(&bytes)?;
    order.context("of another version").map(Some)
}

#[cfg(test)]
mod tests {
    use watchward_protocol::instruments::Revoked;
    use watchward_protocol::restriction::Ban;
    use watchward_protocol::time::Timestamp;

    use super::*;

    fn checks(names: &[&str]) -> v1::Order {
        let ordered = names.iter().map(|name| checks::Ordered {
            kind: "tcp".to_owned(),
            name: (*name).to_owned(),
            settings: "address = \"localhost:22\"\n".to_owned(),
        });
        Order::Checks(ordered.collect()).into()
    }

    fn names(ordered: &[checks::Ordered]) -> Vec<&str> {
        ordered.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn the_last_order_holds_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (orders, ordered) = Orders::open(folder.path());
        assert!(ordered.checks.borrow().is_empty());
        orders.hear(checks(&["a", "b"]));
        orders.hear(checks(&["b"]));
        assert_eq!(names(&ordered.checks.borrow()), ["b"]);
        drop(orders);
        let (_, ordered) = Orders::open(folder.path());
        assert_eq!(names(&ordered.checks.borrow()), ["b"]);
    }

    #[test]
    fn the_same_order_again_wakes_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (orders, mut ordered) = Orders::open(folder.path());
        orders.hear(checks(&["a"]));
        assert!(ordered.checks.has_changed().unwrap());
        ordered.checks.mark_unchanged();
        orders.hear(checks(&["a"]));
        assert!(!ordered.checks.has_changed().unwrap());
    }

    #[test]
    fn what_is_unknown_or_too_large_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (orders, ordered) = Orders::open(folder.path());
        orders.hear(checks(&["a"]));
        orders.hear(v1::Order { order: None });
        orders.hear(checks(&["b"; 257]));
        assert_eq!(names(&ordered.checks.borrow()), ["a"]);
    }

    #[test]
    fn what_cannot_be_read_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("checks.order"), b"\xff\xff\xff").unwrap();
        let (orders, ordered) = Orders::open(folder.path());
        assert!(ordered.checks.borrow().is_empty());
        orders.hear(checks(&["a"]));
        assert_eq!(names(&ordered.checks.borrow()), ["a"]);
    }

    #[test]
    fn revocations_hold_after_a_restart_and_never_go_back() {
        let folder = tempfile::tempdir().unwrap();
        let (orders, ordered) = Orders::open(folder.path());
        let told = |generation| {
            let revoked = vec![Revoked::Fingerprint([1; 32])];
            Arc::new(Instruments {
                generation,
                revoked,
                ..Instruments::default()
            })
        };
        orders.hear(Order::Instruments(told(7)).into());
        orders.hear(Order::Instruments(told(6)).into());
        assert_eq!(*ordered.instruments.borrow(), Some(told(7)));
        let (orders, ordered) = Orders::open(folder.path());
        orders.hear(Order::Instruments(told(6)).into());
        assert_eq!(*ordered.instruments.borrow(), Some(told(7)));
    }

    #[test]
    fn what_another_database_had_revoked_is_kept_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let of = |generation, lineages: &[u64], key: u8| {
            Order::Instruments(Arc::new(Instruments {
                generation,
                revoked: vec![Revoked::Fingerprint([key; 32])],
                lineages: lineages.to_vec(),
                ..Instruments::default()
            }))
        };
        let refused = |ordered: &Ordered| {
            let all = ordered.instruments.borrow().clone().unwrap();
            (all.revoked.len(), all.kept)
        };
        let (orders, _) = Orders::open(folder.path());
        orders.hear(of(1, &[7], 1).into());
        drop(orders);
        let (orders, ordered) = Orders::open(folder.path());
        orders.hear(of(2, &[8], 2).into());
        assert_eq!(refused(&ordered), (2, 1));
        let (orders, ordered) = Orders::open(folder.path());
        assert_eq!(refused(&ordered), (2, 1));
        orders.hear(of(3, &[8, 7], 2).into());
        assert_eq!(refused(&ordered), (1, 0));
        assert_eq!(refused(&Orders::open(folder.path()).1), (1, 0));
    }

    #[test]
    fn gates_hold_after_a_restart_and_a_bucket_of_bans_takes_the_place_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let (orders, ordered) = Orders::open(folder.path());
        let gates = Arc::new(Gates {
            generation: 7,
            put_back: true,
            gates: Vec::new(),
        });
        let bans = |count: usize| {
            let ban = Ban {
                net: "192.0.2.1/32".parse().unwrap(),
                until: Timestamp::from_micros(1),
            };
            Order::Bans(Arc::new(Bans {
                bucket: 3,
                bans: vec![ban; count],
                lifted: Vec::new(),
            }))
        };
        orders.hear(Order::Gates(gates.clone()).into());
        orders.hear(bans(2).into());
        orders.hear(bans(1).into());
        assert_eq!(ordered.bans.borrow()[&3].bans.len(), 1);
        let (_, ordered) = Orders::open(folder.path());
        assert_eq!(*ordered.gates.borrow(), Some(gates));
        assert!(ordered.bans.borrow().is_empty(), "nothing is known of them");
    }
}
