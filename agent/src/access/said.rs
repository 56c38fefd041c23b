//! What one line of sudo, su or OpenVPN says, and what it means for the story it belongs to. Pure.

use std::borrow::Cow;

use watchward_protocol::access::{Action, Outcome, Peer, Tunnel};

use super::sshd::Name;

/// What one line says. Absent fields are not in the line, or cannot be told for sure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// The name of the grammar that matched, which is also the reason where something failed.
    pub form: &'static str,
    /// What happened.
    pub action: Action,
    /// Whether somebody got in.
    pub outcome: Outcome,
    /// What the line means for the count of attempts.
    pub part: Part,
    /// Who it says it was.
    pub user: Option<Name<'a>>,
    /// The account that was asked for.
    pub target: Option<Cow<'a, [u8]>>,
    /// What was to be run.
    pub command: Option<Cow<'a, [u8]>>,
    /// Where it came from.
    pub peer: Option<Peer>,
    /// The addresses that were given inside a VPN.
    pub tunnel: Tunnel,
    /// How: `password`, `certificate`.
    pub method: Option<&'static str>,
    /// The common name of the certificate.
    pub common_name: Option<Cow<'a, [u8]>>,
    /// All that a certificate which was taken calls its owner.
    pub subject: Option<&'a [u8]>,
    /// The serial number of the certificate, if it fits.
    pub serial: Option<u64>,
}

/// What a line means for the process or the connection that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A connection has just come.
    Begins,
    /// Keys are negotiated anew: it may fail once more.
    Renews,
    /// A try that failed; a second such line of the same story tells of the same try.
    Fails,
    /// A handshake that failed: a try only of whoever has answered, for the first packet of UDP can
    /// come in anybody's name.
    Breaks,
    /// A handshake in which nobody answered in time.
    Lapses,
    /// Somebody got in.
    Succeeds,
    /// What was let in before has ended: or, if nothing was, that somebody got in.
    Exits,
    /// The story is over.
    Ends,
    /// Tells something that belongs to the story.
    Tells,
    /// Tells nothing of it.
    Beside,
}

impl<'a> Said<'a> {
    /// A line of which only its form is known so far.
    pub(super) fn new(form: &'static str, action: Action, outcome: Outcome, part: Part) -> Self {
        Self {
            form,
            action,
            outcome,
            part,
            user: None,
            target: None,
            command: None,
            peer: None,
            tunnel: Tunnel::default(),
            method: None,
            common_name: None,
            subject: None,
            serial: None,
        }
    }

    /// A line that tells nothing of who and whether.
    pub(super) fn notice(form: &'static str) -> Self {
        Self::new(form, Action::Notice, Outcome::Unknown, Part::Beside)
    }

    /// A try that failed.
    pub(super) fn failed(form: &'static str) -> Self {
        let action = Action::Authentication;
        Self::new(form, action, Outcome::Failure, Part::Fails)
    }

    /// A try that the server turned down although whoever asked may well have been who they said.
    pub(super) fn refused(form: &'static str) -> Self {
        Self::new(form, Action::Refusal, Outcome::Failure, Part::Fails)
    }

    /// A failure that is no try of its own.
    pub(super) fn no_try(mut self) -> Self {
        self.part = Part::Tells;
        self
    }

    /// An account of the host, or a name that its server has found to be right.
    pub(super) fn known_user(self, name: &'a [u8]) -> Self {
        self.user(name, true)
    }

    pub(super) fn user(mut self, name: &'a [u8], known: bool) -> Self {
        let bytes = Cow::Borrowed(name);
        self.user = (!name.is_empty()).then_some(Name { bytes, known });
        self
    }

    pub(super) fn target(mut self, name: Option<&'a [u8]>) -> Self {
        self.target = name.filter(|name| !name.is_empty()).map(Cow::Borrowed);
        self
    }

    pub(super) fn command(mut self, command: Option<&'a [u8]>) -> Self {
        self.command = command.map(Cow::Borrowed);
        self
    }

    pub(super) fn method(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }
}
