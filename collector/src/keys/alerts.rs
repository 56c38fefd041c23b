//! What the room's alerts say. Pure.

use std::collections::BTreeSet;

use watchward_protocol::hosts::HostId;
use watchward_protocol::keys::{Means, Opening};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::inventory::{Known, Whose};
use super::judge::{Stray, Trouble, severity};
use super::kept::Kept;
use super::policy::Policy;
use crate::alerting::{Alert, Severity};
use crate::intake::Host;

/// What an alert is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    Opening(&'a Whose, &'a Kept),
    /// And what is known of the account's keys.
    Stray(&'a Stray, Option<&'a Known>),
    Holder(&'a Whose, &'a Known),
}

/// The key of the incident for this trouble of a host.
pub(super) fn key(trouble: Trouble, host: HostId, batch: i64) -> String {
    let trouble = match trouble {
        Trouble::New => "new",
        Trouble::NewTrust => "new-trust",
        Trouble::HostKey => "host-key",
        Trouble::Widened => "widened",
        Trouble::Gone => "gone",
        Trouble::Weak => "weak",
        Trouble::Due => "due",
        Trouble::Overdue => "overdue",
        Trouble::Unrenewed => "unrenewed",
        Trouble::Unlisted => "unlisted",
        Trouble::Unread => "unread",
        Trouble::Beyond => "beyond",
    };
    format!("keys.{trouble} {host} {batch}")
}

