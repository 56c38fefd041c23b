//! What another host's sshd says to keys: the question and its answer, as they travel.

use std::net::SocketAddr;
use std::time::Duration;

use super::proof::{asked, at, door, place};
use super::reach::ACCOUNT;
use super::{Malformed, cut, text, v1};
use crate::elsewhere::{
    Answer, ElsewhereDoor, Expected, LONGEST, Login, MOST_ASKED, MOST_CALLS, MOST_DOORS,
    MOST_PLACES, Question,
};
use crate::identities::is_name;
use crate::proof::{CONTROLS, HOST_KEYS, LONGEST_KEY, MOST_KEYS};

pub(super) fn ask(asked: &Question) -> v1::Elsewhere {
    let door = |it: &ElsewhereDoor| v1::ElsewhereDoor {
        account: it.account.as_bytes().to_vec(),
        keys: it.keys.clone(),
        controls: it.controls.clone(),
    };
    let login = |it: &Login| v1::ElsewhereLogin {
        identity: it.identity.clone(),
        serial: it.serial,
        account: it.account.as_bytes().to_vec(),
    };
    v1::Elsewhere {
        at: places(&asked.at),
        host_keys: asked.host_keys.clone(),
        doors: asked.doors.iter().map(door).collect(),
        login: asked.login.as_ref().map(login),
        from: places(&asked.from),
        tries: asked.tries.unwrap_or_default(),
    }
}

pub(super) fn question(wire: v1::Elsewhere) -> Result<Question, Malformed> {
    let is_key = |it: &Vec<u8>| !it.is_empty() && it.len() <= LONGEST_KEY;
    let keys = wire.doors.iter().flat_map(|it| &it.keys);
    let controls = wire.doors.iter().flat_map(|it| &it.controls);
    let mut all = keys.chain(controls).chain(&wire.host_keys);
    let has_keys = |it: &v1::ElsewhereDoor| (1..=MOST_KEYS).contains(&it.keys.len());
    let fits = wire.doors.len() <= MOST_DOORS && wire.doors.iter().all(has_keys);
    if !fits || !all.all(is_key) {
        return Err(Malformed("keys to ask about"));
    }
    let door = |it: v1::ElsewhereDoor| ElsewhereDoor {
        account: cut(it.account, ACCOUNT),
        keys: it.keys,
        controls: it.controls.into_iter().take(CONTROLS).collect(),
    };
    let login = |it: v1::ElsewhereLogin| match is_name(&it.identity) {
        true => Ok(Login {
            identity: it.identity,
            serial: it.serial,
            account: cut(it.account, ACCOUNT),
        }),
        false => Err(Malformed("identity")),
    };
    Ok(Question {
        at: at_most(wire.at, MOST_PLACES)?,
        host_keys: wire.host_keys.into_iter().take(HOST_KEYS).collect(),
        doors: wire.doors.into_iter().map(door).collect(),
        login: wire.login.map(login).transpose()?,
        from: at_most(wire.from, MOST_CALLS)?,
        tries: (wire.tries > 0).then_some(wire.tries),
    })
}

pub(super) fn reply(given: Answer) -> v1::SeenElsewhere {
    let opened = given.opened.as_ref().map(Result::is_ok);
    v1::SeenElsewhere {
        doors: given.doors.into_iter().map(door).collect(),
        opened,
        why: given.opened.and_then(Result::err).unwrap_or_default(),
        trouble: given.trouble,
    }
}

pub(super) fn answer(wire: v1::SeenElsewhere) -> Result<Answer, Malformed> {
    let why = text(wire.why);
    let opened = |worked| if worked { Ok(()) } else { Err(why) };
    let doors = wire.doors.into_iter().take(MOST_DOORS * MOST_KEYS);
    let doors = doors.map(asked);
    Ok(Answer {
        doors: doors.collect::<Result<_, _>>()?,
        opened: wire.opened.map(opened),
        trouble: wire.trouble.map(text),
    })
}

pub(super) fn expect(expected: &Expected) -> v1::Expect {
    v1::Expect {
        from: places(&expected.from),
        within: u64::try_from(expected.within.as_micros()).unwrap_or(u64::MAX),
        accounts: expected
            .accounts
            .iter()
            .map(|it| it.as_bytes().to_vec())
            .collect(),
    }
}

