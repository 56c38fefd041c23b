//! Looks at what opens the accounts, waits until something of it changes, and tells what is new.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use watchward_daemon::clock;
use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::keys::Keys;

use super::accounts::Accounts;
use super::config::Config;
use super::inventory::{self, Found};
use super::sshd::Said;
use super::told::Told;
use super::watch::{Covered, Wanted, Watch};

/// What is said of, among all findings.
pub(super) const SUBJECT: &str = "keys";

/// The shortest rest before a look.
const SETTLE: Duration = Duration::from_millis(200);
/// The longest rest before a look.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// How long a look at all files may take: there may be one on a server that does not answer.
const LONGEST: Duration = Duration::from_secs(60);
/// How often in a row a look is taken again because something new came to be watched.
const AGAIN: usize = 4;

/// What a reader has to say.
#[derive(Debug)]
pub(super) enum Word {
    /// What a holder has.
    Keys(Keys),
    /// What is watched, and what is not.
    Finding(Finding),
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

/// Files whose change may mean another account, or another group that a `Match` names.
const ACCOUNTS: [&str; 2] = ["/etc/passwd", "/etc/group"];

/// Reads on and on; everything is told at the start.
pub(super) async fn read(config: &Config, mouth: &Mouth) -> Result<Infallible, Gone> {
    let (mut told, mut known) = (Told::default(), None);
    let watch = match Watch::new() {
        Ok(watch) => Some(Arc::new(watch)),
        Err(error) => {
            tracing::warn!(%error, "changes of keys cannot be watched, only looked for");
            None
        }
    };
    let (mut full_at, mut looking) = (Instant::now(), None);
    loop {
        if known.is_none() || Instant::now() >= full_at {
            known = Known::ask(config).await.map(Arc::new).map_or_else(
                |error| {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the accounts of this host cannot be listed");
                    None
                },
                Some,
            );
            full_at = Instant::now() + config.interval.duration();
        }
        let began = Instant::now();
        let seen = match &known {
            Some(known) => look(known, watch.as_ref(), &mut looking).await,
            None => Err(anyhow::anyhow!(
                "the accounts of this host cannot be listed"
            )),
        };
        let more_at = match seen {
            Ok(seen) => seen.tell(&mut told, config, mouth).await?,
            Err(error) => {
                let detail = format!("not watched: {error:#}");
                say(mouth, finding(FindingState::Failing, detail)).await?;
                None
            }
        };
        // Who changes their file all the time is to cost little, and to hide nobody else's.
        let rest = (began.elapsed() * 4).clamp(SETTLE, LONGEST_REST);
        let until = more_at.map_or(full_at, |at| at.min(full_at));
        if wait(watch.as_deref(), (until, rest), known.as_deref()).await {
            known = None;
        }
    }
}

async fn say(mouth: &Mouth, finding: Finding) -> Result<(), Gone> {
    mouth.send(Word::Finding(finding)).await.map_err(|_| Gone)
}

/// Waits for a change or a moment, and then rests, for what changes together is looked at together;
/// says whether everything is to be asked for again.
async fn wait(
    watch: Option<&Watch>,
    (until, rest): (Instant, Duration),
    known: Option<&Known>,
) -> bool {
    let changed = async {
        match watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    };
    let mut changed = tokio::select! {
        changed = changed => match changed {
            Ok(changed) => changed,
            Err(error) => {
                tracing::warn!(%error, "changes of keys are only looked for now and then");
                tokio::time::sleep_until(until).await;
                return true;
            }
        },
        () = tokio::time::sleep_until(until) => return false,
    };
    tokio::time::sleep(rest).await;
    let lost = changed.is_empty();
    changed.extend(watch.and_then(Watch::drain).unwrap_or_default());
    lost || known.is_none_or(|known| changed.iter().any(|path| known.rests_on(path)))
}

/// What was asked for, and holds until what it rests on changes.
#[derive(Debug)]
struct Known {
    accounts: Accounts,
    said: Said,
}

impl Known {
    async fn ask(config: &Config) -> anyhow::Result<Self> {
        let accounts = Accounts::ask().await?;
        let said = Said::ask(&config.sshd, &accounts).await;
        Ok(Self { accounts, said })
    }

    fn rests_on(&self, path: &Path) -> bool {
        let places = &self.said.layout.places;
        let inside = path.parent().is_some_and(|folder| places.contains(folder));
        // A folder on the way to one of them may have come or gone.
        let above = places.iter().any(|place| place.starts_with(path));
        inside
            || above
            || ACCOUNTS
                .iter()
                .any(|file| Path::new(file).starts_with(path))
    }

    fn wanted(&self, found: &Found) -> Wanted {
        let mut wanted = Wanted {
            files: found.files.clone(),
            ..Wanted::default()
        };
        wanted.files.extend(ACCOUNTS.map(PathBuf::from));
        for place in &self.said.layout.places {
            if place.is_dir() {
                wanted.folders.insert(place.clone());
            } else {
                wanted.files.insert(place.clone());
            }
        }
        wanted
    }
}

/// What a look has seen.
struct Seen {
    keys: Vec<Keys>,
    files: usize,
    obstacle: Option<String>,
}

/// Looks, and watches what it saw. What came to be watched only now is looked at once more.
/// One that takes too long is waited for again, or every thread would end up on the same dead server.
async fn look(
    known: &Arc<Known>,
    watch: Option<&Arc<Watch>>,
    looking: &mut Option<JoinHandle<Seen>>,
) -> anyhow::Result<Seen> {
    let begin = || begin(known.clone(), watch.cloned());
    let done = timeout(LONGEST, looking.get_or_insert_with(begin)).await;
    let done = done.context("the files of the accounts take longer than a minute to read")?;
    *looking = None;
    done.context("the look at the files failed")
}

fn begin(known: Arc<Known>, watch: Option<Arc<Watch>>) -> JoinHandle<Seen> {
    let now = clock::now();
    tokio::task::spawn_blocking(move || {
        let mut again = 0;
        loop {
            let found = inventory::look(&known.accounts, &known.said, now);
            let covered = match &watch {
                Some(watch) => watch.cover(&known.wanted(&found)),
                None => Covered {
                    grown: false,
                    obstacle: Some("the kernel watches nothing".to_owned()),
                },
            };
            again += 1;
            if !covered.grown || again > AGAIN {
                return Seen {
                    keys: found.keys,
                    files: found.files.len(),
                    obstacle: covered.obstacle,
                };
            }
        }
    })
}

impl Seen {
    /// Tells what is new, and when there will be more.
    async fn tell(
        self,
        told: &mut Told,
        config: &Config,
        mouth: &Mouth,
    ) -> Result<Option<Instant>, Gone> {
        let accounts = self.keys.len().saturating_sub(1);
        let (files, interval) = (self.files, config.interval);
        let mut detail = format!("{accounts} accounts, {files} files, all of it every {interval}");
        if let Some(obstacle) = self.obstacle {
            detail = format!("{detail}; not all changes are seen at once: {obstacle}");
        }
        say(mouth, finding(FindingState::Watched, detail)).await?;
        let news = told.news(self.keys, Instant::now());
        for keys in news.keys {
            mouth.send(Word::Keys(keys)).await.map_err(|_| Gone)?;
        }
        Ok(news.more_at)
    }
}
