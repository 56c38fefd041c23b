//! What a look finds in files as people and strangers leave them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::keys::sshd::Answer;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPMgIlMZhwEgDYmXBZQV43MD1UCbjaDrYxTyFlzehXiM";
const FINGERPRINT: &str = "SHA256:eo9cAVHBV5SVR3cbdzfctJLz381pX3dfxMCNLqSSUJg";

struct Home {
    folder: tempfile::TempDir,
    accounts: Accounts,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let about = folder.path().metadata().unwrap();
        let (uid, gid, path) = (about.uid(), about.gid(), folder.path().display());
        let line = format!("zoe:x:{uid}:{gid}::{path}:/bin/sh\n");
        let accounts = Accounts::read(line.as_bytes());
        Self { folder, accounts }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// What the account has, and what the host has, under these settings.
    fn look(&self, settings: &str) -> (Keys, Keys) {
        self.look_under(Answer::test(settings, &[]))
    }

    fn look_under(&self, answer: Answer) -> (Keys, Keys) {
        let mut said = Said::default();
        said.general = Some(answer);
        let view = View {
            accounts: &self.accounts,
            said: &said,
            shelf: &Shelf::default(),
            zone: &TimeZone::UTC,
            now: Timestamp::default(),
        };
        let account = view.account(&self.accounts.list[0]).0.unwrap();
        (account, view.host().0.unwrap())
    }
}

impl Answer {
    fn test(always: &str, sometimes: &[(&str, &str)]) -> Self {
        let settings = |text: &str| Arc::new(Settings::read(text.as_bytes()));
        let sometimes = sometimes.iter();
        Self {
            always: settings(always),
            sometimes: sometimes
                .map(|(name, it)| ((*name).to_owned(), settings(it)))
                .collect(),
            doubt: None,
        }
    }
}

fn texts(keys: &Keys) -> Vec<&str> {
    keys.troubles.iter().map(|it| it.text.as_str()).collect()
}

#[test]
fn every_line_of_every_file_is_told_and_a_bad_one_hides_no_other() {
    let home = Home::new();
    home.write(
        ".ssh/authorized_keys",
        format!(
            "# keys\nrubbish\nrestrict {KEY} one\r\nssh-rsa AAAA\n{}\n{KEY} last",
            "x".repeat(70_000)
        ),
    );
    home.write(".ssh/authorized_keys2", format!("cert-authority {KEY}\n"));
    let (account, _) = home.look("");
    assert_eq!(account.holder, Holder::Account("zoe".into()));
    let lines: Vec<_> = account
        .openings
        .iter()
        .map(|it| (it.means, it.line.unwrap()))
        .collect();
    let key = Means::AuthorizedKey;
    assert_eq!(lines, [(key, 3), (key, 6), (Means::Authority, 1)]);
    let [first, _, authority] = &account.openings[..] else {
        panic!("three");
    };
    assert_eq!(first.key.as_ref().unwrap().fingerprint, FINGERPRINT);
    assert_eq!(
        (&first.comment, &first.options),
        (&"one".into(), &"restrict".into())
    );
    assert_eq!(
        authority.principals,
        ["zoe".into()],
        "its own name, if none is said"
    );
    let troubles = texts(&account).join("\n");
    for line in [2, 4, 5] {
        assert!(troubles.contains(&format!("line {line}: ")), "{troubles}");
    }
    assert_eq!(account.troubles.len(), 3);
}

#[test]
fn authorities_count_where_a_certificate_can_open() {
    let home = Home::new();
    let authorities = home.write("ca.pub", format!("{KEY} ca\nrubbish\n{KEY} never\n"));
    let trust = format!("trustedusercakeys {}\n", authorities.display());
    let (account, host) = home.look(&trust);
    let [one] = &account.openings[..] else {
        panic!("{account:?}");
    };
    assert_eq!(
        (one.means, one.line, &one.principals[..]),
        (Means::Authority, Some(1), &["zoe".into()][..])
    );
    assert!(texts(&host)[0].contains("line 2") && texts(&host)[0].contains("no further"));

    let names = home.write("names", "");
    let limited = format!("{trust}authorizedprincipalsfile {}\n", names.display());
    assert_eq!(home.look(&limited).0.openings, [], "no name, no way in");
    home.write(
        "names",
        "from=\"192.0.2.1\" web\nexpiry-time=\"20270101Z\" db # x\n",
    );
    let openings = home.look(&limited).0.openings;
    let told: Vec<_> = openings
        .iter()
        .map(|it| (it.means, it.principals.clone()))
        .collect();
    let names = |name: &str| (Means::Principals, vec![name.into()]);
    assert_eq!(
        told,
        [names("web"), names("db"), (Means::Authority, vec![])]
    );
    assert!(openings[1].not_after.is_some());

    let asked = format!("{trust}authorizedprincipalscommand /bin/names %u\n");
    let openings = home.look(&asked).0.openings;
    assert_eq!(openings[0].means, Means::PrincipalsCommand);
    assert_eq!(
        (openings[0].file.as_str(), &openings[0].options),
        ("/bin/names", &"%u".into())
    );
}

