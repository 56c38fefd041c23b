//! What is told of a look, and what is not told twice.

use watchward_protocol::peers::{Peer, PeerKey};

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

fn peer(key: u8, received: u64) -> Peer {
    Peer {
        interface: "wg0".into(),
        key: PeerKey::from_bytes([key; 32]),
        allowed: Vec::new(),
        endpoint: None,
        proved_at: None,
        received,
        sent: 0,
        kept: None,
    }
}

fn seen(peers: &[Peer]) -> Seen {
    Seen {
        peers: peers.to_vec(),
        ..Seen::default()
    }
}

/// What is told of who stands.
fn told(watch: &mut Watch, seen: Seen, order: Option<&Instruments>, now: i64) -> Option<Peers> {
    let entries = watch.hear(seen, (order, true), at(now));
    entries
        .into_iter()
        .flat_map(|it| it.reports)
        .find_map(|it| {
            let Report::Peers(told) = it else {
                return None;
            };
            Some(told)
        })
}

#[test]
fn what_stands_is_told_at_first_and_after_each_change_and_now_and_then() {
    let mut watch = Watch::default();
    let first = told(&mut watch, seen(&[peer(2, 0), peer(1, 0)]), None, 0).unwrap();
    let keys: Vec<_> = first.peers.iter().map(|it| it.key).collect();
    assert_eq!(
        keys,
        [1, 2].map(|it| PeerKey::from_bytes([it; 32])),
        "in one order"
    );
    assert_eq!(first.generation, None);
    let both = [peer(1, 7), peer(2, 0)];
    assert_eq!(
        told(&mut watch, seen(&both), None, 5),
        None,
        "bytes are no news"
    );
    let later = told(&mut watch, seen(&both), None, 600).unwrap();
    assert_eq!(later.peers[0].received, 7);
    assert_eq!(
        told(&mut watch, seen(&both), None, 1200),
        None,
        "nothing changed"
    );
    let one = told(&mut watch, seen(&both[..1]), None, 1205).unwrap();
    assert_eq!(one.peers.len(), 1);
}

#[test]
fn what_was_taken_away_is_told_each_time_and_with_which_order() {
    let mut watch = Watch::default();
    told(&mut watch, seen(&[peer(1, 0)]), None, 0).unwrap();
    let order = Instruments {
        generation: 9,
        peers: vec![PeerKey::from_bytes([1; 32])],
        ..Instruments::default()
    };
    for moment in [5, 10] {
        let seen = Seen {
            taken: vec![("wg0".into(), PeerKey::from_bytes([1; 32]))],
            ..Seen::default()
        };
        let told = told(&mut watch, seen, Some(&order), moment).unwrap();
        assert_eq!((told.generation, told.taken.len()), (Some(9), 1));
        assert_eq!(told.taken[0].at, at(moment));
    }
    assert_eq!(told(&mut watch, seen(&[]), Some(&order), 15), None);
    let other = Instruments {
        generation: 10,
        peers: vec![PeerKey::from_bytes([2; 32])],
        ..Instruments::default()
    };
    let heard = told(&mut watch, seen(&[]), Some(&other), 20).unwrap();
    assert_eq!(heard.generation, Some(10), "although nothing of it stood");
}

#[test]
fn a_host_that_cannot_look_says_why_and_holds_nothing() {
    let mut watch = Watch::default();
    told(&mut watch, seen(&[peer(1, 0)]), None, 0).unwrap();
    let blind = || Seen {
        trouble: Some("nobody answers".into()),
        ..Seen::default()
    };
    let order = Instruments {
        generation: 9,
        ..Instruments::default()
    };
    let blinded = told(&mut watch, blind(), Some(&order), 5).unwrap();
    assert_eq!(
        (blinded.generation, blinded.trouble.is_some()),
        (None, true)
    );
    assert_eq!(told(&mut watch, blind(), Some(&order), 10), None);
}

#[test]
fn what_is_revoked_and_stands_is_never_left_out() {
    let mut watch = Watch::default();
    let many = (0..Peers::MOST).map(|number| Peer {
        interface: format!("wg{number:04}"),
        ..peer(1, 0)
    });
    let stays = Peer {
        interface: "wgz".into(),
        kept: Some("the host's guard file says never".into()),
        ..peer(9, 0)
    };
    let all: Vec<_> = many.chain([stays]).collect();
    let told = told(&mut watch, seen(&all), None, 0).unwrap();
    assert_eq!((told.peers.len(), told.omitted), (Peers::MOST, 1));
    assert!(told.peers.iter().any(|one| one.kept.is_some()));
}
