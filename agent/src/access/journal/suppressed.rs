//! What journald says of messages that its own rate limit left out. Pure.

use watchward_protocol::record::Gap;
use watchward_protocol::time::Timestamp;

use super::SOURCE;

/// What such an entry is known by: `SD_MESSAGE_JOURNAL_DROPPED` in sd-messages.h.
pub(super) const MATCH: &str = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e";

/// The gap that it means: `Suppressed 42 messages from ssh.service`. None: they were not of a server.
pub(super) fn gap(message: &[u8], at: Timestamp) -> Option<Gap> {
    let text = std::str::from_utf8(message).ok()?;
    let rest = text.strip_prefix("Suppressed ")?;
    let (count, origin) = rest.split_once(" messages from ")?;
    // Before systemd 236 the first two folders of the control group: /system.slice/ssh.service.
    let unit = origin.strip_prefix("/system.slice/").unwrap_or(origin);
    is_ours(unit).then(|| Gap {
        source: SOURCE.to_owned(),
        from: None,
        to: at,
        lost: count.parse().ok(),
        why: format!(
            "journald dropped messages of {unit}: its rate limit; see RateLimitBurst= in \
             journald.conf"
        ),
    })
}

/// Whether a server runs in a unit: one for all connections, or one for each.
fn is_ours(unit: &str) -> bool {
    let Some(name) = unit.strip_suffix(".service") else {
        return matches!(unit, "system-ssh.slice" | "system-sshd.slice");
    };
    let name = name.split_once('@').map_or(name, |(template, _)| template);
    matches!(name, "ssh" | "sshd" | "openvpn" | "openvpn-server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_sshd_is_a_gap() {
        let lost = |origin: &str| {
            let message = format!("Suppressed 42 messages from {origin}");
            gap(message.as_bytes(), Timestamp::from_micros(7)).map(|gap| gap.lost)
        };
        for unit in [
            "ssh.service",
            "sshd.service",
            "ssh@7-192.0.2.1:22-192.0.2.7:4711.service",
            "sshd@7.service",
            "/system.slice/sshd.service",
            "/system.slice/system-sshd.slice",
        ] {
            assert_eq!(lost(unit), Some(Some(42)), "{unit}");
        }
        for unit in [
            "nginx.service",
            "sshd.socket",
            "notsshd.service",
            "session-3.scope",
            "/user.slice/user-1000.slice",
            "/user.slice/sshd.service",
        ] {
            assert_eq!(lost(unit), None, "{unit}");
        }
        let gap = gap(
            b"Suppressed 1 messages from ssh.service",
            Timestamp::from_micros(7),
        );
        let why = gap.unwrap().why;
        assert!(
            why.contains("dropped messages of ssh.service: its rate limit"),
            "{why}"
        );
    }
}
