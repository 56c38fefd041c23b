//! Stories of lines, and what they mean together.

use super::*;

const PEER: &str = "192.0.2.1";

/// What came of lines that are written a second apart, by the processes before the `|`.
fn story(lines: &[&str]) -> Vec<AccessEvent> {
    story_of(Service::Sshd, lines)
}

fn story_of(service: Service, lines: &[&str]) -> Vec<AccessEvent> {
    let mut understand = Understand::new();
    let mut events = Vec::new();
    for (second, line) in (0..).zip(lines) {
        let (pid, message) = line.split_once('|').unwrap();
        let written = Written {
            service,
            at: Timestamp::from_micros(second * 1_000_000),
            pid: pid.parse().ok(),
            boot: 1,
            trust: Trust::Server,
            message: message.as_bytes(),
        };
        events.extend(understand.line(&written));
    }
    events
}

fn attempts(events: &[AccessEvent]) -> usize {
    events.iter().filter(|event| event.attempt).count()
}

fn addresses(events: &[AccessEvent]) -> Vec<String> {
    let address = |event: &AccessEvent| event.peer.map(|peer| peer.address.to_string());
    events
        .iter()
        .map(|event| address(event).unwrap_or_default())
        .collect()
}

#[test]
fn ten_tries_in_ten_connections_are_ten() {
    let mut lines = Vec::new();
    for pid in 1..=10 {
        lines.extend([
            format!("{pid}|Invalid user x from {PEER} port {pid}"),
            format!("{pid}|pam_unix(sshd:auth): check pass; user unknown"),
            format!("{pid}|pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={PEER} "),
            format!("{pid}|Failed none for invalid user x from {PEER} port {pid} ssh2"),
            format!("{pid}|Failed password for invalid user x from {PEER} port {pid} ssh2"),
            format!("{pid}|Received disconnect from {PEER} port {pid}:11: Bye [preauth]"),
            format!("{pid}|Disconnected from invalid user x {PEER} port {pid} [preauth]"),
        ]);
    }
    let events = story(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((events.len(), attempts(&events)), (70, 10));
}

#[test]
fn six_tries_in_one_connection_are_six() {
    let mut lines = vec!["7|Failed password for bob from 192.0.2.1 port 5 ssh2"; 6];
    lines.push("7|error: maximum authentication attempts exceeded for bob from 192.0.2.1 port 5 ssh2 [preauth]");
    lines.push("7|Disconnecting authenticating user bob 192.0.2.1 port 5: Too many authentication failures [preauth]");
    assert_eq!(attempts(&story(&lines)), 6);
}

#[test]
fn a_refused_key_leaves_only_the_end_and_that_is_the_try() {
    let events =
        story(&["7|Connection closed by authenticating user bob 192.0.2.1 port 5 [preauth]"]);
    assert_eq!(attempts(&events), 1);
    let events = story(&[
        "7|Invalid user x from 192.0.2.1 port 5",
        "7|Connection closed by 192.0.2.1 port 5 [preauth]",
        "8|Connection closed by 192.0.2.2 port 5 [preauth]",
    ]);
    assert_eq!(
        events.iter().map(|event| event.attempt).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(
        events.get(1).map(|event| event.outcome),
        Some(Outcome::Failure)
    );
}

#[test]
fn a_log_in_is_one_try_and_its_session_none() {
    let events = story(&[
        "7|Accepted publickey for bob from 192.0.2.1 port 5 ssh2: RSA SHA256:a",
        "7|pam_unix(sshd:session): session opened for user bob(uid=1000) by (uid=0)",
        "9|Received disconnect from 192.0.2.1 port 5:11: disconnected by user",
        "9|Disconnected from user bob 192.0.2.1 port 5",
        "7|pam_unix(sshd:session): session closed for user bob",
    ]);
    assert_eq!(attempts(&events), 1);
    assert_eq!(addresses(&events), vec![PEER; 5]);
}

#[test]
fn what_the_line_leaves_out_comes_from_the_lines_before() {
    let events = story(&[
        "7|Connection from 192.0.2.1 port 5 on 192.0.2.9 port 22",
        "7|User bob not allowed because account is locked",
        "7|input_userauth_request: invalid user bob [preauth]",
        "7|Connection closed by 192.0.2.1 [preauth]",
    ]);
    assert_eq!(addresses(&events), vec![PEER; 4]);
    let last = events.last().unwrap();
    assert!(
        last.attempt
            && last
                .user
                .as_ref()
                .is_some_and(|user| user.name == "bob".into())
    );
}

#[test]
fn a_second_address_is_tampering_and_the_first_stays() {
    let events = story(&[
        "7|Invalid user x from 192.0.2.1 port 5",
        "7|Failed password for bob from 198.51.100.9 port 6 ssh2",
    ]);
    assert_eq!(addresses(&events), [PEER, PEER]);
    let last = events.last().unwrap();
    assert_eq!((last.form.as_str(), last.attempt), ("tampered", false));
}

#[test]
fn what_a_local_user_writes_pins_no_address_for_the_server() {
    let mut understand = Understand::new();
    let mut said = |trust, message: &[u8]| {
        let at = Timestamp::from_micros(0);
        let written = Written {
            service: Service::Sshd,
            at,
            pid: Some(7),
            boot: 1,
            trust,
            message,
        };
        understand
            .line(&written)
            .first()
            .and_then(|event| event.peer)
    };
    said(Trust::Text, b"Invalid user x from 198.51.100.9 port 6");
    let locked = b"User bob not allowed because account is locked";
    assert_eq!(said(Trust::Server, locked), None);
    let peer = said(
        Trust::Server,
        b"Failed password for bob from 192.0.2.1 port 5 ssh2",
    );
    assert_eq!(
        peer.map(|peer| peer.address.to_string()).as_deref(),
        Some(PEER)
    );
}

#[test]
fn a_number_used_again_is_another_connection() {
    let events = story(&[
        "7|Failed password for bob from 192.0.2.1 port 5 ssh2",
        "7|Connection closed by authenticating user bob 192.0.2.1 port 5 [preauth]",
        "7|Connection closed by authenticating user eve 198.51.100.9 port 6 [preauth]",
        "7|pam_unix(sshd:auth): check pass; user unknown",
    ]);
    assert_eq!(addresses(&events), [PEER, PEER, "198.51.100.9", ""]);
    assert_eq!(attempts(&events), 2);
}

#[test]
fn the_listener_ends_a_try_of_another_process_and_is_bound_to_none() {
    let events = story(&[
        "7|Invalid user x from 192.0.2.1 port 5",
        "1|drop connection #1 from [198.51.100.1]:5 on [192.0.2.9]:22 past MaxStartups",
        "1|Timeout before authentication for connection from 192.0.2.1 to 192.0.2.9, pid = 7",
        "1|drop connection #1 from [198.51.100.2]:5 on [192.0.2.9]:22 past MaxStartups",
    ]);
    assert_eq!(
        addresses(&events),
        [PEER, "198.51.100.1", PEER, "198.51.100.2"]
    );
    let tries: Vec<_> = events.iter().map(|event| event.attempt).collect();
    assert_eq!(tries, [false, false, true, false]);
}

#[test]
fn folded_lines_count_as_often_as_they_say_within_bounds() {
    let line = "Failed password for bob from 192.0.2.1 port 5 ssh2]";
    let some = story(&[&format!("7|message repeated 3 times: [ {line}")]);
    assert_eq!(attempts(&some), 3);
    let many = story(&[&format!("7|message repeated 4000000000 times: [ {line}")]);
    assert_eq!(many.len(), 32);
}

#[test]
fn a_read_unfolds_so_much_and_says_how_much_stayed_folded() {
    let mut understand = Understand::new();
    let mut count = 0;
    for second in 0..1000 {
        let written = Written {
            service: Service::Sshd,
            at: Timestamp::from_micros(second),
            pid: None,
            boot: 0,
            trust: Trust::Text,
            message: b"message repeated 4096 times: [ x]",
        };
        count += understand.line(&written).len() as u64;
    }
    assert_eq!(count, 1512);
    let gap = understand.gap("/var/log/auth.log").unwrap();
    assert_eq!(gap.lost, Some(4096 * 1000 - count));
    let (from, to) = (Timestamp::from_micros(0), Timestamp::from_micros(999));
    assert_eq!((gap.from, gap.to), (Some(from), to));
    assert_eq!(understand.gap("/var/log/auth.log"), None, "said once");
}

#[test]
fn an_unknown_line_is_told_as_such() {
    let events = story(&["7|the cat sat on the mat"]);
    assert_eq!(
        events.first().map(|event| event.form.as_str()),
        Some("unrecognised")
    );
    assert_eq!(attempts(&events), 0);
}
