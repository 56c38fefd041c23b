//! Visits of other hosts, told before they come: what they ask here is nobody's try.

use tokio::sync::mpsc;
use watchward_daemon::tasks::Stop;
use watchward_protocol::question::{Answer, Question};

use crate::own::Own;
use crate::uplink::Asked;

/// Hears who will come, until asked to stop.
///
/// # Errors
/// None.
pub async fn run(mut told: mpsc::Receiver<Asked>, own: Own, stop: Stop) -> anyhow::Result<()> {
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            asked = told.recv() => asked,
        };
        let Some(Asked { question, answer }) = asked else {
            return Ok(());
        };
        if let Question::Expect(expected) = question {
            own.foretell(expected);
            // Whoever told it may have gone.
            let _ = answer.send(Answer::Expecting);
        }
    }
}
