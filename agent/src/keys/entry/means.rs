//! By what somebody could get in: keys that count from there, certificates, a password.

use std::net::IpAddr;

use watchward_protocol::keys::{Means, Opening};
use watchward_protocol::reach::{Step, Verdict};
use watchward_protocol::time::Timestamp;

use super::patterns::means;
use super::{SUBJECT, Seen, refuses, unknown};
use crate::keys::authorized;

/// How many keys that do not count are named.
const MOST_NAMED: usize = 12;

/// Whether something opens it.
enum Opens {
    Yes(String),
    No(String),
    Unknown(String),
}

/// What opens the account from there at that moment, and what does not.
pub(super) fn judge(seen: &Seen, (address, now): (IpAddr, Timestamp), root: bool) -> Vec<Step> {
    let (key, mut steps) = keys(seen, (address, now));
    let shadow = shadow(seen.account.name.as_bytes());
    let today = now.as_micros() / 86_400_000_000;
    if let Some(why) = shadow
        .as_ref()
        .and_then(|it| it.shut(today, seen.rules.pam))
    {
        steps.push(refuses(why));
        return steps;
    }
    if let Some(note) = shadow.as_ref().and_then(Shadow::half_shut) {
        steps.push(Step::new(SUBJECT, Verdict::Notes, note));
    }
    let password = password(shadow.as_ref(), seen, root);
    let mut why = Vec::new();
    let mut doubts = Vec::new();
    for way in seen.rules.ways() {
        let parts: Vec<_> = way
            .iter()
            .map(|method| by(method, seen, (&key, &password)))
            .collect();
        let no = parts.iter().find_map(|it| match it {
            Opens::No(why) => Some(why.clone()),
            Opens::Yes(_) | Opens::Unknown(_) => None,
        });
        let doubt = parts.iter().find_map(|it| match it {
            Opens::Unknown(why) => Some(why.clone()),
            Opens::Yes(_) | Opens::No(_) => None,
        });
        match (no, doubt) {
            (Some(no), _) => why.push(no),
            (None, Some(doubt)) => doubts.push(doubt),
            (None, None) => {
                let texts = parts.into_iter().filter_map(|it| match it {
                    Opens::Yes(text) => Some(text),
                    Opens::No(_) | Opens::Unknown(_) => None,
                });
                let text = texts.collect::<Vec<_>>().join(" together with ");
                steps.push(Step::new(SUBJECT, Verdict::Permits, text));
            }
        }
    }
    let opened = steps.iter().any(|step| step.verdict == Verdict::Permits);
    why.dedup();
    match (opened, doubts.is_empty()) {
        (true, _) => {}
        (false, false) => steps.push(unknown(doubts.join("; "))),
        (false, true) => steps.push(refuses(format!("nothing opens it: {}", why.join("; ")))),
    }
    steps
}

fn by(method: &str, seen: &Seen, (key, password): (&Opens, &Opens)) -> Opens {
    let copy = |it: &Opens| match it {
        Opens::Yes(text) => Opens::Yes(text.clone()),
        Opens::No(text) => Opens::No(text.clone()),
        Opens::Unknown(text) => Opens::Unknown(text.clone()),
    };
    match method {
        "publickey" if !seen.rules.keys => Opens::No("PubkeyAuthentication is no".to_owned()),
        "publickey" => copy(key),
        "password" if !seen.rules.password => Opens::No("PasswordAuthentication is no".to_owned()),
        "keyboard-interactive" if !(seen.rules.interactive && seen.rules.pam) => {
            Opens::No("nothing is asked by keyboard".to_owned())
        }
        "password" | "keyboard-interactive" => copy(password),
        _ => Opens::Unknown(format!("who comes in by {method} is not known here")),
    }
}

/// Which keys count, with those that do not as notes.
fn keys(seen: &Seen, (address, now): (IpAddr, Timestamp)) -> (Opens, Vec<Step>) {
    let Some(keys) = &seen.keys else {
        let text = "a file of its keys is too large to be read at once".to_owned();
        return (Opens::Unknown(text), Vec::new());
    };
    let (mut yes, mut doubt, mut notes) = (Vec::new(), None, Vec::new());
    let forced = seen.account.uid == 0 && seen.rules.root == "forced-commands-only";
    for one in &keys.openings {
        if matches!(one.means, Means::Principals | Means::PrincipalsCommand) {
            continue;
        }
        match counts(one, address, now) {
            Opens::Yes(_) if forced && !one.options.to_string().contains("command=") => {
                notes.push(format!("{}: PermitRootLogin wants a command=", named(one)));
            }
            Opens::Yes(text) => yes.push(text),
            Opens::No(text) => notes.push(text),
            Opens::Unknown(text) => doubt = Some(text),
        }
    }
    let hidden = keys.troubles.iter().find(|trouble| trouble.hides());
    let hidden = hidden.map(|trouble| trouble.text.clone());
    let omitted = (keys.omitted > 0).then(|| "it has more keys than are looked at".to_owned());
    notes.truncate(MOST_NAMED);
    let steps = notes
        .iter()
        .map(|note| Step::new(SUBJECT, Verdict::Notes, note.clone()));
    let steps = steps.collect();
    if let Some(first) = yes.first() {
        let more = match yes.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        return (Opens::Yes(format!("{first}{more}")), steps);
    }
    match doubt.or(hidden).or(omitted) {
        Some(why) => (Opens::Unknown(why), steps),
        None => (
            Opens::No("no key of it counts from there".to_owned()),
            steps,
        ),
    }
}

