//! Wakes when the policy's file was written, put in place, or taken away, by inotify.

use std::future::pending;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches the folder that a file is in: editors and package managers put another in its place.
#[derive(Debug)]
pub(super) struct Watch {
    file: PathBuf,
    events: Option<AsyncFd<OwnedFd>>,
}

impl Watch {
    /// From now on watches this file. Where that cannot be, it never wakes, and says so once.
    pub(super) fn of(file: &Path) -> Self {
        let events = watch(file).inspect_err(|error| {
            let file = file.display();
            tracing::warn!(%file, %error, "changes of the policy's file are seen at a reload only");
        });
        Self {
            file: file.to_owned(),
            events: events.ok(),
        }
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Waits until something was written to its end there, put there, or taken away.
    pub(super) async fn changed(&self) {
        let Some(events) = &self.events else {
            return pending().await;
        };
        let Ok(mut ready) = events.readable().await else {
            return pending().await;
        };
        ready.clear_ready();
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = inotify::Reader::new(events, &mut buffer);
        while reader.next().is_ok() {}
    }
}

#[expect(
    deprecated,
    reason = "an OwnedFd stays open, which is all its successor asks for"
)]
fn watch(file: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let put = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
    let gone = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
    let flags = put | gone | WatchFlags::ONLYDIR;
    inotify::add_watch(&events, folder, flags)?;
    AsyncFd::with_interest(events, Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn wakes_when_the_file_is_written_and_when_it_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        let watch = Watch::of(&file);
        let woken = async || {
            let bound = Duration::from_secs(20);
            tokio::time::timeout(bound, watch.changed()).await.is_ok()
        };
        std::fs::write(&file, "").unwrap();
        assert!(woken().await, "it was written");
        std::fs::remove_file(&file).unwrap();
        assert!(woken().await, "it was taken away");
    }
}
