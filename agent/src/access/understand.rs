//! From a message of a server to the events it means: the one function that all sources use.

use watchward_protocol::access::{
    AccessEvent, Action, Certificate, Key, Outcome, Service, Trust, User,
};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::connection::{Connections, Process, Sighting, Verdict};
use super::sshd::{self, Parsed, Role};

/// A folded line is unfolded into at most so many events; any local user can write a larger number.
const MOST_REPEATS: u32 = 4096;

/// The form of an event whose line nobody understands.
pub const UNRECOGNISED: &str = "unrecognised";

/// A message as a source found it.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// The process that wrote it.
    pub pid: Option<u32>,
    /// The boot of the host; zero where the source does not tell it.
    pub boot: u128,
    /// How sure it is that the server itself wrote it.
    pub trust: Trust,
    /// The message without its header.
    pub message: &'a [u8],
}

/// Understands the lines of one source, in their order.
#[derive(Debug, Default)]
pub struct Understand {
    connections: Connections,
}

impl Understand {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a message of sshd means: one event, or as many as were folded into it, but never more
    /// than 4096. What nobody understands has the form `unrecognised`.
    pub fn line(&mut self, written: &Written<'_>) -> Vec<AccessEvent> {
        let (times, message) = sshd::repeated(written.message);
        let parsed = sshd::parse(message);
        (0..times.min(MOST_REPEATS))
            .map(|_| self.event(written, parsed.clone()))
            .collect()
    }

    fn event(&mut self, written: &Written<'_>, parsed: Option<Parsed<'_>>) -> AccessEvent {
        let Some(parsed) = parsed else {
            return unrecognised(written);
        };
        let mut event = AccessEvent {
            action: parsed.action,
            outcome: parsed.outcome,
            attempt: parsed.role == Role::Tries,
            form: parsed.form.to_owned(),
            user: parsed.user.as_ref().map(|user| User {
                name: Foreign::from(&*user.bytes),
                known: user.known,
            }),
            peer: parsed.peer,
            method: parsed.method.map(str::to_owned),
            key: parsed.key.map(|key| Key {
                kind: key.kind.to_owned(),
                fingerprint: key.fingerprint.to_owned(),
            }),
            certificate: parsed.certificate.as_ref().map(|certificate| Certificate {
                id: Foreign::from(&*certificate.id),
                serial: certificate.serial,
                authority: certificate.authority.to_owned(),
            }),
            ..unrecognised(written)
        };
        self.place(written, &parsed, &mut event);
        event
    }

    /// Puts the event into the story of its connection.
    fn place(&mut self, written: &Written<'_>, parsed: &Parsed<'_>, event: &mut AccessEvent) {
        if let Some(pid) = parsed.about {
            let (untold, user) = self.connections.end(Process {
                boot: written.boot,
                pid,
            });
            event.attempt = untold;
            event.user = user;
            if untold {
                event.outcome = Outcome::Failure;
            }
            return;
        }
        let Some(pid) = written.pid else {
            return;
        };
        let sighting = Sighting {
            at: written.at,
            role: parsed.role,
            outcome: parsed.outcome,
            user: event.user.take(),
            peer: event.peer,
        };
        match self.connections.see(
            Process {
                boot: written.boot,
                pid,
            },
            sighting,
        ) {
            Verdict::Fits {
                attempt,
                user,
                peer,
            } => {
                event.attempt = attempt;
                event.user = user;
                event.peer = peer;
                if attempt && event.outcome == Outcome::Unknown {
                    event.outcome = Outcome::Failure;
                }
            }
            Verdict::Tampered(pinned) => {
                *event = AccessEvent {
                    form: "tampered".to_owned(),
                    peer: Some(pinned),
                    ..unrecognised(written)
                };
            }
        }
    }
}

/// An event that says only that there was a line.
fn unrecognised(written: &Written<'_>) -> AccessEvent {
    AccessEvent {
        at: written.at,
        service: Service::Sshd,
        action: Action::Notice,
        outcome: Outcome::Unknown,
        attempt: false,
        form: UNRECOGNISED.to_owned(),
        user: None,
        peer: None,
        method: None,
        key: None,
        certificate: None,
        pid: written.pid,
        trust: written.trust,
        line: Foreign::from(written.message),
    }
}
