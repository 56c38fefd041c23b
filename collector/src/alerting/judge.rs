//! Judges who is told what. Touches nothing.

use super::Severity;
use super::config::Contact;
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
    // What is only worth knowing is not worth another way.
    let worth = message.kind != Kind::Resolved && message.severity > Severity::Info;
    let incident = &message.incident;
    let in_hand = incident.resolved.is_some() || incident.acknowledged.is_some();
    if !worth || in_hand || used {
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
