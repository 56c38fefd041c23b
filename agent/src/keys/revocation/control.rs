//! Whether sshd answers as before: an account whose key it took is asked again with the new list.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use watchward_enforcer::keys::TRACER;
use watchward_protocol::proof::{self, Control, Said};
use watchward_protocol::question::{Answer, Question};
use watchward_protocol::text::Foreign;

use super::list::List;
use crate::uplink::Asked;

/// How long an answer may take: all accounts of a host are asked the first time.
const PATIENCE: Duration = Duration::from_secs(40);
/// So many accounts are asked again.
const MOST: usize = 4;
/// An sshd that reads its configuration again does not answer for a moment.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// How sshd on this host answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It takes keys that are not revoked, of these accounts.
    Takes(Vec<Foreign>),
    /// It answers, and takes no key that could be tried.
    Answers,
    /// It does not answer.
    Silent,
}

/// Who is asked.
pub(super) struct Controls {
    proof: mpsc::Sender<Asked>,
    /// Accounts of which sshd took a key before.
    known: Vec<Foreign>,
}

impl Controls {
    pub(super) fn new(proof: mpsc::Sender<Asked>) -> Self {
        Self {
            proof,
            known: Vec::new(),
        }
    }

    /// How sshd answers now.
    ///
    /// # Errors
    /// Nobody could find out.
    pub(super) async fn ask(&mut self, list: &List) -> Result<Way, String> {
        if !self.known.is_empty() {
            let way = self.ask_of(self.known.clone(), list).await?;
            if matches!(way, Way::Takes(_)) {
                return Ok(way);
            }
        }
        let way = self.ask_of(Vec::new(), list).await?;
        if let Way::Takes(accounts) = &way {
            self.known.clone_from(accounts);
        }
        Ok(way)
    }

    /// Whether sshd answers now as it did before; why not.
    pub(super) async fn compare(&self, before: Way, list: &List) -> Result<(), String> {
        let accounts = match &before {
            Way::Takes(accounts) => accounts.clone(),
            Way::Answers => Vec::new(),
            Way::Silent => return Ok(()),
        };
        let mut why = String::new();
        for _ in 0..TRIES {
            why = match (&before, self.ask_of(accounts.clone(), list).await) {
                (_, Ok(Way::Takes(_))) | (Way::Answers | Way::Silent, Ok(Way::Answers)) => {
                    return Ok(());
                }
                (Way::Takes(_), Ok(Way::Answers)) => {
                    let account = accounts.first().map(Foreign::to_string);
                    let account = account.unwrap_or_default();
                    format!("sshd took no key of {account} any more, and took one before")
                }
                (_, Ok(Way::Silent)) => "sshd did not answer any more".to_owned(),
                (_, Err(why)) => format!("nobody could see whether sshd answers: {why}"),
            };
            sleep(PAUSE).await;
        }
        Err(why)
    }

    async fn ask_of(&self, accounts: Vec<Foreign>, list: &List) -> Result<Way, String> {
        let (answer, said) = oneshot::channel();
        let question = proof::Question {
            key: TRACER.to_vec(),
            accounts,
        };
        let asked = Asked {
            question: Question::Proof(question),
            answer,
        };
        let asking = async {
            self.proof.send(asked).await.ok()?;
            said.await.ok()
        };
        match timeout(PATIENCE, asking).await {
            Ok(Some(Answer::Proof(answer))) => judge(answer, list),
            Ok(_) | Err(_) => Err("sshd could not be asked in time".to_owned()),
        }
    }
}

/// What an answer says of sshd.
pub(super) fn judge(answer: proof::Answer, list: &List) -> Result<Way, String> {
    let taken = answer.doors.iter().filter(|door| match &door.control {
        Control::Own(fingerprint) => !list.names(fingerprint),
        Control::Other(_) | Control::None => false,
    });
    let mut accounts: Vec<Foreign> = taken.map(|door| door.account.clone()).collect();
    accounts.dedup();
    accounts.truncate(MOST);
    if !accounts.is_empty() {
        return Ok(Way::Takes(accounts));
    }
    let answers = |door: &proof::Door| door.said != Said::Unknown || door.control != Control::None;
    match (answer.doors.iter().any(answers), answer.trouble) {
        (true, _) => Ok(Way::Answers),
        (false, Some(why)) if answer.doors.is_empty() => Err(why),
        (false, _) => Ok(Way::Silent),
    }
}
