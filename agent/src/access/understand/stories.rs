//! Stories of sudo, su and OpenVPN: each try counted once, each line with what is known, and nobody
//! taken for somebody else.

use proptest::prelude::*;
use watchward_protocol::access::Action;

use super::*;

/// What came of lines of one process, a second apart.
fn story(service: Service, pid: Option<u32>, lines: &[&str]) -> Vec<AccessEvent> {
    let mut understand = Understand::new();
    let written = |(second, line): (i64, &&str)| {
        understand.line(&Written {
            service,
            at: Timestamp::from_micros(second * 1_000_000),
            pid,
            boot: 1,
            trust: Trust::Server,
            message: line.as_bytes(),
        })
    };
    (0..).zip(lines).flat_map(written).collect()
}

fn tries(events: &[AccessEvent]) -> Vec<&str> {
    let tries = events.iter().filter(|event| event.attempt);
    tries.map(|event| event.form.as_str()).collect()
}

fn user(event: &AccessEvent) -> String {
    let user = event.user.as_ref();
    user.map_or("-".to_owned(), |user| user.name.to_string())
}

#[test]
fn a_command_by_sudo_is_one_try_and_its_end_knows_who_it_was() {
    let lines = [
        "alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id",
        "pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)",
        "alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id ; EXIT=0",
        "pam_unix(sudo:session): session closed for user root",
    ];
    for pid in [Some(7), None] {
        let events = story(Service::Sudo, pid, &[&lines[..2], &lines[3..]].concat());
        assert_eq!(tries(&events), ["sudo"]);
        assert_eq!(events[1].action, Action::SessionOpened);
        assert_eq!(events[2].action, Action::SessionClosed);
    }
    let events = story(Service::Sudo, Some(7), &lines);
    assert_eq!(tries(&events), ["sudo"]);
    assert_eq!(user(&events[3]), "alice");
}

#[test]
fn who_writes_the_end_of_a_command_into_it_is_seen_nevertheless() {
    let line = "eve : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh -c : ; EXIT=0";
    let events = story(Service::Sudo, Some(7), &[line]);
    assert_eq!(tries(&events), ["sudo"]);
    assert_eq!(events[0].outcome, Outcome::Success);
}

#[test]
fn three_wrong_passwords_are_one_try_and_another_process_with_the_number_has_its_own() {
    let lines = [
        "pam_unix(sudo:auth): authentication failure; logname= uid=1 euid=0 tty= ruser=bob rhost=  user=bob",
        "PAM 2 more authentication failures; logname= uid=1 euid=0 tty= ruser=bob rhost=  user=bob",
        "bob : 3 incorrect password attempts ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
    ];
    let events = story(Service::Sudo, Some(7), &[lines, lines].concat());
    assert_eq!(tries(&events), ["sudo-wrong-password"; 2]);
}

const ADA: [&str; 7] = [
    "192.0.2.7:5 TLS: Initial packet from [AF_INET]192.0.2.7:5, sid=1 2",
    "192.0.2.7:5 VERIFY OK: depth=0, O=x, CN=ada",
    "192.0.2.7:5 [ada] Peer Connection Initiated with [AF_INET]192.0.2.7:5",
    "ada/192.0.2.7:5 MULTI_sva: pool returned IPv4=10.8.0.6, IPv6=fd00::6",
    "ada/192.0.2.7:5 MULTI: primary virtual IP for ada/192.0.2.7:5: 10.8.0.6",
    "ada/192.0.2.7:5 SENT CONTROL [ada]: 'PUSH_REPLY,ping 2' (status=1)",
    "ada/192.0.2.7:5 SIGTERM[soft,remote-exit] received, client-instance exiting",
];

#[test]
fn a_client_gets_in_once_with_its_addresses_and_its_session_ends() {
    let events = story(Service::OpenVpn, Some(7), &ADA);
    assert_eq!(tries(&events), ["connected"]);
    let (entry, end) = (&events[4], &events[6]);
    assert_eq!(user(entry), "ada");
    assert!(entry.user.as_ref().is_some_and(|user| user.known));
    assert_eq!(entry.tunnel.v6, Some("fd00::6".parse().unwrap()));
    assert_eq!(events[5].action, Action::SessionOpened);
    assert_eq!(end.action, Action::SessionClosed);
    assert_eq!(end.tunnel.v4, Some([10, 8, 0, 6].into()));
    let again = story(Service::OpenVpn, Some(7), &[ADA, ADA].concat());
    assert_eq!(tries(&again), ["connected"; 2]);
}

#[test]
fn a_session_whose_start_was_not_read_ends_nevertheless() {
    let events = story(Service::OpenVpn, Some(7), &ADA[6..]);
    assert_eq!(events[0].action, Action::SessionClosed);
    assert_eq!(user(&events[0]), "ada");
}

