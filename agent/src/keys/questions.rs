//! What the reader of keys is asked: how sshd would treat somebody, and where a key could be tried.

use tokio::sync::mpsc;
use watchward_protocol::question::{Answer, Question};

use super::config::Config;
use super::{entry, left, ways};
use crate::uplink::Asked;

/// Answers one question after the other.
pub(super) async fn serve(config: &Config, questions: &mut mpsc::Receiver<Asked>) {
    while let Some(asked) = questions.recv().await {
        let answer = answer(config, &asked.question).await;
        // Whoever asked may have gone.
        let _ = asked.answer.send(answer);
    }
}

/// Answers a question.
pub(super) async fn answer(config: &Config, question: &Question) -> Answer {
    match question {
        Question::Reach(question) => Answer::Reach(entry::answer(config, question).await),
        Question::Proof(question) => Answer::Ways(ways::look(config, question).await),
        Question::Left(question) => Answer::Left(left::look(question).await),
        // Nobody asks the reader about other hosts.
        Question::Elsewhere(_) | Question::Expect(_) => {
            question.unanswered("who reads the keys has no network")
        }
    }
}
