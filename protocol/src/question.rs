//! What the collector may ask a host, and what the host answers. Nothing is kept of it on the host.

use crate::text::Foreign;
use crate::time::Timestamp;
use crate::{elsewhere, proof, reach};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether an account could get in from an address.
    Reach(reach::Question),
    /// Whether a public key would still be accepted anywhere.
    Proof(proof::Question),
    /// What another host's sshd says to keys.
    Elsewhere(elsewhere::Question),
    /// That connections of another host will come: no question, but to be heard before they do.
    Expect(elsewhere::Expected),
    /// What a session left behind: only from an agent to its reader of keys.
    Left(Left),
}

/// What was written for an account since then, by which somebody could come back?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which account.
    pub account: Foreign,
    /// Since when, by the host's clock.
    pub since: Timestamp,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Whether an account could get in.
    Reach(reach::Answer),
    /// What each door says to a key.
    Proof(proof::Answer),
    /// What another host's sshd says.
    Elsewhere(elsewhere::Answer),
    /// That connections are expected now.
    Expecting,
    /// Where a key can be asked about: only from a host's reader of keys to its agent.
    Ways(proof::Ways),
    /// What a session left behind, one sentence each.
    Left(Vec<String>),
}

impl Question {
    /// That it cannot be answered, in the words of this question.
    pub fn unanswered(&self, why: &str) -> Answer {
        match self {
            Self::Reach(_) => {
                let step = reach::Step::new("agent", reach::Verdict::Unknown, why);
                Answer::Reach(reach::Answer::of(vec![step]))
            }
            Self::Proof(_) => Answer::Proof(proof::Answer::of_trouble(why)),
            Self::Elsewhere(_) | Self::Expect(_) => {
                Answer::Elsewhere(elsewhere::Answer::of_trouble(why))
            }
            Self::Left(_) => Answer::Left(vec![why.to_owned()]),
        }
    }
}
