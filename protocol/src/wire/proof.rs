//! Whether public keys would still be accepted: the question, the ways and the doors, as they travel.

use std::net::SocketAddr;

use super::reach::ACCOUNT;
use super::{Malformed, NAME, address, bytes, cut, short, text, v1};
use crate::proof::{
    Answer, CONTROLS, Control, Door, HOST_KEYS, LONGEST_KEY, MOST_ACCOUNTS, MOST_DOORS, MOST_KEYS,
    Question, Said, Stands, Way, Ways,
};
use crate::text::Foreign;

/// How many places are taken of one sshd.
const MOST_PLACES: usize = 64;

pub(super) fn ask(asked: &Question) -> v1::Proof {
    v1::Proof {
        keys: asked.keys.clone(),
        accounts: names(&asked.accounts),
    }
}

pub(super) fn question(wire: v1::Proof) -> Result<Question, Malformed> {
    let is_key = |key: &Vec<u8>| (1..=LONGEST_KEY).contains(&key.len());
    let fits = (1..=MOST_KEYS).contains(&wire.keys.len());
    if !fits || !wire.keys.iter().all(is_key) {
        return Err(Malformed("keys"));
    }
    Ok(Question {
        keys: wire.keys,
        accounts: accounts(wire.accounts),
    })
}

pub(super) fn proven(given: Answer) -> v1::Proven {
    v1::Proven {
        doors: given.doors.into_iter().map(door).collect(),
        left: names(&given.left),
        trouble: given.trouble,
        closed: given.closed,
        tries: given.tries.unwrap_or_default(),
    }
}

pub(super) fn answer(wire: v1::Proven) -> Result<Answer, Malformed> {
    // What is cut away would look like a host without these doors.
    if wire.doors.len() > MOST_DOORS {
        return Err(Malformed("doors"));
    }
    let doors = wire.doors.into_iter().map(asked);
    Ok(Answer {
        doors: doors.collect::<Result<_, _>>()?,
        left: accounts(wire.left),
        trouble: wire.trouble.map(text),
        closed: wire.closed.map(text),
        tries: (wire.tries > 0).then_some(wire.tries),
    })
}

pub(super) fn ways(ways: Ways) -> v1::Ways {
    let stands = |it: Stands| v1::Stands {
        key: it.key,
        text: it.text,
        conditional: it.conditional,
    };
    let way = |way: Way| v1::Way {
        account: way.account.as_bytes().to_vec(),
        controls: way.controls,
        stands: way.stands.into_iter().map(stands).collect(),
    };
    v1::Ways {
        listens: ways.listens.into_iter().map(place).collect(),
        accounts: ways.accounts.into_iter().map(way).collect(),
        trouble: ways.trouble,
        host_keys: ways.host_keys,
        closed: ways.closed,
        tries: ways.tries.unwrap_or_default(),
    }
}

pub(super) fn told(wire: v1::Ways) -> Result<Ways, Malformed> {
    let stands = |it: v1::Stands| Stands {
        key: it.key,
        text: text(it.text),
        conditional: it.conditional,
    };
    let way = |way: v1::Way| Way {
        account: cut(way.account, ACCOUNT),
        controls: way.controls.into_iter().take(CONTROLS).collect(),
        stands: way.stands.into_iter().take(MOST_KEYS).map(stands).collect(),
    };
    let listens = wire.listens.into_iter().take(MOST_PLACES).map(at);
    Ok(Ways {
        host_keys: wire.host_keys.into_iter().take(HOST_KEYS).collect(),
        listens: listens.collect::<Result<_, _>>()?,
        accounts: wire
            .accounts
            .into_iter()
            .take(MOST_ACCOUNTS)
            .map(way)
            .collect(),
        trouble: wire.trouble.map(text),
        closed: wire.closed.map(text),
        tries: (wire.tries > 0).then_some(wire.tries),
    })
}

pub(super) fn place(at: SocketAddr) -> v1::Place {
    v1::Place {
        address: bytes(at.ip()),
        port: at.port().into(),
    }
}

pub(super) fn at(wire: v1::Place) -> Result<SocketAddr, Malformed> {
    let port = u16::try_from(wire.port).map_err(|_| Malformed("port"))?;
    Ok(SocketAddr::new(address(&wire.address)?, port))
}

pub(super) fn door(door: Door) -> v1::Door {
    let said = match door.said {
        Said::Accepted => v1::Said::Accepted,
        Said::Refused => v1::Said::Refused,
        Said::Unknown => v1::Said::Unspecified,
    };
    let (control, account) = match door.control {
        Control::Own(fingerprint) => (fingerprint, Vec::new()),
        Control::Other(account) => (String::new(), account.as_bytes().to_vec()),
        Control::None => (String::new(), Vec::new()),
    };
    v1::Door {
        account: door.account.as_bytes().to_vec(),
        at: Some(place(door.at)),
        said: said.into(),
        control,
        control_account: account,
        note: door.note,
        key: door.key,
    }
}

