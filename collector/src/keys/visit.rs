//! One host asks another's sshd, which is told before from where it will be asked: whoever comes
//! unannounced would be taken for an attacker.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use watchward_protocol::elsewhere::{Answer, Expected, Question};
use watchward_protocol::question;
use watchward_protocol::text::Foreign;

use crate::intake::{Questions, Unanswered};

/// How many connections one question may make; and how long the asked host expects them.
const CALLS: usize = 6;
const WITHIN: Duration = Duration::from_secs(40);
/// From which ports: those that no server has by itself, and that nobody can guess.
const PORTS: std::ops::Range<u16> = 20_000..60_000;

/// Who asks whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit<'a> {
    pub(super) host: &'a str,
    pub(super) visitor: &'a str,
    /// From which of its addresses.
    pub(super) from: IpAddr,
}

/// Why a visit came to nothing, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// Nobody could be sent.
    Unsent(String),
    /// Somebody was, and said nothing of use.
    Mute(String),
}

impl Missed {
    /// The sentence.
    pub(super) fn why(self) -> String {
        match self {
            Self::Unsent(why) | Self::Mute(why) => why,
        }
    }
}

impl Visit<'_> {
    /// Announces the visitor and has it ask this, from where it was announced.
    pub(super) async fn ask(
        &self,
        questions: &Questions,
        question: Question,
    ) -> Result<Answer, Missed> {
        let from: Vec<_> = (0..CALLS)
            .map(|_| SocketAddr::new(self.from, rand::random_range(PORTS)))
            .collect();
        let expected = question::Question::Expect(Expected {
            from: from.clone(),
            within: WITHIN,
            accounts: accounts(&question),
        });
        match questions.ask(self.host, expected).await {
            Ok(question::Answer::Expecting) => {}
            Ok(_) => return Err(Missed::Unsent(older(self.host))),
            Err(why) => return Err(Missed::Unsent(format!("{} {why}", self.host))),
        }
        let question = question::Question::Elsewhere(Question { from, ..question });
        match questions.ask(self.visitor, question).await {
            Ok(question::Answer::Elsewhere(said)) => Ok(said),
            Ok(_) => Err(Missed::Mute(older(self.visitor))),
            Err(why) => {
                let said = format!("{} {why}", self.visitor);
                Err(match why {
                    Unanswered::Away | Unanswered::Busy => Missed::Unsent(said),
                    Unanswered::Late => Missed::Mute(said),
                })
            }
        }
    }
}

/// Whom it asks about.
fn accounts(question: &Question) -> Vec<Foreign> {
    let doors = question.doors.iter().map(|it| &it.account);
    let login = question.login.iter().map(|it| &it.account);
    let all: BTreeSet<_> = doors.chain(login).collect();
    all.into_iter().cloned().collect()
}

/// How many bits two addresses begin with in common; none, where they are not of one family.
pub(super) fn near(one: IpAddr, other: IpAddr) -> Option<u32> {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros())
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros())
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn older(host: &str) -> String {
    format!("{host}: its agent is of an older version")
}
