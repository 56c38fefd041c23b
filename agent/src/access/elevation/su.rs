//! su: of util-linux, which nearly all systems have, and of shadow, which Debian had before 10.

use watchward_protocol::access::{Action, Outcome};

use super::pam;
use crate::access::cursor::{first, last};
use crate::access::said::{Part, Said};

/// What su says besides who became whom: how such a line starts. Nothing is taken from it.
const NOTICES: [&[u8]; 15] = [
    b"pam_authenticate: ",
    b"pam_acct_mgmt: ",
    b"pam_setcred: ",
    b"pam_open_session: ",
    b"pam_close_session: ",
    b"pam_chauthtok: ",
    b"pam_start: ",
    b"pam_set_item: ",
    b"pam_get_item: ",
    b"Authentication failed for ",
    b"No passwd entry for user ",
    b"Change user from ",
    b"Will not execute ",
    b"Cannot execute ",
    b"There is no UID 0 user.",
];

/// Reads one message of su. `None`: no release is known to write it.
pub fn parse(message: &[u8]) -> Option<Said<'_>> {
    pam::parse(message, b"su")
        .or_else(|| of_util_linux(message))
        .or_else(|| of_shadow(message))
        .or_else(|| {
            let known = NOTICES.iter().any(|start| message.starts_with(start));
            known.then(|| Said::notice("su-notice"))
        })
}

/// `(to NEW) OLD on TTY` and `FAILED SU (to NEW) OLD on TTY`
fn of_util_linux(message: &[u8]) -> Option<Said<'_>> {
    let (said, rest) = match message.strip_prefix(b"FAILED SU ") {
        Some(rest) => (Said::failed("su-failed"), rest),
        None => (became(), message),
    };
    let (target, rest) = first(rest.strip_prefix(b"(to ")?, b") ")?;
    let (user, terminal) = last(rest, b" on ")?;
    let whole = !terminal.is_empty() && !terminal.contains(&b' ');
    whole.then(|| said.known_user(user).target(Some(target)))
}

fn of_shadow(message: &[u8]) -> Option<Said<'_>> {
    let names = |rest, by| {
        let (target, user) = last(rest, by)?;
        Some((target, user))
    };
    if let Some(rest) = message.strip_prefix(b"Successful su for ") {
        let (target, user) = names(rest, b" by ")?;
        return Some(became().known_user(user).target(Some(target)));
    }
    if let Some(rest) = message.strip_prefix(b"FAILED su for ") {
        let (target, user) = names(rest, b" by ")?;
        let said = Said::failed("su-failed").known_user(user);
        return Some(said.target(Some(target)));
    }
    if let Some(rest) = message.strip_prefix(b"SU by ") {
        let (user, target) = first(rest, b" to restricted account ")?;
        let said = Said::refused("su-restricted").known_user(user);
        return Some(said.target(Some(target)));
    }
    // `+ TTY OLD:NEW` comes with the success that was told, `- TTY OLD:NEW` with the failure.
    let rest = message
        .strip_prefix(b"+ ")
        .or_else(|| message.strip_prefix(b"- "))?;
    let (_, names) = first(rest, b" ")?;
    let (user, target) = first(names, b":")?;
    let said = Said::new("su-log", Action::Notice, Outcome::Unknown, Part::Tells);
    Some(said.known_user(user).target(Some(target)))
}

fn became() -> Said<'static> {
    let action = Action::Authentication;
    Said::new("su", action, Outcome::Success, Part::Succeeds)
}
