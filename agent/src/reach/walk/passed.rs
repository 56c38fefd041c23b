//! What became of a packet, and which rules decided that, in words.

use std::fmt;

use crate::reach::ruleset::Place;

/// What becomes of the packet, and what decided that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// What becomes of it.
    pub end: End,
    /// What each base chain on its way made of it, in order.
    pub passed: Vec<Passed>,
    /// What has to be said besides, each a sentence without its end.
    pub notes: Vec<String>,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing turns it away: who listens gets it, at this port.
    Arrives(u16),
    /// It is turned away, by the last of those that it passed.
    Refused,
    /// It is sent on, and this host is not where it ends.
    Elsewhere(String),
    /// Nobody knows, and why.
    Unknown(String),
}

/// What a base chain made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The base chain.
    pub chain: Place,
    /// The rule that decided; none: its policy did.
    pub by: Option<ByRule>,
    /// What it did: `accepts`, `drops` or `rejects`.
    pub does: &'static str,
    /// Whether the chain's policy would have dropped it, had no rule decided.
    pub saves: bool,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByRule {
    /// The chain that it stands in.
    pub chain: Place,
    /// The how manieth of its chain, from 1.
    pub number: usize,
    /// Which number nftables gave it.
    pub handle: u64,
}

impl fmt::Display for ByRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            chain,
            number,
            handle,
        } = self;
        let Place {
            family,
            table,
            name,
        } = chain;
        write!(
            f,
            "rule {number} (handle {handle}) of chain {name} of table {family} {table}"
        )
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Some(rule) => write!(f, "{rule} {} it", self.does),
            None => {
                let Place {
                    family,
                    table,
                    name,
                } = &self.chain;
                write!(
                    f,
                    "the policy of chain {name} of table {family} {table} {} it",
                    self.does
                )
            }
        }
    }
}