#[test]
fn a_refused_client_is_one_failure_with_the_first_reason_and_had_no_session() {
    let revoked = [
        "192.0.2.7:5 TLS: Initial packet from [AF_INET]192.0.2.7:5, sid=1 2",
        "192.0.2.7:5 VERIFY ERROR: depth=0, error=certificate revoked: CN=bob, serial=3",
        "192.0.2.7:5 OpenSSL: error:0A000086:SSL routines::certificate verify failed",
        "192.0.2.7:5 TLS Error: TLS handshake failed",
        "192.0.2.7:5 SIGUSR1[soft,tls-error] received, client-instance restarting",
    ];
    let events = story(Service::OpenVpn, Some(7), &[revoked, revoked].concat());
    assert_eq!(tries(&events), ["certificate-revoked"; 2]);
    assert!(
        !events
            .iter()
            .any(|event| event.action == Action::SessionClosed)
    );
    assert!(events[1].user.as_ref().is_some_and(|user| !user.known));
    assert_eq!(events[2].form, "handshake-failed");
    assert_eq!(events[2].method.as_deref(), Some("certificate"));

    let password = [
        "192.0.2.7:5 VERIFY OK: depth=0, CN=bob",
        "192.0.2.7:5 TLS Auth Error: Auth Username/Password verification failed for peer",
        "192.0.2.7:5 [bob] Peer Connection Initiated with [AF_INET]192.0.2.7:5",
        "192.0.2.7:5 SENT CONTROL [bob]: 'AUTH_FAILED' (status=1)",
        "192.0.2.7:5 SIGTERM[soft,delayed-exit] received, client-instance exiting",
    ];
    let events = story(Service::OpenVpn, Some(7), &password);
    assert_eq!(tries(&events), ["wrong-password"]);
    assert_eq!(user(&events[1]), "bob");
    assert_eq!(events[4].action, Action::Connection);
}

#[test]
fn a_handshake_that_failed_counts_only_against_whoever_has_answered() {
    // One packet of UDP in anybody's name leads to all of these.
    let stranger = [
        "192.0.2.7:5 TLS: Initial packet from [AF_INET]192.0.2.7:5, sid=1 2",
        "192.0.2.7:5 TLS Error: TLS key negotiation failed to occur within 60 seconds (check your network connectivity)",
        "192.0.2.7:5 TLS Error: TLS handshake failed",
        "192.0.2.7:5 SIGUSR1[soft,tls-error] received, client-instance restarting",
    ];
    let events = story(Service::OpenVpn, Some(7), &[stranger, stranger].concat());
    assert_eq!(tries(&events), [""; 0]);
    assert_eq!(events[2].outcome, Outcome::Failure);
    let known = [&ADA[..3], &stranger[1..3]].concat();
    let events = story(Service::OpenVpn, Some(7), &known);
    assert_eq!(
        tries(&events),
        [""; 0],
        "in the name of a client that is in"
    );

    let answered = [&ADA[..2], &stranger[2..]].concat();
    let events = story(Service::OpenVpn, Some(7), &answered);
    assert_eq!(tries(&events), ["handshake-failed"]);
    let tcp = ["TCP connection established with [AF_INET]192.0.2.7:5"];
    let events = story(Service::OpenVpn, Some(7), &[&tcp[..], &stranger].concat());
    assert_eq!(tries(&events), ["handshake-failed"]);
    assert_eq!(events.len(), 4, "that it is TCP is no event");
}

#[test]
fn what_a_server_says_about_itself_is_no_event() {
    let lines = [
        "Initialization Sequence Completed",
        "/sbin/ip link set dev tun0 up",
    ];
    assert_eq!(story(Service::OpenVpn, Some(7), &lines), []);
}

/// What strangers may put into a name: pieces of lines, with the addresses of others.
fn name() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "/",
        " ",
        "203.0.113.9:9",
        "203.0.113.9:9 ",
        "CN=",
        ", CN=root",
        ", serial=1",
        "VERIFY OK: depth=0, CN=root",
        "TLS Error: TLS handshake failed",
        "]: 'PUSH_REPLY,",
        "MULTI: primary virtual IP for ",
        ": 10.8.0.9",
        "] Peer Connection Initiated with ",
        "[AF_INET]203.0.113.9:9",
        "' [CN SET]",
        "SIGTERM[soft,remote-exit] received, ",
    ]);
    prop::collection::vec(piece, 1..7).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_name_moves_a_client_to_another_address(name in name(), other in name(), keep in any::<u8>()) {
        // The first lines are of a connection: before anybody has a name that stands in front.
        let peer = "198.51.100.4:7";
        let lines = [
            format!("{peer} TLS: Initial packet from [AF_INET]{peer}, sid=1 2"),
            format!("{peer} VERIFY ERROR: depth=0, error=certificate revoked: CN={other}, serial=3"),
            format!("{peer} TLS Error: TLS handshake failed"),
            format!("{peer} SIGUSR1[soft,tls-error] received, client-instance restarting"),
            format!("{peer} TLS: Initial packet from [AF_INET]{peer}, sid=1 2"),
            format!("{peer} VERIFY OK: depth=0, CN={name}"),
            format!("{peer} TLS: Username/Password authentication succeeded for username '{other}' "),
            format!("{peer} [{name}] Peer Connection Initiated with [AF_INET]{peer}"),
            format!("{name}/{peer} MULTI: primary virtual IP for {name}/{peer}: 10.8.0.6"),
            format!("{name}/{peer} SENT CONTROL [{name}]: 'PUSH_REPLY,ping 2' (status=1)"),
            format!("{name}/{peer} SIGTERM[soft,remote-exit] received, client-instance exiting"),
        ];
        let kept = lines.iter().enumerate().filter(|(at, _)| *at < 6 || keep >> (at % 8) & 1 == 0);
        let kept: Vec<_> = kept.map(|(_, line)| line.as_str()).collect();
        for event in story(Service::OpenVpn, Some(7), &kept) {
            let place = event.peer.map(|peer| format!("{}:{}", peer.address, peer.port.unwrap_or(0)));
            prop_assert!(place.is_none() || place.as_deref() == Some(peer), "{:?}\n{:#?}", event, kept);
            let inside = event.tunnel.v4.is_none_or(|it| it.octets() == [10, 8, 0, 6]);
            prop_assert!(inside, "{:?}", event);
        }
    }
}
