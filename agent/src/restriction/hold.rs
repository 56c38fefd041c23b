//! What the room does about gates: tries them, proves that the collector is reached, confirms, counts.

use watchward_enforcer::{Answer, Framed, Request};

use super::Room;
use super::enforcer::Gone;
use super::gates::Step;

impl Room {
    /// Does what is to be done next for the gates that were ordered.
    pub(super) async fn hold_gates(&mut self) {
        let ordered = self.ordered.gates.borrow_and_update().clone();
        // Back, a trial, and the proof: no more than that can follow from another.
        for _ in 0..4 {
            let Some(held) = &self.hello else { return };
            let done = match self.standing.next(ordered.as_deref(), held) {
                Step::Rest => break,
                Step::Back => self.hand.ask(Request::Back).await.map(drop),
                Step::Prove => {
                    let redial = self.redial.clone();
                    self.proof = Some(Box::pin(async move { redial.proven().await }));
                    break;
                }
                Step::Try(gates) => self.try_out(gates).await,
            };
            if done.is_err() || self.greet().await.is_err() {
                return;
            }
        }
        self.glance();
    }

    async fn try_out(&mut self, gates: watchward_enforcer::Gates) -> Result<(), Gone> {
        let generation = gates.generation;
        if let Err(error) = gates.encode() {
            self.standing.refuse(&gates, error.to_string());
            return Ok(());
        }
        let longest = self
            .hello
            .as_ref()
            .map_or(0, |held| held.limits.longest_trial);
        let wanted = self.config.now().trial.duration().as_secs();
        let seconds = u32::try_from(wanted)
            .unwrap_or(u32::MAX)
            .min(longest.max(1));
        let request = Request::Try {
            gates: gates.clone(),
            seconds,
        };
        match self.hand.ask(request).await? {
            Answer::Done => tracing::info!(generation, seconds, "gates are on trial"),
            Answer::Refused(why) => {
                if self.standing.why != why {
                    tracing::warn!(generation, why, "the enforcer does not take the gates");
                }
                self.standing.refuse(&gates, why);
            }
            Answer::Holding(_)
            | Answer::Verdicts(_)
            | Answer::Held(_)
            | Answer::Text(..)
            | Answer::Expelled(_)
            | Answer::Turned(_)
            | Answer::Changed(_) => return Err(Gone),
        }
        Ok(())
    }

    /// The collector was reached over a new connection: nobody is locked out of what matters most.
    pub(super) async fn confirm(&mut self, proven: bool) {
        let trial = self.hello.as_ref().and_then(|held| held.trial);
        let Some(trial) = trial.filter(|_| proven) else {
            return;
        };
        let generation = trial.generation;
        let answer = self.hand.ask(Request::Confirm { generation }).await;
        if let Ok(Answer::Refused(why)) = answer {
            tracing::warn!(generation, why, "the gates could not be confirmed");
        }
        if self.greet().await.is_ok() {
            self.hold_gates().await;
        }
    }

    /// Asks whom gates turned away, where there are any.
    pub(super) async fn count(&mut self) {
        if self.hello.is_none() || self.standing.held.is_empty() {
            return;
        }
        if let Ok(Answer::Turned(turned)) = self.hand.ask(Request::Turned).await {
            self.standing.count(turned);
        }
    }
}
