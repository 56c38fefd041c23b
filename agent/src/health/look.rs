//! Where checks wait for file systems: in threads that are bounded, of which a check that is stuck
//! holds one and no more.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::sync::Semaphore;
use watchward_daemon::clock;
use watchward_protocol::time::Timestamp;

use super::Found;

/// How many checks look at the same time at most. The runtime has more threads than these
/// (`BLOCKING_THREADS` of the program), so that names are resolved while all of these are stuck.
const PLACES: usize = 16;
/// How long a check waits for a place.
const QUEUE: Duration = Duration::from_secs(2);

/// The places of all checks.
#[derive(Debug)]
pub(super) struct Looks(Arc<Semaphore>);

impl Default for Looks {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }
}

impl Looks {
    /// For one check.
    pub(super) fn one(&self) -> Look {
        Look {
            places: self.0.clone(),
            since: Arc::default(),
        }
    }
}

/// Looks for one check, never twice at the same time.
#[derive(Debug)]
pub(super) struct Look {
    places: Arc<Semaphore>,
    since: Arc<Mutex<Option<Timestamp>>>,
}

impl Look {
    /// Does what may wait for a file system, in a thread. If it is no longer waited for, it goes on
    /// by itself and keeps its place.
    pub(super) async fn at<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stuck> {
        if let Some(stuck) = self.stuck() {
            return Err(stuck);
        }
        let place = tokio::time::timeout(QUEUE, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(Stuck::Others);
        };
        *locked(&self.since) = Some(clock::now());
        let under_way = UnderWay(self.since.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let _held = (place, under_way);
            look()
        });
        looked.await.map_err(|_| Stuck::Broken)
    }

    /// What there is to say while the last look has not ended.
    pub(super) fn stuck(&self) -> Option<Stuck> {
        locked(&self.since).map(Stuck::Since)
    }
}

/// A look that has begun and not ended.
struct UnderWay(Arc<Mutex<Option<Timestamp>>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        *locked(&self.0) = None;
    }
}

fn locked(since: &Mutex<Option<Timestamp>>) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
    since.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why nothing was seen.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stuck {
    /// The last look has not ended.
    #[error("still waiting for the file system since {0}")]
    Since(Timestamp),
    /// There was no place.
    #[error("not looked at: {PLACES} other checks wait for the file system")]
    Others,
    /// It panicked.
    #[error("the look at the file system broke off")]
    Broken,
}

impl From<Stuck> for Found {
    fn from(stuck: Stuck) -> Self {
        Self::unknown(stuck.to_string())
    }
}

/// Reads a regular file, which may hold so many bytes at most. Whoever orders a check chooses the
/// path: neither a pipe that nobody writes to nor a device that never ends may hold the agent.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let irregular = || io::Error::other("it is no regular file");
    // Some devices act when they are opened.
    if !fs::metadata(path)?.is_file() {
        return Err(irregular());
    }
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(irregular());
    }
    let mut bytes = Vec::new();
    let read = file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > most) {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A look that ends when the sender is dropped.
    fn stuck() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (release, released) = mpsc::channel();
        (release, move || {
            let _ = released.recv();
        })
    }

    async fn give_up<T: Send + 'static>(look: &Look, at: impl FnOnce() -> T + Send + 'static) {
        let soon = Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, look.at(at)).await.is_err());
    }

    #[tokio::test]
    async fn a_check_that_is_stuck_looks_again_only_when_it_has_ended() {
        let look = Looks::default().one();
        let (release, waits) = stuck();
        give_up(&look, waits).await;
        let Err(Stuck::Since(since)) = look.at(|| ()).await else {
            panic!("it looks twice");
        };
        assert_eq!(look.stuck(), Some(Stuck::Since(since)));
        drop(release);
        while look.stuck().is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(look.at(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn checks_that_are_stuck_take_a_few_threads_and_no_more() {
        let looks = Looks::default();
        let mut releases = Vec::new();
        for _ in 0..PLACES {
            let (release, waits) = stuck();
            give_up(&looks.one(), waits).await;
            releases.push(release);
        }
        assert_eq!(looks.one().at(|| ()).await, Err(Stuck::Others));
        releases.pop();
        let one = looks.one();
        while one.at(|| ()).await.is_err() {}
    }

    #[test]
    fn what_has_no_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("plain"), "text").unwrap();
        assert_eq!(read(&at("plain"), 4).unwrap(), b"text");
        let why = |path: &Path| read(path, 3).unwrap_err().to_string();
        assert_eq!(why(&at("plain")), "it has more than 3 bytes");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), fifo, mode, 0).unwrap();
        for path in [at("pipe").as_path(), Path::new("/dev/zero"), folder.path()] {
            assert_eq!(why(path), "it is no regular file");
        }
    }
}
