//! The listener, the exchange of names, keys, PAM, sessions, and what is only recognised.

use super::super::repeated;
use super::{each, said};

#[test]
fn the_listener() {
    each(&[
        (
            "Server listening on 0.0.0.0 port 22.",
            "listening Notice Unknown (6.6+)",
        ),
        (
            "Received signal 15; terminating.",
            "signal Notice Unknown (6.6+)",
        ),
        (
            "Connection from 192.0.2.1 port 5 on 192.0.2.9 port 22 rdomain \"\"",
            "connection Connection Unknown at 192.0.2.1 5 (6.6+)",
        ),
        (
            "fatal: Timeout before authentication for 192.0.2.1 port 5",
            "login-timeout Connection Unknown at 192.0.2.1 5 (7.3-9.7)",
        ),
        (
            "Timeout before authentication for connection from 192.0.2.1 to 192.0.2.9, pid = 77 (early)",
            "login-timeout Connection Unknown at 192.0.2.1 (9.8+)",
        ),
        (
            "Session process 77 unpriv child crash for connection from 192.0.2.1 to 192.0.2.9",
            "session-crashed Connection Unknown at 192.0.2.1 (9.8+)",
        ),
        (
            "error: session process 77 for connection from 192.0.2.1 to 192.0.2.9 killed by signal 11",
            "session-crashed Connection Unknown at 192.0.2.1 (9.8+)",
        ),
        (
            "drop connection #10 from [192.0.2.1]:5 on [192.0.2.9]:22 past MaxStartups",
            "max-startups Refusal Failure at 192.0.2.1 5 (7.4-9.7)",
        ),
        (
            "drop connection #10 from [2001:db8::1]:5 on [2001:db8::9]:22 penalty: failed authentication",
            "penalised Refusal Failure at 2001:db8::1 5 (9.8+)",
        ),
        (
            "srclimit_penalise: ipv4: new 192.0.2.1/32 deferred penalty of 5.000 seconds for penalty: failed authentication",
            "penalty Notice Unknown (10.3+)",
        ),
        (
            "error: beginning MaxStartups throttling",
            "throttling Notice Unknown (8.4-9.9)",
        ),
        (
            "exited MaxStartups throttling after 00:05:00, 100 connections dropped",
            "throttling Notice Unknown (8.4-9.9)",
        ),
        (
            "PerSourcePenalties logging rate-limited: additional 12 connections dropped",
            "rate-limited Notice Unknown (10.0+)",
        ),
    ]);
}

#[test]
fn the_exchange_of_names() {
    each(&[
        (
            "Did not receive identification string from 192.0.2.1",
            "no-identification Connection Unknown at 192.0.2.1 (6.6-7.2)",
        ),
        (
            "Bad protocol version identification 'a' from 198.51.100.1 port 9' from 192.0.2.1 port 5",
            "bad-identification Connection Unknown at 192.0.2.1 5 (6.6-7.9)",
        ),
        (
            "error: Bad remote protocol version identification: 'x'",
            "bad-identification Connection Unknown (8.0+)",
        ),
        (
            "Protocol major versions differ for 192.0.2.1 port 5: SSH-2.0-a vs. SSH-1.5-b",
            "version-mismatch Connection Unknown at 192.0.2.1 5 (7.3-7.9)",
        ),
        (
            "probed from 192.0.2.1 port 5 with SSH-1.0-x from 198.51.100.1.  Don't panic.",
            "scanner Connection Unknown at 192.0.2.1 5 (7.3+)",
        ),
        (
            "error: kex_exchange_identification: Connection closed by remote host",
            "no-identification Connection Unknown (8.0+)",
        ),
        (
            "Bad packet length 1349676916.",
            "corrupt Notice Unknown (6.6+)",
        ),
    ]);
}

#[test]
fn keys() {
    each(&[
        (
            "error: Authentication key RSA SHA256:a revoked by file /etc/ssh/krl",
            "key-revoked Notice Failure key RSA SHA256:a (7.0+)",
        ),
        (
            "error: Error checking authentication key RSA SHA256:a in revoked keys file /x: No such file",
            "revoked-keys-unreadable Notice Failure key RSA SHA256:a (7.0+)",
        ),
        (
            "Accepted key ED25519 SHA256:a found at /home/bob/.ssh/authorized_keys:3",
            "key-found Notice Unknown key ED25519 SHA256:a (7.7+)",
        ),
        (
            "Accepted certificate ID \"bob\" (serial 7) signed by ED25519 CA SHA256:c via /etc/ssh/ca",
            "certificate-found Notice Unknown certificate bob 7 SHA256:c (7.2+)",
        ),
        (
            "error: Refusing certificate ID \"bob\" serial=7 signed by RSA CA SHA256:c: Certificate invalid: expired",
            "certificate-refused Refusal Failure certificate bob 7 SHA256:c (10.1+)",
        ),
        (
            "error: Certificate invalid: expired",
            "certificate-refused Refusal Failure (6.6+)",
        ),
        (
            "/home/bob/.ssh/authorized_keys:3: Authentication tried for bob with correct key but not from a permitted host (host=h.example.org, ip=192.0.2.1, required=10.0.0.0/8).",
            "key-not-from-here Refusal Failure bob at 192.0.2.1 (7.7+)",
        ),
        (
            "/a:3: Authentication tried for bob with correct key but not from a permitted host (host=h, ip=192.0.2.1, required=x, ip=198.51.100.1, required=y).",
            "key-not-from-here Refusal Failure bob (7.7+)",
        ),
        (
            "Authentication tried for bob with valid certificate but not from a permitted host (ip=192.0.2.1).",
            "certificate-not-from-here Refusal Failure bob at 192.0.2.1 (6.6-7.6)",
        ),
        (
            "error: public key ED25519-SK SHA256:a signature for bob from 192.0.2.1 port 5 rejected: user presence (authenticator touch) requirement not met ",
            "signature-rejected Refusal Failure bob at 192.0.2.1 5 key ED25519-SK SHA256:a (8.2+)",
        ),
    ]);
}

