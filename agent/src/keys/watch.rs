//! Wakes when something happens to a file that matters, or on the way to it, whether it exists or not.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches folders, not files: editors put a new file in the place of the old one.
///
/// Not with `notify`, which also asks for each opening of a file: everything on a host opens
/// `/etc/passwd`.
#[derive(Debug)]
pub(super) struct Watch {
    kernel: AsyncFd<OwnedFd>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The folders by the number that the kernel knows them by; one may have several paths.
    folders: HashMap<i32, BTreeSet<PathBuf>>,
    /// What matters: files, and the folders that lead to them.
    paths: BTreeSet<PathBuf>,
    /// Folders in which everything matters.
    whole: BTreeSet<PathBuf>,
}

/// What is to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Files, whether they exist or not.
    pub(super) files: BTreeSet<PathBuf>,
    /// Folders in which any file would matter.
    pub(super) folders: BTreeSet<PathBuf>,
}

impl Wanted {
    /// Wants that too.
    pub(super) fn add(&mut self, more: Self) {
        self.files.extend(more.files);
        self.folders.extend(more.folders);
    }
}

/// What was found on the way to files that matter.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// The number of each folder, and whether what is in its files matters.
    folders: HashMap<PathBuf, (i32, bool)>,
    paths: BTreeSet<PathBuf>,
    whole: BTreeSet<PathBuf>,
    obstacle: Option<String>,
}

/// What came of a wish to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    /// Something is watched that was not before: it may have changed before that.
    pub(super) grown: bool,
    /// Why something is not watched.
    pub(super) obstacle: Option<String>,
}

