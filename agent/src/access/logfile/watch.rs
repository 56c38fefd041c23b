//! Wakes when something happens to a log: by inotify, where the file system has events.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches logs and the folders they are in.
///
/// The events are left in the kernel until somebody looks: there many writes to one file are one
/// event, so that a busy log wakes nobody for each of its lines.
#[derive(Debug)]
pub(super) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    #[expect(
        deprecated,
        reason = "an OwnedFd stays open, which is all its successor asks for"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        AsyncFd::with_interest(fd, Interest::READABLE).map(Self)
    }

    /// From now on also wakes for this log. Asked again after each rotation: a watch stays with the
    /// file, not with the name.
    pub(super) fn add(&self, log: &Path) -> io::Result<()> {
        if let Some(folder) = log.parent() {
            let names = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM;
            inotify::add_watch(&self.0, folder, names | WatchFlags::ONLYDIR)?;
        }
        match inotify::add_watch(&self.0, log, WatchFlags::MODIFY) {
            Ok(_) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until something happens.
    pub(super) async fn changed(&self) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        ready.clear_ready();
        Ok(())
    }

    /// Forgets what has happened until now.
    pub(super) fn forget(&self) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 1024];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        while events.next().is_ok() {}
    }
}
