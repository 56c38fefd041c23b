//! Whatever a stranger sends to sshd: no line names an address that is not theirs.
//!
//! A model of sshd writes lines as each release from 6.6 to 10.5 does; the parser reads them back.

#[cfg(test)]
mod auth;
#[cfg(test)]
mod connection;
mod log;
#[cfg(test)]
mod stranger;

use proptest::prelude::*;
use watchward_agent::access::sshd::{Parsed, parse};
use watchward_agent::access::understand::{Understand, Written};
use watchward_protocol::access::{Outcome, Peer, Service, Trust};
use watchward_protocol::time::Timestamp;

use crate::log::{Line, RELEASES, Release};
use crate::stranger::{Stranger, honest, stranger};

/// Every form of a release that a stranger's text can get into, also without the level, as sshd
/// writes to its standard error.
fn lines(release: Release, stranger: &Stranger) -> Vec<Line> {
    let mut lines = auth::lines(release, stranger);
    lines.extend(connection::lines(release, stranger));
    let whole = lines.iter().filter(|line| line.text.len() < 500);
    let bare = whole.filter_map(|line| {
        let text = line
            .text
            .strip_prefix(b"error: ")
            .or(line.text.strip_prefix(b"fatal: "))?;
        Some(Line {
            text: text.to_vec(),
            ..line.clone()
        })
    });
    let bare: Vec<Line> = bare.collect();
    lines.extend(bare);
    lines
}

/// What is wrong with what was understood: anything but the truth, or nothing.
fn wrong(line: &Line, parsed: &Parsed<'_>) -> Option<&'static str> {
    if parsed.peer.is_some_and(|peer| !same(peer, line.peer)) {
        return Some("another address");
    }
    let name = parsed.user.as_ref().map(|user| (&*user.bytes, user.known));
    let truth = line
        .user
        .as_ref()
        .map(|(name, known)| (name.as_slice(), *known));
    if name.is_some() && name != truth {
        return Some("another user");
    }
    let id = parsed
        .certificate
        .as_ref()
        .map(|certificate| &*certificate.id);
    if id.is_some() && id != line.key_id.as_deref() {
        return Some("another key id");
    }
    if parsed.outcome != line.outcome && parsed.outcome != Outcome::Unknown {
        return Some("another outcome");
    }
    None
}

fn same(peer: Peer, truth: Option<Peer>) -> bool {
    truth.is_some_and(|truth| {
        peer.address == truth.address && (peer.port.is_none() || peer.port == truth.port)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
     })]

    #[test]
    fn no_line_says_more_than_the_truth(stranger in stranger()) {
        for release in RELEASES {
            for line in lines(release, &stranger) {
                let text = String::from_utf8_lossy(&line.text);
                let Some(parsed) = parse(&line.text) else { continue };
                prop_assert_eq!(wrong(&line, &parsed), None, "{:?}: {}\n{:?}", release, text, parsed);
            }
        }
    }

    #[test]
    fn honest_lines_are_understood_in_full(stranger in honest()) {
        for release in RELEASES {
            for line in lines(release, &stranger) {
                if line.text.ends_with(b": File name too long") {
                    continue;
                }
                let text = String::from_utf8_lossy(&line.text);
                let parsed = parse(&line.text);
                prop_assert!(parsed.is_some(), "{:?}: {}", release, text);
                let parsed = parsed.unwrap();
                prop_assert_eq!(wrong(&line, &parsed), None, "{:?}: {}", release, text);
                let address = |peer: Option<Peer>| peer.map(|peer| peer.address);
                prop_assert_eq!(address(parsed.peer), address(line.peer), "{:?}: {}", release, text);
                let said = parsed.user.is_some();
                prop_assert_eq!(said, line.user.is_some(), "{:?}: {}", release, text);
                let outcome = parsed.outcome;
                prop_assert_eq!(outcome, line.outcome, "{:?}: {}", release, text);
            }
        }
    }

    #[test]
    fn a_connections_story_never_moves_to_another_address(
        stranger in stranger(),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        for release in RELEASES {
            let lines = lines(release, &stranger);
            let mut understand = Understand::new();
            for (second, index) in (0..).zip(&order) {
                let line = index.get(&lines);
                let written = Written {
            service: Service::Sshd,
                    at: Timestamp::from_micros(second * 1_000_000),
                    pid: Some(7),
                    boot: 1,
                    trust: Trust::Server,
                    message: &line.text,
                };
                for event in understand.line(&written) {
                    let peer = event.peer;
                    let truth = Some(stranger.peer);
                    prop_assert!(peer.is_none_or(|peer| same(peer, truth)), "{:?}", event);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(message in proptest::collection::vec(any::<u8>(), 0..600)) {
        parse(&message);
    }
}

/// More of them on demand: `WATCHWARD_CASES=100000 cargo test --release --test openssh`
fn cases() -> u32 {
    std::env::var("WATCHWARD_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(24)
}
