//! What large files hold, so that nobody waits for them: one is read apart, and again only once it has changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;

use super::holding::Holding;
use super::inventory::file::{Kind, read};
use super::open::{Stamp, Text};

/// From this size on a file is read apart.
const LARGE: u64 = 256 << 10;
/// So many files may wait to be read, each of them open.
const MOST_WAITING: usize = 16;
/// Of so many it is remembered what they hold.
const MOST_KEPT: usize = 64;

/// What is known of large files.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<HashMap<Place, Entry>>);

type Place = (Kind, PathBuf);

#[derive(Debug, Default)]
struct Entry {
    read: Option<(Stamp, Arc<Holding>)>,
    /// The newest that is to be read.
    waits: Option<Text>,
    /// Whether somebody has asked for it since [`Shelf::tidy`].
    asked: bool,
}

/// A file to be read.
#[derive(Debug)]
pub(super) struct Order {
    place: Place,
    text: Text,
}

impl Order {
    /// Reads it, which may take long.
    pub(super) fn read(self, shelf: &Shelf) {
        let (kind, path) = &self.place;
        let stamp = self.text.stamp;
        let holding = read(*kind, path, self.text, &TimeZone::system());
        let mut entries = shelf.entries();
        if let Some(entry) = entries.get_mut(&self.place) {
            entry.read = Some((stamp, Arc::new(holding)));
        }
    }
}

impl Shelf {
    /// What this file holds. None: it is large and has yet to be read. Of one that changes all the
    /// time it is what was read last, or its owner could keep it from ever being told.
    pub(super) fn holds(
        &self,
        (kind, path): (Kind, &Path),
        text: Text,
        zone: &TimeZone,
    ) -> Option<Arc<Holding>> {
        if text.stamp.size < LARGE {
            return Some(Arc::new(read(kind, path, text, zone)));
        }
        let mut entries = self.entries();
        let place = (kind, path.to_owned());
        if entries.len() >= MOST_KEPT && !entries.contains_key(&place) {
            return None;
        }
        let waiting = entries.values().filter(|it| it.waits.is_some()).count();
        let entry = entries.entry(place).or_default();
        entry.asked = true;
        let stamp = text.stamp;
        if entry.read.as_ref().is_none_or(|(read, _)| *read != stamp)
            && (entry.waits.is_some() || waiting < MOST_WAITING)
        {
            entry.waits = Some(text);
        }
        entry.read.as_ref().map(|(_, holding)| holding.clone())
    }

    /// Forgets what nobody has asked for since it was called last.
    pub(super) fn tidy(&self) {
        let mut entries = self.entries();
        entries.retain(|_, entry| std::mem::take(&mut entry.asked));
    }

    /// Whether there is any file to be read.
    pub(super) fn has_orders(&self) -> bool {
        self.entries().values().any(|it| it.waits.is_some())
    }

    /// A file that is to be read: first those that have never been.
    pub(super) fn order(&self) -> Option<Order> {
        let mut entries = self.entries();
        let waiting = entries.iter_mut().filter(|(_, it)| it.waits.is_some());
        let (place, entry) = waiting.min_by_key(|(_, it)| it.read.is_some())?;
        let text = entry.waits.take()?;
        let place = place.clone();
        Some(Order { place, text })
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Place, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::keys::open::{Opened, Whose, open};

    /// Files of keys in a folder, as they are looked at.
    struct Files(tempfile::TempDir, Shelf);

    impl Files {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, rubbish: &str) {
            let size = usize::try_from(LARGE).unwrap();
            fs::write(self.path(name), rubbish.repeat(size)).unwrap();
        }

        fn holds(&self, name: &str) -> Option<Arc<Holding>> {
            let path = self.path(name);
            let Opened::Text(text) = open(&path, Whose::Hosts) else {
                panic!("{name}");
            };
            self.1.holds((Kind::Keys, &path), text, &TimeZone::UTC)
        }

        fn read_one(&self) {
            self.1.order().unwrap().read(&self.1);
        }
    }

    #[test]
    fn a_large_file_is_read_apart_and_again_only_once_it_has_changed() {
        let files = Files(tempfile::tempdir().unwrap(), Shelf::default());
        files.write("a", "x\n");
        assert!(files.holds("a").is_none(), "nobody waits for it");
        files.read_one();
        let first = files.holds("a").unwrap();
        assert!(Arc::ptr_eq(&first, &files.holds("a").unwrap()));
        assert!(!files.1.has_orders(), "it has not changed");

        files.write("a", "xy\n");
        let stale = files.holds("a").unwrap();
        assert!(Arc::ptr_eq(&first, &stale), "until the new one is read");
        files.write("b", "x\n");
        assert!(files.holds("b").is_none());
        files.read_one();
        assert!(files.holds("b").is_some(), "first what was never read");
        files.read_one();
        assert!(!Arc::ptr_eq(&first, &files.holds("a").unwrap()));
    }

    #[test]
    fn what_nobody_asks_for_any_more_is_forgotten() {
        let files = Files(tempfile::tempdir().unwrap(), Shelf::default());
        files.write("a", "x\n");
        assert!(files.holds("a").is_none());
        files.1.tidy();
        files.read_one();
        assert!(files.holds("a").is_some());
        files.1.tidy();
        files.1.tidy();
        assert!(files.holds("a").is_none());
    }
}
