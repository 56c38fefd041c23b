//! Keys that are made, switched and destroyed, and what is left when that is interrupted.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use russh::keys::PublicKey;
use watchward_protocol::identities::Identity;

use super::*;

fn order(serials: &[u32], using: u32) -> Identities {
    let identity = Identity {
        name: "backup".to_owned(),
        account: "zoe".to_owned(),
        serials: serials.to_vec(),
        using,
    };
    Identities {
        identities: vec![identity],
        known_hosts: vec!["@cert-authority web ssh-ed25519 AAAA".to_owned()],
    }
}

/// Every account is the one that runs the test.
fn ours(_: &str) -> Result<u32, String> {
    Ok(rustix::process::geteuid().as_raw())
}

fn keep(folder: &Path, ordered: &Identities) -> BTreeMap<String, String> {
    Keeping::new(folder, ours).activate(ordered)
}

fn seen(folder: &Path, ordered: &Identities) -> Seen {
    let nowhere = folder.join("troubles");
    let mut all = seen::look((folder, &nowhere), ordered, true);
    all.remove("backup").unwrap_or_default()
}

/// The key that a program would use, if it can: with its public half beside it.
fn used(folder: &Path) -> Option<PublicKey> {
    let file = |name| fs::read_to_string(folder.join("backup").join(name)).ok();
    let private = PrivateKey::from_openssh(file("id")?).unwrap();
    let public = PublicKey::from_openssh(&file("id.pub")?).unwrap();
    assert_eq!(private.public_key().key_data(), public.key_data());
    Some(public)
}

#[test]
fn a_key_is_made_used_replaced_and_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(keep(folder, &order(&[1], 0)).is_empty());
    assert_eq!(used(folder), None, "nobody said to use it");
    keep(folder, &order(&[1], 1));
    let first = used(folder).unwrap();
    keep(folder, &order(&[1, 2], 1));
    assert_eq!(used(folder), Some(first.clone()));
    keep(folder, &order(&[1, 2], 2));
    let second = used(folder).unwrap();
    assert_ne!(first.key_data(), second.key_data());
    let all = seen(folder, &order(&[1, 2], 2));
    let serials: Vec<_> = all.keys.iter().map(|it| it.serial).collect();
    assert_eq!((serials, all.using, all.trouble), (vec![1, 2], 2, None));
    keep(folder, &order(&[2], 2));
    let all = seen(folder, &order(&[2], 2));
    assert_eq!(all.keys.len(), 1);
    assert_eq!(all.keys[0].key, second.to_bytes().unwrap());
    keep(folder, &Identities::default());
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn what_is_as_it_should_be_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    keep(folder, &order(&[1, 2], 1));
    let again = Keeping::new(folder, ours);
    again.steps.set(0);
    assert!(again.activate(&order(&[1, 2], 1)).is_empty());
}

#[test]
fn nobody_else_reads_a_private_key() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    keep(folder, &order(&[1], 1));
    let mode = |name: &str| {
        let known = fs::metadata(folder.join(name)).unwrap();
        known.permissions().mode() & 0o777
    };
    assert_eq!(mode("backup/id"), 0o600);
    assert_eq!((mode("backup"), mode("backup/1")), (0o711, 0o711));
}

#[test]
fn whoever_is_killed_at_any_step_leaves_one_key_that_works() {
    let steps = [
        order(&[1], 1),
        order(&[1, 2], 1),
        order(&[1, 2], 2),
        order(&[2], 2),
    ];
    for (from, to) in steps
        .iter()
        .zip(&steps[1..])
        .chain([(&steps[0], &steps[3])])
    {
        for killed in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            assert!(keep(folder, from).is_empty());
            let dying = Keeping::new(folder, ours);
            dying.steps.set(killed);
            let is_done = dying.activate(to).is_empty();
            assert!(
                used(folder).is_some(),
                "killed at {killed} on the way to {to:?}"
            );
            assert!(keep(folder, to).is_empty());
            let left = seen(folder, to);
            assert_eq!(
                left.trouble, None,
                "killed at {killed} on the way to {to:?}"
            );
            let entries = fs::read_dir(folder.join("backup")).unwrap();
            assert_eq!(entries.count(), 4 + to.identities[0].serials.len());
            let newest = fs::read_link(folder.join("backup/newest")).unwrap();
            let made_last = to.identities[0].serials.iter().max().unwrap();
            assert_eq!(newest, Path::new(&format!("{made_last}/id")));
            if is_done {
                break;
            }
        }
    }
}

