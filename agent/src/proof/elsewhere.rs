//! What another host's sshd says to keys, asked from here: what it says to its own host may not be what
//! it says to others.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use watchward_daemon::tasks::Stop;
use watchward_protocol::elsewhere::{Answer, ElsewhereDoor, Question};
use watchward_protocol::proof::{Door, TRIES, Way};
use watchward_protocol::question;
use watchward_protocol::text::Foreign;

use super::door::Asking;
use super::key::{Key, Wanted};
use super::{LONGEST, PACE, judge, lend};
use crate::own::Own;
use crate::uplink::Asked;

/// A private key of this host's own: of which identity, and which of its keys.
pub type Private = Arc<dyn Fn(&str, u32) -> Result<PrivateKey, String> + Send + Sync>;

/// When each other host has forgotten, by its address, that it was asked: it penalises who comes often
/// and does not log in.
type Forgotten = HashMap<IpAddr, Instant>;

/// Whether a login worked, or why not; none: none was tried.
type Opened = Option<Result<(), String>>;

/// Answers one question after the other until asked to stop.
///
/// # Errors
/// None.
pub async fn run(
    mut questions: mpsc::Receiver<Asked>,
    private: Private,
    stop: Stop,
) -> anyhow::Result<()> {
    let (mut forgotten, own) = (Forgotten::new(), Own::default());
    while let Some(Some(Asked { question, answer })) =
        stop.run_until_cancelled(questions.recv()).await
    {
        let question::Question::Elsewhere(question) = question else {
            continue;
        };
        forgotten.retain(|_, at| *at > Instant::now());
        let mut visit = Visit::new(&question, (&mut forgotten, &own));
        let seen = visit.all(&private).await;
        // Whoever asked may have gone.
        let _ = answer.send(question::Answer::Elsewhere(seen));
    }
    Ok(())
}

/// A question while it is answered.
struct Visit<'a> {
    question: &'a Question,
    until: Instant,
    forgotten: &'a mut Forgotten,
    /// The same of the host that is asked, but for the connection that was made last.
    before: Option<Instant>,
    /// The connections that may still be made.
    from: std::slice::Iter<'a, SocketAddr>,
    /// Where that sshd answers; before that, the places that were not tried yet.
    places: &'a [SocketAddr],
    /// Nobody reads here what the other host's sshd writes.
    own: &'a Own,
}

impl<'a> Visit<'a> {
    fn new(question: &'a Question, (forgotten, own): (&'a mut Forgotten, &'a Own)) -> Self {
        Self {
            question,
            until: Instant::now() + LONGEST,
            forgotten,
            before: None,
            from: question.from.iter(),
            places: &question.at,
            own,
        }
    }

    async fn all(&mut self, private: &Private) -> Answer {
        let mut answer = Answer::default();
        let question = self.question;
        let mut login = None;
        if let Some(wanted) = &question.login {
            match private(&wanted.identity, wanted.serial) {
                Ok(key) => login = Some((&wanted.account, key)),
                Err(why) => answer.opened = Some(Err(why)),
            }
        }
        for door in &question.doors {
            let leaves_by = login.take_if(|(account, _)| **account == door.account);
            match self.door(door, leaves_by.map(|(_, key)| key)).await {
                Ok((doors, opened)) => {
                    let is_whole = doors.len() == door.keys.len();
                    answer.doors.extend(doors);
                    answer.opened = opened.or(answer.opened);
                    if !is_whole {
                        break;
                    }
                }
                Err(why) => {
                    answer.trouble = why;
                    break;
                }
            }
        }
        if let Some((account, key)) = login {
            answer.opened = Some(self.open(account, key).await);
        }
        lend(&mut answer.doors);
        answer
    }

