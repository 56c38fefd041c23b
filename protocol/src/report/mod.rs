//! What happened in a week, signed as a receipt is: who came, what was replaced and revoked, what is proven,
//! and what is not known.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::receipt::{Moment, Public, Untrusted, genuine};

/// What a report begins with.
pub const FORMAT: &str = "watchward-report";
/// The form that this version of the program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// How many of anything are named where people read it; the others are counted.
const NAMED: usize = 5;

/// A week. Texts are safe for a terminal; times are those of the collector's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// When it was written: what stands is as it stood then.
    pub made_at: Moment,
    /// What happened from then.
    pub from: Moment,
    /// Until then.
    pub to: Moment,
    /// The hosts that are watched.
    pub hosts: Hosts,
    /// Who came.
    pub access: Access,
    /// Who was shut out.
    pub bans: Bans,
    /// What became of keys.
    pub keys: Keys,
    /// What is not known, one sentence each.
    pub unknown: Vec<String>,
    /// By which key it is signed: as [`Public`] shows itself.
    pub signer: String,
}

/// The hosts that are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    /// How many.
    pub watched: usize,
    /// Those that are silent.
    pub silent: Vec<String>,
}

/// Who came, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "what each counts is its name")]
pub struct Access {
    pub accepted: u64,
    pub refused: u64,
    /// Logins from outside of the networks that the policy permitted then.
    pub outside: u64,
    /// Gaps in logs: whoever came then is not among the others.
    pub gaps: u64,
}

/// Who was shut out, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bans {
    /// Bans that began in the week.
    pub begun: u64,
    /// Bans that hold now.
    pub hold: u64,
}

/// What became of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Keys that another one took the place of.
    pub rotated: Vec<Revoked>,
    /// Keys and certificates that people or the policy revoked.
    pub revoked: Vec<Revoked>,
    /// What should have been replaced by now.
    pub late: Vec<Late>,
    /// All that are revoked, in one sentence.
    pub retired: String,
    /// Each of them, and what was asked.
    pub doors: Vec<Retired>,
    /// The keys for emergencies, host by host.
    pub break_glass: Vec<BreakGlass>,
    /// What became of the sessions of revoked keys in the week.
    pub sessions: Sessions,
}

/// A key that was revoked in the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The number of its receipt, which `watchward receipt` takes.
    pub receipt: i64,
    /// Such as `SHA256:...`.
    pub key: String,
    /// Whose, or what stood after it.
    pub of: String,
    /// When.
    pub at: Moment,
    /// Who.
    pub by: String,
}

/// What should have been replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Such as `machine key backup`.
    pub what: String,
    /// Of which host, or of how many.
    pub of: String,
    /// Since when.
    pub since: Moment,
    /// What it waits for; empty: for somebody to do it.
    pub why: String,
}

/// A revoked key, and what doors said to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Such as `SHA256:...`.
    pub key: String,
    /// How many doors there are.
    pub doors: usize,
    /// Those that refuse it.
    pub refused: usize,
    /// Those that take it, as `account@host`.
    pub opens: Vec<String>,
    /// When the host was asked that was asked longest ago; none: no host was asked.
    pub asked_at: Option<Moment>,
    /// Which doors could not be asked, and why, one sentence each.
    pub unasked: Vec<String>,
}

/// A key for emergencies on a host that it is to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// What people call it.
    pub name: String,
    /// The host.
    pub host: String,
    /// When it was seen last to open what it should, without a login; none: never.
    pub opened_at: Option<Moment>,
    /// Whether that was within a week, and nothing was said against it since.
    pub is_proven: bool,
    /// What it does not open, and why.
    pub why: String,
}

/// Sessions that revoked keys had open, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "what each counts is its name")]
pub struct Sessions {
    pub ended: u64,
    /// Those that could not be ended.
    pub alive: u64,
    /// Those that left something which may live on.
    pub survived: u64,
}

/// Looks whether a report is as it was signed by whoever has the private half of this key.
///
/// # Errors
/// Why it counts for nothing.
pub fn verify(text: &[u8], key: &Public) -> Result<Report, Untrusted> {
    genuine(text, key, (FORMAT, VERSION))
}

