//! What `sshd -T` says applies to an account, as far as it opens it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use watchward_protocol::proof::TRIES;

use super::accounts::Account;

/// What applies to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// `PubkeyAuthentication`.
    pub(super) keys_count: bool,
    /// `StrictModes`.
    pub(super) strict: bool,
    /// `AuthorizedKeysFile`, each with its tokens.
    pub(super) files: Vec<Vec<u8>>,
    /// `AuthorizedKeysCommand`.
    pub(super) command: Option<Vec<u8>>,
    /// `TrustedUserCAKeys`.
    pub(super) authorities: Option<PathBuf>,
    /// `AuthorizedPrincipalsFile`, with its tokens.
    pub(super) principals: Option<Vec<u8>>,
    /// `AuthorizedPrincipalsCommand`.
    pub(super) principals_command: Option<Vec<u8>>,
    /// `HostKey`.
    pub(super) host_keys: Vec<PathBuf>,
    /// `HostCertificate`.
    pub(super) host_certificates: Vec<PathBuf>,
    /// `ListenAddress`, each with its port.
    pub(super) listens: Vec<SocketAddr>,
    /// `MaxAuthTries`.
    pub(super) tries: u32,
}

impl Default for Settings {
    /// What sshd does where its configuration says nothing.
    fn default() -> Self {
        let host_key = |kind| PathBuf::from(format!("/etc/ssh/ssh_host_{kind}_key"));
        Self {
            keys_count: true,
            strict: true,
            files: vec![
                b".ssh/authorized_keys".to_vec(),
                b".ssh/authorized_keys2".to_vec(),
            ],
            command: None,
            authorities: None,
            principals: None,
            principals_command: None,
            host_keys: ["rsa", "ecdsa", "ed25519"].map(host_key).into(),
            host_certificates: Vec::new(),
            listens: Vec::new(),
            tries: TRIES,
        }
    }
}

impl Settings {
    /// Understands what `sshd -T` writes: a keyword in small letters and its values on each line.
    pub(super) fn read(text: &[u8]) -> Self {
        let mut settings = Self::default();
        let mut host_keys = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            let end = line.iter().position(|byte| *byte == b' ');
            let (keyword, value) = line.split_at(end.unwrap_or(line.len()));
            let value = value.trim_ascii();
            let said = || (!value.eq_ignore_ascii_case(b"none")).then(|| value.to_vec());
            let path = || said().map(|path| PathBuf::from(OsStr::from_bytes(&path)));
            match keyword {
                b"pubkeyauthentication" => settings.keys_count = value != b"no",
                b"strictmodes" => settings.strict = value != b"no",
                b"authorizedkeysfile" => {
                    let files = value.split(|byte| *byte == b' ');
                    let named =
                        |file: &&[u8]| !file.is_empty() && !file.eq_ignore_ascii_case(b"none");
                    settings.files = files.filter(named).map(Into::into).collect();
                }
                b"authorizedkeyscommand" => settings.command = said(),
                b"trustedusercakeys" => settings.authorities = path(),
                b"authorizedprincipalsfile" => settings.principals = said(),
                b"authorizedprincipalscommand" => settings.principals_command = said(),
                b"hostkey" => host_keys.extend(path()),
                b"hostcertificate" => settings.host_certificates.extend(path()),
                b"listenaddress" => settings.listens.extend(place(value)),
                b"maxauthtries" => {
                    let tries = std::str::from_utf8(value).ok();
                    settings.tries = tries.and_then(|it| it.parse().ok()).unwrap_or(TRIES);
                }
                _ => {}
            }
        }
        if !host_keys.is_empty() {
            settings.host_keys = host_keys;
        }
        settings
    }
}

/// An address with its port; what follows it is the routing domain.
fn place(value: &[u8]) -> Option<SocketAddr> {
    let first = value.split(|byte| *byte == b' ').next()?;
    std::str::from_utf8(first).ok()?.parse().ok()
}

/// The file that a pattern means for an account, as sshd's `expand_authorized_keys` has it: `%h`,
/// `%u`, `%U` and `%%` are replaced, and what is not absolute is below the home folder.
///
/// # Errors
/// There is a token that sshd does not know either: it ends the connection then.
pub(super) fn expand(pattern: &[u8], account: &Account) -> Result<PathBuf, String> {
    let mut path = Vec::new();
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            path.push(*byte);
            continue;
        }
        match bytes.next() {
            Some(b'%') => path.push(b'%'),
            Some(b'h') => path.extend_from_slice(account.home.as_os_str().as_bytes()),
            Some(b'u') => path.extend_from_slice(account.name.as_bytes()),
            Some(b'U') => path.extend_from_slice(account.uid.to_string().as_bytes()),
            _ => {
                let pattern = String::from_utf8_lossy(pattern);
                return Err(format!("sshd knows no such token: {pattern}"));
            }
        }
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(path));
    Ok(account.home.join(path))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn reads_what_sshd_says() {
        let text =
            b"port 22\npubkeyauthentication yes\nauthorizedkeysfile /etc/keys/%u .ssh/a%%b\n\
            strictmodes no\ntrustedusercakeys /etc/ssh/ca.pub\nauthorizedprincipalsfile none\n\
            authorizedkeyscommand /usr/bin/keys %u\nhostkey /etc/ssh/one\nhostkey /etc/ssh/two\n\
            hostcertificate /etc/ssh/one-cert.pub\nauthorizedprincipalscommand none\nmaxauthtries 3\n";
        let settings = Settings::read(text);
        assert!(settings.keys_count && !settings.strict);
        assert_eq!((settings.tries, Settings::default().tries), (3, 6));
        assert_eq!(settings.files, [&b"/etc/keys/%u"[..], b".ssh/a%%b"]);
        assert_eq!(settings.command.as_deref(), Some(&b"/usr/bin/keys %u"[..]));
        assert_eq!(
            settings.authorities.as_deref(),
            Some(Path::new("/etc/ssh/ca.pub"))
        );
        assert_eq!(
            (settings.principals, settings.principals_command),
            (None, None)
        );
        assert_eq!(
            settings.host_keys,
            [Path::new("/etc/ssh/one"), Path::new("/etc/ssh/two")]
        );
        assert_eq!(
            settings.host_certificates,
            [Path::new("/etc/ssh/one-cert.pub")]
        );
        let none = Settings::read(b"authorizedkeysfile none\n");
        assert_eq!(none.files, Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_file_is_where_sshd_looks_for_it() {
        let account = Account {
            name: "zoe".into(),
            uid: 1000,
            gid: 1000,
            home: PathBuf::from("/home/zoe"),
        };
        for (pattern, path) in [
            (".ssh/authorized_keys", "/home/zoe/.ssh/authorized_keys"),
            ("/etc/keys/%u-%U%%", "/etc/keys/zoe-1000%"),
            ("%h/.keys", "/home/zoe/.keys"),
        ] {
            assert_eq!(
                expand(pattern.as_bytes(), &account),
                Ok(PathBuf::from(path))
            );
        }
        assert!(expand(b"/etc/%x", &account).is_err());
    }
}
