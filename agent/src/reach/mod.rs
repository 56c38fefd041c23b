//! Whether an account could get in to this host from an address: sockets, nftables, sshd and keys together.

mod host;
pub mod ruleset;
mod sockets;
pub mod walk;
mod way;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use watchward_daemon::tasks::Stop;
use watchward_protocol::question::{self, Question};
use watchward_protocol::reach::{Answer, Step, Verdict};

use crate::uplink::Asked;

/// How long each half of an answer may take.
const PATIENCE: Duration = Duration::from_secs(7);
/// Where sshd listens, if nobody says otherwise.
const SSH: u16 = 22;

/// Answers one question after the other until asked to stop. Who reads the keys says what sshd would
/// do.
///
/// # Errors
/// None.
pub async fn run(
    mut questions: mpsc::Receiver<Asked>,
    keys: mpsc::Sender<Asked>,
    stop: Stop,
) -> anyhow::Result<()> {
    while let Some(Some(Asked { question, answer })) =
        stop.run_until_cancelled(questions.recv()).await
    {
        let Question::Reach(mut question) = question else {
            continue;
        };
        question.port = question.port.or(Some(SSH));
        let way = timeout(PATIENCE, way::steps(&question)).await;
        let mut steps = way.unwrap_or_else(|_| vec![late("nftables", "nftables")]);
        let (sender, said) = oneshot::channel();
        let asked = Asked {
            question: Question::Reach(question),
            answer: sender,
        };
        let said = match keys.try_send(asked) {
            Ok(()) => timeout(PATIENCE, said).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        match said {
            Some(question::Answer::Reach(said)) => steps.extend(said.steps),
            _ => steps.push(late("sshd", "who reads the keys")),
        }
        // Whoever asked may have gone.
        let _ = answer.send(question::Answer::Reach(Answer::of(steps)));
    }
    Ok(())
}

fn late(subject: &str, who: &str) -> Step {
    let text = format!("{who} did not answer in time");
    Step::new(subject, Verdict::Unknown, text)
}
