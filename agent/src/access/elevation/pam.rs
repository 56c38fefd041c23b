//! What PAM's modules say in the name of sudo and su.

use watchward_protocol::access::{Action, Outcome};

use crate::access::cursor::{first, last, word};
use crate::access::said::{Part, Said};

/// `pam_NAME(SERVICE:KIND): TEXT`, and what PAM itself says. SERVICE is the program, or one of its
/// login shells: `sudo-i`, `su-l`.
pub(super) fn parse<'a>(message: &'a [u8], program: &[u8]) -> Option<Said<'a>> {
    if let Some(rest) = message.strip_prefix(b"PAM ") {
        return retries(rest, program);
    }
    let rest = message.strip_prefix(b"pam_")?;
    let (name, rest) = first(rest, b"(")?;
    let (service, rest) = first(rest, b":")?;
    let (kind, text) = first(rest, b"): ")?;
    let tail = service.strip_prefix(program)?;
    if !matches!(tail, b"" | b"-i" | b"-l") || !letters(name) || !letters(kind) {
        return None;
    }
    let said = match (name, kind) {
        (b"unix", b"auth") => attempt(text, program),
        (b"unix", b"session") => session(text),
        _ => None,
    };
    Some(said.unwrap_or_else(|| Said::notice("pam-module")))
}

fn letters(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// `authentication failure; logname=L uid=1000 euid=0 tty=T ruser=R rhost=  user=U`
fn attempt<'a>(text: &'a [u8], program: &[u8]) -> Option<Said<'a>> {
    let rest = text.strip_prefix(b"authentication failure; ")?;
    Some(circumstances(rest, program, "pam-failure"))
}

/// `2 more authentication failures; logname=...` and `service(sudo) ignoring max retries; 3 > 2`
fn retries<'a>(text: &'a [u8], program: &[u8]) -> Option<Said<'a>> {
    if let Some(rest) = text.strip_prefix(b"service(") {
        let ignoring = b") ignoring max retries; ";
        return first(rest, ignoring).map(|_| Said::notice("pam-retries"));
    }
    let (count, rest) = word(text);
    let rest = rest.strip_prefix(b"more authentication failure")?;
    let rest = rest.strip_prefix(b"s").unwrap_or(rest);
    let rest = rest.strip_prefix(b"; ")?;
    let plain = !count.is_empty() && count.iter().all(u8::is_ascii_digit);
    plain.then(|| circumstances(rest, program, "pam-retries"))
}

/// Who asked is `ruser`; for su, `user` is whose password was wanted. The program itself writes the
/// line that counts.
fn circumstances<'a>(text: &'a [u8], program: &[u8], form: &'static str) -> Said<'a> {
    let said = Said::failed(form).no_try().method("password");
    let Some((_, rest)) = first(text, b" ruser=") else {
        return said;
    };
    let Some((asking, rest)) = first(rest, b" rhost=") else {
        return said;
    };
    let wanted = rest.strip_prefix(b"  user=");
    let target = wanted.filter(|_| program == b"su");
    said.known_user(asking).target(target)
}

/// `session opened for user T(uid=0) by U(uid=1000)` and `session closed for user T`
fn session(text: &[u8]) -> Option<Said<'_>> {
    if let Some(rest) = text.strip_prefix(b"session opened for user ") {
        let (target, by) = last(rest, b" by ")?;
        let (action, outcome) = (Action::SessionOpened, Outcome::Success);
        let said = Said::new("pam-session-opened", action, outcome, Part::Tells);
        return Some(said.known_user(bare(by)).target(Some(bare(target))));
    }
    let target = text.strip_prefix(b"session closed for user ")?;
    let (action, outcome) = (Action::SessionClosed, Outcome::Unknown);
    let said = Said::new("pam-session-closed", action, outcome, Part::Ends);
    Some(said.target(Some(target)))
}

/// A name without the `(uid=0)` that newer releases write behind it.
fn bare(name: &[u8]) -> &[u8] {
    last(name, b"(uid=").map_or(name, |(name, _)| name)
}
