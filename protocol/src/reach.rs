//! The question whether an account could get in to a host from an address, and its answer.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::restriction::Transport;
use crate::text::Foreign;

/// Could this account get in to this host from this address?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which account.
    pub account: Foreign,
    /// From where.
    pub address: IpAddr,
    /// By what.
    pub transport: Transport,
    /// To which port; none: that of sshd.
    pub port: Option<u16>,
}

/// What a host says to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it could.
    pub could: Could,
    /// What that rests on, in the order of a connection's way.
    pub steps: Vec<Step>,
}

/// Whether somebody could get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Could {
    /// Yes.
    Yes,
    /// No.
    No,
    /// It cannot be told.
    Unknown,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about: `nftables`, `sshd`.
    pub subject: String,
    /// What it does.
    pub verdict: Verdict,
    /// One sentence for a person.
    pub text: String,
}

/// What a part of the way does with somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It lets them on.
    Permits,
    /// It turns them away.
    Refuses,
    /// It cannot be told.
    Unknown,
    /// Nothing: it only has to be said.
    Notes,
}

/// How many steps an answer has at most.
pub const MOST_STEPS: usize = 64;

impl Step {
    /// A part about something.
    pub fn new(subject: &str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            subject: subject.to_owned(),
            verdict,
            text: text.into(),
        }
    }
}

impl Answer {
    /// What follows from all parts: whoever is turned away once does not get in.
    pub fn of(mut steps: Vec<Step>) -> Self {
        let has = |verdict| steps.iter().any(|step| step.verdict == verdict);
        let could = if has(Verdict::Refuses) {
            Could::No
        } else if has(Verdict::Unknown) || !has(Verdict::Permits) {
            Could::Unknown
        } else {
            Could::Yes
        };
        steps.truncate(MOST_STEPS);
        Self { could, steps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refusal_is_enough_and_what_is_unknown_is_no_yes() {
        let answer = |verdicts: &[Verdict]| {
            let steps = verdicts.iter().map(|it| Step::new("it", *it, ""));
            Answer::of(steps.collect()).could
        };
        use Verdict::{Notes, Permits, Refuses, Unknown};
        assert_eq!(answer(&[Permits, Notes, Permits]), Could::Yes);
        assert_eq!(answer(&[Permits, Unknown]), Could::Unknown);
        assert_eq!(answer(&[Unknown, Refuses]), Could::No);
        assert_eq!(answer(&[Notes]), Could::Unknown);
        assert_eq!(answer(&[]), Could::Unknown);
    }
}
