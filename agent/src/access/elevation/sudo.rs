//! sudo 1.8 and 1.9, whose lines are `USER : [REASON ; ]FIELDS`.

use watchward_protocol::access::{Action, Outcome};

use super::{json, pam};
use crate::access::cursor::{between, every, first, word};
use crate::access::said::{Part, Said};

/// Why sudo says no, as far as it counts as a try. A reason ends at ` ; ` or at ` : `.
const REFUSALS: [(&[u8], &str); 9] = [
    (b"user NOT in sudoers", "sudo-not-in-sudoers"),
    (b"user NOT authorized on host", "sudo-not-on-this-host"),
    (b"command not allowed", "sudo-command-not-allowed"),
    (b"command rejected", "sudo-command-not-allowed"),
    (b"user not allowed to ", "sudo-not-allowed"),
    (b"you are not permitted to ", "sudo-not-allowed"),
    (b"sorry, you are not allowed to ", "sudo-not-allowed"),
    (b"account validation failure", "sudo-account"),
    (b"Account ", "sudo-account"),
];

/// What else sudo puts before the fields, or in their place: nobody was refused for who they are.
const NOTICES: [&[u8]; 24] = [
    b"no tty",
    b"sorry, you must have a tty to run sudo",
    b"unknown user",
    b"unknown group",
    b"unknown uid",
    b"unknown login class",
    b"unable to ",
    b"invalid ",
    b"problem with defaults entries",
    b"parse error in ",
    b"syntax error",
    b"PAM ",
    b"pam_",
    b"Password expired",
    b"auth",
    b"conversation failed",
    b"timestamp ",
    b"time stamp ",
    b"values for ",
    b"fatal error",
    b"error ",
    b"only root can use ",
    b"no valid sudoers",
    b"signal ",
];

/// Reads one message of sudo. `None`: no release is known to write it.
pub fn parse(message: &[u8]) -> Option<Said<'_>> {
    let message = message.trim_ascii_start();
    if let Some(said) = pam::parse(message, b"sudo") {
        return Some(said);
    }
    if let Some(object) = message.strip_prefix(b"@cee:") {
        return json::parse(object);
    }
    let (user, rest) = first(message, b" : ")?;
    if user.contains(&b' ') {
        return general(message);
    }
    line(rest).map(|said| said.known_user(user))
}

fn line(rest: &[u8]) -> Option<Said<'_>> {
    if rest.starts_with(b"(command continued) ") {
        return Some(Said::notice("sudo-continued"));
    }
    if rest == b"a password is required" || rest.starts_with(b"a password is required ; ") {
        // What `sudo -n` finds out: nobody was asked, and nothing was tried.
        return Some(aimed(Said::refused("sudo-password-needed").no_try(), rest));
    }
    if wrong_passwords(rest) {
        return Some(aimed(
            Said::failed("sudo-wrong-password").method("password"),
            rest,
        ));
    }
    let starts_with = |(start, _): &&(&[u8], &str)| rest.starts_with(start);
    if let Some((_, form)) = REFUSALS.iter().find(starts_with) {
        return Some(aimed(Said::refused(form), rest));
    }
    let fields = [&b"HOST="[..], b"TTY=", b"CHROOT=", b"PWD=", b"USER="];
    if fields.iter().any(|field| rest.starts_with(field)) {
        return Some(aimed(accepted(rest), rest));
    }
    general(rest)
}

fn general(rest: &[u8]) -> Option<Said<'_>> {
    let known = NOTICES.iter().any(|start| rest.starts_with(start));
    known.then(|| Said::notice("sudo-notice"))
}

/// `3 incorrect password attempts`
fn wrong_passwords(rest: &[u8]) -> bool {
    let (count, rest) = word(rest);
    let digits = !count.is_empty() && count.iter().all(u8::is_ascii_digit);
    let rest = rest.strip_prefix(b"incorrect password attempt");
    let rest = rest.map(|rest| rest.strip_prefix(b"s").unwrap_or(rest));
    digits && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ; "))
}

/// With `log_exit_status` the line is written once more at the end. A user can write that end into
/// the command, so only a line that comes second is taken for it.
fn accepted(rest: &[u8]) -> Said<'_> {
    let exit = every(rest, b" ; EXIT=").last();
    let exits = exit.is_some_and(|(_, code)| code.iter().all(u8::is_ascii_digit));
    let part = if exits { Part::Exits } else { Part::Succeeds };
    Said::new("sudo", Action::Authentication, Outcome::Success, part)
}

/// Takes account and command where they can be read in one way only: the folder and the command are
/// the user's words, and so is what a long line is continued with.
fn aimed<'a>(said: Said<'a>, rest: &'a [u8]) -> Said<'a> {
    let mut targets = every(rest, b" ; USER=");
    let (Some((_, behind)), None) = (targets.next(), targets.next()) else {
        return said;
    };
    let Some((target, mut behind)) = first(behind, b" ; ") else {
        return said;
    };
    for field in [&b"GROUP="[..], b"TSID="] {
        if behind.starts_with(field)
            && let Some((_, rest)) = first(behind, b" ; ")
        {
            behind = rest;
        }
    }
    let command = between(behind, b"COMMAND=", b"").filter(|_| said.part != Part::Exits);
    said.target(Some(target)).command(command)
}
