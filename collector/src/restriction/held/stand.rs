//! How a host stands with the gates that it was ordered: what it said last, held against that. Pure.

use serde::Serialize;
use watchward_protocol::restriction::{Mode, Phase};

use crate::intake::Watched;
use crate::restriction::gates::Ordered;
use crate::restriction::rows::held::Held;

/// How a host stands with the gates that it was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::restriction) enum Stand {
    /// It holds them.
    Held,
    /// They hold for a moment, until it is known that nobody is locked out.
    Trial,
    /// It has not said yet what it makes of them.
    Waiting,
    /// It does not take them.
    Refused,
    /// It took them back, because nobody confirmed them.
    Undone,
    /// Nobody there could hold them.
    NoEnforcer,
    /// It is silent, and may not have heard of them.
    Away,
    /// It has never said what it holds.
    Mute,
}

/// How a host stands, after what it said last.
pub(in crate::restriction) fn stand(
    ordered: &Ordered,
    host: &Watched,
    held: Option<&Held>,
) -> Stand {
    let unheard = |otherwise| match host.is_silent {
        true => Stand::Away,
        false => otherwise,
    };
    let Some(held) = held else {
        return unheard(Stand::Mute);
    };
    if held.enforcer.is_none() {
        return Stand::NoEnforcer;
    }
    if held.generation != ordered.generation.cast_signed() {
        return unheard(Stand::Waiting);
    }
    match held.phase {
        Phase::Held | Phase::Open => Stand::Held,
        Phase::Trial => unheard(Stand::Trial),
        Phase::Refused => Stand::Refused,
        Phase::Undone => Stand::Undone,
    }
}

/// The services that are to be shut, and that not even an older gate of the host shuts.
pub(super) fn open<'a>(ordered: &'a Ordered, held: Option<&Held>) -> Vec<&'a str> {
    let gates = held.map_or(&[][..], |held| &held.gates);
    let is_shut = |name: &&str| {
        let mut gates = gates.iter();
        gates.any(|gate| gate.name == *name && gate.mode == Mode::Enforce)
    };
    let all = ordered.shut.iter().map(String::as_str);
    all.filter(|name| !is_shut(name)).collect()
}

impl Stand {
    /// In a word or two, for a list.
    pub(in crate::restriction) const fn words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Trial => "on trial",
            Self::Waiting => "not held yet",
            Self::Refused => "refused",
            Self::Undone => "taken back",
            Self::NoEnforcer => "no enforcer",
            Self::Away => "silent",
            Self::Mute => "nothing heard",
        }
    }

    /// What stands in the way of gates, whatever is ordered, as a sentence about the host.
    pub(in crate::restriction) const fn hindrance(self) -> Option<&'static str> {
        match self {
            Self::NoEnforcer => Some("has no enforcer"),
            Self::Mute => Some("says nothing of gates: its agent is too old, or has never run"),
            Self::Away => Some("is silent"),
            Self::Held | Self::Trial | Self::Waiting | Self::Refused | Self::Undone => None,
        }
    }
}