    /// What one door says to its first keys, as many as one connection bears, and whether the login at
    /// the end of it worked; else why none can be asked, if it is not only for now.
    async fn door(
        &mut self,
        door: &ElsewhereDoor,
        leaves_by: Option<PrivateKey>,
    ) -> Result<(Vec<Door>, Opened), Option<String>> {
        let way = Way {
            account: door.account.clone(),
            controls: door.controls.clone(),
            stands: Vec::new(),
        };
        let wanted: Vec<Wanted> = door.keys.iter().map(|it| Key::read(it)).collect();
        let mut why = None;
        while let Some(at) = self.places.first() {
            let asking = self.asking(*at, leaves_by.is_some()).await;
            let asking = asking.ok_or_else(|| why.clone())?;
            let keys = (&door.controls[..], &wanted[..]);
            let asked = asking.ask(&door.account, keys, leaves_by.clone());
            let heard = timeout_at(self.until, asked).await.map_err(|_| None)?;
            self.forget_if(&heard.opened, *at);
            if !heard.is_silent {
                self.places = std::slice::from_ref(at);
                let opened = heard.opened.clone();
                return Ok((judge(&way, *at, (0, heard)), opened));
            }
            let mut said = heard.said.into_iter();
            why = said.find_map(|it| Some(format!("{at}: {}", it.err()?)));
            self.places = self.places.get(1..).unwrap_or_default();
        }
        Err(why.or_else(|| Some("nobody said where that host's sshd listens".to_owned())))
    }

    async fn open(&mut self, account: &Foreign, key: PrivateKey) -> Result<(), String> {
        let mut why = "nobody said where that host's sshd listens".to_owned();
        while let Some(at) = self.places.first() {
            let asking = self.asking(*at, true).await;
            let asking = asking.ok_or("there was no time for it, or no port")?;
            let opening = asking.log_in(account, key.clone());
            let opened = timeout_at(self.until, opening).await;
            match opened.map_err(|_| "there was no time for it")? {
                Err(closed) if closed.is_silent => why = format!("{at}: {}", closed.why),
                opened => {
                    self.places = std::slice::from_ref(at);
                    let opened = opened.map_err(|closed| closed.why);
                    self.forget_if(&Some(opened.clone()), *at);
                    return opened;
                }
            }
            self.places = self.places.get(1..).unwrap_or_default();
        }
        Err(why)
    }

    /// Whoever logged in is not penalised, and may come again at once.
    fn forget_if(&mut self, opened: &Opened, at: SocketAddr) {
        if matches!(opened, Some(Ok(()))) {
            match self.before {
                Some(before) => self.forgotten.insert(at.ip(), before),
                None => self.forgotten.remove(&at.ip()),
            };
        }
    }

    /// The next connection, once that host may be asked again; none: there is no time, or none is
    /// expected any more. Whoever means to log in may come one visit sooner: two that fail are borne.
    async fn asking(&mut self, at: SocketAddr, logs_in: bool) -> Option<Asking<'a>> {
        let like = |from: &&SocketAddr| from.is_ipv4() == at.is_ipv4();
        let source = *self.from.by_ref().find(like)?;
        self.before = self.forgotten.get(&at.ip()).copied();
        let ahead = if logs_in { PACE } else { Duration::ZERO };
        let left = |it: Instant| it.saturating_duration_since(Instant::now());
        let wait = self.before.map(left).unwrap_or_default();
        let wait = wait.saturating_sub(ahead);
        if Instant::now() + wait >= self.until {
            return None;
        }
        sleep(wait).await;
        let from_now = self.before.map(left).unwrap_or_default();
        let forgotten = Instant::now() + from_now + PACE;
        self.forgotten.insert(at.ip(), forgotten);
        Some(Asking {
            at,
            source: Some(source),
            own: self.own,
            host_keys: &self.question.host_keys,
            // From half of them on sshd writes of each as of an attack, and others than we may act on it.
            tries: self.question.tries.unwrap_or(TRIES) / 2 + 1,
            whose: "that host's",
        })
    }
}
