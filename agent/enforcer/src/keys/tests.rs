//! What is revoked is said so that ssh-keygen reads what was meant, and a crash at any step leaves the old or the new.

use std::fs;
use std::process::Command;

use proptest::prelude::*;

use super::folder::{Folder, Keys, Whole};
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
    }
}

#[test]
fn a_request_arrives_as_it_was_said() {
    let session = Session { pid: 7, started: 8 };
    let line = Line {
        account: "ada".to_owned(),
        key: TRACER.to_vec(),
        principals: vec!["role:operator".to_owned()],
        from: vec!["192.0.2.0/24".parse().unwrap()],
        until: Some(5),
        forwarding: true,
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
        Request::Since {
            user: 1000,
            started: 9,
        },
        Request::Open(vec![line]),
        Request::Show {
            shown: certificates(vec![vec![1, 2]]),
            seconds: 60,
        },
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
    let spare = |never: &[Digest]| {
        let mut all = all.clone();
        let spared = all.spare(never);
        (spared, all.len())
    };
    assert_eq!(spare(&[[4; 32]]), (vec![], 2));
    assert_eq!(spare(&[[4; 32], [3; 32]]), (vec![[3; 32]], 1));
    assert_eq!(spare(&[signer]), (vec![signer], 1));
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
        is_starting: false,
    };
    let made = programs.make(&all.unwrap(), 77).unwrap();
    let header = Header::read(&made).unwrap();
    assert_eq!((header.generation, header.revoked), (77, 3));
    fs::write(&file, made).unwrap();
    let asked = |name: &str| run(folder.path(), &format!("ssh-keygen -Q -f list.krl {name}")).0;
    assert!(!asked("old.pub") && !asked("6-cert.pub"));
    assert!(asked("new.pub") && asked("8-cert.pub") && asked("ca.pub"));

    fs::write(&file, krl::empty()).unwrap();
    assert!(asked("old.pub"), "an empty one revokes nothing");
    let nothing = programs.make(&List::default(), 78).unwrap();
    fs::write(&file, nothing).unwrap();
    assert!(asked("old.pub") && !asked("tracer.pub"));
}

fn certificates(all: Vec<Vec<u8>>) -> Shown {
    let all = all.into_iter().map(|wire| HostCertificate { wire });
    Shown {
        certificates: all.collect(),
        serials: Vec::new(),
        own: true,
    }
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
        switch(&files, 1);
        files.tell(&files.text(None)).unwrap();
    }
    (folder, files)
}

/// Puts a whole in force that says that it is this list, and opens an account besides.
fn switch(files: &Folder, generation: u8) {
    let made = files.make(&of(files, generation)).unwrap();
    files.switch(&made).unwrap();
}

fn of(files: &Folder, generation: u8) -> Whole {
    let mut revoked = krl::empty();
    revoked[19] = generation;
    let keys = match generation {
        1 => Keys::new(),
        _ => [("ada".to_owned(), "key\n".to_owned())].into(),
    };
    let told = files.text((!keys.is_empty()).then_some(".ssh/authorized_keys"));
    Whole {
        revoked,
        keys,
        certificates: [("ada-cert.pub".to_owned(), "certificate\n".to_owned())].into(),
        told,
    }
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
fn whatever_it_was_doing_when_it_was_killed_all_that_held_before_holds_again() {
    for armed in [false, true] {
        for steps in 0..4 {
            let (folder, files) = ground(armed);
            let all: [&dyn Fn(); 3] = [
                &|| {
                    let nothing = || files.make(&Whole::nothing(String::new()));
                    let before = files.current().or_else(|_| nothing()).unwrap();
                    files.begin(&before).unwrap();
                },
                &|| switch(&files, 2),
                &|| files.tell(&of(&files, 2).told).unwrap(),
            ];
            all.iter().take(steps).for_each(|step| step());
            let mut hand = begin(&folder);
            let expected = armed.then_some(1);
            assert_eq!(force(&mut hand), expected, "{armed}, after {steps} steps");
            assert!(!files.has_begun());
            assert_eq!(files.told(), armed.then(|| files.text(None)));
        }
        let (folder, files) = ground(armed);
        files
            .begin(&files.make(&Whole::nothing(String::new())).unwrap())
            .unwrap();
        switch(&files, 2);
        files.tell(&of(&files, 2).told).unwrap();
        assert!(!files.is_read(), "whoever is killed now leaves it unread");
        files.was_read().unwrap();
        files.end().unwrap();
        assert_eq!(force(&mut begin(&folder)), Some(2), "it was confirmed");
        let left = fs::read_dir(folder.path().join("watchward")).unwrap();
        assert_eq!(left.count(), 2, "what is in force, and the link to it");
    }
}

#[test]
fn what_a_third_hand_takes_away_is_put_back_and_a_list_that_is_lost_locks_nobody_out() {
    let (folder, files) = ground(true);
    switch(&files, 2);
    files.tell(&of(&files, 2).told).unwrap();
    let mut hand = begin(&folder);
    let now = folder.path().join("watchward/now");
    let harms: [&dyn Fn(); 5] = [
        &|| fs::write(now.join("revoked_keys"), "").unwrap(),
        &|| fs::write(now.join("keys/ada"), "another").unwrap(),
        &|| fs::write(now.join("keys/zoe"), "another").unwrap(),
        &|| fs::remove_dir_all(files.current().unwrap()).unwrap(),
        &|| fs::remove_file(&now).unwrap(),
    ];
    for harm in harms {
        harm();
        let Answer::Holding(holding) = hand.answer(Request::Hello) else {
            panic!("it does not say what it holds");
        };
        assert_eq!(files.read().unwrap(), of(&files, 2));
        assert!(holding.meddled.unwrap().contains("taken away"));
        assert_eq!(holding.opened, 1);
    }
    fs::remove_dir_all(files.current().unwrap()).unwrap();
    assert_eq!(force(&mut begin(&folder)), Some(0));
    let read = files.read().unwrap();
    assert_eq!((read.revoked, read.keys.len()), (krl::empty(), 0));
}

#[test]
fn nothing_ends_while_it_is_not_known_what_is_revoked() {
    let (folder, _) = ground(true);
    let answer = begin(&folder).answer(Request::End(Session {
        pid: std::process::id(),
        started: 0,
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
        judge(wish, &guard, held, 1_000)
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
    assert!(judge(wish, &off, None, 1_000).is_err());
}