impl Report {
    /// All of it in one screen: what each line is about, and what it says.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let (hosts, access, bans, keys) = (&self.hosts, &self.access, &self.bans, &self.keys);
        let silent = match hosts.silent.is_empty() {
            true => "none silent".to_owned(),
            false => format!("{} silent: {}", hosts.silent.len(), few(&hosts.silent)),
        };
        let mut lines = vec![
            ("Week", format!("{} to {}", self.from.0, self.to.0)),
            ("Hosts", format!("{} watched, {silent}", hosts.watched)),
            (
                "Logins",
                format!(
                    "{} accepted, {} refused, {} from outside of the permitted networks",
                    access.accepted, access.refused, access.outside
                ),
            ),
            ("Bans", format!("{} begun, {} hold", bans.begun, bans.hold)),
        ];
        lines.extend(listed(
            "Rotated",
            keys.rotated.iter().map(Revoked::sentence),
        ));
        lines.extend(listed(
            "Revoked",
            keys.revoked.iter().map(Revoked::sentence),
        ));
        lines.extend(listed("Late", keys.late.iter().map(Late::sentence)));
        lines.push(("Doors", keys.retired.clone()));
        lines.extend(keys.asked().map(|asked| ("", asked)));
        let unasked = keys.doors.iter().filter(|one| !one.unasked.is_empty());
        let unasked = unasked.map(|one| format!("{}: {}", short(&one.key), few(&one.unasked)));
        lines.extend(listed("Not asked", unasked));
        lines.extend(listed("Emergency", keys.emergency().into_iter()));
        lines.push(("Sessions", self.keys.sessions.sentence()));
        lines.extend(listed("Not known", self.unknown.iter().cloned()));
        lines
    }
}

impl Keys {
    /// Between when the doors of revoked keys were asked last.
    fn asked(&self) -> Option<String> {
        let asked = || self.doors.iter().filter_map(|one| one.asked_at.as_ref());
        let (first, last) = (asked().min()?, asked().max()?);
        Some(format!(
            "each asked last between {} and {}",
            first.0, last.0
        ))
    }

    /// Each key for emergencies in one sentence.
    fn emergency(&self) -> Vec<String> {
        let mut names: Vec<&str> = self.break_glass.iter().map(|it| it.name.as_str()).collect();
        names.dedup();
        let said = names.into_iter().map(|name| {
            let its = || self.break_glass.iter().filter(move |it| it.name == name);
            let shut = its().filter(|it| !it.is_proven);
            let shut = shut.map(|it| match it.why.is_empty() {
                true => it.host.clone(),
                false => format!("{} ({})", it.host, it.why),
            });
            let shut: Vec<_> = shut.collect();
            let (all, proven) = (its().count(), its().count() - shut.len());
            match shut.is_empty() {
                true => format!("{name}: proven on {proven} of {all} hosts"),
                false => format!(
                    "{name}: proven on {proven} of {all} hosts, not on {}",
                    few(&shut)
                ),
            }
        });
        said.collect()
    }
}

impl Revoked {
    fn sentence(&self) -> String {
        let of = match self.of.is_empty() {
            true => String::new(),
            false => format!(" ({})", self.of),
        };
        let (key, by, at) = (short(&self.key), &self.by, &self.at.0);
        format!("{key}{of} by {by}, {at}: receipt {}", self.receipt)
    }
}

impl Late {
    fn sentence(&self) -> String {
        let (what, of, since) = (&self.what, &self.of, &self.since.0);
        match self.why.is_empty() {
            true => format!("{what} of {of}, since {since}"),
            false => format!("{what} of {of}, since {since}: {}", self.why),
        }
    }
}

impl Sessions {
    fn sentence(self) -> String {
        format!(
            "{} ended by revocations, {} could not be ended, {} left something",
            self.ended, self.alive, self.survived
        )
    }
}

/// Several lines about one thing, the first with its name.
fn listed(name: &'static str, all: impl Iterator<Item = String>) -> Vec<(&'static str, String)> {
    let mut all: Vec<_> = all.collect();
    let more = all.len().saturating_sub(NAMED);
    all.truncate(NAMED);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    if all.is_empty() {
        all.push("none".to_owned());
    }
    let names = [name].into_iter().chain(std::iter::repeat(""));
    names.zip(all).collect()
}

/// The first of many.
fn few(names: &[String]) -> String {
    match names.get(..NAMED) {
        Some(first) if names.len() > NAMED => {
            format!("{} and {} more", first.join(", "), names.len() - NAMED)
        }
        Some(_) | None => names.join(", "),
    }
}

/// Enough of a fingerprint to know it by.
fn short(key: &str) -> String {
    key.chars().take(19).collect()
}
