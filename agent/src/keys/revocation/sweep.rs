//! Ends the sessions that a revoked key opened, and tells of each once.

use std::collections::{HashMap, HashSet};
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
use super::processes::Process;
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
/// How long it may take to see what opened sessions, or what one left behind.
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
    /// Of how many it was told that this lasts.
    lasting: usize,
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
            lasting: 0,
        }
    }

    /// Looks which sessions there are, and what opened them.
    pub(super) async fn look(&mut self, list: &List) {
        if list.is_empty() {
            self.unknown.clear();
            return;
        }
        let seen = spawn_blocking(|| {
            let live = monitors();
            let let_in = live.iter().copied().filter(|it| has_let_in(*it)).collect();
            (live, let_in)
        });
        let (live, let_in) = seen.await.unwrap_or_default();
        self.known.retain(|monitor, _| live.contains(monitor));
        self.refused.retain(|monitor, _| live.contains(monitor));
        self.learn(&live).await;
        self.admit(&live, &let_in);
    }

    /// Ends what is to end of the sessions that were seen, and says what became of it.
    pub(super) async fn end(&mut self, list: &List, role: &mut Role) -> Vec<Ended> {
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

    /// Whether it is known what opened it: a key that did not do alone says nothing of what did.
    fn knows(&self, monitor: &Monitor) -> bool {
        let logins = self.known.get(monitor);
        logins.is_some_and(|all| all.iter().any(is_in))
    }

    /// Notes of which sessions nobody knows what opened them: these do not end. People are told of how
    /// many this lasts, for what sshd wrote just now may be read a moment later.
    fn admit(&mut self, live: &[Monitor], let_in: &HashSet<Monitor>) {
        let now = clock::now();
        let mut unknown = HashMap::new();
        for monitor in live.iter().filter(|it| !self.knows(it)) {
            // Each time that it is reckoned it is another by some thousandths of a second.
            let before = self.unknown.get(monitor).copied();
            let began = before.or_else(|| monitor.began(now));
            let is_open = |began: &Timestamp| let_in.contains(monitor) || *began + GRACE < now;
            unknown.extend(began.filter(is_open).map(|it| (*monitor, it)));
        }
        self.unknown = unknown;
        let lasts = self.unknown.values().filter(|it| **it + GRACE < now);
        let unknown = lasts.count();
        if std::mem::replace(&mut self.lasting, unknown) == unknown {
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
        let strange: Vec<Monitor> = live.iter().filter(|it| !self.knows(it)).copied().collect();
        if strange.is_empty() {
            return;
        }
        let (answer, said) = oneshot::channel();
        let processes = strange.iter().map(|it| it.pid).collect();
        let asked = logins::Asked { processes, answer };
        let asking = async {
            self.logins.send(asked).await.ok()?;
            said.await.ok()
        };
        let answer = match timeout(PATIENCE, asking).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return,
            Err(_) => Err("nobody said in time".to_owned()),
        };
        let logins = match answer {
            Ok(logins) => logins,
            Err(why) => {
                tracing::warn!(why, "it is not known which keys opened the sessions");
                return;
            }
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

/// Whether somebody was let in that it watches over.
fn has_let_in(monitor: Monitor) -> bool {
    let process = Process::read(monitor.pid).filter(|it| it.started == monitor.started);
    process.is_some_and(|it| it.has_let_in(Process::read(it.parent).as_ref()))
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
    use watchward_protocol::access::{Action, Service, Trust, Tunnel};

    use super::*;

    fn sweep() -> (Sweep, mpsc::UnboundedReceiver<Finding>) {
        let (logins, reader) = (mpsc::channel(1).0, mpsc::channel(1).0);
        let (findings, said) = mpsc::unbounded_channel();
        (Sweep::new(logins, reader, findings), said)
    }

    fn login(outcome: Outcome) -> AccessEvent {
        AccessEvent {
            at: clock::now(),
            service: Service::Sshd,
            action: Action::Authentication,
            outcome,
            attempt: true,
            form: "accepted".to_owned(),
            user: None,
            target: None,
            peer: None,
            tunnel: Tunnel::default(),
            method: Some("publickey".to_owned()),
            key: None,
            certificate: None,
            command: None,
            pid: Some(2),
            trust: Trust::Server,
            line: "".into(),
        }
    }

    fn monitor(pid: u32) -> Monitor {
        Monitor { pid, started: 0 }
    }

    /// That began just now.
    fn new(pid: u32) -> Monitor {
        Monitor {
            pid,
            started: u64::MAX,
        }
    }

    #[test]
    fn since_when_sessions_are_open_of_which_nobody_knows_what_opened_them_is_said() {
        let (mut sweep, mut said) = sweep();
        // It began with the machine, unless that began a moment ago.
        let old = monitor(1).began(clock::now());
        if old.is_none_or(|it| it + GRACE > clock::now()) {
            return;
        }
        let known = vec![login(Outcome::Success)];
        sweep.known.insert(monitor(2), known);
        let live = [monitor(1), monitor(2), new(3)];
        sweep.admit(&live, &HashSet::new());
        let unknown = sweep.unknown();
        assert_eq!(unknown.len(), 1, "one is known, and one came just now");
        let finding = said.try_recv().unwrap();
        assert!(
            finding
                .detail
                .contains("of 1 session of sshd it is not known"),
            "{finding:?}"
        );
        sweep.admit(&live, &HashSet::new());
        assert_eq!(sweep.unknown(), unknown, "the same is no news");
        assert!(said.try_recv().is_err());
        sweep.admit(&[new(3)], &HashSet::new());
        assert!(sweep.unknown().is_empty(), "it is over");
        assert_eq!(said.try_recv().unwrap().state, FindingState::Absent);
    }

    #[test]
    fn who_was_let_in_counts_at_once_where_nobody_knows_by_what() {
        let (mut sweep, mut said) = sweep();
        let live = [new(2), new(3)];
        let let_in = HashSet::from([new(2)]);
        sweep.admit(&live, &let_in);
        assert_eq!(sweep.unknown().len(), 1, "the other is on the way in");
        assert!(said.try_recv().is_err(), "it may be read a moment later");
        let needed_more = vec![login(Outcome::Unknown)];
        sweep.known.insert(new(2), needed_more);
        sweep.admit(&live, &let_in);
        assert_eq!(sweep.unknown().len(), 1, "one key did not do alone");
        sweep.known.insert(new(2), vec![login(Outcome::Success)]);
        sweep.admit(&live, &let_in);
        assert!(sweep.unknown().is_empty());
    }
}
