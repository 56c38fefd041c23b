//! Ends the sessions that a revoked key opened, and tells of each once.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use watchward_daemon::clock;
use watchward_enforcer::keys::{Answer, Request, Session};
use watchward_protocol::access::{AccessEvent, Outcome};
use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::instruments::{Ended, Holding, Way};
use watchward_protocol::question::{self, Left, Question};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::list::{List, Opener};
use super::live::{Monitor, monitors};
use super::role::Role;
use super::survivors::Survivors;
use crate::findings::{Findings, taken_back};
use crate::keys::accounts::Accounts;
use crate::logins::{self, Logins};
use crate::uplink::Asked;

/// So much later than it wrote of a login may a process seem to have begun: two clocks are compared.
const SLACK: Duration = Duration::from_secs(2);
/// Whoever has not signed in by then is sent away by sshd (`LoginGraceTime` is two minutes), or somebody
/// has set it otherwise.
const GRACE: Duration = Duration::from_secs(150);
/// How long it may take to see what a session left behind.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether that was the last that a login needed.
fn is_in(login: &AccessEvent) -> bool {
    login.outcome == Outcome::Success
}

/// What is known of sessions.
pub(super) struct Sweep {
    logins: Logins,
    reader: mpsc::Sender<Asked>,
    findings: Findings,
    /// What opened each that lives: all that sshd took.
    known: HashMap<Monitor, Vec<AccessEvent>>,
    /// What was told of those that do not end.
    refused: HashMap<Monitor, String>,
    /// Those of which nobody knows what opened them, and since when they are open.
    unknown: HashMap<Monitor, Timestamp>,
}

impl Sweep {
    pub(super) fn new(logins: Logins, reader: mpsc::Sender<Asked>, findings: Findings) -> Self {
        Self {
            logins,
            reader,
            findings,
            unknown: HashMap::new(),
            known: HashMap::new(),
            refused: HashMap::new(),
        }
    }

    /// Ends what is to end, and says what became of it.
    pub(super) async fn sweep(&mut self, list: &List, role: &mut Role) -> Vec<Ended> {
        if list.is_empty() {
            self.unknown.clear();
            return Vec::new();
        }
        let live = spawn_blocking(monitors).await.unwrap_or_default();
        self.known.retain(|monitor, _| live.contains(monitor));
        self.refused.retain(|monitor, _| live.contains(monitor));
        self.learn(&live).await;
        self.admit(&live);
        let mut ended = Vec::new();
        for (monitor, logins) in self.known.clone() {
            let revoked = |login: AccessEvent| {
                let opener = Opener::of(&login)?;
                list.revokes(&opener).then_some(login)
            };
            let Some(login) = logins.into_iter().find_map(revoked) else {
                continue;
            };
            let account = login.user.as_ref().map(|it| it.name.clone());
            let before = spawn_blocking(move || Survivors::before(monitor, account)).await;
            let session = Session {
                pid: monitor.pid,
                started: monitor.started,
            };
            let how = match role.ask(Request::End(session)).await {
                Ok(Answer::Done) => Way::Ended,
                Ok(Answer::Gone) => Way::Gone,
                Ok(Answer::Refused(why)) | Err(why) => Way::Refused(why),
                Ok(Answer::Holding(_) | Answer::Processes(_)) => continue,
            };
            if !self.is_news(monitor, &how) {
                continue;
            }
            let mut survivors = match before {
                Ok(before) => after(before, (&login, monitor), role).await,
                Err(_) => Vec::new(),
            };
            survivors.extend(self.left(&login).await);
            survivors.truncate(Ended::MOST_SURVIVORS);
            ended.extend(told(&login, monitor, how, survivors));
        }
        ended
    }

    /// What it left behind in files.
    async fn left(&self, login: &AccessEvent) -> Vec<String> {
        let Some(user) = &login.user else {
            return Vec::new();
        };
        let (answer, said) = oneshot::channel();
        let question = Question::Left(Left {
            account: user.name.clone(),
            since: login.at,
        });
        let asked = Asked { question, answer };
        let asking = async {
            self.reader.send(asked).await.ok()?;
            said.await.ok()
        };
        match timeout(PATIENCE, asking).await {
            Ok(Some(question::Answer::Left(left))) => left,
            Ok(_) | Err(_) => vec!["nobody could see which files it changed".to_owned()],
        }
    }

    /// Since when sessions are open of which nobody knows what opened them, the oldest first.
    pub(super) fn unknown(&self) -> Vec<Timestamp> {
        let mut since: Vec<Timestamp> = self.unknown.values().copied().collect();
        since.sort_unstable();
        since.truncate(Holding::MOST_UNKNOWN);
        since
    }

    /// Says of how many sessions nobody knows what opened them: these do not end.
    fn admit(&mut self, live: &[Monitor]) {
        let (now, before) = (clock::now(), self.unknown.len());
        self.unknown
            .retain(|it, _| live.contains(it) && !self.known.contains_key(it));
        for monitor in live.iter().filter(|it| !self.known.contains_key(it)) {
            if let Some(began) = monitor.began(now).filter(|it| *it + GRACE < now) {
                // Each time that it is reckoned it is another by some thousandths of a second.
                self.unknown.entry(*monitor).or_insert(began);
            }
        }
        let unknown = self.unknown.len();
        if unknown == before {
            return;
        }
        let subject = "keys: sessions".to_owned();
        let finding = match unknown {
            0 => taken_back(subject),
            unknown => Finding {
                subject,
                state: FindingState::Failing,
                detail: match unknown {
                    1 => "of 1 session of sshd it is not known what opened it: it does not end when a \
                          key is revoked"
                        .to_owned(),
                    many => format!(
                        "of {many} sessions of sshd it is not known what opened them: they do not \
                         end when a key is revoked"
                    ),
                },
            },
        };
        // Without anybody to hear it the agent is ending.
        let _ending = self.findings.send(finding);
    }

