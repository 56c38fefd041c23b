//! Lines as OpenVPN 2.4 to 2.7 write them, and lines that strangers would like to write.

use proptest::prelude::*;

use super::*;
use crate::access::openvpn::own_log;
use crate::access::syslog::Clock;
use watchward_protocol::time::Timestamp;

/// `form outcome part name peer port common-name user tunnel` of each way to read a line.
fn shown(line: &str) -> Vec<String> {
    let readings = match parse(line.as_bytes()) {
        Line::Client(readings) => readings,
        Line::Unknown => return vec!["unknown".to_owned()],
        Line::Other => return vec!["other".to_owned()],
    };
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or("-".into(), |bytes| {
            String::from_utf8_lossy(bytes).into_owned()
        })
    };
    let one = |reading: &Reading<'_>| {
        let said = &reading.said;
        let peer = said.peer.map_or("-".to_owned(), |peer| {
            let port = peer.port.map_or("-".to_owned(), |port| port.to_string());
            format!("{} {port}", peer.address)
        });
        let v4 = said.tunnel.v4.map_or("-".to_owned(), |it| it.to_string());
        let v6 = said.tunnel.v6.map_or("-".to_owned(), |it| it.to_string());
        let user = text(said.user.as_ref().map(|user| &*user.bytes));
        let name = text(said.common_name.as_deref());
        format!(
            "{} {:?} {:?} {peer} cn={name} user={user} {v4} {v6}",
            said.form, said.outcome, said.part
        )
    };
    readings.iter().map(one).collect()
}

#[test]
fn lines_of_a_connection() {
    for (line, expected) in [
        (
            "192.0.2.7:41234 TLS: Initial packet from [AF_INET]192.0.2.7:41234, sid=12345678 9abcdef0",
            "connection Unknown Begins 192.0.2.7 41234 cn=- user=- - -",
        ),
        (
            "192.0.2.7:41234 VERIFY OK: depth=0, C=DE, O=Example, CN=ada",
            "certificate-accepted Unknown Tells 192.0.2.7 41234 cn=ada user=- - -",
        ),
        (
            "192.0.2.7:41234 VERIFY OK: depth=1, CN=house",
            "notice Unknown Beside 192.0.2.7 41234 cn=- user=- - -",
        ),
        (
            "192.0.2.7:41234 [ada] Peer Connection Initiated with [AF_INET]192.0.2.7:41234",
            "keys-exchanged Unknown Tells 192.0.2.7 41234 cn=ada user=- - -",
        ),
        (
            "ada/192.0.2.7:41234 MULTI_sva: pool returned IPv4=10.8.0.6, IPv6=fd00::1000",
            "addresses Unknown Tells 192.0.2.7 41234 cn=ada user=- 10.8.0.6 fd00::1000",
        ),
        (
            "ada/192.0.2.7:41234 MULTI_sva: pool returned IPv4=10.8.0.6, IPv6=(Not enabled)",
            "addresses Unknown Tells 192.0.2.7 41234 cn=ada user=- 10.8.0.6 -",
        ),
        (
            "ada/192.0.2.7:41234 MULTI: primary virtual IP for ada/192.0.2.7:41234: 10.8.0.6",
            "connected Success Succeeds 192.0.2.7 41234 cn=ada user=- 10.8.0.6 -",
        ),
        (
            "ada/192.0.2.7:41234 SENT CONTROL [ada]: 'PUSH_REPLY,route 10.8.0.1,ping 2' (status=1)",
            "connected Success Succeeds 192.0.2.7 41234 cn=ada user=- - -",
        ),
        (
            "192.0.2.7:41234 SENT CONTROL [ada]: 'AUTH_FAILED' (status=1)",
            "wrong-password Failure Fails 192.0.2.7 41234 cn=- user=- - -",
        ),
        (
            "192.0.2.7:41234 TLS: Username/Password authentication succeeded for username 'ada' ",
            "password-accepted Unknown Tells 192.0.2.7 41234 cn=- user=ada - -",
        ),
        (
            "ada/192.0.2.7:41234 SIGTERM[soft,remote-exit] received, client-instance exiting",
            "client-exited Unknown Ends 192.0.2.7 41234 cn=ada user=- - -",
        ),
        (
            "ada/192.0.2.7:41234 SIGUSR1[soft,ping-restart] received, client-instance restarting",
            "inactive Unknown Ends 192.0.2.7 41234 cn=ada user=- - -",
        ),
        ("ada/192.0.2.7:41234 the cat sat on the mat", "unknown"),
        ("Initialization Sequence Completed", "other"),
        (
            "[server] Peer Connection Initiated with [AF_INET]192.0.2.1:1194",
            "other",
        ),
        ("SIGTERM[hard,] received, process exiting", "other"),
    ] {
        assert_eq!(shown(line), [expected], "{line}");
    }
}

