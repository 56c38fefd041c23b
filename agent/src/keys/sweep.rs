//! One look at all accounts, one after the other, that goes on where the files of one do not answer.
//!
//! A folder on a server that is gone, or of a program that does not answer, can keep whoever looks
//! into it for ever, and nothing ends such a look. So looks have threads of their own, and a thread
//! that does not come back is left behind: its account is said not to answer until it does.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::accounts::Account;
use super::mounts::Mounts;

/// How long the look at one account may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many threads are left behind at most.
const MOST_LEFT: usize = 16;

/// A look at the account of this number; the number after the last is the host itself.
pub(super) type Look<T> = Arc<dyn Fn(usize) -> T + Send + Sync>;

/// Looks that have not come back.
#[derive(Debug, Default)]
pub(super) struct Left {
    all: Vec<Lost>,
    back: Arc<Notify>,
}

/// Goes when the thread that holds the other end has come back.
type Running = Weak<()>;

/// A look that has not come back.
#[derive(Debug)]
struct Lost {
    home: PathBuf,
    /// What its home is on: nobody's home there is looked at.
    place: Option<PathBuf>,
    running: Running,
}

/// What came of a look.
#[derive(Debug)]
pub(super) enum Came<T> {
    /// This was seen.
    Seen(T),
    /// Nothing, because of this.
    Nothing(String),
}

impl Left {
    /// Begins to look at all accounts, and at the host at the end.
    pub(super) fn sweep<T: Send + 'static>(
        &mut self,
        accounts: &[Account],
        look: Look<T>,
    ) -> Sweep<'_, T> {
        self.all.retain(|it| it.running.strong_count() > 0);
        let homes = accounts.iter().map(|it| it.home.clone()).collect();
        let mut sweep = Sweep {
            left: self,
            homes,
            look,
            queue: Arc::new(Mutex::new((0..=accounts.len()).collect())),
            silent: VecDeque::new(),
            lane: None,
        };
        sweep.pass_over();
        sweep
    }

    /// Waits until a look comes back that was left behind.
    pub(super) async fn back(&self) {
        self.back.notified().await;
    }
}

/// A look at all accounts.
pub(super) struct Sweep<'a, T> {
    left: &'a mut Left,
    homes: Vec<PathBuf>,
    look: Look<T>,
    queue: Arc<Mutex<VecDeque<usize>>>,
    /// Who is not looked at, and why.
    silent: VecDeque<(usize, String)>,
    lane: Option<Lane<T>>,
}

/// The thread that looks.
struct Lane<T> {
    steps: mpsc::Receiver<Step<T>>,
    /// Where it is.
    at: Option<usize>,
    running: Running,
}

enum Step<T> {
    Begun(usize),
    Done(usize, T),
}

impl<T: Send + 'static> Sweep<'_, T> {
    /// What came of the next look, and whose it was; none, if it was the last.
    pub(super) async fn next(&mut self) -> Option<(usize, Came<T>)> {
        loop {
            if let Some((who, why)) = self.silent.pop_front() {
                return Some((who, Came::Nothing(why)));
            }
            let Some(lane) = &mut self.lane else {
                self.begin()?;
                continue;
            };
            match timeout(PATIENCE, lane.steps.recv()).await {
                Ok(Some(Step::Begun(who))) => lane.at = Some(who),
                Ok(Some(Step::Done(who, seen))) => {
                    lane.at = None;
                    return Some((who, Came::Seen(seen)));
                }
                Ok(None) => {
                    let failed = lane.at.take();
                    self.lane = None;
                    let why = "the look at its files failed".to_owned();
                    self.silent.extend(failed.map(|who| (who, why)));
                }
                Err(_) => self.leave(),
            }
        }
    }

    /// Begins with what is left to look at, if there is anything.
    fn begin(&mut self) -> Option<()> {
        if lock(&self.queue).is_empty() {
            return None;
        }
        let (say, steps) = mpsc::channel(16);
        let (queue, look) = (self.queue.clone(), self.look.clone());
        let back = self.left.back.clone();
        let runs = Arc::new(());
        let running = Arc::downgrade(&runs);
        let work = move || {
            let left = work(&queue, &look, &say).is_none();
            drop(runs);
            if left {
                back.notify_one();
            }
        };
        match thread::Builder::new().name("keys".to_owned()).spawn(work) {
            Ok(_) => {
                self.lane = Some(Lane {
                    steps,
                    at: None,
                    running,
                });
            }
            Err(error) => self.skip_all(&format!("no thread can be had: {error}")),
        }
        Some(())
    }