pub(super) fn asked(wire: v1::Door) -> Result<Door, Malformed> {
    let said = match wire.said() {
        v1::Said::Accepted => Said::Accepted,
        v1::Said::Refused => Said::Refused,
        v1::Said::Unspecified => Said::Unknown,
    };
    let control = match (wire.control.is_empty(), wire.control_account.is_empty()) {
        (false, _) => Control::Own(short(wire.control, NAME)),
        (true, false) => Control::Other(cut(wire.control_account, ACCOUNT)),
        (true, true) => Control::None,
    };
    Ok(Door {
        key: wire.key,
        account: cut(wire.account, ACCOUNT),
        at: at(wire.at.ok_or(Malformed("door"))?)?,
        said,
        control,
        note: text(wire.note),
    })
}

fn names(accounts: &[Foreign]) -> Vec<Vec<u8>> {
    let names = accounts.iter().map(|it| it.as_bytes().to_vec());
    names.collect()
}

fn accounts(names: Vec<Vec<u8>>) -> Vec<Foreign> {
    let names = names.into_iter().take(MOST_ACCOUNTS);
    names.map(|name| cut(name, ACCOUNT)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = Foreign> {
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Foreign::from)
    }

    prop_compose! {
        fn some_door()(
            key: u32,
            account in name(),
            address: std::net::IpAddr,
            port: u16,
            said in prop::sample::select(vec![Said::Accepted, Said::Refused, Said::Unknown]),
            control in prop_oneof![
                Just(Control::None),
                "SHA256:[A-Za-z0-9]{43}".prop_map(Control::Own),
                name().prop_map(Control::Other),
            ],
            note in "[ -~]{0,99}",
        ) -> Door {
            let at = SocketAddr::new(address.to_canonical(), port);
            Door { key, account, at, said, control, note }
        }
    }

    proptest! {
        #[test]
        fn a_question_arrives_as_it_was_asked(
            keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 1..=MOST_KEYS),
            accounts in prop::collection::vec(name(), 0..5),
        ) {
            let given = Question { keys, accounts };
            prop_assert_eq!(question(ask(&given)).unwrap(), given);
        }

        #[test]
        fn an_answer_arrives_as_it_was_given(
            doors in prop::collection::vec(some_door(), 0..9),
            left in prop::collection::vec(name(), 0..5),
            trouble in prop::option::of("[ -~]{0,99}"),
            closed in prop::option::of("[ -~]{0,99}"),
            tries in prop::option::of(1u32..),
        ) {
            let given = Answer { doors, left, trouble, closed, tries };
            prop_assert_eq!(answer(proven(given.clone())).unwrap(), given);
        }

        #[test]
        fn ways_arrive_as_they_were_told(
            listens in prop::collection::vec(any::<(std::net::IpAddr, u16)>(), 0..5),
            accounts in prop::collection::vec(
                (name(), prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..=CONTROLS),
                 prop::collection::vec(("[ -~]{0,99}", any::<(u32, bool)>())
                    .prop_map(|(text, (key, conditional))| Stands { key, text, conditional }), 0..=MOST_KEYS))
                    .prop_map(|(account, controls, stands)| Way { account, controls, stands }),
                0..5),
        ) {
            let listens = listens.into_iter().map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port));
            let closed = Some("there is no sshd".to_owned());
            let given = Ways { listens: listens.collect(), host_keys: vec![vec![7; 51]], accounts, trouble: None, closed, tries: Some(3) };
            prop_assert_eq!(told(ways(given.clone())).unwrap(), given);
        }
    }

    #[test]
    fn nobody_asks_about_no_key_or_about_a_mountain() {
        let asked = |sizes: &[usize]| {
            question(v1::Proof {
                keys: sizes.iter().map(|size| vec![0; *size]).collect(),
                accounts: Vec::new(),
            })
        };
        assert!(asked(&[]).is_err() && asked(&[1, 0]).is_err());
        assert!(asked(&[LONGEST_KEY + 1]).is_err() && asked(&[1; MOST_KEYS + 1]).is_err());
        assert!(asked(&[LONGEST_KEY; MOST_KEYS]).is_ok());
    }

    #[test]
    fn of_too_many_doors_none_is_taken_for_all() {
        let said = |many| {
            let door = v1::Door {
                at: Some(place("127.0.0.1:22".parse().unwrap())),
                ..v1::Door::default()
            };
            answer(v1::Proven {
                doors: vec![door; many],
                ..v1::Proven::default()
            })
        };
        assert_eq!(said(MOST_DOORS).unwrap().doors.len(), MOST_DOORS);
        assert!(said(MOST_DOORS + 1).is_err());
    }
}
