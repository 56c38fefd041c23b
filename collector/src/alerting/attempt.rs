//! Judges what to do with a message that is due, and what follows from an attempt. Touches nothing.

use watchward_protocol::time::Timestamp;

use super::Severity;
use super::config::Pace;
use super::message::{Channel, Kind, Message, State};

/// What is to be done with a message that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Send,
    /// Ask the provider whether it has it.
    Ask,
    /// There is no reason to send it any more.
    Drop(&'static str),
}

/// What is to be done with a message that is due.
pub(super) fn due(message: &Message) -> Due {
    match (message.kind, message.channel, message.state) {
        (Kind::Resolved, ..) if !message.told => Due::Drop("nobody was told that it began"),
        // An SMS cannot be taken back and costs a person's sleep: never twice without asking. Copies
        // of an email have one Message-ID, and mail clients show them as one.
        (_, Channel::Sms, State::Unknown) => Due::Ask,
        (Kind::Opened | Kind::Risen, ..) if message.incident.resolved.is_some() => {
            Due::Drop("it was over before it was sent")
        }
        (Kind::Opened | Kind::Risen, ..) if message.incident.acknowledged.is_some() => {
            Due::Drop("somebody had acknowledged it before it was sent")
        }
        _ => Due::Send,
    }
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The provider has taken it, and calls it this.
    Accepted(String),
    /// The provider has taken it, calls it this, and can be asked under this name whether it has
    /// arrived.
    Submitted(String),
    /// It lies in the folder under this path, and goes nowhere from there.
    Written(String),
    /// It never will reach this address.
    Refused(String),
    /// The provider takes nothing from us: the account, the sender, or the configuration is wrong.
    Blocked(String),
    /// Not now; it was not sent.
    Later(String),
    /// It was sent, or not.
    Unknown(String),
    /// Asked, the provider said that it has no such message.
    Absent,
    /// Asked, the provider did not say.
    Unanswered(String),
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) state: State,
    pub(super) maybe: bool,
    pub(super) asks: i64,
    /// When it is due again, or when it was done with.
    pub(super) at: Timestamp,
    pub(super) note: String,
    /// Whether its receiver is to be told by the other channel as well.
    pub(super) elsewhere: bool,
}

/// How often a provider that does not answer is asked whether it has the message, before it is sent
/// again: a page soon (some 15 s), news that something is over late (some ten minutes).
const ASKS: i64 = 3;
const ASKS_IF_OVER: i64 = 12;

/// How often an email is sent to a server that never says whether it took it.
const COPIES: i64 = 5;

/// How many attempts a critical message has by one channel before the other is tried as well.
const PATIENCE: i64 = 3;

/// What follows from an attempt. `jitter` is between 0 and 1, drawn by lot.
pub(super) fn next(
    message: &Message,
    outcome: Outcome,
    pace: &Pace,
    jitter: f64,
    now: Timestamp,
) -> Next {
    let critical = message.severity == Severity::Critical;
    let waiting = Next {
        state: State::Pending,
        maybe: message.maybe,
        asks: message.asks,
        at: now + pace.wait(message.attempts, jitter),
        note: String::new(),
        elsewhere: false,
    };
    let next = match outcome {
        Outcome::Accepted(proof) | Outcome::Submitted(proof) => Next {
            state: State::Delivered,
            at: now,
            note: proof,
            ..waiting
        },
        Outcome::Written(path) => Next {
            state: State::Written,
            at: now,
            note: path,
            ..waiting
        },
        Outcome::Refused(note) => Next {
            state: State::Failed,
            at: now,
            note,
            elsewhere: true,
            ..waiting
        },
        Outcome::Blocked(note) => Next {
            note,
            elsewhere: true,
            ..waiting
        },
        Outcome::Later(note) => Next {
            note,
            elsewhere: critical && message.attempts >= PATIENCE,
            ..waiting
        },
        Outcome::Unknown(note) => unknown(message, waiting, note, now),
        Outcome::Absent => Next {
            maybe: false,
            at: now,
            note: "the provider has not got it".to_owned(),
            ..waiting
        },
        Outcome::Unanswered(note) => ask_again(message, waiting, note, now),
    };
    give_up(message, next, pace, now)
}

/// An SMS is asked for. An email is sent again, but not for ever: a server that takes all and never
/// says so would fill a mailbox with copies.
fn unknown(message: &Message, waiting: Next, note: String, now: Timestamp) -> Next {
    let next = Next {
        maybe: true,
        note,
        elsewhere: message.severity == Severity::Critical,
        ..waiting
    };
    match message.channel {
        Channel::Sms => Next {
            state: State::Unknown,
            ..next
        },
        Channel::Email if message.asks + 1 < COPIES => Next {
            asks: message.asks + 1,
            ..next
        },
        Channel::Email => Next {
            state: State::Failed,
            at: now,
            note: format!("sent {COPIES} times, perhaps in vain: {}", next.note),
            elsewhere: true,
            ..next
        },
    }
}

fn ask_again(message: &Message, waiting: Next, note: String, now: Timestamp) -> Next {
    let enough = match message.kind {
        Kind::Opened | Kind::Risen | Kind::Summary => ASKS,
        Kind::Resolved => ASKS_IF_OVER,
    };
    let asks = message.asks + 1;
    let at = if asks < enough { waiting.at } else { now };
    Next {
        state: if asks < enough {
            State::Unknown
        } else {
            State::Pending
        },
        asks,
        at,
        note,
        ..waiting
    }
}

/// What is not critical is not tried for ever.
fn give_up(message: &Message, next: Next, pace: &Pace, now: Timestamp) -> Next {
    let tried_for = now.since(message.created_at);
    if !next.state.is_live()
        || message.severity == Severity::Critical
        || tried_for < pace.give_up.duration()
    {
        return next;
    }
    Next {
        state: State::Failed,
        at: now,
        note: format!("given up after {}: {}", pace.give_up, next.note),
        ..next
    }
}

/// What became of a message that the provider had taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// It is in the hands of its receiver.
    Arrived(String),
    /// It never will be.
    Lost(String),
    /// Nobody knows yet: to be asked again then.
    Wait(Timestamp),
    /// Nobody ever will know.
    Silence,
}

/// What follows from having asked so many times whether a message that was taken at `taken` has
/// arrived.
pub(super) fn receipt(
    outcome: Outcome,
    (checks, taken): (i64, Timestamp),
    pace: &Pace,
    jitter: f64,
    now: Timestamp,
) -> Receipt {
    match outcome {
        Outcome::Accepted(note) | Outcome::Submitted(note) | Outcome::Written(note) => {
            Receipt::Arrived(note)
        }
        Outcome::Refused(note) | Outcome::Blocked(note) => Receipt::Lost(note),
        Outcome::Later(_) | Outcome::Unknown(_) | Outcome::Absent | Outcome::Unanswered(_) => {
            if now.since(taken) >= pace.receipt.duration() {
                return Receipt::Silence;
            }
            Receipt::Wait(now + pace.wait(checks, jitter))
        }
    }
}