/// People should know of these.
pub(super) fn alert(
    host: &Host,
    trouble: Trouble,
    subjects: &[Subject<'_>],
    policy: &Policy,
    now: Timestamp,
) -> Alert {
    let name = Foreign::from(host.name.as_str()).shortened(30);
    let severities = subjects.iter().map(|one| one.severity(trouble, policy));
    let since = subjects.iter().map(|one| one.since(trouble, now)).min();
    Alert {
        key: String::new(),
        severity: severities.max().unwrap_or(Severity::Info),
        host: Some(host.name.clone()),
        title: format!("{name}: {}", title(trouble, subjects)),
        detail: detail(trouble, subjects),
        advice: advice(trouble).to_owned(),
        since: since.unwrap_or(now),
    }
}

fn title(trouble: Trouble, subjects: &[Subject<'_>]) -> String {
    let whom = whom(subjects);
    let many = subjects.len() > 1;
    let count = subjects.len();
    let (keys, are, open) = match many {
        true => (format!("{count} keys"), "are", "open"),
        false => (one(subjects).to_owned(), "is", "opens"),
    };
    match trouble {
        Trouble::New | Trouble::NewTrust if many => format!("{count} new keys {open} {whom}"),
        Trouble::New | Trouble::NewTrust => format!("new {keys} {open} {whom}"),
        Trouble::HostKey if !many && subjects.iter().all(|one| one.was().is_none()) => {
            "it has one host key more".to_owned()
        }
        Trouble::HostKey if many => format!("{count} of its host keys have changed"),
        Trouble::HostKey => "its host key has changed".to_owned(),
        Trouble::Widened => format!("{keys} of {whom} may do more than before"),
        Trouble::Gone => format!("{keys} of {whom} {are} gone"),
        Trouble::Weak => format!("{keys} of {whom} {are} too weak"),
        Trouble::Due => format!("{keys} of {whom} {are} due soon"),
        Trouble::Overdue => format!("{keys} of {whom} {are} overdue"),
        Trouble::Unrenewed => "the agent's certificate has not been renewed".to_owned(),
        Trouble::Unlisted if many => {
            format!("{whom} opened with {count} keys that are nowhere listed")
        }
        Trouble::Unlisted => format!("{whom} opened with a key that is nowhere listed"),
        Trouble::Unread => format!("not all keys of {whom} can be read"),
        Trouble::Beyond => format!("{whom} has more keys than are looked at"),
    }
}

/// What one thing is called.
fn one(subjects: &[Subject<'_>]) -> &'static str {
    let Some(Subject::Opening(_, kept)) = subjects.first() else {
        return "key";
    };
    match kept.opening.means {
        Means::AuthorizedKey => "key",
        Means::Authority => "certificate authority",
        Means::Principals => "list of principals",
        Means::Command => "program that names keys",
        Means::HostKey => "host key",
        Means::HostCertificate => "host certificate",
        Means::AgentCertificate => "agent certificate",
        Means::PrincipalsCommand => "program that names principals",
    }
}

/// Whose they are, the first few.
fn whom(subjects: &[Subject<'_>]) -> String {
    let all = subjects.iter().map(|subject| match subject.account() {
        Some(name) => name.shortened(20),
        None => "the host itself".to_owned(),
    });
    let all: BTreeSet<_> = all.collect();
    let first: Vec<_> = all.iter().take(2).map(String::as_str).collect();
    match all.len().saturating_sub(first.len()) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// How many are named; the others are counted.
const MOST: usize = 20;

fn detail(trouble: Trouble, subjects: &[Subject<'_>]) -> String {
    let lines = subjects.iter().take(MOST).map(|one| one.line(trouble));
    let mut lines: Vec<_> = lines.collect();
    if subjects.len() > MOST {
        lines.push(format!("and {} more", subjects.len() - MOST));
    }
    if matches!(
        trouble,
        Trouble::New | Trouble::NewTrust | Trouble::HostKey | Trouble::Widened | Trouble::Unlisted
    ) {
        lines.push(format!(
            "\nIf it is right: watchward keys accept {}",
            which(subjects)
        ));
    }
    lines.join("\n")
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'+' | b'/' | b'=' | b'-')
}

/// The fingerprint, where they are all of one key.
fn which(subjects: &[Subject<'_>]) -> String {
    let all = subjects.iter().map(|one| match one {
        Subject::Opening(_, kept) => kept.opening.key.as_ref().map(|key| &key.fingerprint),
        Subject::Stray(stray, _) => Some(&stray.fingerprint),
        Subject::Holder(..) => None,
    });
    let all: BTreeSet<_> = all.collect();
    match (all.first(), all.len()) {
        // Whoever copies the line into a shell must not run what an agent wrote.
        (Some(Some(one)), 1) if one.bytes().all(is_plain) => shown(one, 60),
        _ => "FINGERPRINT".to_owned(),
    }
}

fn advice(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::New => "Ask who added it; if nobody did, take it out and see who got in.",
        Trouble::NewTrust => "Ask who added it: it lets in whoever it signs or names.",
        Trouble::HostKey => "If nobody changed it: another host, or somebody in between.",
        Trouble::Widened => "Ask who took the limits away.",
        Trouble::Gone => "See that nobody is locked out who should not be.",
        Trouble::Weak => "Replace it by an Ed25519 key.",
        Trouble::Due => "Replace it before then.",
        Trouble::Overdue => "Replace it, or give it an exception in policy.toml.",
        Trouble::Unrenewed => {
            "Look at the agent's log: at its end the host cannot be heard any more."
        }
        Trouble::Unlisted => "Ask the account's owner; if it was not them, end the session.",
        Trouble::Beyond => "Look into the file: a key further down opens the account as well.",
        Trouble::Unread => {
            "See that the agent may read what is named, and mend what is wrong in it."
        }
    }
}

/// Why it is over.
pub(super) fn over(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::New | Trouble::NewTrust | Trouble::HostKey => "Accepted, or gone.",
        Trouble::Widened => "Accepted, limited again, or gone.",
        Trouble::Gone => "Back, or a day ago.",
        Trouble::Weak => "Gone, or allowed now.",
        Trouble::Due => "Gone, overdue, or not due any more.",
        Trouble::Overdue => "Gone, or not due any more.",
        Trouble::Unrenewed => "Renewed.",
        Trouble::Unlisted => "Accepted, listed after all, or not seen again for a day.",
        Trouble::Unread => "Everything can be read.",
        Trouble::Beyond => "Everything is looked at.",
    }
}

impl<'a> Subject<'a> {
    fn account(&self) -> Option<&'a Foreign> {
        match self {
            Self::Opening(whose, _) | Self::Holder(whose, _) => whose.account(),
            Self::Stray(stray, _) => Some(&stray.account),
        }
    }

    /// The fingerprint that was there before.
    fn was(&self) -> Option<&'a str> {
        match self {
            Self::Opening(_, kept) => kept.was.as_deref(),
            Self::Stray(..) | Self::Holder(..) => None,
        }
    }

    /// Where not everything could be read, the key may stand in what was not.
    fn severity(&self, trouble: Trouble, policy: &Policy) -> Severity {
        match self {
            Self::Stray(_, Some(known)) if known.is_blind() => Severity::Warning,
            Self::Opening(..) | Self::Stray(..) | Self::Holder(..) => {
                severity(trouble, self.account(), policy)
            }
        }
    }

    fn since(&self, trouble: Trouble, now: Timestamp) -> Timestamp {
        let since = match (self, trouble) {
            (Self::Opening(_, kept), Trouble::Gone) => kept.gone_at.unwrap_or(now),
            (Self::Opening(_, kept), Trouble::Overdue | Trouble::Unrenewed) => {
                kept.due_at.unwrap_or(now)
            }
            (Self::Opening(_, kept), Trouble::New | Trouble::NewTrust | Trouble::Weak) => {
                kept.first_at
            }
            (Self::Opening(..), _) => now,
            (Self::Stray(stray, _), _) => stray.first_at,
            (Self::Holder(_, known), _) => known.heard_at,
        };
        since.min(now)
    }

    fn line(&self, trouble: Trouble) -> String {
        let account = self.account();
        let account =
            account.map_or_else(|| "the host itself".to_owned(), |name| name.shortened(40));
        let what = match self {
            Self::Opening(_, kept) => opening(kept, trouble),
            Self::Stray(one, known) => stray(one, *known),
            Self::Holder(_, known) => unread(known),
        };
        format!("{account}: {what}")
    }
}

fn opening(kept: &Kept, trouble: Trouble) -> String {
    let mut parts = vec![named(&kept.opening)];
    if !kept.opening.options.as_bytes().is_empty() {
        let options = kept.opening.options.shortened(200);
        parts.push(format!("options {}", options.replace("\\n", " | ")));
    }
    if trouble == Trouble::Widened {
        parts.extend(kept.widened().map(|how| format!("now {how}")));
    }
    parts.extend(
        kept.was
            .as_ref()
            .map(|was| format!("it was {}", shown(was, 60))),
    );
    parts.extend(
        kept.weak
            .as_ref()
            .map(|weak| format!("too weak: {}", shown(weak, 120))),
    );
    if let Some(due) = kept.due_at {
        parts.push(format!("due {due}"));
    }
    parts.push(format!("first seen {}", kept.first_at));
    parts.join("; ")
}

/// Which key it is, and where it stands.
fn named(opening: &Opening) -> String {
    let mut text = match &opening.key {
        Some(key) => {
            let bits = if key.bits > 0 {
                format!(" {}", key.bits)
            } else {
                String::new()
            };
            format!(
                "{}{bits} {}",
                shown(&key.kind, 50),
                shown(&key.fingerprint, 60)
            )
        }
        None => {
            let names: Vec<_> = opening
                .principals
                .iter()
                .take(10)
                .map(|one| one.shortened(40))
                .collect();
            match names.is_empty() {
                true => "whatever it names".to_owned(),
                false => names.join(", "),
            }
        }
    };
    if !opening.comment.as_bytes().is_empty() {
        text.push_str(&format!(" ({})", opening.comment.shortened(60)));
    }
    text.push_str(&format!(" in {}", shown(&opening.file, 120)));
    if let Some(line) = opening.line {
        text.push_str(&format!(":{line}"));
    }
    if let Some(condition) = &opening.condition {
        text.push_str(&format!(", only {}", shown(condition, 100)));
    }
    text
}

fn stray(stray: &Stray, known: Option<&Known>) -> String {
    let from = stray.address.as_deref().unwrap_or("an unknown address");
    let times = match stray.times {
        1 => String::new(),
        times => format!(", {times} times"),
    };
    let hearsay = match stray.hearsay {
        true => " (said by a text log, which any local user can write into)",
        false => "",
    };
    let blind = known.filter(|known| known.is_blind());
    let blind = blind.map_or_else(String::new, |known| {
        format!("; it may stand in what cannot be read: {}", unread(known))
    });
    format!(
        "{} {} from {from} at {}{times}{hearsay}{blind}",
        shown(&stray.kind, 40),
        shown(&stray.fingerprint, 60),
        stray.last_at
    )
}

fn unread(known: &Known) -> String {
    let mut parts: Vec<_> = known
        .troubles
        .iter()
        .filter(|one| one.hides())
        .take(5)
        .map(|one| shown(&one.text, 200))
        .collect();
    if known.omitted > 0 {
        parts.push(format!("{} more than are taken", known.omitted));
    }
    parts.join("; ")
}

/// Text that an agent gave, safe to show and not too long.
fn shown(text: &str, longest: usize) -> String {
    Foreign::from(text).shortened(longest)
}
