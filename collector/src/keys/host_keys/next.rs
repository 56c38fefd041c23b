//! What is next for a host: which keys want a certificate, and which key it is to show. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use watchward_protocol::host_keys::HostKeys;
use watchward_protocol::time::Timestamp;

use super::policy::Shown;
use crate::keys::authority::certifiable;
use crate::keys::rows::host_key::{Certificate, Next, Seen, SeenKey, Turn};

/// Keys that are revoked, by fingerprint.
pub(super) type Revoked = BTreeSet<String>;

/// The keys of a host that can have a certificate, those of ours first. Others where ours stand were never
/// ordered: whoever broke into a host can write another machine's there.
pub(super) fn certified<'a>(seen: &'a Seen, turn: &Turn, revoked: &Revoked) -> Vec<&'a SeenKey> {
    let ours: Vec<_> = serials(turn).map(HostKeys::public_file).collect();
    let (own, rest): (Vec<_>, Vec<_>) = seen
        .keys
        .iter()
        .filter(|it| certifiable(it) && !revoked.contains(&it.fingerprint))
        .partition(|it| ours.contains(&it.file));
    let rest = rest
        .into_iter()
        .filter(|it| !it.file.starts_with(HostKeys::FOLDER));
    let all = own.into_iter().chain(rest);
    all.take(HostKeys::MOST_CERTIFICATES).collect()
}

/// Takes away the certificates of all but these keys.
pub(super) fn gone(
    keys: &[&SeenKey],
    kept: &mut Vec<Certificate>,
) -> impl Iterator<Item = Certificate> {
    kept.extract_if(.., |one| {
        !keys.iter().any(|key| key.fingerprint == one.fingerprint)
    })
}

/// Those of these keys that want a certificate now.
pub(super) fn wanting<'a>(
    keys: &[&'a SeenKey],
    kept: &[Certificate],
    (principals, authority, life): (&[String], i64, Duration),
    now: Timestamp,
) -> Vec<&'a SeenKey> {
    let is_good = |one: &&Certificate| {
        let left = one.until.since(now);
        let is_fresh = now < one.until && left > life / 3 && left <= life;
        is_fresh && one.authority == authority && one.principals == principals
    };
    let has_one = |key: &SeenKey| {
        let mut of_key = kept.iter().filter(|it| it.fingerprint == key.fingerprint);
        of_key.any(|it| is_good(&it))
    };
    let keys = keys.iter().copied();
    keys.filter(|it| !has_one(it)).collect()
}

/// How far a host's key is after what was seen. Another takes its place when the host shows that one with
/// a certificate of it, and has done so for the overlap: nothing ends by time alone. One that is revoked is
/// replaced at once, and shown no longer than it takes.
pub(super) fn turned(
    turn: &Turn,
    (seen, revoked): (&Seen, &Revoked),
    table: &Shown,
    now: Timestamp,
) -> Turn {
    let is_stolen = |serial| is_revoked(serial, (seen, revoked));
    let with = |next: Option<Next>| Turn {
        next,
        ..turn.clone()
    };
    let after = |serial: u32| Next {
        serial: serial.saturating_add(1),
        begun_at: now,
        shown_at: None,
    };
    let Some(next) = &turn.next else {
        let is_due = table.due(turn.since).is_some_and(|due| now >= due);
        return with((is_due || is_stolen(turn.serial)).then(|| after(turn.serial)));
    };
    if is_stolen(next.serial) {
        return with(Some(after(next.serial)));
    }
    let shown_at = next.shown_at.unwrap_or(now);
    if !is_shown(next.serial, seen) {
        // It has to be there all the while.
        return with(Some(Next {
            shown_at: None,
            ..next.clone()
        }));
    }
    if now < shown_at + table.overlap.duration() && !is_stolen(turn.serial) {
        return with(Some(Next {
            shown_at: Some(shown_at),
            ..next.clone()
        }));
    }
    Turn {
        serial: next.serial,
        since: now,
        next: None,
    }
}

/// Since when another key is to take the place of what a host shows because that is revoked.
pub(super) fn stolen(turn: &Turn, seen: (&Seen, &Revoked)) -> Option<Timestamp> {
    let next = turn.next.as_ref()?;
    is_revoked(turn.serial, seen).then_some(next.begun_at)
}

/// Whether this key of ours is revoked; 0: one of the host's own.
fn is_revoked(serial: u32, (seen, revoked): (&Seen, &Revoked)) -> bool {
    let is_it = |it: &&SeenKey| match serial {
        0 => !it.file.starts_with(HostKeys::FOLDER),
        serial => it.file == HostKeys::public_file(serial),
    };
    let mut keys = seen.keys.iter().filter(is_it);
    keys.any(|it| revoked.contains(&it.fingerprint))
}

/// Whether a host shows this key of ours, and a certificate of it.
fn is_shown(serial: u32, seen: &Seen) -> bool {
    let file = HostKeys::public_file(serial);
    let mut keys = seen.keys.iter().filter(|it| it.file == file);
    keys.any(|it| seen.certificates.contains_key(&it.fingerprint))
}

/// What a host is ordered.
pub(super) fn order(turn: &Turn, kept: &[Certificate]) -> HostKeys {
    let mut certificates: Vec<_> = kept.iter().map(|it| it.wire.clone()).collect();
    certificates.truncate(HostKeys::MOST_CERTIFICATES);
    HostKeys {
        certificates,
        serials: serials(turn).collect(),
        own: turn.serial == 0,
    }
}

/// The keys of ours that a host is ordered.
fn serials(turn: &Turn) -> impl Iterator<Item = u32> {
    let own = (turn.serial > 0).then_some(turn.serial);
    let next = turn.next.as_ref().map(|it| it.serial);
    own.into_iter().chain(next)
}
