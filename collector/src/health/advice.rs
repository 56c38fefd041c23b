//! What to do when a check is down: one short order for each kind of check. Pure.

/// What to do, for a person at night, when the check of this name is down.
pub(super) fn advice(check: &str) -> &'static str {
    let (kind, rest) = check.split_once('.').unwrap_or((check, ""));
    match (kind, rest) {
        ("tcp", _) => "See whether the service runs and can be reached.",
        ("http", _) => "Look at the service and its log.",
        ("tls", _) => "Renew the certificate.",
        ("dns", _) => "Look at the name server and its zone.",
        ("icmp", _) => "See whether it is up and the network leads there.",
        ("systemd", _) => "Look at the unit's journal and start it again.",
        ("process", _) => "See why it ended and start it again.",
        ("file", _) => "Look at what writes this file.",
        ("timer", _) => "Look at its journal and run it again.",
        ("command", _) => "Do what the plugin says.",
        ("host", "cpu" | "load") => "See with top what keeps it busy.",
        ("host", "memory" | "swap") => "See with top what takes the memory.",
        ("host", "pressure") => "See with top what it waits for.",
        ("host", disk) if disk.starts_with("disk") => "Free some space or enlarge the disk.",
        _ => "Look at it on the host.",
    }
}
