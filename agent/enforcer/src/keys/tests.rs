//! What is revoked is said so that ssh-keygen reads what was meant, and a crash at any step leaves the old or the new.

use std::fs;
use std::process::Command;

use proptest::prelude::*;

use super::folder::Folder;
use super::judge::{Wish, judge};
use super::krl::{self, Header};
use super::list::{self, List};
use super::programs::Programs;
use super::*;
use crate::guard::Guard;

fn authority(byte: u8) -> Vec<u8> {
    let mut key = TRACER.to_vec();
    key[19..].fill(byte);
    key
}

fn list(all: Vec<Revoked>) -> Result<List, String> {
    let mut list = List::default();
    list.add(all).map(|()| list)
}

fn id(id: &str) -> Revoked {
    Revoked::Id {
        authority: authority(1),
        id: id.to_owned(),
    }
}

fn serials(first: u64, last: u64) -> Revoked {
    Revoked::Serials {
        authority: authority(1),
        first,
        last,
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::decode(&bytes);
        let _ = Answer::decode(&bytes);
        let _ = Header::read(&bytes);
        let _ = list::public(&bytes);
    }
}

#[test]
fn a_request_arrives_as_it_was_said() {
    let session = Session {
        pid: 7,
        started: 8,
        key: [9; 32],
        certificate: Some(Certificate {
            authority: [1; 32],
            serial: 2,
            id: b"ada".to_vec(),
        }),
    };
    for request in [
        Request::Hello,
        Request::Stage {
            first: true,
            revoked: vec![Revoked::Key([3; 32]), serials(1, 9), id("ada laptop")],
        },
        Request::Try {
            generation: 5,
            seconds: 60,
        },
        Request::Confirm { generation: 5 },
        Request::Back,
        Request::End(session),
    ] {
        assert_eq!(Request::decode(&request.encode().unwrap()), Ok(request));
    }
}

#[test]
fn what_ssh_keygen_would_read_otherwise_is_refused() {
    for wrong in [
        id("ada#laptop"),
        id("ada\nserial: 1-99"),
        id(" ada"),
        id(""),
        serials(0, 5),
        serials(6, 5),
        Revoked::Id {
            authority: b"\0\0\0\x07ssh rsa....".to_vec(),
            id: "ada".to_owned(),
        },
    ] {
        assert!(list(vec![wrong.clone()]).is_err(), "{wrong:?}");
    }
    let of = |byte| Revoked::Serials {
        authority: authority(byte),
        first: 1,
        last: 1,
    };
    assert!(list((0..16).map(of).collect()).is_ok());
    assert!(list((0..17).map(of).collect()).is_err());
    assert!(list(vec![Revoked::Key([1; 32]); MOST_REVOKED]).is_ok());
    assert!(list(vec![Revoked::Key([1; 32]); MOST_REVOKED + 1]).is_err());
}

#[test]
fn keys_that_are_never_revoked_are_found_also_where_they_sign() {
    let all = list(vec![Revoked::Key([3; 32]), serials(1, 9)]).unwrap();
    let signer = list::digest(&authority(1));
    assert_eq!(all.names_one_of(&[[4; 32]]), None);
    assert_eq!(all.names_one_of(&[[4; 32], [3; 32]]), Some([3; 32]));
    assert_eq!(all.names_one_of(&[signer]), Some(signer));
    let text = list::fingerprint(&[3; 32]);
    let guard = format!("[keys]\nnever_revoke = [\"{text}\"]");
    assert_eq!(Guard::parse(&guard).unwrap().keys.never(), [[3; 32]]);
    assert!(Guard::parse("[keys]\nnever_revoke = [\"MD5:00\"]").is_err());
}

#[test]
fn a_session_is_known_by_its_key_its_certificate_and_its_authority() {
    let certificate = |serial, id: &str| Certificate {
        authority: list::digest(&authority(1)),
        serial,
        id: id.as_bytes().to_vec(),
    };
    let all = list(vec![Revoked::Key([3; 32]), serials(5, 7), id("ada")]).unwrap();
    assert!(all.revokes(&[3; 32], None));
    assert!(!all.revokes(&[4; 32], None));
    assert!(all.revokes(&[4; 32], Some(&certificate(7, "x"))));
    assert!(all.revokes(&[4; 32], Some(&certificate(8, "ada"))));
    assert!(!all.revokes(&[4; 32], Some(&certificate(8, "x"))));
    let signed = list(vec![Revoked::Key(list::digest(&authority(1)))]).unwrap();
    assert!(signed.revokes(&[4; 32], Some(&certificate(8, "x"))));
}

/// Runs a program and says whether it did what it was asked, and what it wrote.
fn run(folder: &Path, line: &str) -> (bool, String) {
    let mut command = Command::new("/bin/sh");
    let done = command.args(["-c", line]).current_dir(folder).output();
    let done = done.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    (done.status.success(), said)
}