fn named(one: &Opening) -> String {
    let key = one.key.as_ref().map(|key| key.fingerprint.as_str());
    let place = match one.line {
        Some(line) => format!("line {line} of {}", one.file),
        None => one.file.clone(),
    };
    match key {
        Some(key) => format!("key {key} ({place})"),
        None => place,
    }
}

/// Whether an opening counts from there.
fn counts(one: &Opening, address: IpAddr, now: Timestamp) -> Opens {
    let name = named(one);
    if one.means == Means::Command {
        return Opens::Unknown(format!("{name} is asked which keys open it"));
    }
    if one.not_after.is_some_and(|end| end <= now) {
        return Opens::No(format!("{name} has expired"));
    }
    match authorized::from(one.options.as_bytes()) {
        Ok(Some(list)) if !means(address, &list) => {
            let list = String::from_utf8_lossy(&list).into_owned();
            return Opens::No(format!(
                "{name} has from=\"{list}\", which does not mean {address}"
            ));
        }
        Ok(_) => {}
        Err(why) => return Opens::Unknown(format!("{name} cannot be read whole: {why}")),
    }
    if one.means != Means::Authority {
        return Opens::Yes(format!("{name} opens it"));
    }
    let names: Vec<_> = one.principals.iter().map(ToString::to_string).collect();
    let bears = match names.is_empty() {
        true => String::new(),
        false => format!(" that bears {}", names.join(" or ")),
    };
    Opens::Yes(format!(
        "a certificate of {name}{bears} opens it, unless it is limited to other addresses itself"
    ))
}

/// What the host's own file says of a password.
struct Shadow {
    hash: Vec<u8>,
    /// The day from which the account is none, counted from 1970.
    ends: Option<i64>,
}

impl Shadow {
    /// Why nothing opens the account: PAM says so of one that has ended, and without PAM sshd itself,
    /// also of one that is locked (`allowed_user` in auth.c of OpenSSH).
    fn shut(&self, today: i64, pam: bool) -> Option<&'static str> {
        let ended = match pam {
            true => self.ends.is_some_and(|end| end <= today),
            false => self.ends.is_some_and(|end| end < today),
        };
        if ended {
            return Some("the account has expired");
        }
        let locked = !pam && self.hash.starts_with(b"!");
        locked.then_some("the account is locked")
    }

    /// What its lock does not shut: with PAM it is one of the password alone.
    fn half_shut(&self) -> Option<&'static str> {
        let had_one = self.hash.starts_with(b"!$") || self.hash.starts_with(b"!!$");
        had_one.then_some(
            "its password is locked (`usermod --lock`), which shuts out no key: `chage -E 0` ends the \
             account",
        )
    }
}

/// None: it cannot be read, or the account is not in it.
fn shadow(name: &[u8]) -> Option<Shadow> {
    let text = std::fs::read("/etc/shadow").ok()?;
    let lines = text.split(|byte| *byte == b'\n');
    let mut fields = lines.map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>());
    let fields = fields.find(|fields| fields.first() == Some(&name))?;
    let ends = fields.get(7).and_then(|it| std::str::from_utf8(it).ok());
    Some(Shadow {
        hash: fields.get(1)?.to_vec(),
        // Some tools write -1 for none.
        ends: ends.and_then(|it| it.parse().ok()).filter(|end| *end >= 0),
    })
}

/// Whether a password could open it, as far as that file says.
fn password(shadow: Option<&Shadow>, seen: &Seen, root: bool) -> Opens {
    if root && seen.rules.root != "yes" {
        return Opens::No(format!("PermitRootLogin is {}", seen.rules.root));
    }
    match shadow.map(|it| it.hash.as_slice()) {
        None => Opens::Unknown("whether it has a password is not known".to_owned()),
        Some([b'!' | b'*', ..]) => Opens::No("it has no password".to_owned()),
        Some([]) => Opens::Unknown("its password is empty".to_owned()),
        Some(_) => Opens::Yes("whoever knows its password gets in".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shadow(hash: &str, ends: Option<i64>) -> Shadow {
        Shadow {
            hash: hash.as_bytes().to_vec(),
            ends,
        }
    }

    #[test]
    fn an_account_that_has_ended_or_is_locked_is_opened_by_nothing() {
        let (today, ended) = (20_000, Some("the account has expired"));
        for (ends, with_pam, without) in [
            (None, None, None),
            (Some(20_001), None, None),
            (Some(20_000), ended, None),
            (Some(19_999), ended, ended),
            (Some(0), ended, ended),
        ] {
            let account = shadow("$y$hash", ends);
            assert_eq!(account.shut(today, true), with_pam, "{ends:?}");
            assert_eq!(account.shut(today, false), without, "{ends:?}");
        }
        for hash in ["!", "!$y$hash"] {
            let locked = shadow(hash, None);
            assert_eq!(locked.shut(today, true), None, "its keys open it");
            assert_eq!(locked.shut(today, false), Some("the account is locked"));
        }
    }

    #[test]
    fn a_lock_of_the_password_alone_is_said_to_be_that() {
        assert!(shadow("!$y$hash", None).half_shut().is_some());
        for hash in ["!", "*", "!*", "$y$hash", ""] {
            assert_eq!(
                shadow(hash, None).half_shut(),
                None,
                "it never had a password: {hash}"
            );
        }
    }
}
