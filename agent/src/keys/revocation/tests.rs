//! What is ordered is split as the role takes it, and what sshd answers is judged as it is meant.

use std::net::SocketAddr;

use proptest::prelude::*;
use watchward_enforcer::keys::{Certificate, Request};
use watchward_protocol::instruments::Revoked;
use watchward_protocol::proof::{self, Control, Door, Said};

use super::control::{Before, Bounds, Way, judge, leaves};
use super::list::Opener;
use super::*;

fn order(revoked: Vec<Revoked>) -> Instruments {
    Instruments {
        generation: 1,
        revoked,
        ..Instruments::default()
    }
}

proptest! {
    #[test]
    fn whatever_is_ordered_arrives_in_parts_that_fit(
        lengths in prop::collection::vec(0..16_000_usize, 0..60),
        keys in 0..3_000_usize,
    ) {
        let ids = lengths.iter().map(|length| Revoked::Id {
            authority: vec![1; *length],
            id: "ada".to_owned(),
        });
        let keys = (0..keys).map(|_| Revoked::Fingerprint([1; 32]));
        let order = order(ids.chain(keys).collect());
        let list = List::of(&order);
        let mut count = 0;
        for (at, (part, first)) in list.parts().enumerate() {
            prop_assert_eq!(first, at == 0);
            count += part.len();
            let revoked = part.to_vec();
            let said = Request::Stage { first, revoked }.encode();
            prop_assert!(said.is_ok());
        }
        prop_assert_eq!(count, order.revoked.len());
        prop_assert!(list.parts().count() > 0, "what was said before is forgotten");
    }
}

#[test]
fn a_session_is_known_by_what_opened_it() {
    let authority = || vec![7; 51];
    let list = List::of(&order(vec![
        Revoked::Fingerprint([1; 32]),
        Revoked::Serials {
            authority: authority(),
            first: 5,
            last: 7,
        },
    ]));
    let signer = List::of(&order(vec![Revoked::Key(authority())]));
    let signed = |serial| {
        use sha2::Digest as _;
        Some(Certificate {
            authority: sha2::Sha256::digest(authority()).into(),
            serial,
            id: Vec::new(),
        })
    };
    let opener = |key: u8, certificate| Opener {
        key: [key; 32],
        certificate,
    };
    assert!(list.revokes(&opener(1, None)));
    assert!(!list.revokes(&opener(2, None)));
    assert!(list.revokes(&opener(2, signed(7))));
    assert!(!list.revokes(&opener(2, signed(8))));
    assert!(signer.revokes(&opener(2, signed(8))));
}

fn door(account: &str, said: Said, control: Control) -> Door {
    Door {
        key: 0,
        account: account.into(),
        at: SocketAddr::from(([127, 0, 0, 1], 22)),
        said,
        control,
        note: String::new(),
    }
}

#[test]
fn a_key_that_is_revoked_shows_nothing_and_a_dead_sshd_answers_nothing() {
    let list = List::of(&order(vec![Revoked::Fingerprint([0; 32])]));
    let revoked = format!("SHA256:{}", "A".repeat(43));
    assert!(list.names(&revoked));
    let own = |fingerprint: &str| Control::Own(fingerprint.to_owned());
    let way = |doors: Vec<Door>| {
        let answer = proof::Answer {
            doors,
            ..proof::Answer::default()
        };
        judge(&answer, &list)
    };
    let old = door("ada", Said::Refused, own(&revoked));
    let new = door("zoe", Said::Refused, own("SHA256:other"));
    assert_eq!(
        way(vec![old.clone(), new]),
        Ok(Way::Takes(vec!["zoe".into()]))
    );
    assert_eq!(way(vec![old]), Ok(Way::Answers));
    let dead = door("ada", Said::Unknown, Control::None);
    assert_eq!(way(vec![dead.clone()]), Ok(Way::Silent));
    let full = Door {
        note: Door::FULL.to_owned(),
        ..dead.clone()
    };
    assert_eq!(way(vec![dead.clone(), full.clone()]), Ok(Way::Full));
    let refused = door("ada", Said::Refused, Control::None);
    assert_eq!(way(vec![full, refused]), Ok(Way::Answers));
    let nobody = proof::Answer::of_trouble("there is no reader");
    assert!(judge(&nobody, &list).is_err());
}

#[test]
fn who_fills_sshd_up_has_no_list_confirmed_by_a_key_of_an_account_that_it_lets_nobody_into() {
    let (key, other) = (vec![1; 40], vec![2; 40]);
    let list = List::of(&order(vec![Revoked::Key(key.clone())]));
    let way = |account: &str, controls: &[&Vec<u8>]| proof::Way {
        account: account.into(),
        controls: controls.iter().map(|&it| it.clone()).collect(),
        stands: Vec::new(),
    };
    let ways = |accounts| proof::Ways {
        accounts,
        ..proof::Ways::default()
    };
    let known = ["ada".into()];
    let stranger = || way("mallory", &[&other]);
    let closed = ways(vec![way("ada", &[&key]), stranger()]);
    assert!(!leaves(&closed, &known, &list));
    let open = ways(vec![way("ada", &[&key, &other]), stranger()]);
    assert!(leaves(&open, &known, &list));
    assert!(!leaves(&ways(vec![stranger()]), &known, &list));
}

#[test]
fn a_list_is_given_back_that_closes_a_host() {
    let takes = || Way::Takes(vec!["ada".into()]);
    let [strict, may_close] = [false, true].map(|may_close| Bounds { may_close });
    let before = |way, open| Before { way, open };
    let sole = before(Way::Answers, true);
    assert!(sole.bears(&Way::Answers, strict).is_err());
    assert!(sole.bears(&takes(), strict).is_ok(), "another key opens");
    assert!(sole.bears(&Way::Answers, may_close).is_ok());
    assert!(
        before(Way::Answers, false)
            .bears(&Way::Answers, strict)
            .is_ok()
    );
    let open = before(takes(), true);
    assert!(open.bears(&Way::Answers, may_close).is_err());
    assert!(open.bears(&Way::Silent, may_close).is_err());
    // Whoever could not be asked before shows nothing by taking no key now.
    let full = before(Way::Full, false);
    assert!(full.bears(&takes(), strict).is_ok());
    assert!(full.bears(&Way::Answers, strict).is_err());
    assert!(full.bears(&Way::Answers, may_close).is_ok());
}
