//! Whom sshd says it is talking to, as it stands in many forms.

use watchward_protocol::access::Peer;

use super::Name;
use super::cursor::{origin_at_end, origin_at_start};
use super::message::Message;

/// sshd writes at most so many bytes of who the peer says it is, together with the words before it.
const PREAMBLE: usize = 200;

/// Whom sshd says it is talking to: `[invalid user U |authenticating user U |user U ]IP port N`.
pub(super) struct Identity<'a> {
    pub(super) stage: Stage,
    pub(super) user: Option<Name<'a>>,
    pub(super) peer: Option<Peer>,
    pub(super) releases: &'static str,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Unnamed,
    Authenticating,
    LoggedIn,
}

/// Reads who it is from the end to the start.
pub(super) fn identity<'a>(message: &Message<'a>, text: &'a [u8]) -> Option<Identity<'a>> {
    let Some((stage, known, rest)) = preamble(text) else {
        let (peer, after) = origin_at_start(text)?;
        let identity = Identity {
            stage: Stage::Unnamed,
            user: None,
            peer,
            releases: "7.2+",
        };
        return after.is_empty().then_some(identity);
    };
    let (before, peer) = origin_at_end(rest)?;
    let name = before.strip_suffix(b" ")?;
    let words = text.len() - rest.len();
    if message.length(name) + words > PREAMBLE {
        return None;
    }
    let user = message.name(name, PREAMBLE.saturating_sub(words), known);
    Some(Identity {
        stage,
        user,
        peer,
        releases: "7.5+",
    })
}

/// The words that say how far the peer has come. Since 7.5 the monitor forgets a space in them.
pub(super) fn preamble(text: &[u8]) -> Option<(Stage, bool, &[u8])> {
    let authenticating = || {
        text.strip_prefix(b"authenticating user ")
            .or_else(|| text.strip_prefix(b"authenticatinguser "))
    };
    if let Some(rest) = text.strip_prefix(b"invalid user ") {
        return Some((Stage::Authenticating, false, rest));
    }
    if let Some(rest) = authenticating() {
        return Some((Stage::Authenticating, true, rest));
    }
    text.strip_prefix(b"user ")
        .map(|rest| (Stage::LoggedIn, true, rest))
}
