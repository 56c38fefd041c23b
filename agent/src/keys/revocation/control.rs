//! Whether sshd answers as before: an account whose key it took is asked again with the new list.

use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use watchward_enforcer::keys::TRACER;
use watchward_protocol::proof::{self, Control, Door, Said, Ways};
use watchward_protocol::question::{Answer, Question};
use watchward_protocol::text::Foreign;

use super::known::Known;
use super::list::List;
use crate::uplink::Asked;

/// How long an answer may take: all accounts of a host are asked the first time.
const PATIENCE: Duration = Duration::from_secs(40);
/// So many accounts are asked again.
const MOST: usize = 4;
/// An sshd that reads its configuration again does not answer for a moment.
pub(super) const TRIES: usize = 5;
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// How sshd on this host answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It takes keys that are not revoked, of these accounts.
    Takes(Vec<Foreign>),
    /// It answers, and takes no key that could be tried.
    Answers,
    /// It has no room for anybody who asks.
    Full,
    /// It does not answer.
    Silent,
}

/// How sshd answered before a list was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Before {
    /// As far as keys are concerned that the list does not name.
    pub(super) way: Way,
    /// Whether it took any key at all.
    pub(super) open: bool,
}

impl Before {
    /// Whether it may answer so from now on; why not.
    pub(super) fn bears(&self, now: &Way, bounds: Bounds) -> Result<(), String> {
        match (&self.way, now) {
            (_, Way::Takes(_)) | (Way::Silent, _) => Ok(()),
            // Beware: a door that refuses every key of an account looks like one that is silent.
            (_, Way::Silent) => Err("sshd did not answer any more".to_owned()),
            (_, Way::Full) => Err(Door::FULL.to_owned()),
            (Way::Full, Way::Answers) if !bounds.may_close => {
                Err("sshd took no key, and nobody could ask it before".to_owned())
            }
            (Way::Takes(accounts), Way::Answers) => {
                let account = accounts.first().map(Foreign::to_string);
                let account = account.unwrap_or_default();
                Err(format!(
                    "sshd took no key of {account} any more, and took one before"
                ))
            }
            (Way::Answers, Way::Answers) if self.open && !bounds.may_close => {
                Err(CLOSED.to_owned())
            }
            (Way::Answers | Way::Full, Way::Answers) => Ok(()),
        }
    }
}

const CLOSED: &str = "no key would open this host any more: it is held only where the guard file of the \
    host says `close = true`";

/// What may be otherwise with the new list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Whether no key may open anything any more.
    pub(super) may_close: bool,
}

/// Who is asked.
pub(super) struct Controls {
    proof: mpsc::Sender<Asked>,
    /// Who reads which keys there are.
    reader: mpsc::Sender<Asked>,
    /// Accounts of which sshd took a key before.
    known: Known,
}

impl Controls {
    /// Those that are asked so, with what is kept in this folder.
    pub(super) fn new(
        proof: mpsc::Sender<Asked>,
        reader: mpsc::Sender<Asked>,
        folder: &Path,
    ) -> Self {
        Self {
            proof,
            reader,
            known: Known::open(folder),
        }
    }

    /// How sshd answers now.
    ///
    /// # Errors
    /// Nobody could find out.
    pub(super) async fn ask(&mut self, list: &List) -> Result<Before, String> {
        if !self.known.accounts.is_empty() {
            let way = self.ask_of(self.known.accounts.clone(), list).await?;
            if matches!(way, Way::Takes(_)) {
                return Ok(Before { way, open: true });
            }
        }
        let answer = self.answer(Vec::new()).await?;
        let open = matches!(judge(&answer, &List::default()), Ok(Way::Takes(_)));
        let way = judge(&answer, list)?;
        if let Way::Takes(accounts) = &way {
            self.known.keep(accounts);
        }
        Ok(Before { way, open })
    }

    /// Whether sshd answers now as it did before, as far as it has to; why not.
    pub(super) async fn compare(
        &self,
        before: Before,
        list: &List,
        bounds: Bounds,
    ) -> Result<(), String> {
        if before.way == Way::Silent {
            return Ok(());
        }
        let accounts = match &before.way {
            Way::Takes(accounts) => accounts.clone(),
            Way::Answers | Way::Full | Way::Silent => Vec::new(),
        };
        let mut why = Ok(());
        for tried in 1..=TRIES {
            why = match self.ask_of(accounts.clone(), list).await {
                // A stranger could keep it so for ever.
                Ok(Way::Full) if tried == TRIES => self.read(&before, list, bounds).await,
                Ok(now) => before.bears(&now, bounds),
                Err(why) => Err(format!("nobody could see whether sshd answers: {why}")),
            };
            if why.is_ok() {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        why
    }

    async fn ask_of(&self, accounts: Vec<Foreign>, list: &List) -> Result<Way, String> {
        judge(&self.answer(accounts).await?, list)
    }

    /// Whether the list leaves a key that should open something, as the files say that sshd reads; why
    /// not. That sshd can read the list, ssh-keygen has shown.
    async fn read(&self, before: &Before, list: &List, bounds: Bounds) -> Result<(), String> {
        let was_closed = before.way == Way::Answers && !before.open;
        if bounds.may_close || was_closed {
            return Ok(());
        }
        // Of other accounts nobody saw that sshd lets them in.
        let accounts = &self.known.accounts;
        let answer = match accounts.is_empty() {
            false => ask(&self.reader, accounts.clone()).await,
            true => None,
        };
        let Some(Answer::Ways(ways)) = answer else {
            return Err(format!(
                "{}, and nobody could say which keys open it",
                Door::FULL
            ));
        };
        match leaves(&ways, accounts, list) {
            true => Ok(()),
            false => Err(CLOSED.to_owned()),
        }
    }

    async fn answer(&self, accounts: Vec<Foreign>) -> Result<proof::Answer, String> {
        match ask(&self.proof, accounts).await {
            Some(Answer::Proof(answer)) => Ok(answer),
            Some(_) | None => Err("sshd could not be asked in time".to_owned()),
        }
    }
}

/// Whether a key of one of these accounts is not on the list.
pub(super) fn leaves(ways: &Ways, accounts: &[Foreign], list: &List) -> bool {
    let known = ways.accounts.iter();
    let known = known.filter(|it| accounts.contains(&it.account));
    known
        .flat_map(|it| &it.controls)
        .any(|key| !list.names_key(key))
}

/// Asks about a key that nobody has; none: there was no answer in time.
async fn ask(whom: &mpsc::Sender<Asked>, accounts: Vec<Foreign>) -> Option<Answer> {
    let (answer, said) = oneshot::channel();
    let question = Question::Proof(proof::Question {
        keys: vec![TRACER.to_vec()],
        accounts,
    });
    let asking = async {
        whom.send(Asked { question, answer }).await.ok()?;
        said.await.ok()
    };
    timeout(PATIENCE, asking).await.ok().flatten()
}

/// What an answer says of sshd.
pub(super) fn judge(answer: &proof::Answer, list: &List) -> Result<Way, String> {
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
    let answers = |door: &Door| door.said != Said::Unknown || door.control != Control::None;
    let is_full = answer.doors.iter().any(|it| it.note == Door::FULL);
    match (answer.doors.iter().any(answers), &answer.trouble) {
        (true, _) => Ok(Way::Answers),
        (false, _) if is_full => Ok(Way::Full),
        (false, Some(why)) if answer.doors.is_empty() => Err(why.clone()),
        (false, _) => Ok(Way::Silent),
    }
}
