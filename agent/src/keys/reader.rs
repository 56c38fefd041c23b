//! Looks at what opens the accounts, waits until something of it changes, and tells what is new.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use watchward_daemon::clock;
use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::keys::Keys;
use watchward_protocol::question::Answer;
use watchward_protocol::restriction::Sshd;
use watchward_protocol::text::Foreign;

use super::config::Config;
use super::inventory::View;
use super::known::Known;
use super::shelf::Shelf;
use super::sweep::{Came, Left, Look};
use super::told::Told;
use super::watch::{Covered, Reached, Watch};

/// What is said of, among all findings.
pub(super) const SUBJECT: &str = "keys";

/// The shortest rest before a look.
const SETTLE: Duration = Duration::from_millis(200);
/// The longest rest before a look.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// The longest rest before a large file is read again.
const LARGE_REST: Duration = Duration::from_secs(10);
/// How often in a row a look is taken again because something new came to be watched.
const AGAIN: usize = 4;
/// So many accounts that do not answer are named.
const MOST_NAMED: usize = 5;

/// What a reader has to say.
#[derive(Debug)]
pub(super) enum Word {
    /// What a holder has.
    Keys(Keys),
    /// What is watched, and what is not.
    Finding(Finding),
    /// Who may come in, as sshd's configuration says.
    Sshd(Sshd),
    /// What is answered to the last question.
    Answer(Answer),
}

/// Nobody listens any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody listens to what opens the accounts")]
pub(super) struct Gone;

/// Where a reader says it.
pub(super) type Mouth = mpsc::Sender<Word>;

/// A finding on this subject.
pub(super) fn finding(state: FindingState, detail: String) -> Finding {
    Finding {
        subject: SUBJECT.to_owned(),
        state,
        detail,
    }
}

/// Reads on and on; everything is told at the start.
pub(super) async fn read(config: &Config, mouth: &Mouth) -> Result<Infallible, Gone> {
    let mut reading = Reading::new(config, mouth);
    let (mut known, mut fresh, mut full_at) = (None, false, Instant::now());
    loop {
        if !fresh || Instant::now() >= full_at {
            known = Known::ask(config, known.as_deref())
                .await
                .inspect_err(|error| {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the accounts of this host cannot be listed");
                })
                .ok()
                .map(Arc::new)
                .or(known);
            fresh = known.is_some();
            full_at = Instant::now() + config.interval.duration();
        }
        let began = Instant::now();
        match &known {
            Some(known) => reading.look(known).await?,
            None => {
                let detail = "not watched: the accounts of this host cannot be listed";
                let finding = finding(FindingState::Failing, detail.to_owned());
                say(mouth, finding).await?;
            }
        }
        // Who changes their file all the time is to cost little, and to hide nobody else's.
        let rest = (began.elapsed() * 4).clamp(SETTLE, LONGEST_REST);
        fresh &= !reading.wait((full_at, rest), known.as_deref()).await;
    }
}

async fn say(mouth: &Mouth, finding: Finding) -> Result<(), Gone> {
    mouth.send(Word::Finding(finding)).await.map_err(|_| Gone)
}

/// What stays from one look to the next.
struct Reading<'a> {
    config: &'a Config,
    mouth: &'a Mouth,
    watch: Option<Arc<Watch>>,
    told: Told,
    /// What was told last of who may come in.
    admits: Option<Sshd>,
    shelf: Arc<Shelf>,
    left: Left,
    /// The large file that is read now, and since when.
    large: Option<(oneshot::Receiver<()>, Instant)>,
    /// When the next one may be.
    large_at: Instant,
}

/// What one look found of all.
#[derive(Default)]
struct Seen {
    files: usize,
    silent: Vec<Foreign>,
    covered: Covered,
}

impl<'a> Reading<'a> {
    fn new(config: &'a Config, mouth: &'a Mouth) -> Self {
        let watch = Watch::new().inspect_err(|error| {
            tracing::warn!(%error, "changes of keys cannot be watched, only looked for");
        });
        Self {
            config,
            mouth,
            watch: watch.ok().map(Arc::new),
            told: Told::default(),
            admits: None,
            shelf: Arc::default(),
            left: Left::default(),
            large: None,
            large_at: Instant::now(),
        }
    }

    /// Looks, and watches what it saw. What came to be watched only now is looked at once more.
    async fn look(&mut self, known: &Arc<Known>) -> Result<(), Gone> {
        if known.said.admits.is_some() && self.admits != known.said.admits {
            self.admits.clone_from(&known.said.admits);
            let told = self.admits.clone().unwrap_or_default();
            let told = self.mouth.send(Word::Sshd(told)).await;
            told.map_err(|_| Gone)?;
        }
        let accounts = known.accounts.list.iter().take(known.opened());
        self.told.keep(accounts.map(|it| &it.name));
        let mut seen = Seen::default();
        for _ in 0..=AGAIN {
            seen = self.sweep(known).await?;
            if !seen.covered.grown {
                break;
            }
        }
        self.shelf.tidy();
        let finding = match known.said.general {
            Some(_) => finding(FindingState::Watched, self.detail(known, &seen)),
            None => {
                let place = self.config.sshd.display();
                let detail = format!("there is no sshd at {place}, so that it opens nothing");
                finding(FindingState::Absent, detail)
            }
        };
        say(self.mouth, finding).await
    }

