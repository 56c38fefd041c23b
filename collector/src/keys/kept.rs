//! An opening as it is kept, and how it follows what is told of it. Pure.

use std::time::Duration;

use watchward_protocol::keys::{Means, Opening};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

/// A key that is back after no longer than this was never really gone: editors write files anew.
const BLINK: Duration = Duration::from_secs(3600);
/// Where the lines stand that hosts are ordered to hold: nobody but root can write there.
pub(super) const OURS: &str = "/etc/ssh/watchward/";

/// An opening as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its number; 0 while the database has not given one.
    pub(super) id: i64,
    /// As it was told last. Where it stands on several lines, the first place, and all options below
    /// each other.
    pub(super) opening: Opening,
    /// On how many lines it stands.
    pub(super) copies: u32,
    /// Whether people have yet to say that it is right.
    pub(super) new: bool,
    /// The options that it had when it was.
    pub(super) approved: Foreign,
    /// The fingerprint that was here before.
    pub(super) was: Option<String>,
    pub(super) first_at: Timestamp,
    pub(super) seen_at: Timestamp,
    /// Since when it is gone; and the same by the host's clock.
    pub(super) gone_at: Option<Timestamp>,
    pub(super) gone_by: Option<Timestamp>,
    /// When it is to be replaced.
    pub(super) due_at: Option<Timestamp>,
    /// When people hear that it will be.
    pub(super) warn_at: Option<Timestamp>,
    /// What is wrong with it.
    pub(super) weak: Option<String>,
    /// Whether the host was ordered to hold it; nothing that the database has.
    pub(super) ordered: bool,
    /// Whether it differs from what the database has.
    pub(super) touched: bool,
}

impl Kept {
    /// One that was not there before.
    pub(super) fn appear(opening: Opening, copies: u32, new: bool, now: Timestamp) -> Self {
        Self {
            id: 0,
            copies,
            new,
            approved: opening.options.clone(),
            opening,
            was: None,
            first_at: now,
            seen_at: now,
            gone_at: None,
            gone_by: None,
            due_at: None,
            warn_at: None,
            weak: None,
            ordered: false,
            touched: true,
        }
    }

    /// Whether it stands where what was ordered does.
    pub(super) fn is_ours(&self) -> bool {
        self.opening.file.starts_with(OURS)
    }

    /// Takes over how it was told again; says what happened, if anything worth keeping did.
    pub(super) fn follow(
        &mut self,
        opening: Opening,
        copies: u32,
        first_look: bool,
        now: Timestamp,
    ) -> Option<String> {
        let before = std::mem::replace(&mut self.opening, opening);
        self.copies = copies;
        self.seen_at = now;
        self.gone_by = None;
        self.touched = true;
        let fingerprint = |one: &Opening| one.key.as_ref().map(|key| key.fingerprint.clone());
        let (gone_at, was) = (self.gone_at.take(), fingerprint(&before));
        if was != fingerprint(&self.opening) {
            // However short nothing stood there: it is not the same that is back.
            self.first_at = now;
            if self.opening.means == Means::HostKey {
                self.new = !first_look;
                self.was.clone_from(&was);
            }
            return was.map(|was| format!("took the place of {was}"));
        }
        if let Some(gone_at) = gone_at {
            if now.since(gone_at) > BLINK && !first_look {
                self.new = true;
                self.approved = self.opening.options.clone();
            }
            return Some("back".to_owned());
        }
        if before.options != self.opening.options {
            let [old, new] = [&before.options, &self.opening.options].map(quoted);
            return Some(format!("options changed from {old} to {new}"));
        }
        if before.condition != self.opening.condition {
            let [old, new] = [&before.condition, &self.opening.condition].map(everywhere);
            return Some(format!("counted {old}, and now {new}"));
        }
        let renamed = before.comment != self.opening.comment;
        renamed.then(|| {
            let [old, new] = [&before.comment, &self.opening.comment].map(quoted);
            format!("comment changed from {old} to {new}")
        })
    }
}

fn everywhere(condition: &Option<String>) -> String {
    let only = condition.as_deref().map(|it| quoted(&it.into()));
    only.map_or_else(|| "everywhere".to_owned(), |only| format!("only {only}"))
}

fn quoted(text: &Foreign) -> String {
    match text.as_bytes() {
        [] => "none".to_owned(),
        _ => format!("\"{}\"", text.shortened(300)),
    }
}
