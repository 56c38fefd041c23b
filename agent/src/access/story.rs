//! Remembers the processes of sudo and su, and the clients of OpenVPN, so that each try is counted
//! once and each line knows what earlier ones said. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use watchward_protocol::access::{
    AccessEvent, Action, Certificate, Outcome, Peer, Service, Trust, Tunnel, User,
};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::openvpn::{self, Reading};
use super::said::{Part, Said};

/// How many stories are remembered; beyond it the one that began first is forgotten.
const MOST: usize = 16_384;

/// How much of a certificate's subject is remembered.
const SUBJECT: usize = 512;

/// `log_exit_status` of sudo comes at most so long after the end of its session.
const MOMENT: Duration = Duration::from_secs(10);

/// What a story is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) service: Service,
    pub(super) boot: u128,
    pub(super) pid: Option<u32>,
    pub(super) trust: Trust,
    pub(super) peer: Option<Peer>,
}

/// The stories that go on, or did lately.
#[derive(Debug, Default)]
pub(super) struct Stories {
    all: HashMap<Key, Story>,
    order: VecDeque<Key>,
}

#[derive(Debug, Default)]
struct Story {
    user: Option<User>,
    common_name: Option<Vec<u8>>,
    /// All that the certificate calls its owner.
    subject: Option<Vec<u8>>,
    target: Option<Foreign>,
    tunnel: Tunnel,
    method: Option<&'static str>,
    failed: bool,
    /// Whether a certificate or a password was seen: who only began may be anybody.
    answered: bool,
    by_tcp: bool,
    opened: bool,
    ended: Option<Timestamp>,
}

impl Stories {
    /// Puts what a line says into its story, and the story into the event.
    pub(super) fn tell(&mut self, key: Key, said: &Said<'_>, event: &mut AccessEvent) {
        let alone = key.pid.is_none() && key.service != Service::OpenVpn;
        if alone || said.part == Part::Beside && !self.all.contains_key(&key) {
            fill(event, said);
            return;
        }
        let story = self.entry(key);
        if said.part == Part::Begins || story.is_over(said) {
            *story = Story {
                by_tcp: story.by_tcp && said.part == Part::Begins,
                ..Story::default()
            };
        }
        story.learn(said);
        fill(event, said);
        story.complete(event);
        let vpn = key.service == Service::OpenVpn;
        event.attempt = story.count(said, event.at, vpn);
        story.word(said, event);
        if vpn {
            story.name(event);
        }
        if vpn && said.part == Part::Ends {
            self.forget(key);
        }
    }

    /// Which way to read a line of a client fits to what is known of the clients. None: more than
    /// one way does, or several do equally little.
    pub(super) fn choose<'r, 'a>(
        &self,
        key: impl Fn(Option<Peer>) -> Key,
        readings: &'r [Reading<'a>],
    ) -> Option<&'r Said<'a>> {
        if let [only] = readings {
            return Some(&only.said);
        }
        let known = |reading: &&Reading<'_>| {
            let story = self.all.get(&key(reading.said.peer));
            match reading.name {
                Some(name) => story.is_some_and(|story| story.is_called(name)),
                None => false,
            }
        };
        let mut named = readings.iter().filter(known);
        match (named.next(), named.next()) {
            (Some(one), None) => return Some(&one.said),
            (Some(_), Some(_)) => return None,
            (None, _) => {}
        }
        // Nobody who has proved nothing has a name that stands before the address.
        let bare = readings.first().filter(|first| first.name.is_none())?;
        let story = self.all.get(&key(bare.said.peer));
        story
            .is_none_or(|story| story.common_name.is_none() || !story.opened)
            .then_some(&bare.said)
    }

    fn entry(&mut self, key: Key) -> &mut Story {
        if !self.all.contains_key(&key) {
            if self.order.len() >= MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.all.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.all.entry(key).or_default()
    }

    fn forget(&mut self, key: Key) {
        self.all.remove(&key);
        // What ends began lately, most often.
        if let Some(at) = self.order.iter().rposition(|one| *one == key) {
            self.order.remove(at);
        }
    }
}

impl Story {
    /// Whether the line must be of another process with the same number.
    fn is_over(&self, said: &Said<'_>) -> bool {
        self.ended.is_some() && !matches!(said.part, Part::Exits | Part::Ends | Part::Beside)
    }

    fn is_called(&self, name: &[u8]) -> bool {
        let named = self.common_name.as_deref() == Some(name);
        let subject = self.subject.as_deref().unwrap_or_default();
        let login = self.user.as_ref().filter(|user| user.known);
        named
            || login.is_some_and(|user| user.name.as_bytes() == name)
            || subject
                .windows(name.len().max(1))
                .any(|window| window == name)
    }