#[test]
fn a_key_that_cannot_be_made_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    keep(folder, &order(&[1], 1));
    let first = used(folder);
    // In its way.
    fs::create_dir_all(folder.join("backup/.2.next")).unwrap();
    let stuck = Keeping::new(folder, ours);
    stuck.steps.set(1);
    let why = stuck.activate(&order(&[2], 2));
    assert!(
        why["backup"].contains("key 2 cannot be made for zoe"),
        "{why:?}"
    );
    assert_eq!(
        used(folder),
        first,
        "it is not named any more, but programs use it"
    );
    let told = seen(folder, &order(&[2], 2)).trouble.unwrap();
    assert!(told.contains("key 2 is not made"), "{told}");
}

#[test]
fn an_account_that_is_not_there_gets_nothing_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    keep(folder, &order(&[1], 1));
    let unknown = Keeping::new(folder, |name: &str| {
        Err(format!("there is no account {name}"))
    });
    let why = unknown.activate(&order(&[2], 2));
    assert!(why["backup"].contains("no account zoe"));
    assert!(used(folder).is_some());
}

#[test]
fn another_account_may_read_it_by_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let other = |_: &str| Ok(rustix::process::geteuid().as_raw() + 4711);
    let troubles = Keeping::new(folder, other).activate(&order(&[1], 1));
    let known = fs::metadata(folder.join("backup/id"));
    match troubles.get("backup") {
        // Where the file system has no lists, or this test no such account.
        Some(why) => assert!(why.contains("cannot be made") && known.is_err(), "{why}"),
        // The group's bits show what the list gives at most.
        None => assert_eq!(known.unwrap().mode() & 0o777, 0o640),
    }
}

#[test]
fn what_went_wrong_is_said_until_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, troubles) = (folder.path().join("keys"), folder.path().join("troubles"));
    let wrong = BTreeMap::from([("backup".to_owned(), "the disk is full".to_owned())]);
    say(&troubles, &wrong).unwrap();
    let told = |late| seen::look((&keys, &troubles), &order(&[1], 0), late);
    assert_eq!(
        told(false)["backup"].trouble.as_deref(),
        Some("the disk is full")
    );
    say(&troubles, &BTreeMap::new()).unwrap();
    assert_eq!(told(false)["backup"].trouble, None);
    let late = told(true)["backup"].trouble.clone().unwrap();
    assert!(
        late.contains("watchward-agent-identities.service"),
        "{late}"
    );
}

#[test]
fn programs_know_hosts_by_what_was_ordered_last() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join("known_hosts");
    let mut ordered = order(&[1], 1);
    assert!(keep(folder, &ordered).is_empty());
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, "@cert-authority web ssh-ed25519 AAAA\n");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "every program reads it");

    ordered.known_hosts[0].push_str("BBBB");
    let dying = Keeping::new(folder, ours);
    for killed in 0.. {
        dying.steps.set(killed);
        let troubles = dying.activate(&ordered);
        let now = fs::read_to_string(&file).unwrap();
        if troubles.is_empty() {
            assert!(now.ends_with("BBBB\n"));
            break;
        }
        assert!(now == text || now.ends_with("BBBB\n"), "{now}");
    }
    ordered.known_hosts.clear();
    keep(folder, &ordered);
    assert!(!file.exists(), "nothing says any more how hosts are known");
}