pub(super) fn expected(wire: v1::Expect) -> Result<Expected, Malformed> {
    let accounts = wire.accounts.into_iter().take(MOST_ASKED);
    Ok(Expected {
        from: at_most(wire.from, MOST_CALLS)?,
        within: Duration::from_micros(wire.within).min(LONGEST),
        accounts: accounts.map(|it| cut(it, ACCOUNT)).collect(),
    })
}

fn places(all: &[SocketAddr]) -> Vec<v1::Place> {
    all.iter().copied().map(place).collect()
}

fn at_most(wire: Vec<v1::Place>, most: usize) -> Result<Vec<SocketAddr>, Malformed> {
    wire.into_iter().take(most).map(at).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::proof::{Control, Door, Said};
    use crate::question;
    use crate::text::Foreign;
    use crate::wire::{decode_answer, decode_question, encode_answer, encode_question};

    fn at() -> impl Strategy<Value = SocketAddr> {
        any::<(std::net::IpAddr, u16)>().prop_map(|(ip, port)| (ip.to_canonical(), port).into())
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        vec(any::<u8>(), 1..99)
    }

    prop_compose! {
        fn some_door()(
            account in vec(any::<u8>(), 0..40),
            keys in vec(key(), 1..=MOST_KEYS),
            controls in vec(key(), 0..=CONTROLS),
        ) -> ElsewhereDoor {
            ElsewhereDoor { account: account.into(), keys, controls }
        }
    }

    prop_compose! {
        fn some_login()(
            identity in "[a-z0-9][a-z0-9-]{0,31}",
            serial: u32,
            account in vec(any::<u8>(), 0..40),
        ) -> Login {
            Login { identity, serial, account: account.into() }
        }
    }

    proptest! {
        #[test]
        fn a_question_arrives_as_it_was_asked(
            from in vec(at(), 0..=MOST_CALLS),
            at in vec(at(), 0..=MOST_PLACES),
            host_keys in vec(key(), 0..=HOST_KEYS),
            doors in vec(some_door(), 0..5),
            login in prop::option::of(some_login()),
            tries in prop::option::of(1u32..),
        ) {
            let given = question::Question::Elsewhere(Question { at, host_keys, doors, login, from, tries });
            prop_assert_eq!(decode_question(&encode_question(&given)).unwrap(), given);
        }

        #[test]
        fn who_is_expected_arrives_as_it_was_said(
            from in vec(at(), 0..=MOST_CALLS),
            within in 0..=60_000_000u64,
            accounts in vec(vec(any::<u8>(), 0..40), 0..3),
        ) {
            let within = Duration::from_micros(within);
            let given = question::Question::Expect(Expected {
                from,
                within,
                accounts: accounts.into_iter().map(Foreign::from).collect(),
            });
            prop_assert_eq!(decode_question(&encode_question(&given)).unwrap(), given);
        }

        #[test]
        fn an_answer_arrives_as_it_was_given(
            places in vec(at(), 0..5),
            opened in prop::option::of(prop::result::maybe_ok(Just(()), "[ -~]{0,99}")),
            trouble in prop::option::of("[ -~]{0,99}"),
        ) {
            let doors = (0..).zip(places).map(|(key, at)| Door {
                key,
                account: "zoe".into(),
                at,
                said: Said::Refused,
                control: Control::None,
                note: String::new(),
            });
            let doors = doors.collect();
            let given = question::Answer::Elsewhere(Answer { doors, opened, trouble });
            prop_assert_eq!(decode_answer(&encode_answer(given.clone())).unwrap(), given);
        }
    }

    #[test]
    fn nobody_asks_about_a_mountain_of_keys_or_expects_for_ever() {
        let with = |keys| ElsewhereDoor {
            account: "zoe".into(),
            keys,
            controls: Vec::new(),
        };
        let door = |size| with(vec![vec![1; size]]);
        let asked = |doors| {
            question(ask(&Question {
                doors,
                ..Question::default()
            }))
        };
        assert!(asked(vec![door(1); MOST_DOORS]).is_ok());
        for wrong in [
            vec![door(1); MOST_DOORS + 1],
            vec![door(0)],
            vec![door(LONGEST_KEY + 1)],
            vec![with(Vec::new())],
            vec![with(vec![vec![1]; MOST_KEYS + 1])],
        ] {
            assert!(asked(wrong).is_err());
        }
        let for_ever = expected(v1::Expect {
            within: u64::MAX,
            ..v1::Expect::default()
        });
        assert_eq!(for_ever.unwrap().within, LONGEST);
        let said = encode_answer(question::Answer::Expecting);
        assert_eq!(decode_answer(&said).unwrap(), question::Answer::Expecting);
    }
}
