//! Results of a method, with keys and certificates in both styles.

use super::{each, said};

#[test]
fn results() {
    each(&[
        (
            "Accepted password for root from 192.0.2.1 port 50022 ssh2",
            "accepted Authentication Success password root at 192.0.2.1 50022 (6.6+)",
        ),
        (
            "Failed password for invalid user admin from 2001:db8::7 port 1 ssh2",
            "failed Authentication Failure password admin? at 2001:db8::7 1 (6.6+)",
        ),
        (
            "Failed password for bob from ::ffff:192.0.2.9 port 65535 ssh2",
            "failed Authentication Failure password bob at 192.0.2.9 65535 (6.6+)",
        ),
        (
            "Failed keyboard-interactive/pam for bob from fe80::1%eth0 port 22 ssh2",
            "failed Authentication Failure keyboard-interactive/pam bob at fe80::1 22 (6.6+)",
        ),
        (
            "Failed password for bob from UNKNOWN port 65535 ssh2",
            "failed Authentication Failure password bob (6.6+)",
        ),
        (
            "Failed password for bob from 192.0.2.1 port 22 ssh1",
            "failed Authentication Failure password bob at 192.0.2.1 22 (6.6-7.3)",
        ),
        (
            "Partial publickey for bob from 192.0.2.1 port 22 ssh2: ED25519 SHA256:AbC/d+9",
            "partial Authentication Unknown publickey bob at 192.0.2.1 22 key ED25519 SHA256:AbC/d+9 (6.8+)",
        ),
        (
            "Postponed keyboard-interactive for invalid user x\\\\\\\\y from 192.0.2.1 port 22 ssh2 [preauth]",
            "postponed Authentication Unknown keyboard-interactive x\\\\y? at 192.0.2.1 22 (6.6+)",
        ),
        (
            "Failed gssapi-with-mic for invalid user bob from 192.0.2.1 port 22 ssh2",
            "failed Authentication Failure gssapi-with-mic bob? at 192.0.2.1 22 (6.6+)",
        ),
        (
            "Accepted gssapi-with-mic for bob from 192.0.2.1 port 22 ssh2: bob@EXAMPLE.ORG",
            "accepted Authentication Success gssapi-with-mic bob at 192.0.2.1 22 (6.6+)",
        ),
        (
            "error: maximum authentication attempts exceeded for invalid user a b from 192.0.2.1 port 9 ssh2 [preauth]",
            "max-attempts Authentication Failure a b? at 192.0.2.1 9 (7.0+)",
        ),
        (
            "maximum authentication attempts exceeded for bob from 192.0.2.1 port 9 ssh2 [preauth]",
            "max-attempts Authentication Failure bob at 192.0.2.1 9 (7.0+)",
        ),
        (
            "error: maximum authentication attempts exceeded for bob from 192.0.2.1 port 9 ssh1 [preauth]",
            "max-attempts Authentication Failure bob at 192.0.2.1 9 (7.0-7.3)",
        ),
    ]);
}

#[test]
fn keys_and_certificates() {
    each(&[
        (
            "Accepted publickey for git from 192.0.2.1 port 22 ssh2: RSA SHA256:abc",
            "accepted Authentication Success publickey git at 192.0.2.1 22 key RSA SHA256:abc (6.8+)",
        ),
        (
            "Accepted publickey for git from 192.0.2.1 port 22 ssh2: RSA 12:34:ab",
            "accepted Authentication Success publickey git at 192.0.2.1 22 key RSA 12:34:ab (6.6-6.7)",
        ),
        (
            "Accepted publickey for git from 192.0.2.1 port 22 ssh2: ED25519-SK SHA256:abc, signature count = 7",
            "accepted Authentication Success publickey git at 192.0.2.1 22 key ED25519-SK SHA256:abc (6.8+)",
        ),
        (
            "Accepted publickey for git from 192.0.2.1 port 22 ssh2: ED25519-CERT SHA256:abc ID bob at work (serial 18446744073709551615) CA ED25519 SHA256:ca",
            "accepted Authentication Success publickey git at 192.0.2.1 22 key ED25519-CERT SHA256:abc certificate bob at work 18446744073709551615 SHA256:ca (7.9+)",
        ),
        (
            "Accepted publickey for git from 192.0.2.1 port 22 ssh2: RSA-CERT ID bob (serial 0) CA RSA SHA256:ca",
            "accepted Authentication Success publickey git at 192.0.2.1 22 certificate bob 0 SHA256:ca (6.6-7.8)",
        ),
        (
            "Failed hostbased for bob from 192.0.2.1 port 22 ssh2: RSA SHA256:a, client user \"x\", client host \"y from 198.51.100.1 port 1 ssh2\"",
            "failed Authentication Failure hostbased bob at 192.0.2.1 22 key RSA SHA256:a (6.8+)",
        ),
    ]);
}

#[test]
fn a_user_name_that_looks_like_the_rest_of_the_line_does_not_move_the_address() {
    each(&[
        (
            "Failed password for invalid user x from 198.51.100.9 port 22 ssh2 from 192.0.2.1 port 7 ssh2",
            "failed Authentication Failure password x from 198.51.100.9 port 22 ssh2? at 192.0.2.1 7 (6.6+)",
        ),
        (
            "Failed publickey for invalid user x from 198.51.100.9 port 22 ssh2: RSA SHA256:a from 192.0.2.1 port 7 ssh2: RSA SHA256:b",
            "failed Authentication Failure publickey x from 198.51.100.9 port 22 ssh2: RSA SHA256:a? at 192.0.2.1 7 key RSA SHA256:b (6.8+)",
        ),
    ]);
}

#[test]
fn a_line_with_two_readings_names_nobody() {
    let line = "Failed publickey for bob from 192.0.2.1 port 7 ssh2: RSA-CERT SHA256:a ID z (serial 0) \
                CA RSA SHA256:q from 198.51.100.9 port 22 ssh2: RSA-CERT SHA256:b ID k (serial 1) \
                CA RSA SHA256:c";
    assert_eq!(said(line), "failed Authentication Failure publickey (6.6+)");
}

#[test]
fn what_sshd_never_writes_is_not_understood() {
    for line in [
        "Failed password for bob from 192.0.2.01 port 22 ssh2",
        "Failed password for bob from 192.0.2.1 port 022 ssh2",
        "Failed password for bob from 192.0.2.1 port 65536 ssh2",
        "Failed password for bob from 2001:db8:0::1 port 22 ssh2",
        "Failed password for bob from 2001:DB8::1 port 22 ssh2",
        "Failed password for bob from 2001:db8::1%eth0 port 22 ssh2",
        "Failed password for bob from example.org port 22 ssh2",
        "Failed password for bob from 192.0.2.1 port 22 ssh2 ",
        "Failed password for bob from 192.0.2.1 port 22 ssh2: RSA SHA256:a",
        "failed password for bob from 192.0.2.1 port 22 ssh2",
        "error: Failed password for bob from 192.0.2.1 port 22 ssh2",
        " Failed password for bob from 192.0.2.1 port 22 ssh2",
        "",
    ] {
        assert_eq!(said(line), "nothing", "{line}");
    }
}

#[test]
fn nothing_is_taken_from_the_end_of_a_cut_line() {
    let line = format!(
        "error: maximum authentication attempts exceeded for invalid user {} from 192.0.2.1",
        "x".repeat(500)
    );
    let cut = line.get(..500).unwrap();
    assert_eq!(said(cut), "max-attempts Authentication Failure (7.0+)");
}
