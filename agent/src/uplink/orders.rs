//! What the collector ordered last: handed to whom it concerns, and kept, so that it holds after a
//! restart without a collector.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::sync::watch;
use watchward_protocol::checks::Ordered;
use watchward_protocol::order::Order;
use watchward_protocol::wire::{self, v1};

/// What the collector ordered last.
#[derive(Debug)]
pub struct Orders {
    file: PathBuf,
    checks: watch::Sender<Vec<Ordered>>,
}

impl Orders {
    /// The orders kept in this folder, and the checks among them as they change. Orders that cannot
    /// be read are as none: the collector says them again.
    pub fn open(directory: &Path) -> (Self, watch::Receiver<Vec<Ordered>>) {
        let file = directory.join("checks.order");
        let kept = read(&file).unwrap_or_else(|error| {
            let (file, error) = (file.display(), format!("{error:#}"));
            tracing::warn!(%file, error, "cannot read the last orders; waiting for the next");
            Vec::new()
        });
        let (checks, ordered) = watch::channel(kept);
        (Self { file, checks }, ordered)
    }

    /// Takes an order. One that cannot be kept holds until the agent ends; one that is too large, or
    /// that this version does not know, changes nothing.
    pub(super) fn hear(&self, order: v1::Order) {
        match wire::order(order) {
            Ok(Some(Order::Checks(checks))) => self.take(checks),
            Ok(None) => tracing::debug!("the collector ordered what this version does not know"),
            Err(error) => tracing::warn!(%error, "the collector sent an order that is not taken"),
        }
    }

    fn take(&self, checks: Vec<Ordered>) {
        if *self.checks.borrow() == checks {
            return;
        }
        if let Err(error) = write(
            &self.file,
            &wire::encode_order(Order::Checks(checks.clone())),
        ) {
            let file = self.file.display();
            tracing::warn!(%file, %error, "cannot keep the orders; they hold until the agent ends");
        }
        tracing::info!(checks = checks.len(), "the collector ordered checks");
        self.checks.send_replace(checks);
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<Ordered>> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let order = wire::decode_order(&bytes)?;
    let Order::Checks(checks) = order.context("of another version")?;
    Ok(checks)
}

/// Writes it whole or not at all.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = file.with_extension("order.next");
    let mut open = File::create(&next)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    fs::rename(&next, file)?;
    let folder = file.parent().map(File::open).transpose()?;
    folder.map_or(Ok(()), |folder| folder.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(names: &[&str]) -> v1::Order {
        let ordered = names.iter().map(|name| Ordered {
            kind: "tcp".to_owned(),
            name: (*name).to_owned(),
            settings: "address = \"localhost:22\"\n".to_owned(),
        });
        Order::Checks(ordered.collect()).into()
    }

    fn names(ordered: &[Ordered]) -> Vec<&str> {
        ordered.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn the_last_order_holds_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (orders, ordered) = Orders::open(folder.path());
        assert!(ordered.borrow().is_empty());
        orders.hear(checks(&["a", "b"]));
        orders.hear(checks(&["b"]));
        assert_eq!(names(&ordered.borrow()), ["b"]);
        drop(orders);
        let (_, ordered) = Orders::open(folder.path());
        assert_eq!(names(&ordered.borrow()), ["b"]);
    }

    #[test]
    fn the_same_order_again_wakes_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (orders, mut ordered) = Orders::open(folder.path());
        orders.hear(checks(&["a"]));
        assert!(ordered.has_changed().unwrap());
        ordered.mark_unchanged();
        orders.hear(checks(&["a"]));
        assert!(!ordered.has_changed().unwrap());
    }

    #[test]
    fn what_is_unknown_or_too_large_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (orders, ordered) = Orders::open(folder.path());
        orders.hear(checks(&["a"]));
        orders.hear(v1::Order { order: None });
        orders.hear(checks(&["b"; 257]));
        assert_eq!(names(&ordered.borrow()), ["a"]);
    }

    #[test]
    fn what_cannot_be_read_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("checks.order"), b"\xff\xff\xff").unwrap();
        let (orders, ordered) = Orders::open(folder.path());
        assert!(ordered.borrow().is_empty());
        orders.hear(checks(&["a"]));
        assert_eq!(names(&ordered.borrow()), ["a"]);
    }
}
