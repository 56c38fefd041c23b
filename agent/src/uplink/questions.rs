//! Questions of the collector: handed to whoever can answer, one at a time, beside the spool.

use tokio::sync::{mpsc, oneshot};
use watchward_protocol::question::{Answer, Question};
use watchward_protocol::reach::{self, Step, Verdict};
use watchward_protocol::wire::{self, v1};

/// Who answers what.
#[derive(Clone, Debug)]
pub struct Answerers {
    /// Whether an account could get in from an address.
    pub reach: mpsc::Sender<Asked>,
    /// Whether a key would still be accepted.
    pub proof: mpsc::Sender<Asked>,
    /// What another host's sshd says to keys.
    pub elsewhere: mpsc::Sender<Asked>,
    /// Who hears of visits by other hosts.
    pub visits: mpsc::Sender<Asked>,
}

impl Answerers {
    fn of(&self, question: &Question) -> Option<&mpsc::Sender<Asked>> {
        Some(match question {
            Question::Reach(_) => &self.reach,
            Question::Proof(_) => &self.proof,
            Question::Elsewhere(_) => &self.elsewhere,
            Question::Expect(_) => &self.visits,
            Question::Left(_) => return None,
        })
    }
}

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
    answerers: &'a Answerers,
    waiting: Option<Waiting>,
    ready: Option<v1::Answer>,
}

struct Waiting {
    id: u64,
    /// What is said if nobody answers.
    unanswered: Answer,
    answered: oneshot::Receiver<Answer>,
}

impl<'a> Questions<'a> {
    pub(super) fn new(answerers: &'a Answerers) -> Self {
        Self {
            answerers,
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
                self.ready = Some(wire::reply(id, malformed(&error.to_string())));
                return;
            }
        };
        let busy = question.unanswered("the host is still answering another question");
        let unanswered = question.unanswered("the agent does not answer");
        let Some(room) = self.answerers.of(&question) else {
            self.ready = Some(wire::reply(id, malformed("that is not asked from afar")));
            return;
        };
        let (answer, answered) = oneshot::channel();
        match room.try_send(Asked { question, answer }) {
            Ok(()) => {
                self.waiting = Some(Waiting {
                    id,
                    unanswered,
                    answered,
                });
            }
            Err(_) => self.ready = Some(wire::reply(id, busy)),
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
        let Some(waiting) = &mut self.waiting else {
            return std::future::pending().await;
        };
        let answer = (&mut waiting.answered).await;
        if let Some(Waiting { id, unanswered, .. }) = self.waiting.take() {
            self.ready = Some(wire::reply(id, answer.unwrap_or(unanswered)));
        }
    }
}

fn malformed(why: &str) -> Answer {
    let step = Step::new("agent", Verdict::Unknown, why);
    Answer::Reach(reach::Answer::of(vec![step]))
}
