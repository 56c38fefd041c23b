//! What is sealed opens for what it was sealed for, with the key that sealed it, and never otherwise.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
use watchward_daemon::secret::SecretFile;

use super::*;
use crate::store::testing;

const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "HxAREhMUFRYXGBkaGxwdHgABAgMEBQYHCAkKCwwNDg8=";

#[test]
fn another_key_opens_nothing_and_an_old_one_opens_what_it_sealed() {
    let (old, both) = (
        Sealing::of(OLD),
        Sealing::of(&format!("# new\n{NEW}\n\n{OLD}\n")),
    );
    let sealed = old.seal("people.factor 1", b"secret").unwrap();
    assert_eq!(
        both.unseal("people.factor 1", &sealed).unwrap()[..],
        *b"secret"
    );
    assert!(old.is_current(&sealed) && !both.is_current(&sealed));
    let shut = Sealing::of(NEW)
        .unseal("people.factor 1", &sealed)
        .unwrap_err();
    assert!(matches!(shut, Shut::OtherKey(_)), "{shut}");
    assert_eq!(format!("{sealed:?} {old:?}"), "Sealed Sealing");
}

#[test]
fn two_of_the_same_look_different() {
    let sealing = Sealing::fleeting();
    let twice = [(); 2].map(|()| sealing.seal("a", b"secret").unwrap());
    assert_ne!(twice[0], twice[1]);
}

#[test]
fn what_is_no_key_is_said_without_showing_it() {
    for wrong in ["", "# nothing", "hunter2", "c2hvcnQ="] {
        let error = key::parse(wrong).err().unwrap().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

proptest! {
    #[test]
    fn whatever_was_changed_or_swapped_is_broken(
        secret in proptest::collection::vec(any::<u8>(), 0..64), at in any::<usize>(), bit in 0_u8..8,
    ) {
        let sealing = Sealing::of(OLD);
        let sealed = sealing.seal("people.factor 1", &secret).unwrap();
        let opened = sealing.unseal("people.factor 1", &sealed).unwrap();
        prop_assert_eq!(&*opened, &secret);
        prop_assert_eq!(sealing.unseal("people.factor 2", &sealed), Err(Shut::Broken));
        let mut bytes = sealed.into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(sealing.unseal("people.factor 1", &Sealed::kept(bytes.clone())).is_err());
        bytes.truncate(at);
        prop_assert!(sealing.unseal("people.factor 1", &Sealed::kept(bytes)).is_err());
    }
}

#[tokio::test]
async fn a_key_is_made_at_the_first_start_and_read_at_the_next() {
    let store = testing::stores(&[SCHEMA]).await.remove(0);
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let open = async || {
        let opened = Sealing::open(&store, &Config::default(), &authority).await;
        opened.unwrap()
    };
    let sealed = open().await.seal("a", b"secret").unwrap();
    assert_eq!(open().await.unseal("a", &sealed).unwrap()[..], *b"secret");
    let file = folder.path().join("master.key");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_passphrase_makes_the_same_key_again_and_another_one_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("passphrase");
    let config = Config {
        passphrase_file: Some(SecretFile::from(file.clone())),
        ..Config::default()
    };
    std::fs::write(&file, "four words are not too few\n").unwrap();
    let mut sealed = Vec::new();
    for store in testing::stores(&[SCHEMA]).await {
        let open = async || Sealing::open(&store, &config, folder.path()).await;
        let first = open().await.unwrap().seal("a", b"secret").unwrap();
        assert!(open().await.unwrap().unseal("a", &first).is_ok());
        for other in &sealed {
            assert!(open().await.unwrap().unseal("a", other).is_err());
        }
        sealed.push(first);
    }
    std::fs::write(&file, "too short\n").unwrap();
    let store = testing::stores(&[SCHEMA]).await.remove(0);
    let error = Sealing::open(&store, &config, folder.path()).await;
    assert!(error.unwrap_err().to_string().contains("at least 20"));
}
