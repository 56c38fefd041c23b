//! The kinds of incidents: one for each rule that raises some, and what people call them. Pure.
//!
//! There are no others, whatever a key says: the budget tells the first of each kind beyond what it
//! has, and nobody outside may make kinds.

use super::about::Room;

/// A rule: the beginning of its keys, and what one and several of its incidents are called.
type Kind = (&'static str, &'static str, &'static str);

const KINDS: [Kind; 67] = [
    ("access.brute-force", "brute force", "brute forces"),
    (
        "access.elevation",
        "misuse of sudo or su",
        "misuses of sudo or su",
    ),
    ("access.gap", "gap in a log", "gaps in logs"),
    (
        "access.login-after-brute-force",
        "login after brute force",
        "logins after brute force",
    ),
    (
        "access.unrecognised",
        "unknown log line",
        "unknown log lines",
    ),
    (
        "collector.codes",
        "password known to somebody else",
        "passwords known to somebody else",
    ),
    (
        "collector.policy",
        "policy that cannot be read",
        "policies that cannot be read",
    ),
    (
        "collector.policy-file",
        "policy file that is not taken",
        "policy files that are not taken",
    ),
    ("health.down", "service down", "services down"),
    ("health.flapping", "check flapping", "checks flapping"),
    ("health.mute", "check not reported", "checks not reported"),
    (
        "health.unknown",
        "check that cannot run",
        "checks that cannot run",
    ),
    ("hosts.silent", "host silent", "hosts silent"),
    (
        "keys.beyond",
        "account with too many keys to look at",
        "accounts with too many keys to look at",
    ),
    (
        "keys.alive",
        "session of a revoked key",
        "sessions of revoked keys",
    ),
    (
        "keys.authority",
        "authority that hosts do not trust yet",
        "authorities that hosts do not trust yet",
    ),
    (
        "keys.authority-missed",
        "authority not replaced in time",
        "authorities not replaced in time",
    ),
    (
        "keys.authority-soon",
        "authority replaced soon",
        "authorities replaced soon",
    ),
    (
        "keys.break-glass",
        "break-glass key used",
        "break-glass keys used",
    ),
    (
        "keys.break-glass-shut",
        "host that a break-glass key does not open",
        "hosts that break-glass keys do not open",
    ),
    ("keys.canary", "canary key used", "canary keys used"),
    ("keys.due", "key due soon", "keys due soon"),
    ("keys.gone", "key gone", "keys gone"),
    ("keys.host-key", "changed host key", "changed host keys"),
    (
        "keys.host-key-missed",
        "host key that was not replaced",
        "host keys that were not replaced",
    ),
    (
        "keys.host-key-soon",
        "host key replaced soon",
        "host keys replaced soon",
    ),
    (
        "keys.host-certificate",
        "host certificate that ends",
        "host certificates that end",
    ),
    (
        "keys.hosts-authority-missed",
        "authority of hosts that was not replaced",
        "authorities of hosts that were not replaced",
    ),
    (
        "keys.hosts-authority-soon",
        "authority of hosts replaced soon",
        "authorities of hosts replaced soon",
    ),
    (
        "keys.kept",
        "old key that cannot be revoked",
        "old keys that cannot be revoked",
    ),
    (
        "keys.left-out",
        "revoked key without room in the order",
        "revoked keys without room in the order",
    ),
    (
        "keys.missed",
        "old key not replaced in time",
        "old keys not replaced in time",
    ),
    ("keys.new", "new key", "new keys"),
    ("keys.new-trust", "new trust", "new trusts"),
    ("keys.overdue", "key overdue", "keys overdue"),
    ("keys.peer", "new VPN peer", "new VPN peers"),
    (
        "keys.peer-back",
        "revoked VPN peer put back",
        "revoked VPN peers put back",
    ),
    ("keys.peer-due", "VPN key due", "VPN keys due"),
    (
        "keys.peer-missed",
        "VPN key not replaced in time",
        "VPN keys not replaced in time",
    ),
    (
        "keys.peer-kept",
        "revoked VPN peer that stands",
        "revoked VPN peers that stand",
    ),
    (
        "keys.revoked",
        "revoked key that opens something",
        "revoked keys that open something",
    ),
    ("keys.shadow", "use of an old key", "uses of old keys"),
    (
        "keys.rotation-claim",
        "machine that claims somebody else's key",
        "machines that claim somebody else's keys",
    ),
    (
        "keys.rotation-missed",
        "key not replaced in time",
        "keys not replaced in time",
    ),
    (
        "keys.rotation-shadow",
        "old key that is still used",
        "old keys that are still used",
    ),
    (
        "keys.rotation-soon",
        "key replaced soon",
        "keys replaced soon",
    ),
    (
        "keys.rotation-stuck",
        "rotation held up",
        "rotations held up",
    ),
    (
        "keys.survivors",
        "session with something left",
        "sessions with something left",
    ),
    (
        "keys.unheld",
        "host that takes revoked keys",
        "hosts that take revoked keys",
    ),
    (
        "keys.unknown-revocations",
        "host with revocations of another database",
        "hosts with revocations of another database",
    ),
    (
        "keys.unlisted",
        "login by unlisted key",
        "logins by unlisted keys",
    ),
    (
        "keys.unopened",
        "host that certificates do not open",
        "hosts that certificates do not open",
    ),
    (
        "keys.unread",
        "account with unread keys",
        "accounts with unread keys",
    ),
    (
        "keys.unrenewed",
        "old agent certificate",
        "old agent certificates",
    ),
    ("keys.weak", "weak key", "weak keys"),
    (
        "keys.widened",
        "key that may do more",
        "keys that may do more",
    ),
    (
        "restriction.ban-inside",
        "ban of somebody of ours",
        "bans of some of ours",
    ),
    (
        "restriction.blocked",
        "gate shut to who may pass",
        "gates shut to who may pass",
    ),
    (
        "restriction.claim",
        "doubtful address of a host",
        "doubtful addresses of hosts",
    ),
    (
        "restriction.drift",
        "restriction changed by a third hand",
        "restrictions changed by a third hand",
    ),
    (
        "restriction.leak",
        "gate open to who should not pass",
        "gates open to who should not pass",
    ),
    (
        "restriction.listening",
        "new service for everybody",
        "new services for everybody",
    ),
    (
        "restriction.outside",
        "login from outside",
        "logins from outside",
    ),
    (
        "restriction.sshd",
        "change of whom sshd lets in",
        "changes of whom sshd lets in",
    ),
    (
        "restriction.sshd-port",
        "port of sshd without a rule",
        "ports of sshd without a rule",
    ),
    (
        "restriction.trouble",
        "host that shuts nobody new out",
        "hosts that shut nobody new out",
    ),
    (
        "restriction.unheld",
        "host without its gates",
        "hosts without their gates",
    ),
];

/// What an incident is of that no rule here raises.
pub(super) const OTHER: &str = "other";

/// What kind of incident a key is of: `access.brute-force`.
pub(super) fn kind(key: &str) -> &'static str {
    let name = key.split(' ').next().unwrap_or_default();
    let known = KINDS.iter().find(|(kind, ..)| *kind == name);
    known.map_or(OTHER, |(kind, ..)| *kind)
}