impl Watch {
    #[expect(
        deprecated,
        reason = "an OwnedFd stays open, which is all its successor asks for"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self {
            kernel: AsyncFd::with_interest(kernel, Interest::READABLE)?,
            state: Mutex::default(),
        })
    }

    /// Begins to watch this too. Looks up paths, and so may take long, or for ever.
    pub(super) fn reach(&self, wanted: &Wanted, reached: &Mutex<Reached>) {
        let mut files = wanted.files.clone();
        // Behind a link, what it leads to matters as well.
        files.extend(wanted.files.iter().filter_map(|it| it.canonicalize().ok()));
        let (near, far) = nearest(&files, &wanted.folders);
        let all = near.iter().map(|it| (it, true));
        for (folder, contents) in all.chain(far.iter().map(|it| (it, false))) {
            let known = lock(reached).folders.get(folder).copied();
            if known.is_some_and(|(_, all)| all || !contents) {
                continue;
            }
            let flags = if contents { NAMES | CONTENTS } else { NAMES };
            let added = self.add(folder, flags);
            lock(reached).add(folder, (added, contents));
        }
        let mut reached = lock(reached);
        reached
            .paths
            .extend(near.into_iter().chain(far).chain(files));
        reached.whole.extend(wanted.folders.iter().cloned());
    }

    /// Watches what was reached from now on, and nothing else.
    pub(super) fn cover(&self, reached: Reached) -> Covered {
        let mut folders: HashMap<i32, BTreeSet<PathBuf>> = HashMap::new();
        for (folder, (number, _)) in reached.folders {
            folders.entry(number).or_default().insert(folder);
        }
        let mut state = self.state();
        for gone in state.folders.keys().filter(|it| !folders.contains_key(it)) {
            // The kernel may have dropped it by itself.
            let _ = inotify::remove_watch(&self.kernel, *gone);
        }
        let grown = folders.keys().any(|it| !state.folders.contains_key(it));
        state.folders = folders;
        state.paths = reached.paths;
        state.whole = reached.whole;
        let obstacle = reached.obstacle;
        Covered { grown, obstacle }
    }

    fn add(&self, folder: &Path, flags: WatchFlags) -> rustix::io::Result<i32> {
        let flags = flags | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD;
        inotify::add_watch(&self.kernel, folder, flags)
    }

    /// Waits until something happened to what matters, and says to which paths; none: too much for
    /// the kernel to say.
    pub(super) async fn changed(&self) -> io::Result<BTreeSet<PathBuf>> {
        loop {
            let mut ready = self.kernel.readable().await?;
            ready.clear_ready();
            if let Some(changed) = self.drain() {
                return Ok(changed);
            }
            // Beside what matters there may be what changes all the time.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// What happened until now to what matters.
    pub(super) fn drain(&self) -> Option<BTreeSet<PathBuf>> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 16 << 10];
        let mut events = inotify::Reader::new(&self.kernel, &mut buffer);
        let (mut changed, mut any, mut lost) = (BTreeSet::new(), false, false);
        let mut state = self.state();
        while let Ok(event) = events.next() {
            lost |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            let name = event
                .file_name()
                .map(|name| OsStr::from_bytes(name.to_bytes()));
            let folders = state.folders.get(&event.wd());
            for folder in folders.into_iter().flatten() {
                let path = name.map_or_else(|| folder.clone(), |name| folder.join(name));
                if state.paths.contains(&path) || state.whole.contains(folder) {
                    changed.insert(path);
                    any = true;
                }
            }
            if event.events().contains(ReadFlags::IGNORED) {
                state.folders.remove(&event.wd());
            }
        }
        if lost {
            return Some(BTreeSet::new());
        }
        any.then_some(changed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Reached {
    fn add(&mut self, folder: &Path, (added, contents): (rustix::io::Result<i32>, bool)) {
        match added {
            Ok(number) => {
                self.folders.insert(folder.to_owned(), (number, contents));
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NAMETOOLONG) => {}
            Err(rustix::io::Errno::NOSPC) => {
                self.obstacle = Some("the kernel watches no more (max_user_watches)".to_owned());
            }
            Err(error) => {
                self.obstacle = Some(format!("{} cannot be watched: {error}", folder.display()));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names that come, go and change owner or mode.
const NAMES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// Also while a file is still held open, or whoever wrote it could keep it from being seen.
const CONTENTS: WatchFlags = WatchFlags::CLOSE_WRITE.union(WatchFlags::MODIFY);

/// The folders that files are in, and those that lead there.
fn nearest(
    files: &BTreeSet<PathBuf>,
    whole: &BTreeSet<PathBuf>,
) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let parents = files.iter().filter_map(|file| file.parent());
    let near: BTreeSet<PathBuf> = parents.map(Path::to_owned).chain(whole.clone()).collect();
    let above = near.iter().flat_map(|folder| folder.ancestors().skip(1));
    let far = above.filter(|folder| !near.contains(*folder));
    let far = far.map(Path::to_owned).collect();
    (near, far)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn cover(watch: &Watch, wanted: &Wanted) -> Covered {
        let reached = Mutex::default();
        watch.reach(wanted, &reached);
        watch.cover(reached.into_inner().unwrap())
    }

    async fn woken(watch: &Watch) -> BTreeSet<PathBuf> {
        let bound = Duration::from_secs(60);
        tokio::time::timeout(bound, watch.changed())
            .await
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn a_file_is_watched_before_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let ssh = folder.path().join("zoe/.ssh");
        let file = ssh.join("authorized_keys");
        let wanted = Wanted {
            files: BTreeSet::from([file.clone()]),
            folders: BTreeSet::from([folder.path().join("d")]),
        };
        let watch = Watch::new().unwrap();
        assert_eq!(
            cover(&watch, &wanted),
            Covered {
                grown: true,
                obstacle: None
            }
        );
        assert!(!cover(&watch, &wanted).grown, "nothing new");
        for step in [folder.path().join("zoe"), ssh.clone()] {
            fs::write(folder.path().join("other"), "of no matter").unwrap();
            fs::create_dir(&step).unwrap();
            assert_eq!(woken(&watch).await, BTreeSet::from([step]));
            assert!(cover(&watch, &wanted).grown);
        }
        fs::write(&file, "key").unwrap();
        assert_eq!(woken(&watch).await, BTreeSet::from([file.clone()]));
        fs::rename(&ssh, folder.path().join("zoe/away")).unwrap();
        assert!(woken(&watch).await.contains(&ssh));
    }

    #[tokio::test]
    async fn behind_a_link_the_file_itself_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("a/link"));
        fs::write(&real, "").unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let watch = Watch::new().unwrap();
        let files = BTreeSet::from([link]);
        let folders = BTreeSet::new();
        cover(&watch, &Wanted { files, folders });
        fs::write(&real, "key").unwrap();
        assert_eq!(
            woken(&watch).await,
            BTreeSet::from([real.canonicalize().unwrap()])
        );
    }
}
