//! Which doors there are, and what their answers are worth.

use russh::client::Handler;
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use watchward_protocol::proof::Stands;

use super::*;

fn places_of(listens: &[&str]) -> Vec<String> {
    let listens: Vec<_> = listens.iter().map(|it| it.parse().unwrap()).collect();
    places(&listens).iter().map(ToString::to_string).collect()
}

#[test]
fn what_listens_everywhere_is_asked_once_for_each_port() {
    assert_eq!(places_of(&["0.0.0.0:22", "[::]:22"]), ["127.0.0.1:22"]);
    assert_eq!(places_of(&["[::]:22"]), ["[::1]:22"]);
    assert_eq!(
        places_of(&["0.0.0.0:22", "[::]:2222", "10.0.0.5:22"]),
        ["127.0.0.1:22", "[::1]:2222", "10.0.0.5:22"]
    );
}

#[test]
fn questions_come_from_another_loopback_address_each_time() {
    for _ in 0..1000 {
        let source = source(Ipv4Addr::LOCALHOST.into()).unwrap();
        assert!(source.is_loopback(), "{source}");
    }
    assert_eq!(source(Ipv6Addr::LOCALHOST.into()), None);
}

/// A door of an account with one other key, which it takes or not; none: it has no other. The key in
/// question was asked about after another.
fn asked(stands: Option<(&str, bool)>, taken: Option<bool>, said: Result<Said, String>) -> Door {
    let way = Way {
        account: "zoe".into(),
        controls: taken.iter().map(|_| vec![1]).collect(),
        stands: stands.into_iter().map(stands_of(1)).collect(),
    };
    let control = (taken == Some(true)).then(|| "SHA256:a".to_owned());
    let mut doors = judge(
        &way,
        "127.0.0.1:22".parse().unwrap(),
        (1, heard([said], control)),
    );
    assert_eq!((doors.len(), doors[0].key), (1, 1));
    doors.remove(0)
}

fn stands_of(key: u32) -> impl Fn((&str, bool)) -> Stands {
    move |(text, conditional)| Stands {
        key,
        text: text.to_owned(),
        conditional,
    }
}

fn heard(said: impl IntoIterator<Item = Result<Said, String>>, control: Option<String>) -> Heard {
    Heard {
        said: said.into_iter().collect(),
        control,
        is_silent: false,
        opened: None,
    }
}

/// Whoever makes an account slow for sshd is not asked again and again, while others wait.
#[tokio::test(start_paused = true)]
async fn an_account_that_takes_all_the_time_there_is_is_unknown() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let way = |account: &str| Way {
        account: account.into(),
        controls: Vec::new(),
        stands: Vec::new(),
    };
    let ways = Ways {
        listens: vec![silent.local_addr().unwrap()],
        accounts: vec![way("zoe"), way("root")],
        ..Ways::default()
    };
    let keys = [Err("no key".to_owned()), Err("no key".to_owned())];
    let until = Instant::now() + door::PATIENCE / 2;
    let answer = Round::new(&ways, &keys, (&Own::default(), until))
        .all()
        .await;
    let seen: Vec<_> = answer.doors.iter().map(|it| (it.key, it.said)).collect();
    assert_eq!(seen, [(0, Said::Unknown), (1, Said::Unknown)]);
    assert!(
        answer.doors[0].note.contains("too slowly"),
        "{:?}",
        answer.doors
    );
    assert_eq!(answer.left, ["root".into()]);
}

#[test]
fn each_key_of_one_connection_is_judged_by_where_it_stands() {
    let way = Way {
        account: "zoe".into(),
        controls: vec![vec![1]],
        stands: vec![stands_of(3)(("it stands in a, from 10.0.0.0/8", true))],
    };
    let said = [Ok(Said::Refused), Ok(Said::Refused), Ok(Said::Accepted)];
    let at = "127.0.0.1:22".parse().unwrap();
    let doors = judge(&way, at, (2, heard(said, Some("SHA256:a".to_owned()))));
    let told: Vec<_> = doors.iter().map(|it| (it.key, it.said)).collect();
    let expected = [(2, Said::Refused), (3, Said::Unknown), (4, Said::Accepted)];
    assert_eq!(told, expected);
    assert!(doors[1].note.contains("10.0.0.0/8"), "{}", doors[1].note);
    assert!(
        doors
            .iter()
            .all(|it| it.control == Control::Own("SHA256:a".to_owned()))
    );
}

fn door(stands: Option<(&str, bool)>, said: Result<Said, String>) -> Door {
    asked(stands, None, said)
}