/// So many of a kind, as people say it: `2 logins after brute force`.
pub(super) fn counted(kind: &str, count: usize) -> String {
    let known = KINDS.iter().find(|(name, ..)| *name == kind);
    let (one, many) = known.map_or(("other", "others"), |(_, one, many)| (*one, *many));
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

/// Whose concern a kind or a key is.
pub(super) fn room(key: &str) -> Option<Room> {
    key.split('.').next().and_then(Room::named)
}

/// Whether it may be about somebody who got in, or could.
pub(super) fn is_security(key: &str) -> bool {
    room(key).is_some_and(Room::is_security)
}

/// Whether everybody is told, whatever the routes say: a way in was used that is for emergencies.
pub(super) fn is_for_everybody(key: &str) -> bool {
    kind(key) == "keys.break-glass"
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// All sources of a room.
    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let parts = entries.map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        });
        parts.flatten().collect()
    }

    #[test]
    fn every_key_that_a_room_makes_is_of_a_kind_that_is_known() {
        let mut found = 0;
        for room in ["access", "health", "hosts", "keys", "restriction", "ruling"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
            for path in sources(&folder) {
                let text = fs::read_to_string(&path).unwrap();
                let beginning = format!("\"{room}.");
                for part in text.split(&beginning).skip(1) {
                    let word: String = part
                        .chars()
                        .take_while(|c| !matches!(c, '"' | ' '))
                        .collect();
                    if !part[word.len()..].starts_with(' ') || word.contains('{') {
                        continue;
                    }
                    found += 1;
                    let key = format!("{room}.{word} x");
                    assert_ne!(kind(&key), OTHER, "{key} in {}", path.display());
                }
            }
        }
        assert!(found >= 6, "{found}");
    }

    #[test]
    fn the_page_for_users_says_how_much_each_kind_matters() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/receiving-alerts.md");
        let page = fs::read_to_string(page).unwrap();
        for (kind, ..) in KINDS {
            let cell = format!("| `{kind}` | ");
            let row = page.lines().find_map(|line| line.split_once(&cell));
            let severity = row.unwrap_or_else(|| panic!("{kind} is missing")).1;
            let words = ["critical", "warning", "info"];
            assert!(
                words.iter().any(|word| severity.starts_with(word)),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_stranger_makes_no_kind() {
        assert_eq!(kind("access.brute-force 192.0.2.7"), "access.brute-force");
        assert_eq!(
            kind("access.elevation h\u{e4} keys.new"),
            "access.elevation"
        );
        assert_eq!(kind("access.made-up-1 x"), kind("made up 2"));
        assert_eq!(counted(kind("made up"), 3), "3 others");
    }
}