    fn learn(&mut self, said: &Said<'_>) {
        if let Some(user) = &said.user {
            self.user = Some(User {
                name: Foreign::from(&*user.bytes),
                known: user.known,
            });
        }
        if let Some(name) = &said.common_name {
            self.common_name = Some(name.to_vec());
        }
        if let Some(subject) = said.subject {
            self.subject = Some(subject.get(..SUBJECT).unwrap_or(subject).to_vec());
        }
        if let Some(target) = &said.target {
            self.target = Some(Foreign::from(&**target));
        }
        self.tunnel.v4 = said.tunnel.v4.or(self.tunnel.v4);
        self.tunnel.v6 = said.tunnel.v6.or(self.tunnel.v6);
        self.method = said.method.or(self.method);
        self.answered |= said.method.is_some();
        self.by_tcp |= said.form == openvpn::TCP;
    }

    /// Adds to an event what only earlier lines said.
    fn complete(&self, event: &mut AccessEvent) {
        if event.user.is_none() {
            event.user.clone_from(&self.user);
        }
        if event.target.is_none() {
            event.target.clone_from(&self.target);
        }
        event.tunnel.v4 = event.tunnel.v4.or(self.tunnel.v4);
        event.tunnel.v6 = event.tunnel.v6.or(self.tunnel.v6);
        if event.outcome != Outcome::Unknown && event.method.is_none() {
            event.method = self.method.map(str::to_owned);
        }
        if event.certificate.is_none()
            && let Some(name) = &self.common_name
        {
            event.certificate = Some(certificate(name, None));
        }
    }

    /// Without a user name a client of OpenVPN is who its certificate says.
    fn name(&self, event: &mut AccessEvent) {
        let Some(certificate) = event.certificate.as_ref().filter(|_| event.user.is_none()) else {
            return;
        };
        event.user = Some(User {
            name: certificate.id.clone(),
            known: self.opened || self.subject.is_some(),
        });
    }

    /// Whether the line is a try of its own. A client of OpenVPN fails and gets in with several
    /// lines, sudo and su with one; their numbers of processes come again, and theirs is no end.
    fn count(&mut self, said: &Said<'_>, at: Timestamp, several: bool) -> bool {
        match said.part {
            Part::Fails => !(std::mem::replace(&mut self.failed, true) && several),
            Part::Breaks => {
                let somebody = self.answered || self.by_tcp;
                somebody && !std::mem::replace(&mut self.failed, true)
            }
            Part::Lapses => {
                self.answered = false;
                false
            }
            Part::Succeeds => {
                self.failed = false;
                !(std::mem::replace(&mut self.opened, true) && several)
            }
            Part::Exits => {
                let late = self.ended.is_some_and(|ended| at.since(ended) > MOMENT);
                !std::mem::replace(&mut self.opened, false) || late
            }
            Part::Renews => {
                self.failed = false;
                false
            }
            Part::Ends => {
                self.ended = Some(at);
                false
            }
            Part::Begins | Part::Tells | Part::Beside => false,
        }
    }

    /// Says what happened where the line alone does not.
    fn word(&self, said: &Said<'_>, event: &mut AccessEvent) {
        match said.part {
            Part::Succeeds if !event.attempt => event.action = Action::SessionOpened,
            Part::Exits if !event.attempt => {
                event.action = Action::Notice;
                event.outcome = Outcome::Unknown;
            }
            // A name before the address has only who was let in; also where the line that said so
            // came before this start.
            Part::Ends if self.opened || (!self.failed && event.certificate.is_some()) => {
                event.action = Action::SessionClosed;
            }
            Part::Begins
            | Part::Renews
            | Part::Fails
            | Part::Breaks
            | Part::Lapses
            | Part::Succeeds
            | Part::Exits
            | Part::Ends
            | Part::Tells
            | Part::Beside => {}
        }
    }
}

/// What the line itself says.
fn fill(event: &mut AccessEvent, said: &Said<'_>) {
    event.form = said.form.to_owned();
    event.action = said.action;
    event.outcome = said.outcome;
    event.attempt = matches!(said.part, Part::Fails | Part::Succeeds | Part::Exits);
    event.user = said.user.as_ref().map(|user| User {
        name: Foreign::from(&*user.bytes),
        known: user.known,
    });
    event.target = said.target.as_deref().map(Foreign::from);
    event.command = said.command.as_deref().map(Foreign::from);
    event.peer = said.peer;
    event.tunnel = said.tunnel;
    event.method = said.method.map(str::to_owned);
    let name = said.common_name.as_deref();
    event.certificate = name.map(|name| certificate(name, said.serial));
}

fn certificate(name: &[u8], serial: Option<u64>) -> Certificate {
    Certificate {
        id: Foreign::from(name),
        serial,
        authority: None,
    }
}