#[test]
fn a_refusal_says_little_where_the_key_stands_for_others_connections() {
    assert_eq!(door(None, Ok(Said::Refused)).said, Said::Refused);
    let elsewhere = door(
        Some(("it stands in a, from 10.0.0.0/8", true)),
        Ok(Said::Refused),
    );
    assert_eq!(elsewhere.said, Said::Unknown);
    assert!(elsewhere.note.contains("10.0.0.0/8"));
    let stands = Some(("it stands in a", false));
    let revoked = asked(stands, Some(true), Ok(Said::Refused));
    assert_eq!(revoked.said, Said::Refused);
    assert!(revoked.note.contains("revoked"));
    let alone = door(stands, Ok(Said::Refused));
    assert_eq!(
        alone.said,
        Said::Unknown,
        "it may be the account that is refused"
    );
    assert_eq!(
        door(Some(("it stands in a", true)), Ok(Said::Accepted)).said,
        Said::Accepted
    );
    let silent = door(None, Err("sshd does not answer".to_owned()));
    assert_eq!(
        (silent.said, silent.note.as_str()),
        (Said::Unknown, "sshd does not answer")
    );
}

#[test]
fn another_accounts_key_shows_that_sshd_takes_any_at_the_same_place() {
    let mut doors: Vec<_> = ["127.0.0.1:22", "127.0.0.1:22", "127.0.0.1:2222"]
        .into_iter()
        .map(|at| Door {
            at: at.parse().unwrap(),
            ..door(None, Ok(Said::Refused))
        })
        .collect();
    doors[0].account = "root".into();
    doors[0].control = Control::Own("SHA256:a".to_owned());
    lend(&mut doors);
    let controls: Vec<_> = doors.into_iter().map(|it| it.control).collect();
    let own = Control::Own("SHA256:a".to_owned());
    assert_eq!(
        controls,
        [own, Control::Other("root".into()), Control::None]
    );
}

#[test]
fn an_account_that_is_refused_whatever_it_shows_proves_nothing() {
    let mut doors: Vec<_> = [None, Some(("it stands in a", false))]
        .map(|stands| asked(stands, Some(false), Ok(Said::Refused)))
        .into();
    doors.push(asked(None, Some(true), Ok(Said::Refused)));
    lend(&mut doors);
    let [none, stands, other] = &doors[..] else {
        panic!("three doors");
    };
    for door in [none, stands] {
        assert_eq!((door.said, &door.control), (Said::Unknown, &Control::None));
        assert!(door.note.contains("only from here"), "{}", door.note);
    }
    assert_eq!(other.said, Said::Refused);
}

#[test]
fn what_is_no_key_is_not_asked_about() {
    assert!(Key::read(b"no key").is_err());
}

#[tokio::test]
async fn only_who_proves_to_be_this_hosts_sshd_is_asked() {
    const OWN: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEMgpe4G0Diz+AV3kaxe+UibxuQw0PsITxB7AhxpLLdg";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO2u6G6M7vpPfxz4/k+V+BCYQoYxkXs4rL3bl//m3yJm";
    let key = |text: &str| PublicKey::from_openssh(text).unwrap();
    let own = key(OWN).to_bytes().unwrap();
    for (keys, shown, stranger) in [
        (vec![b"no key".to_vec(), own.clone()], OWN, None),
        (
            vec![own],
            OTHER,
            Some("is not this host's sshd: it shows SHA256:"),
        ),
        (Vec::new(), OWN, Some("cannot be read")),
    ] {
        let mut sshd = door::Sshd::of(&keys, "this host's");
        let shown = PublicKeyOrCertificate::PublicKey {
            key: key(shown),
            hash_alg: None,
        };
        let is_asked = sshd.check_server_key(&shown).await.unwrap();
        assert_eq!(is_asked, stranger.is_none());
        let said = sshd.stranger.get().map(String::as_str).unwrap_or_default();
        assert!(said.contains(stranger.unwrap_or_default()), "{said}");
    }
}

#[test]
fn a_host_without_sshd_has_no_door_unless_something_else_is_there() {
    let at = |transport, port| {
        let address = Ipv4Addr::UNSPECIFIED.into();
        let place = Place {
            transport,
            address,
            port,
        };
        (place, 1)
    };
    let why = || "there is no sshd at /usr/sbin/sshd".to_owned();
    for nothing in [
        BTreeMap::new(),
        BTreeMap::from([at(Transport::Tcp, 443), at(Transport::Udp, 22)]),
    ] {
        let answer = closed(why(), &nothing);
        assert_eq!((answer.closed, answer.trouble), (Some(why()), None));
    }
    let answer = closed(why(), &BTreeMap::from([at(Transport::Tcp, 22)]));
    assert_eq!(answer.closed, None);
    assert!(answer.trouble.unwrap().contains("listens on port 22"));
}
