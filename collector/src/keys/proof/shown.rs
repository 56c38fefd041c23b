//! A revoked key as people see it: what opens, what does not, and what cannot be told.

use std::collections::HashMap;

use serde::Serialize;
use watchward_protocol::time::Timestamp;

use super::revoked::{Opens, Proven, Revoked, STALE};
use crate::keys::rows::revoked as rows;
use crate::store::Store;

/// A revoked key as it is shown, with what hosts said last. Safe for a terminal.
#[derive(Debug, Serialize)]
pub(in crate::keys) struct ShownRevoked {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) kind: String,
    pub(in crate::keys) reason: String,
    pub(in crate::keys) author: String,
    pub(in crate::keys) at: Timestamp,
    /// How many hosts have said something, and the oldest of these answers.
    pub(in crate::keys) hosts: usize,
    pub(in crate::keys) asked_at: Option<Timestamp>,
    pub(in crate::keys) doors: usize,
    pub(in crate::keys) refused: usize,
    pub(in crate::keys) controlled: usize,
    /// Of so many doors it cannot be told.
    pub(in crate::keys) unknown: usize,
    pub(in crate::keys) opens: Vec<OpensAt>,
    /// Where not everything could be asked.
    pub(in crate::keys) troubles: Vec<Trouble>,
    /// How many hosts have said nothing for two days, or never; and which, and why.
    pub(in crate::keys) silent: usize,
    pub(in crate::keys) unasked: Vec<Trouble>,
    /// Whether it is that of certificates: no door is asked about those.
    pub(in crate::keys) is_certificate: bool,
    /// Whether every door that there is refuses it, as far as was asked.
    pub(in crate::keys) is_proven: bool,
}

#[derive(Debug, Serialize)]
pub(in crate::keys) struct OpensAt {
    pub(in crate::keys) host: String,
    #[serde(flatten)]
    pub(in crate::keys) door: Opens,
}

/// Why not everything of a host could be asked.
#[derive(Debug, Serialize)]
pub(in crate::keys) struct Trouble {
    pub(in crate::keys) host: String,
    pub(in crate::keys) why: String,
}

/// Every revoked key that sshd knows of, the newest first.
pub(in crate::keys) async fn list(
    store: &Store,
    now: Timestamp,
) -> sqlx::Result<Vec<ShownRevoked>> {
    let mut said: HashMap<String, Vec<Proven>> = HashMap::new();
    for (fingerprint, proven) in rows::proven(store).await? {
        said.entry(fingerprint).or_default().push(proven);
    }
    let hosts = rows::hosts(store).await?;
    let keys = rows::revoked(store).await?.into_iter();
    let keys = keys.filter(|key| !key.is_peer());
    let shown = |key: Revoked| {
        let said = said.remove(&key.fingerprint).unwrap_or_default();
        ShownRevoked::new(key, said, (&hosts, now))
    };
    Ok(keys.map(shown).collect())
}

/// All of them in one sentence with true numbers, and whether it is proven that none opens anything.
pub(in crate::keys) fn sentence(keys: &[ShownRevoked]) -> (String, bool) {
    let sum = |of: fn(&ShownRevoked) -> usize| keys.iter().map(of).sum::<usize>();
    let counted = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    };
    let asked = keys.iter().filter(|key| !key.is_certificate);
    let (keys_said, doors) = (
        counted(asked.clone().count(), "revoked key"),
        counted(sum(|key| key.doors), "door"),
    );
    let said = match keys.iter().filter(|key| key.is_certificate).count() {
        0 => format!("{keys_said}, {doors}"),
        some => format!(
            "{}, {keys_said}, {doors}",
            counted(some, "revoked certificate")
        ),
    };
    let unproven = asked.clone().filter(|key| !key.is_proven).count();
    match (sum(|key| key.opens.len()), unproven) {
        (0, 0) => (format!("{said}, none opens."), true),
        (0, some) => (
            format!("{said}, none is known to open; of {some} not everything is proven."),
            false,
        ),
        (1, _) => (format!("{said}: 1 opens."), false),
        (many, _) => (format!("{said}: {many} open."), false),
    }
}