    /// Looks once, and tells what is new as it comes.
    async fn sweep(&mut self, known: &Arc<Known>) -> Result<Seen, Gone> {
        let (mut seen, now) = (Seen::default(), clock::now());
        let reached = Arc::new(Mutex::new(Reached::default()));
        let look = self.looking(known, &reached);
        let accounts = known.accounts.list.get(..known.opened());
        let mut sweep = self.left.sweep(accounts.unwrap_or_default(), look);
        while let Some((who, came)) = sweep.next().await {
            let keys = match (came, known.accounts.list.get(who)) {
                (Came::Seen((keys, files)), _) => {
                    seen.files += files;
                    keys
                }
                (Came::Nothing(why), Some(account)) => {
                    seen.silent.push(account.name.clone());
                    Some(View::silent(account, &why, now))
                }
                (Came::Nothing(_), None) => None,
            };
            let keys = keys.filter(|keys| self.told.is_news(keys, Instant::now()));
            if let Some(keys) = keys {
                let told = self.mouth.send(Word::Keys(keys)).await;
                told.map_err(|_| Gone)?;
            }
        }
        let reached = std::mem::take(&mut *reached.lock().unwrap_or_else(PoisonError::into_inner));
        seen.covered = match &self.watch {
            Some(watch) => watch.cover(reached),
            None => Covered {
                grown: false,
                obstacle: Some("the kernel watches nothing".to_owned()),
            },
        };
        Ok(seen)
    }

    /// How to look at one account: what it has, and how many files matter.
    fn looking(
        &self,
        known: &Arc<Known>,
        reached: &Arc<Mutex<Reached>>,
    ) -> Look<(Option<Keys>, usize)> {
        let (known, reached) = (known.clone(), reached.clone());
        let (shelf, watch) = (self.shelf.clone(), self.watch.clone());
        let (zone, now) = (TimeZone::system(), clock::now());
        Arc::new(move |who| {
            let view = View {
                accounts: &known.accounts,
                said: &known.said,
                shelf: &shelf,
                zone: &zone,
                now,
            };
            let account = known
                .accounts
                .list
                .get(who)
                .filter(|_| who < known.opened());
            let (keys, mut wanted) = match account {
                Some(account) => view.account(account),
                None => view.host(),
            };
            let count = wanted.files.len();
            if account.is_none() {
                wanted.add(known.wanted());
            }
            if let Some(watch) = &watch {
                watch.reach(&wanted, &reached);
            }
            (keys, count)
        })
    }

    fn detail(&self, known: &Known, seen: &Seen) -> String {
        let (accounts, files, interval) = (known.opened(), seen.files, self.config.interval);
        let mut detail = format!("{accounts} accounts, {files} files, all of it every {interval}");
        if let Some(obstacle) = &seen.covered.obstacle {
            detail.push_str(&format!("; not all changes are seen at once: {obstacle}"));
        }
        if !seen.silent.is_empty() {
            let named = seen.silent.iter().take(MOST_NAMED);
            let named: Vec<_> = named.map(|name| name.shortened(40)).collect();
            let more = seen.silent.len() - named.len();
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            detail.push_str(&format!(
                "; no answer from files of {}{more}",
                named.join(", ")
            ));
        }
        detail
    }

    /// Waits for a change or a moment, and then rests, for what changes together is looked at
    /// together; says whether everything is to be asked for again.
    async fn wait(&mut self, (until, rest): (Instant, Duration), known: Option<&Known>) -> bool {
        let until = self.read_large().unwrap_or(until).min(until);
        let until = self.told.more_at().unwrap_or(until).min(until);
        let watch = self.watch.clone();
        let changed = async {
            match &watch {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        let changed = tokio::select! {
            changed = changed => changed,
            () = sleep_until(until) => return false,
            () = self.left.back() => return false,
            () = large(&mut self.large) => {
                let (_, began) = self.large.take().unwrap_or_else(|| (oneshot::channel().1, until));
                self.large_at = Instant::now() + (began.elapsed() * 4).min(LARGE_REST);
                return false;
            }
        };
        let mut changed = match changed {
            Ok(changed) => changed,
            Err(error) => {
                tracing::warn!(%error, "changes of keys are only looked for now and then");
                sleep_until(until).await;
                return true;
            }
        };
        tokio::time::sleep(rest).await;
        let lost = changed.is_empty();
        changed.extend(watch.as_deref().and_then(Watch::drain).unwrap_or_default());
        lost || known.is_none_or(|known| changed.iter().any(|path| known.rests_on(path)))
    }

    /// Has the next large file read if it is time; else says when it will be.
    fn read_large(&mut self) -> Option<Instant> {
        if self.large.is_some() || !self.shelf.has_orders() {
            return None;
        }
        if Instant::now() < self.large_at {
            return Some(self.large_at);
        }
        let order = self.shelf.order()?;
        let (done, read) = oneshot::channel();
        let shelf = self.shelf.clone();
        let work = move || {
            order.read(&shelf);
            // Nobody waits for it when the program ends.
            let _ = done.send(());
        };
        let thread = thread::Builder::new().name("large-keys".to_owned());
        if let Err(error) = thread.spawn(work) {
            tracing::warn!(%error, "a large file of keys cannot be read now");
        }
        self.large = Some((read, Instant::now()));
        None
    }
}

/// Waits until the large file has been read.
async fn large(large: &mut Option<(oneshot::Receiver<()>, Instant)>) {
    match large {
        Some((read, _)) => {
            // Who reads it has gone without a word: then it is read again.
            let _ = read.await;
        }
        None => std::future::pending().await,
    }
}
