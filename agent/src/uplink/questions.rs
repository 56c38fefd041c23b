//! Questions of the collector: handed to whoever can answer, one at a time, beside the spool.

use tokio::sync::{mpsc, oneshot};
use watchward_protocol::reach::{Answer, Question, Step, Verdict};
use watchward_protocol::wire::{self, v1};

/// A question, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub question: Question,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// The question of one conversation that waits for its answer.
pub(super) struct Questions<'a> {
    room: &'a mpsc::Sender<Asked>,
    waiting: Option<(u64, oneshot::Receiver<Answer>)>,
    ready: Option<v1::Answer>,
}

impl<'a> Questions<'a> {
    pub(super) fn new(room: &'a mpsc::Sender<Asked>) -> Self {
        Self {
            room,
            waiting: None,
            ready: None,
        }
    }

    /// Takes a question; a newer one takes the place of one that still waits.
    pub(super) fn hear(&mut self, message: &v1::from_collector::Message) {
        let v1::from_collector::Message::Ask(ask) = message else {
            return;
        };
        let id = ask.id;
        let question = match wire::question(ask.clone()) {
            Ok(question) => question,
            Err(error) => {
                self.ready = Some(wire::reply(id, unknown(&error.to_string())));
                return;
            }
        };
        let (answer, answered) = oneshot::channel();
        match self.room.try_send(Asked { question, answer }) {
            Ok(()) => self.waiting = Some((id, answered)),
            Err(_) => {
                let busy = unknown("the host is still answering another question");
                self.ready = Some(wire::reply(id, busy));
            }
        }
    }

    pub(super) fn are_ready(&self) -> bool {
        self.ready.is_some()
    }

    pub(super) fn take(&mut self) -> Option<v1::Answer> {
        self.ready.take()
    }

    /// Waits until there is an answer; for ever, if nothing was asked.
    pub(super) async fn answered(&mut self) {
        let Some((id, answered)) = &mut self.waiting else {
            return std::future::pending().await;
        };
        let answer = answered.await;
        let answer = answer.unwrap_or_else(|_| unknown("the agent does not answer"));
        self.ready = Some(wire::reply(*id, answer));
        self.waiting = None;
    }
}

fn unknown(why: &str) -> Answer {
    Answer::of(vec![Step::new("agent", Verdict::Unknown, why)])
}