    /// Asks who opened those of which it is not known.
    async fn learn(&mut self, live: &[Monitor]) {
        let strange: Vec<Monitor> = live
            .iter()
            .filter(|it| !self.known.get(it).is_some_and(|all| all.iter().any(is_in)))
            .copied()
            .collect();
        if strange.is_empty() {
            return;
        }
        let (answer, said) = oneshot::channel();
        let processes = strange.iter().map(|it| it.pid).collect();
        let asked = logins::Asked { processes, answer };
        let sent = self.logins.send(asked).await;
        let logins = match (sent, said.await) {
            (Ok(()), Ok(Ok(logins))) => logins,
            (_, Ok(Err(why))) => {
                tracing::warn!(why, "it is not known which keys opened the sessions");
                return;
            }
            (Err(_), _) | (_, Err(_)) => return,
        };
        let now = clock::now();
        self.known.retain(|it, _| !strange.contains(it));
        for login in logins {
            let monitor = strange.iter().find(|it| Some(it.pid) == login.pid);
            // What an earlier process of that number wrote is not of this one.
            let own = |it: &&Monitor| it.began(now).is_some_and(|it| it <= login.at + SLACK);
            if let Some(monitor) = monitor.filter(own) {
                self.known.entry(*monitor).or_default().push(login);
            }
        }
    }

    /// Whether this was not told already.
    fn is_news(&mut self, monitor: Monitor, how: &Way) -> bool {
        match how {
            Way::Ended | Way::Gone => {
                self.known.remove(&monitor);
                true
            }
            Way::Refused(why) => {
                let before = self.refused.insert(monitor, why.clone());
                before.as_ref() != Some(why)
            }
        }
    }
}

/// What is left of a session.
async fn after(
    before: Survivors,
    (login, monitor): (&AccessEvent, Monitor),
    role: &mut Role,
) -> Vec<String> {
    let user = match (before.user, &login.user) {
        (Some(user), _) => Some(user),
        (None, Some(named)) => user_of(&named.name).await,
        (None, None) => None,
    };
    let (mut since, mut unseen) = (Vec::new(), None);
    if let Some(user) = user {
        let started = monitor.started;
        match role.ask(Request::Since { user, started }).await {
            Ok(Answer::Processes(processes)) => since = processes,
            Ok(Answer::Refused(why)) | Err(why) => unseen = Some(why),
            Ok(Answer::Done | Answer::Gone | Answer::Holding(_)) => {}
        }
    }
    let said = spawn_blocking(move || before.after(&since, user)).await;
    let unseen = unseen.map(|why| format!("what else its user runs could not be seen: {why}"));
    said.unwrap_or_default().into_iter().chain(unseen).collect()
}

/// The number of an account.
async fn user_of(account: &Foreign) -> Option<u32> {
    let accounts = Accounts::ask().await.ok()?;
    let mut accounts = accounts.list.into_iter();
    accounts.find(|it| it.name == *account).map(|it| it.uid)
}

fn told(login: &AccessEvent, monitor: Monitor, how: Way, survivors: Vec<String>) -> Option<Ended> {
    let account = login.user.as_ref()?.name.clone();
    tracing::info!(account = %account, pid = monitor.pid, ?how, ?survivors, "a session of a revoked key");
    Some(Ended {
        at: clock::now(),
        account,
        address: login.peer.map(|it| it.address),
        fingerprint: login.key.as_ref()?.fingerprint.clone(),
        opened_at: login.at,
        leader: monitor.pid,
        how,
        survivors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_when_sessions_are_open_of_which_nobody_knows_what_opened_them_is_said() {
        let (logins, reader) = (mpsc::channel(1).0, mpsc::channel(1).0);
        let (findings, mut said) = mpsc::unbounded_channel();
        let mut sweep = Sweep::new(logins, reader, findings);
        // It began with the machine, unless that began a moment ago.
        let monitor = |pid| Monitor { pid, started: 0 };
        let old = monitor(1).began(clock::now());
        if old.is_none_or(|it| it + GRACE > clock::now()) {
            return;
        }
        let new = Monitor {
            started: u64::MAX,
            ..monitor(3)
        };
        sweep.known.insert(monitor(2), Vec::new());
        let live = [monitor(1), monitor(2), new];
        sweep.admit(&live);
        let unknown = sweep.unknown();
        assert_eq!(unknown.len(), 1, "one is known, and one came just now");
        let finding = said.try_recv().unwrap();
        assert!(
            finding
                .detail
                .contains("of 1 session of sshd it is not known"),
            "{finding:?}"
        );
        sweep.admit(&live);
        assert_eq!(sweep.unknown(), unknown, "the same is no news");
        assert!(said.try_recv().is_err());
        sweep.admit(&[new]);
        assert!(sweep.unknown().is_empty(), "it is over");
        assert_eq!(said.try_recv().unwrap().state, FindingState::Absent);
    }
}
