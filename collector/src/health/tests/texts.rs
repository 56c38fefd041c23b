//! What people read of each kind of check, in full.

use super::*;
use crate::alerting::Alert;
use crate::alerting::testing::{over, told};
use crate::health::alerts;
use crate::health::judge::{Check, History, Open, Trouble};

/// Kind of check, what the agent found, the SMS that follows, and the subject of the email.
const DOWN: [[&str; 4]; 15] = [
    [
        "tcp.db",
        "connection refused by 10.0.0.5:5432",
        "CRITICAL web-1: tcp.db: connection refused by 10.0.0.5:5432 since 08:00 UTC. See whether the service runs and can be reached. W-7K3F",
        "[CRITICAL] web-1: tcp.db: connection refused by 10.0.0.5:5432 (W-7K3F)",
    ],
    [
        "http.front",
        "https://collector.example.org:8443/health answered 503 Service Unavailable",
        "CRITICAL web-1: http.front: collector.example.org:8443/health answered 503 Service Unavailable since 08:00 UTC. Look at the service and its log. W-7K3F",
        "[CRITICAL] web-1: http.front: https://collector.example.org:8443/health answered 503 Service Unavailable (W-7K3F)",
    ],
    [
        "http.front",
        "https://shop.example.org/ did not answer: Connection refused",
        "CRITICAL web-1: http.front: shop.example.org/ did not answer: Connection refused since 08:00 UTC. Look at the service and its log. W-7K3F",
        "[CRITICAL] web-1: http.front: https://shop.example.org/ did not answer: Connection refused (W-7K3F)",
    ],
    [
        "tls.shop",
        "the certificate of shop.example.org:443 expires in 6 days (2027-01-21)",
        "CRITICAL web-1: tls.shop: the certificate of shop.example.org:443 expires in 6 days (2027-01-21) since 08:00 UTC. Renew the certificate. W-7K3F",
        "[CRITICAL] web-1: tls.shop: the certificate of shop.example.org:443 expires in 6 days (2027-01-21) (W-7K3F)",
    ],
    [
        "dns.zone",
        "no answer within 5s about the A records of www.example.org",
        "CRITICAL web-1: dns.zone: no answer within 5s about the A records of www.example.org since 08:00 UTC. Look at the name server and its zone. W-7K3F",
        "[CRITICAL] web-1: dns.zone: no answer within 5s about the A records of www.example.org (W-7K3F)",
    ],
    [
        "icmp.router",
        "10.0.0.1 answered none of 5 pings",
        "CRITICAL web-1: icmp.router: 10.0.0.1 answered none of 5 pings since 08:00 UTC. See whether it is up and the network leads there. W-7K3F",
        "[CRITICAL] web-1: icmp.router: 10.0.0.1 answered none of 5 pings (W-7K3F)",
    ],
    [
        "systemd.backup",
        "backup.service is failed (exit-code); it has been so since 2027-01-15T02:00:00Z",
        "CRITICAL web-1: systemd.backup: backup.service is failed (exit-code) since 08:00 UTC. Look at the unit's journal and start it again. W-7K3F",
        "[CRITICAL] web-1: systemd.backup: backup.service is failed (exit-code) (W-7K3F)",
    ],
    [
        "process.cron",
        "no process named cron is running",
        "CRITICAL web-1: process.cron: no process named cron is running since 08:00 UTC. See why it ended and start it again. W-7K3F",
        "[CRITICAL] web-1: process.cron: no process named cron is running (W-7K3F)",
    ],
    [
        "file.dump",
        "/var/backups/nightly/customers.sql.gz was written 3 days ago, 1.2 GB: older than 26h",
        "CRITICAL web-1: file.dump: /var/backups/nightly/customers.sql.gz was written 3 days ago, 1.2 GB: older.. since 08:00 UTC. Look at what writes this file. W-7K3F",
        "[CRITICAL] web-1: file.dump: /var/backups/nightly/customers.sql.gz was written 3 days ago, 1.2 GB: older than.. (W-7K3F)",
    ],
    [
        "timer.backup",
        "backup.timer last ran 3 days ago (2027-01-12T02:00:00Z): longer than 26h",
        "CRITICAL web-1: timer.backup: backup.timer last ran 3 days ago (2027-01-12T02:00:00Z): longer.. since 08:00 UTC. Look at its journal and run it again. W-7K3F",
        "[CRITICAL] web-1: timer.backup: backup.timer last ran 3 days ago (2027-01-12T02:00:00Z): longer than 26h (W-7K3F)",
    ],
    [
        "command.raid",
        "CRITICAL: md0 is degraded, 1 of 2 disks are up, and somebody should put another one in soon",
        "CRITICAL web-1: command.raid: md0 is degraded, 1 of 2 disks are up, and somebody should put another one in.. since 08:00 UTC. Do what the plugin says. W-7K3F",
        "[CRITICAL] web-1: command.raid: md0 is degraded, 1 of 2 disks are up, and somebody should put another one in.. (W-7K3F)",
    ],
    [
        "host.cpu",
        "99% of 4 processors in use: above 95",
        "CRITICAL web-1: host.cpu: 99% of 4 processors in use: above 95 since 08:00 UTC. See with top what keeps it busy. W-7K3F",
        "[CRITICAL] web-1: host.cpu: 99% of 4 processors in use: above 95 (W-7K3F)",
    ],
    [
        "host.memory",
        "97% of memory in use, 120 MB available: above 95",
        "CRITICAL web-1: host.memory: 97% of memory in use, 120 MB available: above 95 since 08:00 UTC. See with top what takes the memory. W-7K3F",
        "[CRITICAL] web-1: host.memory: 97% of memory in use, 120 MB available: above 95 (W-7K3F)",
    ],
    [
        "host.disk /var",
        "/var is 96% full, 1.9 GB left: above 90",
        "CRITICAL web-1: host.disk /var: /var is 96% full, 1.9 GB left: above 90 since 08:00 UTC. Free some space or enlarge the disk. W-7K3F",
        "[CRITICAL] web-1: host.disk /var: /var is 96% full, 1.9 GB left: above 90 (W-7K3F)",
    ],
    [
        "host.pressure",
        "tasks waited for a processor 96% of the last minute: above 90",
        "CRITICAL web-1: host.pressure: tasks waited for a processor 96% of the last minute: above 90 since 08:00 UTC. See with top what it waits for. W-7K3F",
        "[CRITICAL] web-1: host.pressure: tasks waited for a processor 96% of the last minute: above 90 (W-7K3F)",
    ],
];

