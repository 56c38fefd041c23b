//! What sshd writes about authentication, release by release.

use watchward_protocol::access::{Outcome, Peer};

use crate::log::{Line, Release, at_most, direct, relayed, string};
use crate::stranger::Stranger;

/// Puts pieces together as `snprintf` does.
macro_rules! printed {
    ($($piece:expr),+ $(,)?) => {{
        let mut text: Vec<u8> = Vec::new();
        $(text.extend_from_slice($piece.as_ref());)+
        text
    }};
}
pub(crate) use printed;

/// Every form in which a stranger's name or key can stand.
pub(crate) fn lines(release: Release, stranger: &Stranger) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, known) in [(&stranger.user, false), (&stranger.account, true)] {
        results(release, stranger, name, known, &mut lines);
        refusals(release, stranger, name, known, &mut lines);
    }
    invalid(release, stranger, &mut lines);
    certificates(release, stranger, &mut lines);
    lines
}

fn at(peer: Peer) -> String {
    format!("{} port {}", peer.address, peer.port.unwrap())
}

fn sign(known: bool) -> &'static str {
    if known { "" } else { "invalid user " }
}

/// The result of each method, with whatever stands behind it.
fn results(release: Release, stranger: &Stranger, name: &[u8], known: bool, lines: &mut Vec<Line>) {
    for (method, extra) in extras(release, stranger) {
        let colon = if extra.is_empty() { "" } else { ": " };
        for (verb, outcome) in [
            ("Failed", Outcome::Failure),
            ("Postponed", Outcome::Unknown),
        ] {
            let text = printed![
                verb,
                " ",
                method,
                " for ",
                sign(known),
                at_most(100, name),
                " from ",
                at(stranger.peer),
                " ssh2",
                colon,
                extra
            ];
            let text = if verb == "Failed" {
                direct("", &text)
            } else {
                relayed("", &text)
            };
            let line = Line::new(text, outcome)
                .peer(stranger.peer)
                .user(name, known);
            let certified = extra.starts_with(b"RSA-CERT");
            lines.push(if certified {
                line.key_id(&stranger.key_id)
            } else {
                line
            });
        }
    }
}

/// What may stand behind the result of each method.
fn extras(release: Release, stranger: &Stranger) -> Vec<(&'static str, Vec<u8>)> {
    let key = match release {
        (6, 6 | 7) => "RSA 00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff",
        _ => "RSA SHA256:AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdE",
    };
    let shown_key = if release >= (7, 9) {
        "RSA-CERT SHA256:kEy ID "
    } else {
        "RSA-CERT ID "
    };
    let certificate = printed![
        shown_key,
        string(&stranger.key_id),
        " (serial 7) CA RSA SHA256:cA"
    ];
    let client = printed![
        key,
        ", client user \"",
        at_most(100, &stranger.client_user),
        "\", client host \"",
        at_most(100, &stranger.client_host),
        "\""
    ];
    let mut extras = vec![
        ("password", Vec::new()),
        ("none", Vec::new()),
        ("keyboard-interactive/pam", Vec::new()),
        ("publickey", key.into()),
        ("publickey", certificate),
        ("hostbased", client),
    ];
    if release >= (8, 2) {
        extras.push((
            "publickey",
            b"ED25519-SK SHA256:a, signature count = 5".to_vec(),
        ));
    }
    extras
}

/// Refusals that name a user whether or not there is an account.
fn refusals(
    release: Release,
    stranger: &Stranger,
    name: &[u8],
    known: bool,
    lines: &mut Vec<Line>,
) {
    let mut add = |text: Vec<u8>| {
        let line = Line::new(text, Outcome::Failure).peer(stranger.peer);
        lines.push(line.user(name, known));
    };
    if release >= (7, 0) {
        let start = "maximum authentication attempts exceeded for ";
        let text = printed![
            start,
            sign(known),
            at_most(100, name),
            " from ",
            at(stranger.peer),
            " ssh2"
        ];
        add(relayed("error: ", &text));
    }
    let illegal = if known { "" } else { "illegal user " };
    let text = printed![
        "PAM: Authentication failure for ",
        illegal,
        at_most(100, name),
        " from ",
        stranger.peer.address.to_string()
    ];
    add(direct("error: ", &text));
    if release >= (9, 9) {
        let text = printed![
            "administratively prohibited connection for ",
            sign(known),
            string(name),
            " from ",
            at(stranger.peer)
        ];
        add(direct("", &text));
    }
    if release >= (8, 2) {
        let text = printed![
            "public key ED25519-SK SHA256:a signature for ",
            sign(known),
            string(name),
            " from ",
            at(stranger.peer),
            " rejected: user presence (authenticator touch) requirement not met "
        ];
        add(direct("error: ", &text));
    }
}

/// A name for which there is no account.
fn invalid(release: Release, stranger: &Stranger, lines: &mut Vec<Line>) {
    let name = &stranger.user;
    let port = if release >= (7, 3) {
        at(stranger.peer)
    } else {
        stranger.peer.address.to_string()
    };
    let text = direct(
        "",
        &printed!["Invalid user ", at_most(100, name), " from ", port],
    );
    lines.push(
        Line::new(text, Outcome::Failure)
            .peer(stranger.peer)
            .user(name, false),
    );
    if release <= (7, 4) {
        let text = printed!["input_userauth_request: invalid user ", string(name)];
        lines.push(Line::new(relayed("", &text), Outcome::Failure).user(name, false));
    }
    // PAM writes what it is given, but for the end of a line.
    let plain: Vec<u8> = string(name)
        .iter()
        .copied()
        .filter(|byte| *byte != b'\n')
        .collect();
    let text = printed![
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=",
        stranger.peer.address.to_string(),
        "  user=",
        plain
    ];
    lines.push(
        Line::new(text, Outcome::Failure)
            .peer(stranger.peer)
            .user(&plain, false),
    );
}

/// Certificates that the stranger made, or had made.
fn certificates(release: Release, stranger: &Stranger, lines: &mut Vec<Line>) {
    let id = string(&stranger.key_id);
    if release >= (10, 1) {
        let text = printed![
            "Refusing certificate ID \"",
            id,
            "\" serial=7 signed by RSA CA SHA256:cA: Certificate invalid: expired"
        ];
        lines.push(Line::new(direct("error: ", &text), Outcome::Failure).key_id(id));
    }
    if release >= (7, 2) {
        let text = printed![
            "Accepted certificate ID \"",
            id,
            "\" (serial 7) signed by RSA CA SHA256:cA via /x"
        ];
        lines.push(Line::new(direct("", &text), Outcome::Unknown).key_id(id));
    }
    let text = printed![
        "userauth_hostbased mismatch: client sends ",
        string(&stranger.client_host),
        ", but we resolve 192.0.2.1 to x"
    ];
    lines.push(Line::new(direct("", &text), Outcome::Unknown));
}
