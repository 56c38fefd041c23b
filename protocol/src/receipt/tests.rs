//! A receipt is believed as it was signed, and in no other form.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use proptest::prelude::*;

use super::*;

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(pair: &Ed25519KeyPair) -> Public {
    Public(pair.public_key().as_ref().try_into().unwrap())
}

fn signed_by(pair: &Ed25519KeyPair, receipt: &Receipt) -> String {
    let sign = |body: &[u8]| pair.sign(body).as_ref().try_into().unwrap();
    signed(receipt, sign).unwrap()
}

fn phase() -> Phase {
    Phase {
        at: Timestamp::from_micros(1_800_000_000_000_000).into(),
        what: "the client made key 2".into(),
    }
}

fn door() -> Door {
    Door {
        account: "zoe".into(),
        at: "127.0.0.1:22".into(),
        said: Said::Refused,
        control: "root".into(),
        note: "revoked by file /etc/ssh/watchward/revoked_keys".into(),
    }
}

fn receipt(pair: &Ed25519KeyPair, why: &str) -> Receipt {
    let at = Moment::from(Timestamp::from_micros(1_800_000_000_000_000));
    let session = Session {
        account: "zoe".into(),
        address: "192.0.2.7".into(),
        opened_at: at.clone(),
        ended_at: at.clone(),
        how: How::Ended,
        why: String::new(),
        survivors: vec!["user@1000.service lingers".into()],
    };
    let host = Host {
        host: "web".into(),
        stand: Stand::Held,
        why: String::new(),
        said_at: Some(at.clone()),
        held_at: Some(at.clone()),
        generation: Some(7),
        digest: Some("00ff".into()),
        sessions: vec![session],
        proof: Some(Proof {
            at: at.clone(),
            doors: vec![door()],
            omitted: 0,
            trouble: String::new(),
            elsewhere: "1 door was asked from db, too".into(),
        }),
        tunnel: None,
        unknown_sessions: 2,
    };
    Receipt {
        format: FORMAT.into(),
        version: VERSION,
        made_at: at.clone(),
        key: Key {
            fingerprint: format!("SHA256:{}", "a".repeat(43)),
            kind: "ssh-ed25519".into(),
            comment: "zoe@laptop".into(),
            person: "zoe".into(),
        },
        revoked: Act {
            at,
            by: "ada".into(),
            why: why.into(),
            generation: 7,
        },
        phases: vec![phase()],
        is_proven: true,
        counts: Counts {
            hosts: 1,
            held: 1,
            ..Counts::default()
        },
        missing: vec!["nothing of db: pending".into()],
        hosts: vec![host],
        signer: public(pair).to_string(),
    }
}

#[test]
fn a_receipt_is_believed_as_it_was_signed() {
    let pair = pair(1);
    let receipt = receipt(&pair, "the laptop was stolen");
    let text = signed_by(&pair, &receipt);
    assert_eq!(verify(text.as_bytes(), &public(&pair)), Ok(receipt));
    let pem = public(&pair).to_pem();
    assert_eq!(Public::from_pem(&pem), Some(public(&pair)));
    assert_eq!(Public::from_pem(&pem.replace("PUBLIC", "PRIVATE")), None);
}

#[test]
fn every_single_changed_byte_is_refused() {
    let (pair, public) = (pair(1), public(&pair(1)));
    let text = signed_by(&pair, &receipt(&pair, "stolen")).into_bytes();
    for place in 0..text.len() {
        // Each bit of it, and another letter: `A` for `B` in Base64 may change no bit that counts.
        let bits = (0..8).map(|bit| text[place] ^ (1 << bit));
        for other in bits.chain([text[place].wrapping_add(1), b' ', b'A', b'=']) {
            let mut changed = text.clone();
            changed[place] = other;
            if changed != text {
                let said = verify(&changed, &public);
                assert!(said.is_err(), "byte {place} was {other}");
            }
        }
    }
}

#[test]
fn nothing_is_added_and_nothing_left_out() {
    let (pair, public) = (pair(1), public(&pair(1)));
    let text = signed_by(&pair, &receipt(&pair, "stolen")).into_bytes();
    for place in 0..text.len() {
        let mut less = text.clone();
        less.remove(place);
        assert!(verify(&less, &public).is_err(), "without byte {place}");
        let mut more = text.clone();
        more.insert(place, b' ');
        assert!(verify(&more, &public).is_err(), "a blank at {place}");
    }
    for more in ["\n", " ", "{}"] {
        let more = [&text, more.as_bytes()].concat();
        assert_eq!(verify(&more, &public), Err(Untrusted::NotOne));
    }
}

#[test]
fn another_key_and_a_newer_form_are_called_so() {
    let (ours, theirs) = (pair(1), pair(2));
    let text = signed_by(&theirs, &receipt(&theirs, "stolen"));
    let said = verify(text.as_bytes(), &public(&ours)).unwrap_err();
    assert!(matches!(said, Untrusted::Stranger { .. }), "{said}");
    let newer = Receipt {
        version: VERSION + 1,
        ..receipt(&ours, "stolen")
    };
    let text = signed_by(&ours, &newer);
    let said = verify(text.as_bytes(), &public(&ours));
    assert_eq!(said, Err(Untrusted::Newer(VERSION + 1, VERSION)));
}

proptest! {
    #[test]
    fn whatever_is_changed_of_whatever_is_signed_is_refused(
        why in ".{0,60}", place in any::<prop::sample::Index>(), other: u8,
    ) {
        let (pair, public) = (pair(1), public(&pair(1)));
        let text = signed_by(&pair, &receipt(&pair, &why)).into_bytes();
        prop_assert!(verify(&text, &public).is_ok());
        let place = place.index(text.len());
        let mut changed = text.clone();
        changed[place] = other;
        prop_assert_eq!(verify(&changed, &public).is_ok(), changed == text);
    }

    #[test]
    fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(verify(&bytes, &public(&pair(1))).is_err());
    }
}
