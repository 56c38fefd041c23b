//! What sshd writes about connections, release by release.

use watchward_protocol::access::{Outcome, Peer};

use crate::auth::printed;
use crate::log::{Line, Release, at_most, direct, relayed, string};
use crate::stranger::Stranger;

/// Every form in which a stranger's text can stand, at the beginning and at the end of a connection.
pub(crate) fn lines(release: Release, stranger: &Stranger) -> Vec<Line> {
    let mut lines = Vec::new();
    for identity in identities(release, stranger) {
        ended(release, stranger, &identity, &mut lines);
        with_reason(release, stranger, &identity, &mut lines);
    }
    received(release, stranger, &mut lines);
    if release >= (7, 0) {
        // Who is already in names the path of a socket that is too long.
        let text = printed![at_most(100, &stranger.text), ": File name too long"];
        lines.push(Line::new(direct("error: ", &text), Outcome::Unknown));
    }
    names(release, stranger, &mut lines);
    lines
}

/// How sshd names whom it talks to.
struct Identity {
    text: Vec<u8>,
    user: Option<(Vec<u8>, bool)>,
    outcome: Outcome,
}

fn identities(release: Release, stranger: &Stranger) -> Vec<Identity> {
    let Peer { address, port } = stranger.peer;
    let port = format!(" port {}", port.unwrap());
    let alone = match release {
        (6, _) | (7, 0 | 1) => address.to_string(),
        _ => format!("{address}{port}"),
    };
    let mut all = vec![Identity {
        text: alone.into(),
        user: None,
        outcome: Outcome::Unknown,
    }];
    if release < (7, 5) {
        return all;
    }
    for (words, name, known, outcome) in [
        ("invalid user ", &stranger.user, false, Outcome::Failure),
        (
            "authenticating user ",
            &stranger.account,
            true,
            Outcome::Failure,
        ),
        (
            "authenticatinguser ",
            &stranger.account,
            true,
            Outcome::Failure,
        ),
        ("user ", &stranger.account, true, Outcome::Unknown),
    ] {
        let preamble = printed![words, string(name)];
        let text = printed![at_most(200, &preamble), " ", address.to_string(), port];
        all.push(Identity {
            text,
            user: Some((string(name).to_vec(), known)),
            outcome,
        });
    }
    all
}

fn line(stranger: &Stranger, identity: &Identity, outcome: Outcome, text: Vec<u8>) -> Line {
    let line = Line::new(text, outcome).peer(stranger.peer);
    Line {
        user: identity.user.clone(),
        ..line
    }
}

/// Forms with nothing of the stranger's behind the address.
fn ended(release: Release, stranger: &Stranger, identity: &Identity, lines: &mut Vec<Line>) {
    let who = &identity.text;
    let mut texts = vec![printed!["Connection closed by ", who]];
    if release >= (7, 0) {
        texts.push(printed!["Connection reset by ", who]);
        texts.push(printed!["Disconnected from ", who]);
    }
    if release >= (7, 2) {
        texts.push(printed!["Connection from ", who, " timed out"]);
    }
    if release >= (7, 3) {
        texts.push(printed![
            "ssh_dispatch_run_fatal: Connection from ",
            who,
            ": incorrect signature"
        ]);
    }
    if release >= (8, 3) {
        texts.push(printed![
            "banner exchange: Connection from ",
            who,
            ": invalid format"
        ]);
    }
    for text in texts {
        lines.push(line(
            stranger,
            identity,
            identity.outcome,
            relayed("", &text),
        ));
        lines.push(line(
            stranger,
            identity,
            identity.outcome,
            direct("", &text),
        ));
    }
}

/// Forms with the stranger's text behind the address.
fn with_reason(release: Release, stranger: &Stranger, identity: &Identity, lines: &mut Vec<Line>) {
    let who = &identity.text;
    if release >= (7, 0) {
        let text = printed![
            "Unable to negotiate with ",
            who,
            ": no matching cipher found. Their offer: ",
            string(&stranger.text)
        ];
        let level = if release <= (7, 2) { "fatal: " } else { "" };
        lines.push(line(
            stranger,
            identity,
            Outcome::Unknown,
            relayed(level, &text),
        ));
    }
    let old = printed![
        "(",
        string(&stranger.user),
        ",",
        string(&stranger.service),
        ") -> (",
        string(&stranger.text),
        ",",
        string(&stranger.service),
        ")"
    ];
    let change = printed!["Change of username or service not allowed: ", old];
    let service = printed!["bad service request ", string(&stranger.service)];
    for reason in [&b"Too many authentication failures"[..], &change, &service] {
        let reason = at_most(100, reason);
        if release >= (7, 5) {
            let text = relayed("", &printed!["Disconnecting ", who, ": ", reason]);
            lines.push(line(stranger, identity, identity.outcome, text));
        } else {
            let text = relayed("", &printed!["Disconnecting: ", reason]);
            lines.push(Line::new(text, Outcome::Unknown));
        }
    }
}

/// What the stranger says when going.
fn received(release: Release, stranger: &Stranger, lines: &mut Vec<Line>) {
    let Peer { address, port } = stranger.peer;
    let message = at_most(400, &stranger.text);
    let text = if release >= (7, 2) {
        let port = port.unwrap().to_string();
        printed![
            "Received disconnect from ",
            address.to_string(),
            " port ",
            port,
            ":3: ",
            message
        ]
    } else {
        printed![
            "Received disconnect from ",
            address.to_string(),
            ": 3: ",
            message
        ]
    };
    for text in [relayed("error: ", &text), direct("", &text)] {
        lines.push(Line::new(text, Outcome::Unknown).peer(stranger.peer));
    }
}

/// What the stranger calls their program.
fn names(release: Release, stranger: &Stranger, lines: &mut Vec<Line>) {
    let Peer { address, port } = stranger.peer;
    let old = release <= (7, 2);
    let port = format!(" port {}", port.unwrap());
    let place = if old {
        address.to_string()
    } else {
        format!("{address}{port}")
    };
    let name = string(&stranger.text);
    let mut add = |text: Vec<u8>| {
        lines.push(Line::new(direct("", &text), Outcome::Unknown).peer(stranger.peer));
    };
    add(printed![
        "probed from ",
        place,
        " with ",
        name,
        ".  Don't panic."
    ]);
    if release < (8, 0) {
        let start = "Bad protocol version identification '";
        add(printed![
            start,
            at_most(100, name),
            "' from ",
            address.to_string(),
            port
        ]);
        let (start, ours) = (
            "Protocol major versions differ for ",
            ": SSH-2.0-OpenSSH vs. ",
        );
        add(printed![start, place, ours, at_most(200, name)]);
        return;
    }
    let text = printed![
        "Bad remote protocol version identification: '",
        at_most(100, name),
        "'"
    ];
    lines.push(Line::new(relayed("error: ", &text), Outcome::Unknown));
    let start = "kex_exchange_identification: client sent invalid protocol identifier \"";
    let text = printed![start, at_most(256, name), "\""];
    let level = if release >= (9, 5) { "" } else { "error: " };
    lines.push(Line::new(direct(level, &text), Outcome::Unknown));
}
