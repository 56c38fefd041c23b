//! Judges who is told what, and what follows from an attempt to tell them. Touches nothing.

use watchward_protocol::time::Timestamp;

use super::Severity;
use super::config::{Contact, Pace};
use super::message::{Channel, Kind, Message, State};

/// A message that stands in the outbox already, as far as telling more depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: i64,
    pub(super) contact: String,
    pub(super) channel: Channel,
    pub(super) address: String,
    pub(super) kind: Kind,
    pub(super) severity: Severity,
    pub(super) state: State,
    pub(super) maybe: bool,
}

/// A message to be written into the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct New {
    pub(super) contact: String,
    pub(super) channel: Channel,
    pub(super) address: String,
    pub(super) kind: Kind,
    pub(super) severity: Severity,
}

/// What a notice leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Add(New),
    /// This message has reached nobody yet: let it tell of the higher severity, or add another one
    /// if it is being sent just now.
    Sharpen(i64, New),
}

/// Who is told that an incident has begun or become worse.
pub(super) fn tell(contacts: &[Contact], severity: Severity, told: &[Told]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut addressed: Vec<(Channel, String)> = Vec::new();
    for contact in contacts {
        for channel in Channel::ALL {
            let Some(address) = contact.address(channel, Some(severity)) else {
                continue;
            };
            let place = (channel, address.clone());
            if addressed.contains(&place) {
                continue;
            }
            addressed.push(place);
            let before = told.iter().rfind(|one| {
                one.contact == contact.name.as_str() && one.channel == channel && one.may_count()
            });
            let mut new = New {
                contact: contact.name.as_str().to_owned(),
                channel,
                address,
                kind: Kind::Opened,
                severity,
            };
            match before {
                None => steps.push(Step::Add(new)),
                Some(before) if before.severity >= severity => {}
                Some(before) => {
                    new.kind = Kind::Risen;
                    steps.push(Step::Sharpen(before.id, new));
                }
            }
        }
    }
    steps
}

/// Who is told that an incident is over: exactly those who were told, or may yet turn out to have
/// been told, that it began.
pub(super) fn tell_end(told: &[Told]) -> Vec<New> {
    let mut all: Vec<New> = Vec::new();
    for one in told.iter().filter(|one| one.may_count()) {
        let new = New {
            contact: one.contact.clone(),
            channel: one.channel,
            address: one.address.clone(),
            kind: Kind::Resolved,
            severity: one.severity,
        };
        let same =
            |other: &&mut New| (&other.contact, other.channel) == (&new.contact, new.channel);
        match all.iter_mut().find(same) {
            Some(other) => other.severity = other.severity.max(new.severity),
            None => all.push(new),
        }
    }
    all
}

/// The other way to tell somebody whom one way does not reach, unless it was used already.
pub(super) fn elsewhere(message: &Message, contacts: &[Contact], told: &[Told]) -> Option<New> {
    let channel = message.channel.other();
    let used = told
        .iter()
        .any(|one| one.contact == message.contact && one.channel == channel);
    if message.kind == Kind::Resolved || message.incident.resolved.is_some() || used {
        return None;
    }
    let contact = contacts
        .iter()
        .find(|contact| contact.name.as_str() == message.contact)?;
    Some(New {
        contact: message.contact.clone(),
        channel,
        address: contact.address(channel, None)?,
        kind: Kind::Opened,
        severity: message.severity,
    })
}

impl Told {
    /// Whether its receiver knows of the incident, or may yet.
    fn may_count(&self) -> bool {
        self.maybe || !matches!(self.state, State::Failed | State::Dropped)
    }
}

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
        _ => Due::Send,
    }
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The provider has taken it, and calls it this.
    Accepted(String),
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
        Outcome::Accepted(proof) => Next {
            state: State::Delivered,
            at: now,
            note: proof,
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
        Outcome::Unknown(note) => Next {
            state: match message.channel {
                Channel::Email => State::Pending,
                Channel::Sms => State::Unknown,
            },
            maybe: true,
            note,
            elsewhere: critical,
            ..waiting
        },
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

fn ask_again(message: &Message, waiting: Next, note: String, now: Timestamp) -> Next {
    let enough = match message.kind {
        Kind::Opened | Kind::Risen => ASKS,
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