#[test]
fn why_somebody_was_not_let_in() {
    let peer = "192.0.2.7:41234";
    let verify = |reason: &str| {
        format!("{peer} VERIFY ERROR: depth=0, error={reason}: O=x, CN=bob, serial=3")
    };
    for (line, form) in [
        (verify("certificate revoked"), "certificate-revoked"),
        (verify("certificate has expired"), "certificate-expired"),
        (
            verify("certificate is not yet valid"),
            "certificate-not-yet-valid",
        ),
        (
            verify("unable to get local issuer certificate"),
            "unknown-authority",
        ),
        (
            verify("self-signed certificate in certificate chain"),
            "unknown-authority",
        ),
        (verify("CRL has expired"), "revocation-list-expired"),
        (
            verify("unsuitable certificate purpose"),
            "certificate-purpose",
        ),
        (verify("something new"), "certificate-refused"),
        (
            format!("{peer} VERIFY CRL: depth=0, O=x, CN=bob, serial=3 is revoked"),
            "certificate-revoked",
        ),
    ] {
        let expected = format!("{form} Failure Fails 192.0.2.7 41234 cn=bob user=bob - -");
        assert_eq!(shown(&line), [expected], "{line}");
    }
    for (line, form) in [
        (
            "TLS Auth Error: Auth Username/Password verification failed for peer",
            "wrong-password",
        ),
        (
            "TLS Error: Auth Username/Password was not provided by peer",
            "no-password",
        ),
        (
            "TLS Error: Certificate verification failed",
            "certificate-refused",
        ),
        ("VERIFY EKU ERROR", "certificate-purpose"),
        ("VERIFY SCRIPT ERROR: depth=0, OU=x", "refused-by-script"),
        (
            "TLS Auth Error: --client-config-dir authentication failed for common name 'x' file='y'",
            "no-client-config",
        ),
        (
            "MULTI: client has been rejected due to 'disable' directive",
            "rejected",
        ),
    ] {
        let expected = format!("{form} Failure Fails 192.0.2.7 41234 cn=- user=- - -");
        assert_eq!(shown(&format!("{peer} {line}")), [expected], "{line}");
    }
}

#[test]
fn a_packet_counts_against_nobody_for_it_may_come_in_anybodys_name() {
    for line in [
        "TLS Error: cannot locate HMAC in incoming packet from [AF_INET]192.0.2.7:5",
        "TLS Error: incoming packet authentication failed from [AF_INET]192.0.2.7:5",
        "192.0.2.7:5 TLS Error: tls-crypt unwrapping failed from [AF_INET]192.0.2.7:5",
        "TLS Error: tls-crypt unwrapping failed from [AF_INET6]::ffff:192.0.2.7:5 (via ::1%eth0)",
    ] {
        let expected = "bad-hmac Failure Beside 192.0.2.7 5 cn=- user=- - -";
        assert_eq!(shown(line), [expected], "{line}");
    }
    let expected = "no-handshake Failure Lapses 192.0.2.7 5 cn=- user=- - -";
    let line = "192.0.2.7:5 TLS Error: TLS key negotiation failed to occur within 60 seconds (check your network connectivity)";
    assert_eq!(shown(line), [expected]);
}

#[test]
fn addresses_are_understood_as_each_release_writes_them() {
    for (prefix, expected) in [
        ("192.0.2.7:5", "192.0.2.7 5"),
        ("2001:db8::7", "2001:db8::7 -"),
        ("[2001:db8::7]:5", "2001:db8::7 5"),
        ("udp4:192.0.2.7:5", "192.0.2.7 5"),
        ("tcp6-server:[2001:db8::7]:5", "2001:db8::7 5"),
        ("[::ffff:192.0.2.7]:5", "192.0.2.7 5"),
        ("a b/192.0.2.7:5", "192.0.2.7 5"),
        ("a/b/192.0.2.7:5 peer-id=3", "192.0.2.7 5"),
    ] {
        let shown = shown(&format!("{prefix} TLS Error: TLS handshake failed"));
        let start = format!("handshake-failed Failure Breaks {expected} ");
        assert!(
            shown[0].starts_with(&start) && shown.len() == 1,
            "{prefix}: {shown:?}"
        );
    }
    for prefix in [
        "192.0.2.7",
        "192.0.2.7:",
        "192.0.2.07:5",
        "192.0.2.7:99999",
        "ada/192.0.2.7",
    ] {
        let line = format!("{prefix} TLS Error: TLS handshake failed");
        assert_eq!(shown(&line), ["other"], "{prefix}");
    }
}

#[test]
fn a_name_that_looks_like_a_prefix_gives_two_ways_to_read_the_line() {
    let line = "x/10.0.0.1:9 VERIFY OK: /198.51.100.5:7 TLS Error: TLS handshake failed";
    assert_eq!(shown(line).len(), 2);
}

#[test]
fn times_of_its_own_log() {
    let clock = Clock {
        now: Timestamp::from_micros(1_795_262_400_000_000),
        ahead: 7200,
    };
    for (line, expected) in [
        ("2026-11-21 03:04:05 a b\n", "2026-11-21T01:04:05Z a b"),
        (
            "2026-11-21 03:04:05 us=123456 a b",
            "2026-11-21T01:04:05Z a b",
        ),
        ("Sat Nov 21 03:04:05 2026 a b", "2026-11-21T01:04:05Z a b"),
        (
            "Sat Nov  7 03:04:05 2026 us=1 a b",
            "2026-11-07T01:04:05Z a b",
        ),
        ("1795230245.123456 29 a b", "2026-11-21T03:04:05Z a b"),
        ("a b", "- a b"),
        ("192.0.2.7:5 a", "- 192.0.2.7:5 a"),
    ] {
        let (at, text) = own_log::read(line.as_bytes(), clock);
        let at = at.map_or("-".to_owned(), |at| at.to_string());
        assert_eq!(format!("{at} {}", String::from_utf8_lossy(text)), expected);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(line in prop::collection::vec(any::<u8>(), 0..400)) {
        parse(&line);
    }
}
