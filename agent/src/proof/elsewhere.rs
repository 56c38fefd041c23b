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
use watchward_protocol::elsewhere::{Answer, ElsewhereDoor, Login, Question};
use watchward_protocol::proof::{Door, Way};
use watchward_protocol::question;

use super::door::{Asking, Heard, Key};
use super::{LONGEST, PACE, judge, lend};
use crate::own::Own;
use crate::uplink::Asked;

/// A private key of this host's own: of which identity, and which of its keys.
pub type Private = Arc<dyn Fn(&str, u32) -> Result<PrivateKey, String> + Send + Sync>;

/// When each other host was asked last, by its address: it penalises who asks often.
type Last = HashMap<IpAddr, Instant>;

/// Answers one question after the other until asked to stop.
///
/// # Errors
/// None.
pub async fn run(
    mut questions: mpsc::Receiver<Asked>,
    private: Private,
    stop: Stop,
) -> anyhow::Result<()> {
    let (mut last, own) = (Last::new(), Own::default());
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            asked = questions.recv() => asked,
        };
        let Some(Asked { question, answer }) = asked else {
            return Ok(());
        };
        let question::Question::Elsewhere(question) = question else {
            continue;
        };
        last.retain(|_, at| at.elapsed() < PACE);
        let mut visit = Visit::new(&question, (&mut last, &own));
        let seen = visit.all(&private).await;
        // Whoever asked may have gone.
        let _ = answer.send(question::Answer::Elsewhere(seen));
    }
}

/// A question while it is answered.
struct Visit<'a> {
    question: &'a Question,
    until: Instant,
    last: &'a mut Last,
    /// The connections that may still be made.
    from: std::slice::Iter<'a, SocketAddr>,
    /// Where that sshd answers; before that, the places that were not tried yet.
    places: &'a [SocketAddr],
    /// Nobody reads here what the other host's sshd writes.
    own: &'a Own,
}

impl<'a> Visit<'a> {
    fn new(question: &'a Question, (last, own): (&'a mut Last, &'a Own)) -> Self {
        Self {
            question,
            until: Instant::now() + LONGEST,
            last,
            from: question.from.iter(),
            places: &question.at,
            own,
        }
    }

    async fn all(&mut self, private: &Private) -> Answer {
        let mut answer = Answer::default();
        let question = self.question;
        if let Some(login) = &question.login {
            answer.opened = Some(match private(&login.identity, login.serial) {
                Ok(key) => self.open(login, key).await,
                Err(why) => Err(why),
            });
        }
        for door in &question.doors {
            match self.door(door).await {
                Ok(door) => answer.doors.push(door),
                Err(why) => {
                    answer.trouble = why;
                    break;
                }
            }
        }
        lend(&mut answer.doors);
        answer
    }

    /// What one door says; else why none can be asked, if it is not only for now.
    async fn door(&mut self, door: &ElsewhereDoor) -> Result<Door, Option<String>> {
        let way = Way {
            account: door.account.clone(),
            controls: door.controls.clone(),
            stands: None,
        };
        let mut why = None;
        while let Some(at) = self.places.first() {
            let heard = match Key::read(&door.key) {
                Ok(key) => {
                    let asking = self.asking(*at).await.ok_or_else(|| why.clone())?;
                    let asked = asking.ask(&door.account, &door.controls, &key);
                    timeout_at(self.until, asked).await.map_err(|_| None)?
                }
                Err(why) => Heard {
                    said: Err(why),
                    control: None,
                    is_silent: false,
                },
            };
            if !heard.is_silent {
                self.places = std::slice::from_ref(at);
                return Ok(judge(&way, *at, heard));
            }
            why = heard.said.err().map(|why| format!("{at}: {why}"));
            self.places = self.places.get(1..).unwrap_or_default();
        }
        Err(why.or_else(|| Some("nobody said where that host's sshd listens".to_owned())))
    }

    async fn open(&mut self, login: &Login, key: PrivateKey) -> Result<(), String> {
        let mut why = "nobody said where that host's sshd listens".to_owned();
        while let Some(at) = self.places.first() {
            let asking = self.asking(*at).await;
            let asking = asking.ok_or("there was no time for it, or no port")?;
            let opening = asking.log_in(&login.account, key.clone());
            let opened = timeout_at(self.until, opening).await;
            match opened.map_err(|_| "there was no time for it")? {
                Err(closed) if closed.is_silent => why = format!("{at}: {}", closed.why),
                opened => {
                    self.places = std::slice::from_ref(at);
                    return opened.map_err(|closed| closed.why);
                }
            }
            self.places = self.places.get(1..).unwrap_or_default();
        }
        Err(why)
    }

    /// The next connection, once that host may be asked again; none: there is no time, or none is
    /// expected any more.
    async fn asking(&mut self, at: SocketAddr) -> Option<Asking<'a>> {
        let like = |from: &&SocketAddr| from.is_ipv4() == at.is_ipv4();
        let source = *self.from.by_ref().find(like)?;
        let wait = self
            .last
            .get(&at.ip())
            .map_or(Duration::ZERO, |last| PACE.saturating_sub(last.elapsed()));
        if Instant::now() + wait >= self.until {
            return None;
        }
        sleep(wait).await;
        self.last.insert(at.ip(), Instant::now());
        Some(Asking {
            at,
            source: Some(source),
            own: self.own,
            host_keys: &self.question.host_keys,
            whose: "that host's",
        })
    }
}