#[test]
fn pam() {
    each(&[
        (
            "error: PAM: Authentication failure for illegal user x for y from 192.0.2.1",
            "pam-error Authentication Failure x for y? at 192.0.2.1 (6.6+)",
        ),
        (
            "error: PAM: User not known to the underlying authentication module for bob from h.example.org",
            "pam-error Authentication Failure bob (6.6+)",
        ),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
            "pam-failure Authentication Failure root? at 192.0.2.1 (any)",
        ),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1 ",
            "pam-failure Authentication Failure at 192.0.2.1 (any)",
        ),
        (
            "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
            "pam-retries Authentication Failure root? at 192.0.2.1 (any)",
        ),
        (
            "pam_unix(sshd:auth): check pass; user unknown",
            "pam-module Notice Unknown (any)",
        ),
        (
            "pam_unix(sshd:session): session opened for user bob(uid=1000) by (uid=0)",
            "pam-session-opened SessionOpened Success bob (any)",
        ),
        (
            "pam_unix(sshd:session): session closed for user bob",
            "pam-session-closed SessionClosed Unknown bob (any)",
        ),
        (
            "pam_systemd(sshd:session): Failed to create session: x",
            "pam-module Notice Unknown (any)",
        ),
        ("pam_unix(sudo:auth): check pass; user unknown", "nothing"),
    ]);
}

#[test]
fn sessions() {
    each(&[
        (
            "Starting session: forced-command (key-option) 'x for y' on pts/0 for bob from 192.0.2.1 port 5 id 0",
            "session-opened SessionOpened Success bob at 192.0.2.1 5 (7.2+)",
        ),
        (
            "Close session: user bob from 192.0.2.1 port 5 id 0",
            "session-closed SessionClosed Unknown bob at 192.0.2.1 5 (7.2+)",
        ),
        (
            "User child is on pid 77",
            "user-child Notice Unknown (6.6+)",
        ),
        (
            "Transferred: sent 1, received 2 bytes",
            "transferred Notice Unknown (6.6+)",
        ),
        (
            "Closing connection to 192.0.2.1 port 5",
            "closing SessionClosed Unknown at 192.0.2.1 5 (6.6+)",
        ),
    ]);
}

#[test]
fn the_rest_is_recognised_and_tells_nothing() {
    each(&[
        (
            "error: Could not load host key: /x",
            "notice Notice Unknown (6.6-7.9)",
        ),
        (
            "Authentication refused: bad ownership or modes for directory /x",
            "notice Notice Unknown (6.6+)",
        ),
        (
            "fatal: mm_request_send: write: Broken pipe",
            "notice Notice Unknown (6.6+)",
        ),
        (
            "userauth_pubkey: signature algorithm ssh-rsa not in PubkeyAcceptedAlgorithms [preauth]",
            "notice Notice Unknown (9.0+)",
        ),
        (
            "reverse mapping checking getaddrinfo for h.example.org [192.0.2.1] failed.",
            "notice Notice Unknown (7.3+)",
        ),
        (
            "subsystem request for sftp by user bob failed, subsystem not found",
            "notice Notice Unknown (10.4+)",
        ),
        (
            "debug1: userauth-request for user x",
            "notice Notice Unknown (6.6+)",
        ),
        ("the cat sat on the mat", "nothing"),
    ]);
}

#[test]
fn folded_lines() {
    let (times, line) = repeated(
        b"message repeated 3 times: [ Failed password for bob from 192.0.2.1 port 5 ssh2]",
    );
    assert_eq!(times, 3);
    assert!(said(std::str::from_utf8(line).unwrap()).ends_with("bob at 192.0.2.1 5 (6.6+)"));
    for odd in [
        &b"message repeated 0 times: [ x]"[..],
        b"message repeated -1 times: [ x]",
        b"x",
    ] {
        assert_eq!(repeated(odd), (1, odd));
    }
}