#[test]
fn what_opens_nothing_is_trouble_and_no_opening() {
    let home = Home::new();
    home.write(".ssh/authorized_keys", KEY);
    let (account, _) = home.look("pubkeyauthentication no\n");
    assert_eq!(account.openings, []);
    assert!(texts(&account)[0].contains("PubkeyAuthentication"));

    use std::os::unix::fs::PermissionsExt;
    let folder = home.folder.path().join(".ssh");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    let (account, _) = home.look("");
    assert_eq!(account.openings, []);
    assert!(
        texts(&account)[0].contains("StrictModes") && !account.troubles[0].hides(),
        "{:?}",
        account.troubles
    );
    assert_eq!(home.look("strictmodes no\n").0.openings.len(), 1);
}

#[test]
fn a_host_is_known_by_its_public_halves() {
    let home = Home::new();
    home.write("host.pub", format!("{KEY} root@host\n"));
    let secret = home.folder.path().join("host");
    let certificate = home.write(
        "host-cert.pub",
        include_str!("../authorized/tests/certificate.txt"),
    );
    let settings = format!(
        "hostkey {}\nhostcertificate {}\n",
        secret.display(),
        certificate.display()
    );
    let (_, host) = home.look(&settings);
    assert_eq!(host.holder, Holder::Host(vec!["zoe".into()]));
    let means: Vec<_> = host.openings.iter().map(|it| it.means).collect();
    assert_eq!(means, [Means::HostKey, Means::HostCertificate]);
    assert_eq!(host.openings[1].comment, "id x".into());
    assert_eq!(host.openings[1].principals, ["web".into(), "db".into()]);
    assert!(host.openings[1].not_after.is_some());
}

#[test]
fn what_counts_only_for_some_connections_says_for_which() {
    let home = Home::new();
    let (inside, port) = (home.write("inside", KEY), home.write("port", KEY));
    let files = |text: &str| format!("authorizedkeysfile {text}\n");
    let always = files(".ssh/authorized_keys");
    let both = files(&format!("{} .ssh/authorized_keys", inside.display()));
    let sometimes = [
        ("from 10.0.0.0/8", both.as_str()),
        ("from 192.0.2.7", both.as_str()),
        ("at port 2222", &files(&port.display().to_string())),
        ("from 192.0.2.8", "pubkeyauthentication no\n"),
    ];
    home.write(".ssh/authorized_keys", KEY);
    let (account, _) = home.look_under(Answer::test(&always, &sometimes));
    let conditions: Vec<_> = account
        .openings
        .iter()
        .map(|it| it.condition.as_deref())
        .collect();
    assert_eq!(
        conditions,
        [
            None,
            Some("from 10.0.0.0/8 or from 192.0.2.7"),
            Some("at port 2222")
        ]
    );
    let never = "pubkeyauthentication no\n";
    let (account, _) = home.look_under(Answer::test(never, &[("from 10.0.0.0/8", &always)]));
    assert_eq!(
        account.openings[0].condition.as_deref(),
        Some("from 10.0.0.0/8")
    );
}

#[test]
fn a_host_without_sshd_has_nothing_to_tell() {
    let home = Home::new();
    let view = View {
        accounts: &home.accounts,
        said: &Said::default(),
        shelf: &Shelf::default(),
        zone: &TimeZone::UTC,
        now: Timestamp::default(),
    };
    let host = view.host().0.unwrap();
    assert_eq!(host.holder, Holder::Host(Vec::new()));
    assert_eq!((host.openings, host.troubles), (vec![], vec![]));
}