#[test]
fn a_list_revokes_what_it_names_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let make = "for it in ca old new; do ssh-keygen -q -t ed25519 -N '' -f $it; done
        for it in 6 8; do cp new.pub $it.pub; ssh-keygen -q -s ca -I id$it -z $it -n root $it.pub; done";
    assert!(run(folder.path(), make).0);
    let wire = |name: &str| {
        let line = fs::read_to_string(folder.path().join(name)).unwrap();
        let encoded = line.split(' ').nth(1).unwrap().to_owned();
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).unwrap()
    };
    let ca = wire("ca.pub");
    let all = list(vec![
        Revoked::Key(list::digest(&wire("old.pub"))),
        Revoked::Serials {
            authority: ca.clone(),
            first: 5,
            last: 7,
        },
        Revoked::Id {
            authority: ca,
            id: "somebody else".to_owned(),
        },
    ]);
    let file = folder.path().join("list.krl");
    let programs = Programs {
        folder: folder.path().to_owned(),
    };
    programs.make(&all.unwrap(), 77, &file).unwrap();
    let header = Header::read(&fs::read(&file).unwrap()).unwrap();
    assert_eq!((header.generation, header.revoked), (77, 3));
    let asked = |name: &str| run(folder.path(), &format!("ssh-keygen -Q -f list.krl {name}")).0;
    assert!(!asked("old.pub") && !asked("6-cert.pub"));
    assert!(asked("new.pub") && asked("8-cert.pub") && asked("ca.pub"));

    fs::write(&file, krl::empty()).unwrap();
    assert!(asked("old.pub"), "an empty one revokes nothing");
    assert!(programs.make(&List::default(), 78, &file).is_ok());
    assert!(asked("old.pub") && !asked("tracer.pub"));
}

/// A host whose sshd is told of this list, or of nothing.
fn ground(armed: bool) -> (tempfile::TempDir, Folder) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["sshd_config.d", "watchward", "work"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("guard.toml"), "").unwrap();
    let files = Folder::below(folder.path());
    if armed {
        files.put(&of(1)).unwrap();
        files.arm().unwrap();
    }
    (folder, files)
}

/// A file that says that it is this list.
fn of(generation: u8) -> Vec<u8> {
    let mut file = krl::empty();
    file[19] = generation;
    file
}

fn begin(folder: &tempfile::TempDir) -> Hand {
    let (guard, work) = (folder.path().join("guard.toml"), folder.path().join("work"));
    Hand::begin(&guard, folder.path(), work)
}

fn force(hand: &mut Hand) -> Option<u64> {
    let Answer::Holding(holding) = hand.answer(Request::Hello) else {
        panic!("it does not say what it holds");
    };
    holding.force.map(|it| it.generation)
}

#[test]
fn whatever_it_was_doing_when_it_was_killed_the_list_before_holds_again() {
    for armed in [false, true] {
        for steps in 0..4 {
            let (folder, files) = ground(armed);
            let all: [&dyn Fn() -> io::Result<()>; 3] =
                [&|| files.begin(), &|| files.put(&of(2)), &|| {
                    if armed { Ok(()) } else { files.arm() }
                }];
            for step in all.iter().take(steps) {
                step().unwrap();
            }
            let mut hand = begin(&folder);
            let expected = armed.then_some(1);
            assert_eq!(force(&mut hand), expected, "{armed}, after {steps} steps");
            assert!(!files.has_begun() && files.is_armed() == armed);
        }
        let (folder, files) = ground(armed);
        files.begin().unwrap();
        files.put(&of(2)).unwrap();
        files.arm().unwrap();
        files.end().unwrap();
        assert_eq!(force(&mut begin(&folder)), Some(2), "it was confirmed");
    }
}

#[test]
fn a_list_that_a_third_hand_takes_away_is_put_back_and_one_that_is_lost_locks_nobody_out() {
    let (folder, files) = ground(true);
    let mut hand = begin(&folder);
    let list = folder.path().join("watchward/revoked_keys");
    for harm in ["", "no list"] {
        fs::write(&list, harm).unwrap();
        hand.look();
        assert_eq!(files.read().unwrap(), of(1));
    }
    fs::remove_file(&list).unwrap();
    let Answer::Holding(holding) = hand.answer(Request::Hello) else {
        panic!("it does not say what it holds");
    };
    assert_eq!(files.read().unwrap(), of(1));
    assert!(holding.meddled.unwrap().contains("taken away"));

    fs::remove_file(&list).unwrap();
    assert_eq!(force(&mut begin(&folder)), Some(0));
    assert_eq!(files.read().unwrap(), krl::empty());
}

#[test]
fn nothing_ends_while_it_is_not_known_what_is_revoked() {
    let (folder, _) = ground(true);
    let answer = begin(&folder).answer(Request::End(Session {
        pid: std::process::id(),
        started: 0,
        key: [1; 32],
        certificate: None,
    }));
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
}

#[test]
fn what_the_guard_forbids_is_refused_and_so_is_what_is_old_or_of_the_future() {
    let guard = Guard::default().keys;
    let asked = |generation, seconds, held| {
        let wish = Wish {
            generation,
            seconds,
        };
        judge(&List::default(), wish, &guard, held, 1_000)
    };
    assert!(asked(5, 60, None).is_ok() && asked(5, 60, Some(5)).is_ok());
    assert!(asked(4, 60, Some(5)).is_err());
    assert!(asked(5, 0, None).is_err() && asked(5, 121, None).is_err());
    assert!(asked(u64::MAX, 60, None).is_err());
    let off = Guard::parse("[keys]\nrevoke = false").unwrap().keys;
    let wish = Wish {
        generation: 1,
        seconds: 1,
    };
    assert!(judge(&List::default(), wish, &off, None, 1_000).is_err());
}