    /// Leaves a look behind that does not come back.
    fn leave(&mut self) {
        let Some(lane) = self.lane.take_if(|it| it.at.is_some()) else {
            return;
        };
        let who = lane.at.unwrap_or_default();
        let home = self.homes.get(who).cloned().unwrap_or_default();
        let place = Mounts::now().foreign(&home).map(Path::to_owned);
        self.silent.push_back((who, silence(place.as_deref())));
        self.left.all.push(Lost {
            home,
            place,
            running: lane.running,
        });
        self.pass_over();
        if self.left.all.len() >= MOST_LEFT {
            self.skip_all("too many others do not answer");
        }
    }

    /// Passes over those who are known not to answer.
    fn pass_over(&mut self) {
        let lost = &self.left.all;
        if lost.is_empty() {
            return;
        }
        let mounts = Mounts::now();
        let (homes, silent) = (&self.homes, &mut self.silent);
        lock(&self.queue).retain(|who| {
            let Some(home) = homes.get(*who) else {
                return true;
            };
            let place = mounts.foreign(home);
            let same =
                |it: &&Lost| it.home == *home || place.is_some() && it.place.as_deref() == place;
            let Some(lost) = lost.iter().find(same) else {
                return true;
            };
            silent.push_back((*who, silence(lost.place.as_deref())));
            false
        });
    }

    fn skip_all(&mut self, why: &str) {
        let rest = lock(&self.queue).drain(..).collect::<Vec<_>>();
        self.silent
            .extend(rest.into_iter().map(|who| (who, why.to_owned())));
    }
}

/// Looks at one after the other; none, if nobody waits any more.
fn work<T>(
    queue: &Mutex<VecDeque<usize>>,
    look: &Look<T>,
    say: &mpsc::Sender<Step<T>>,
) -> Option<()> {
    loop {
        let Some(next) = lock(queue).pop_front() else {
            return Some(());
        };
        say.blocking_send(Step::Begun(next)).ok()?;
        say.blocking_send(Step::Done(next, look(next))).ok()?;
    }
}

fn silence(place: Option<&Path>) -> String {
    match place {
        Some(place) => format!("its files do not answer, for {} does not", place.display()),
        None => "its files do not answer".to_owned(),
    }
}

fn lock<T>(queue: &Mutex<T>) -> MutexGuard<'_, T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::keys::accounts::Accounts;

    fn accounts(count: usize) -> Accounts {
        let line = |number| format!("a{number}:x:{number}:{number}::/home/a{number}:\n");
        let text: String = (0..count).map(line).collect();
        Accounts::read(text.as_bytes())
    }

    async fn all(mut sweep: Sweep<'_, usize>) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let (mut seen, mut silent) = (BTreeSet::new(), BTreeSet::new());
        while let Some((who, came)) = sweep.next().await {
            let new = match came {
                Came::Seen(found) => seen.insert(found),
                Came::Nothing(_) => silent.insert(who),
            };
            assert!(new, "{who} twice");
        }
        (seen, silent)
    }

    #[tokio::test]
    async fn who_does_not_answer_holds_up_nobody_and_is_looked_at_once_it_does() {
        let accounts = accounts(9);
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let (mut left, gate) = (Left::default(), Mutex::new(gate));
        let look: Look<usize> = Arc::new(move |who| {
            if who == 3 || who == 7 {
                // Until the other end is dropped.
                let _ = lock(&gate).recv();
            }
            who
        });
        for _ in 0..2 {
            let (seen, silent) = all(left.sweep(&accounts.list, look.clone())).await;
            assert_eq!(silent, BTreeSet::from([3, 7]));
            assert_eq!(seen.len(), 8, "and the host itself");
            assert_eq!(left.all.len(), 2, "nobody waits for the same one twice");
        }
        drop(open);
        let back = async {
            while left.all.iter().any(|it| it.running.strong_count() > 0) {
                left.back().await;
            }
        };
        timeout(Duration::from_secs(60), back).await.unwrap();
        let (seen, _) = all(left.sweep(&accounts.list, look.clone())).await;
        assert_eq!(seen.len(), 10);
    }

    #[tokio::test]
    async fn a_look_that_fails_is_said_and_ends_no_other() {
        let accounts = accounts(3);
        let look: Look<usize> = Arc::new(|who| {
            assert_ne!(who, 1, "this one fails");
            who
        });
        let (seen, silent) = all(Left::default().sweep(&accounts.list, look)).await;
        assert_eq!(
            (seen, silent),
            (BTreeSet::from([0, 2, 3]), BTreeSet::from([1]))
        );
    }
}
