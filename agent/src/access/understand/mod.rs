//! From a message of a server to the events it means: the one function that all sources use.

use watchward_protocol::access::{
    AccessEvent, Action, Certificate, Key as PublicKey, Outcome, Peer, Service, Trust, Tunnel,
    UNRECOGNISED, User,
};
use watchward_protocol::record::Gap;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::connection::{Connections, Kept, Process, Sighting, Verdict};
use super::openvpn::{self, Line};
use super::sshd::{self, Parsed, Role};
use super::story::{Key, Stories};
use super::{elevation, said::Said};

/// A folded line is unfolded into at most so many events. Only lines of one connection are alike,
/// and sshd gives it six tries (`MaxAuthTries`); any local user can write a larger number.
const MOST_REPEATS: u32 = 32;
/// So many events are unfolded of one read beside one for each line: a few bytes must not become
/// megabytes.
const MOST_UNFOLDED: u32 = 512;

/// A message as a source found it.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// The server that wrote it.
    pub service: Service,
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
    stories: Stories,
    /// How many events were unfolded in this read.
    unfolded: u32,
    folded: Option<Folded>,
}

/// What stays folded.
#[derive(Clone, Copy, Debug)]
struct Folded {
    from: Timestamp,
    to: Timestamp,
    lost: u64,
}

impl Understand {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on with the connections that a position knows: none else are open.
    pub(super) fn resume(&mut self, kept: &[Kept]) {
        self.connections = Connections::resume(kept);
    }

    /// What is known of open connections, to go on with after a restart.
    pub(super) fn kept(&self) -> Vec<Kept> {
        self.connections.kept()
    }

    /// Begins another read of the source: some more may be unfolded.
    pub fn begin(&mut self) {
        self.unfolded = 0;
    }

    /// What a message means: one event, or as many as were folded into it, but never more than 32,
    /// and 512 in one read; the others are told by [`Self::gap`]. What nobody understands has the
    /// form `unrecognised`. What OpenVPN says about itself, or says without telling anything, is no
    /// event.
    pub fn line(&mut self, written: &Written<'_>) -> Vec<AccessEvent> {
        let (times, message) = sshd::repeated(written.message);
        let more = times.clamp(1, MOST_REPEATS) - 1;
        let more = more.min(MOST_UNFOLDED.saturating_sub(self.unfolded));
        self.unfolded += more;
        if times > more + 1 {
            self.leave_folded(written.at, times - more - 1);
        }
        let times = 0..=more;
        match written.service {
            Service::Sshd => {
                let parsed = sshd::parse(message);
                times.map(|_| self.event(written, parsed.clone())).collect()
            }
            Service::Sudo => {
                let said = elevation::sudo(message);
                times.map(|_| self.told(written, said.as_ref())).collect()
            }
            Service::Su => {
                let said = elevation::su(message);
                times.map(|_| self.told(written, said.as_ref())).collect()
            }
            Service::OpenVpn => {
                let line = openvpn::parse(message);
                times.filter_map(|_| self.of_vpn(written, &line)).collect()
            }
            Service::WireGuard => Vec::new(),
        }
    }

    fn told(&mut self, written: &Written<'_>, said: Option<&Said<'_>>) -> AccessEvent {
        let mut event = unrecognised(written);
        if let Some(said) = said {
            self.stories.tell(key(written, said.peer), said, &mut event);
        }
        event
    }

    fn of_vpn(&mut self, written: &Written<'_>, line: &Line<'_>) -> Option<AccessEvent> {
        let readings = match line {
            Line::Client(readings) => readings,
            Line::Unknown => return Some(unrecognised(written)),
            Line::Other => return None,
        };
        let said = self.stories.choose(|peer| key(written, peer), readings);
        Some(match said {
            Some(said) if said.form == openvpn::NOTICE => return None,
            Some(said) if said.form == openvpn::TCP => {
                // Only its story has to know.
                self.told(written, Some(said));
                return None;
            }
            Some(said) => self.told(written, Some(said)),
            None => AccessEvent {
                form: "tampered".to_owned(),
                ..unrecognised(written)
            },
        })
    }

    fn leave_folded(&mut self, at: Timestamp, times: u32) {
        let folded = self.folded.get_or_insert(Folded {
            from: at,
            to: at,
            lost: 0,
        });
        folded.from = folded.from.min(at);
        folded.to = folded.to.max(at);
        folded.lost = folded.lost.saturating_add(times.into());
    }

    /// What stayed folded since it was last asked.
    pub fn gap(&mut self, source: &str) -> Option<Gap> {
        let Folded { from, to, lost } = self.folded.take()?;
        Some(Gap {
            source: source.to_owned(),
            from: Some(from),
            to,
            lost: Some(lost),
            why: "lines say that they were repeated more often than is believed: any local user \
                can write such lines"
                .to_owned(),
        })
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
            key: parsed.key.map(|key| PublicKey {
                kind: key.kind.to_owned(),
                fingerprint: key.fingerprint.to_owned(),
            }),
            certificate: parsed.certificate.as_ref().map(|certificate| Certificate {
                id: Foreign::from(&*certificate.id),
                serial: Some(certificate.serial),
                authority: Some(certificate.authority.to_owned()),
            }),
            ..unrecognised(written)
        };
        self.place(written, &parsed, &mut event);
        event
    }

    /// Puts the event into the story of its connection.
    fn place(&mut self, written: &Written<'_>, parsed: &Parsed<'_>, event: &mut AccessEvent) {
        if let Some(pid) = parsed.about {
            let (untold, user) = self.connections.end(process(written, pid));
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
        match self.connections.see(process(written, pid), sighting) {
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

fn process(written: &Written<'_>, pid: u32) -> Process {
    let Written { boot, trust, .. } = *written;
    Process { boot, pid, trust }
}

fn key(written: &Written<'_>, peer: Option<Peer>) -> Key {
    let Written {
        service,
        boot,
        pid,
        trust,
        ..
    } = *written;
    Key {
        service,
        boot,
        pid,
        trust,
        peer,
    }
}

/// An event that says only that there was a line.
fn unrecognised(written: &Written<'_>) -> AccessEvent {
    AccessEvent {
        at: written.at,
        service: written.service,
        action: Action::Notice,
        outcome: Outcome::Unknown,
        attempt: false,
        form: UNRECOGNISED.to_owned(),
        user: None,
        target: None,
        peer: None,
        tunnel: Tunnel::default(),
        method: None,
        key: None,
        certificate: None,
        command: None,
        pid: written.pid,
        trust: written.trust,
        line: Foreign::from(written.message),
    }
}

#[cfg(test)]
mod stories;
#[cfg(test)]
mod tests;
