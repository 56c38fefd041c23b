//! Where the agent takes what a reader says, and adds what only the agent knows: its own certificate.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use watchward_daemon::clock;
use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::keys::{Holder, Keys, Opening};
use watchward_protocol::record::Report;
use watchward_protocol::restriction::{News, Restriction};

use super::reader::{SUBJECT, Word, finding};
use crate::findings::Findings;
use crate::spool::{Ended, Entry, Keeper};

/// How often the agent looks whether its certificate is another one.
const RENEWED: Duration = Duration::from_secs(30);

/// Says what the agent's own certificate is.
pub type Certificate = Arc<dyn Fn() -> Option<Opening> + Send + Sync>;

/// What the agent does with what it hears.
pub(super) struct Desk {
    keeper: Keeper,
    findings: Findings,
    certificate: Certificate,
    said: Option<Finding>,
    /// What was heard of the host last, and the certificate that was added to it.
    host: Option<(Keys, Option<Opening>)>,
}

impl Desk {
    pub(super) fn new(keeper: Keeper, findings: Findings, certificate: Certificate) -> Self {
        Self {
            keeper,
            findings,
            certificate,
            said: None,
            host: None,
        }
    }

    /// Takes what comes until nothing can come any more.
    pub(super) async fn take(&mut self, words: &mut mpsc::Receiver<Word>) -> Result<(), Ended> {
        let mut looks = interval(RENEWED);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                word = words.recv() => match word {
                    Some(word) => self.hear(word).await?,
                    None => return Ok(()),
                },
                _ = looks.tick() => self.renewed().await?,
            }
        }
    }

    pub(super) async fn hear(&mut self, word: Word) -> Result<(), Ended> {
        match word {
            Word::Finding(finding) => self.say(finding),
            Word::Sshd(sshd) => {
                let told = Restriction {
                    at: clock::now(),
                    news: News::Sshd(sshd),
                };
                self.keep(Report::Restriction(told)).await?;
            }
            // It goes to whoever asked.
            Word::Answer(_) => {}
            Word::Keys(keys) => {
                if !matches!(keys.holder, Holder::Host(_)) {
                    return self.keep(Report::Keys(keys)).await;
                }
                let own = (self.certificate)();
                self.host = Some((keys.clone(), own.clone()));
                self.keep(Report::Keys(with(keys, own))).await?;
            }
        }
        Ok(())
    }

    /// Tells of the host again if the certificate is another one.
    async fn renewed(&mut self) -> Result<(), Ended> {
        let Some((host, told)) = &mut self.host else {
            return Ok(());
        };
        let own = (self.certificate)();
        if *told == own {
            return Ok(());
        }
        told.clone_from(&own);
        host.at = clock::now();
        let keys = with(host.clone(), own);
        self.keep(Report::Keys(keys)).await
    }

    async fn keep(&self, report: Report) -> Result<(), Ended> {
        let entry = Entry {
            reports: vec![report],
            position: None,
        };
        self.keeper.keep(entry).await
    }

    /// Says what is watched, if that is news.
    pub(super) fn say(&mut self, finding: Finding) {
        // A reader speaks of keys and of nothing else.
        if finding.subject != SUBJECT || self.said.as_ref() == Some(&finding) {
            return;
        }
        self.said = Some(finding.clone());
        // Nobody listens any more when the program is ending.
        let _ = self.findings.send(finding);
    }

    /// Says that nothing is watched, and why.
    pub(super) fn miss(&mut self, state: FindingState, why: &str) {
        self.say(finding(state, format!("not watched: {why}")));
    }
}

fn with(mut keys: Keys, own: Option<Opening>) -> Keys {
    keys.openings.extend(own);
    keys
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use watchward_protocol::keys::Means;
    use watchward_protocol::time::Timestamp;

    use super::*;

    fn certificate(file: &str) -> Opening {
        let path = std::path::Path::new(file);
        crate::keys::holding::opening(Means::AgentCertificate, path, None)
    }

    #[tokio::test(start_paused = true)]
    async fn the_host_has_the_certificate_that_the_agent_has_now() {
        let own = Arc::new(Mutex::new("one"));
        let (keeper, mut kept) = Keeper::new();
        let (findings, _found) = mpsc::unbounded_channel();
        let seen = own.clone();
        let now = move || Some(certificate(*seen.lock().unwrap()));
        let mut desk = Desk::new(keeper, findings, Arc::new(now));
        let (mouth, mut ear) = mpsc::channel(4);
        let taking = async { desk.take(&mut ear).await.unwrap() };
        let telling = async move {
            let keys = Keys {
                at: Timestamp::default(),
                holder: Holder::Host(vec!["a".into()]),
                openings: Vec::new(),
                omitted: 0,
                troubles: Vec::new(),
            };
            mouth.send(Word::Keys(keys)).await.unwrap();
            let mut files = Vec::new();
            for next in ["two", "three"] {
                let entry = kept.recv().await.unwrap();
                let [Report::Keys(keys)] = &entry.reports[..] else {
                    panic!("{entry:?}");
                };
                files.push(keys.openings[0].file.clone());
                *own.lock().unwrap() = next;
            }
            files
        };
        let ((), files) = tokio::join!(taking, telling);
        assert_eq!(files, ["one", "two"]);
    }
}