impl ShownRevoked {
    fn new(key: Revoked, said: Vec<Proven>, (hosts, now): (&[String], Timestamp)) -> Self {
        let sum = |of: fn(&Proven) -> usize| said.iter().map(of).sum::<usize>();
        let fresh = |host: &String| {
            let mut of_host = said.iter().filter(|one| one.host == *host);
            of_host.any(|one| one.at + STALE > now)
        };
        let is_certificate = key.is_certificate();
        let why = |host: &String| match said.iter().any(|one| one.host == *host) {
            true => "not asked for two days",
            false if key.wire.is_empty() => "cannot be asked: only its fingerprint is known",
            false => "not asked yet",
        };
        let unasked = hosts.iter().filter(|host| !fresh(host));
        let unasked = unasked.map(|host| Trouble {
            host: host.clone(),
            why: why(host).to_owned(),
        });
        let unasked: Vec<_> = unasked.collect();
        let mut shown = Self {
            fingerprint: key.fingerprint,
            kind: key.kind,
            reason: key.reason,
            author: key.author,
            at: key.at,
            hosts: said.len(),
            asked_at: said.iter().map(|one| one.at).min(),
            doors: sum(|one| one.doors),
            refused: sum(|one| one.refused),
            controlled: sum(|one| one.controlled),
            unknown: sum(|one| one.unknown),
            opens: said.iter().flat_map(opens).collect(),
            troubles: said.iter().filter_map(trouble).collect(),
            silent: unasked.len(),
            unasked,
            is_certificate,
            is_proven: false,
        };
        let is_open = !shown.opens.is_empty() || shown.refused < shown.doors || shown.unknown > 0;
        let is_doubted = !shown.troubles.is_empty() || shown.silent > 0 || shown.doors == 0;
        shown.is_proven = !is_open && !is_doubted;
        shown
    }
}

fn opens(one: &Proven) -> Vec<OpensAt> {
    let doors = one.accepted.iter();
    doors
        .map(|door| OpensAt {
            host: one.host.clone(),
            door: door.clone(),
        })
        .collect()
}

fn trouble(one: &Proven) -> Option<Trouble> {
    Some(Trouble {
        host: one.host.clone(),
        why: one.trouble.clone()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn proven() -> Proven {
        Proven {
            host: "web".into(),
            at: NOON,
            doors: 2,
            refused: 2,
            controlled: 2,
            unknown: 0,
            accepted: Vec::new(),
            trouble: None,
            elsewhere: String::new(),
        }
    }

    fn is_proven(said: Vec<Proven>, hosts: &[&str], now: Timestamp) -> bool {
        let key = Revoked {
            fingerprint: "SHA256:a".into(),
            kind: "ssh-ed25519".into(),
            wire: vec![1],
            reason: "lost".into(),
            author: "ada".into(),
            at: NOON,
            comment: String::new(),
            person: String::new(),
            generation: 1,
        };
        let hosts: Vec<_> = hosts.iter().map(|it| (*it).to_owned()).collect();
        ShownRevoked::new(key, said, (&hosts, now)).is_proven
    }

    #[test]
    fn nothing_is_proven_while_anything_is_unknown() {
        assert!(is_proven(vec![proven()], &["web"], NOON));
        assert!(!is_proven(Vec::new(), &[], NOON), "nobody was asked");
        assert!(!is_proven(vec![proven()], &["web", "db"], NOON), "nor db");
        assert!(
            !is_proven(vec![proven()], &["web"], NOON + STALE),
            "long ago"
        );
        let opens = Opens {
            account: "root".into(),
            at: "127.0.0.1:22".into(),
            note: String::new(),
        };
        for other in [
            Proven {
                doors: 0,
                refused: 0,
                ..proven()
            },
            Proven {
                refused: 1,
                unknown: 1,
                ..proven()
            },
            Proven {
                trouble: Some("no sshd".into()),
                ..proven()
            },
            Proven {
                accepted: vec![opens],
                ..proven()
            },
        ] {
            assert!(!is_proven(vec![other.clone()], &["web"], NOON), "{other:?}");
        }
    }
}
