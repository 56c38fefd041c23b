//! Questions to hosts that are connected: one at a time for each, in the order in which they came, and
//! answered within 15 seconds or not at all.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{self, mpsc, oneshot};
use tokio::time::timeout;
use watchward_protocol::question::{Answer, Question};
use watchward_protocol::wire::{self, v1};

use super::gather::Reply;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long somebody stands in line for a host that answers others.
const LINE: Duration = Duration::from_secs(20);

/// Asks hosts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Questions(Arc<Mutex<Rooms>>);

/// The hosts that are connected, by name.
type Rooms = HashMap<String, Room>;

/// Where a host is asked, by whoever has the turn.
#[derive(Clone, Debug)]
struct Room {
    inbox: mpsc::Sender<Asked>,
    turn: Arc<sync::Mutex<()>>,
}

/// A question, and where its answer goes.
type Asked = (Question, oneshot::Sender<Answer>);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nobody of this name is there.
    #[error("is not connected to this collector")]
    Away,
    /// Others ask it.
    #[error("is answering another question: ask again in a moment")]
    Busy,
    /// It said nothing: its agent may be older.
    #[error("did not answer within 15 seconds: its agent may be of an older version")]
    Late,
}

impl Questions {
    /// Asks a host by its name.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ask(&self, host: &str, question: Question) -> Result<Answer, Unanswered> {
        let room = self.rooms().get(host).cloned();
        let room = room.ok_or(Unanswered::Away)?;
        let turn = timeout(LINE, room.turn.lock()).await;
        let _turn = turn.map_err(|_| Unanswered::Busy)?;
        let (answer, answered) = oneshot::channel();
        let sent = room.inbox.try_send((question, answer));
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unanswered::Busy,
            mpsc::error::TrySendError::Closed(_) => Unanswered::Away,
        })?;
        match timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Unanswered::Away),
            Err(_) => Err(Unanswered::Late),
        }
    }

    /// Whether somebody of this name could be asked.
    pub fn is_there(&self, host: &str) -> bool {
        self.rooms().contains_key(host)
    }

    /// A host has come: what is asked of it from now on.
    pub(super) fn attend(&self, host: &str) -> Attending {
        let (asks, inbox) = mpsc::channel(1);
        let room = Room {
            inbox: asks,
            turn: Arc::default(),
        };
        self.rooms().insert(host.to_owned(), room.clone());
        Attending {
            questions: self.clone(),
            host: host.to_owned(),
            room,
            inbox,
            waiting: None,
            last: 0,
        }
    }

    /// A host of this name comes, and answers so, for as long as this goes on.
    #[cfg(test)]
    pub async fn answered_by(&self, host: &str, answer: impl Fn(&Question) -> Option<Answer>) {
        let mut host = self.attend(host);
        // Whoever gets no answer waits for one.
        let mut waiting = Vec::new();
        while let Some((question, asked)) = host.inbox.recv().await {
            match answer(&question) {
                Some(answer) => drop(asked.send(answer)),
                None => waiting.push(asked),
            }
        }
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked of one host, while its conversation lasts.
#[derive(Debug)]
pub(super) struct Attending {
    questions: Questions,
    host: String,
    room: Room,
    inbox: mpsc::Receiver<Asked>,
    waiting: Option<oneshot::Sender<Answer>>,
    last: u64,
}

impl Attending {
    /// Waits for the next question, and says it.
    pub(super) async fn say(&mut self, reply: &Reply) {
        let message = Some(self.next().await);
        // An agent that has gone answers nothing.
        let _ = reply.try_send(Ok(v1::FromCollector { message }));
    }

    /// Waits for the next question, while none waits for an answer.
    async fn next(&mut self) -> v1::from_collector::Message {
        if let Some(waiting) = &mut self.waiting {
            waiting.closed().await;
            self.waiting = None;
        }
        let Some((question, answer)) = self.inbox.recv().await else {
            return pending().await;
        };
        self.last += 1;
        self.waiting = Some(answer);
        v1::from_collector::Message::Ask(wire::ask(self.last, &question))
    }

    /// Takes an answer; one to an older question is nobody's.
    pub(super) fn hear(&mut self, message: &v1::from_agent::Message) {
        let v1::from_agent::Message::Answer(answer) = message else {
            return;
        };
        if answer.id != self.last {
            return;
        }
        let answer = wire::answer(answer.clone());
        if let (Some(waiting), Ok(answer)) = (self.waiting.take(), answer) {
            // Whoever asked may have gone.
            let _ = waiting.send(answer);
        }
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        let mut rooms = self.questions.rooms();
        if rooms
            .get(&self.host)
            .is_some_and(|room| room.inbox.same_channel(&self.room.inbox))
        {
            rooms.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::reach::{self, Could, Step, Verdict};
    use watchward_protocol::restriction::Transport;

    use super::*;

    fn question() -> Question {
        Question::Reach(reach::Question {
            account: "zoe".into(),
            address: [192, 0, 2, 1].into(),
            transport: Transport::Tcp,
            port: Some(22),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_there_answers_and_others_do_not() {
        let questions = Questions::default();
        assert_eq!(questions.ask("db", question()).await, Err(Unanswered::Away));
        let mut db = questions.attend("db");
        let steps = vec![Step::new("sshd", Verdict::Permits, "so it is")];
        let yes = Answer::Reach(reach::Answer::of(steps));
        let answering = async {
            let v1::from_collector::Message::Ask(ask) = db.next().await else {
                panic!("another message");
            };
            for id in [ask.id + 1, ask.id] {
                let answer = wire::reply(id, yes.clone());
                db.hear(&v1::from_agent::Message::Answer(answer));
            }
        };
        let (answer, ()) = tokio::join!(questions.ask("db", question()), answering);
        let could = answer.map(|it| match it {
            Answer::Reach(it) => it.could,
            Answer::Proof(_)
            | Answer::Ways(_)
            | Answer::Left(_)
            | Answer::Elsewhere(_)
            | Answer::Expecting => Could::Unknown,
        });
        assert_eq!(could, Ok(Could::Yes));
        assert_eq!(questions.ask("db", question()).await, Err(Unanswered::Late));
        let newer = questions.attend("db");
        drop(db);
        assert_eq!(
            questions.ask("db", question()).await,
            Err(Unanswered::Late),
            "the newer stays"
        );
        drop(newer);
        assert_eq!(questions.ask("db", question()).await, Err(Unanswered::Away));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_a_host_that_answers_others_waits_for_their_turn() {
        let questions = Questions::default();
        let mut db = questions.attend("db");
        let answering = async {
            for _ in 0..3 {
                let v1::from_collector::Message::Ask(ask) = db.next().await else {
                    panic!("another message");
                };
                tokio::time::sleep(PATIENCE / 2).await;
                let answer = wire::reply(ask.id, Answer::Expecting);
                db.hear(&v1::from_agent::Message::Answer(answer));
            }
        };
        let ask = || questions.ask("db", question());
        let (first, second, third, ()) = tokio::join!(ask(), ask(), ask(), answering);
        for said in [first, second, third] {
            assert_eq!(said, Ok(Answer::Expecting));
        }
        let (waits, late) = tokio::join!(ask(), ask());
        assert_eq!(waits, Err(Unanswered::Late));
        assert_eq!(late, Err(Unanswered::Busy), "nobody takes the first away");
    }
}