fn of(check: &str, detail: &str, trouble: Trouble) -> Alert {
    let mut heard = report(1, 1, 0, check, Verdict::Failed);
    heard.report.detail = detail.to_owned();
    let check = Check {
        state: State::Down,
        since: at(0),
        failures: 3,
        enough: 3,
        unrunnable: 0,
        history: History::from_bits(0),
        open: Open::default(),
    };
    alerts::alert(&heard, trouble, &check)
}

#[test]
fn a_page_says_which_check_why_since_when_and_what_to_do() {
    for [check, found, sms, subject] in DOWN {
        let alert = of(check, found, Trouble::Down);
        assert_eq!(told(&alert), [sms, subject], "{check}");
    }
}

#[test]
fn the_other_troubles_of_a_check_and_their_end() {
    let of = |trouble| told(&of("tcp.db", "there is no program /opt/look", trouble))[0].clone();
    assert_eq!(
        of(Trouble::Unrunnable),
        "WARNING web-1: tcp.db cannot be checked: there is no program /opt/look since 08:00 UTC. \
         See that the agent can run this check. W-7K3F"
    );
    assert_eq!(
        of(Trouble::Flapping),
        "WARNING web-1: tcp.db goes up and down since 08:00 UTC. \
         See what it has in common each time; single failures are not told. W-7K3F"
    );
    assert_eq!(
        of(Trouble::Mute),
        "WARNING web-1: tcp.db is not reported any more since 08:00 UTC. \
         Look at the agent's log on the host. W-7K3F"
    );
    let alert = self::of("host.pressure", DOWN[14][1], Trouble::Down);
    let why = "up again after 4m 30s: tasks waited for a processor 3% of the last minute";
    assert_eq!(
        over(&alert, at(270), why)[0],
        "OVER web-1: host.pressure: tasks waited for a processor 96% of the last minute: above 90, \
         08:00 to 08:04 UTC. up again after 4m 30s. W-7K3F"
    );
}
