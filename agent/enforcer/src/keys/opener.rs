//! What opened a session: read in the journal by this role itself, for nobody who asks to have it ended is believed.

use std::time::Duration;

use super::list::read_fingerprint;
use super::programs::{Programs, run};
use super::request::{Certificate, Digest};
use crate::clock;

const JOURNALCTL: &str = "/usr/bin/journalctl";
/// How many ticks a second has, on every machine that Linux has now (`USER_HZ`).
const TICKS: u64 = 100;
/// The journal's time and the kernel's may be so far apart.
const SLACK: Duration = Duration::from_secs(1);

/// A key that sshd took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opener {
    pub(super) key: Digest,
    pub(super) certificate: Option<Certificate>,
    /// Whether that was the last that this login needed.
    pub(super) last: bool,
}

impl Programs {
    /// All that sshd took in this process of its own, since that began.
    ///
    /// # Errors
    /// There is no journal that could be read, or nobody has signed in by that process.
    pub(super) fn openers(&self, pid: u32, started: u64) -> Result<Vec<Opener>, String> {
        let age =
            clock::up().saturating_sub(Duration::from_millis(started.saturating_mul(1000 / TICKS)));
        let since = Duration::from_micros(clock::shown()).saturating_sub(age + SLACK);
        let since = format!("--since=@{}", since.as_secs());
        // These are journald's own words of who wrote a line: no user can write them.
        let pid = format!("_PID={pid}");
        let of = ["_UID=0", "_COMM=sshd", "_COMM=sshd-session"];
        let form = [
            "-q",
            "--no-pager",
            "--output=export",
            "--output-fields=MESSAGE",
        ];
        let said = run(JOURNALCTL, &[&form[..], &of, &[&since, &pid]].concat())?;
        let messages = said
            .lines()
            .filter_map(|line| line.strip_prefix("MESSAGE="));
        let openers: Vec<Opener> = messages.filter_map(read).collect();
        match openers.iter().any(|it| it.last) {
            true => Ok(openers),
            false => Err("the journal does not say that a key opened it".to_owned()),
        }
    }
}

/// A line of sshd that says what it took: `Accepted publickey for USER from ADDRESS port PORT ssh2: KIND
/// FINGERPRINT`, of a certificate with `ID TEXT (serial NUMBER) CA KIND FINGERPRINT` behind. Pure.
fn read(message: &str) -> Option<Opener> {
    let accepted = message.strip_prefix("Accepted publickey for ");
    let rest = accepted.or_else(|| message.strip_prefix("Partial publickey for "))?;
    // The account is one of this host: its name has no spaces.
    let (_, rest) = rest.split_once(" ssh2: ")?;
    let (kind, rest) = rest.split_once(' ')?;
    let (key, rest) = rest.split_once([' ', ',']).unwrap_or((rest, ""));
    let certificate = match kind.ends_with("-CERT") {
        // An authority may write what it likes into the id: what stands behind it is read from the end.
        true => Some(certificate(rest.strip_prefix("ID ")?)?),
        false => None,
    };
    Some(Opener {
        key: read_fingerprint(key)?,
        certificate,
        last: accepted.is_some(),
    })
}

fn certificate(text: &str) -> Option<Certificate> {
    let (rest, authority) = text.rsplit_once(") CA ")?;
    let (id, serial) = rest.rsplit_once(" (serial ")?;
    let (_kind, fingerprint) = authority.split_once(' ')?;
    let fingerprint = fingerprint.split(',').next()?;
    Some(Certificate {
        authority: read_fingerprint(fingerprint)?,
        serial: serial.parse().ok()?,
        id: id.as_bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::list::fingerprint;

    #[test]
    fn what_sshd_took_is_read() {
        let (key, authority) = ([1; 32], [2; 32]);
        let (of_key, of_authority) = (fingerprint(&key), fingerprint(&authority));
        let from = "publickey for ada from 192.0.2.1 port 5 ssh2:";
        let plain = |last| Opener {
            key,
            certificate: None,
            last,
        };
        let said = format!("Accepted {from} ED25519 {of_key}");
        assert_eq!(read(&said), Some(plain(true)));
        let said = format!("Partial {from} ED25519-SK {of_key}, signature count = 7");
        assert_eq!(read(&said), Some(plain(false)));
        let id = format!("x (serial 9) CA ED25519 {of_key}");
        let said = format!(
            "Accepted {from} ED25519-CERT {of_key} ID {id} (serial 7) CA RSA {of_authority}"
        );
        let certificate = Certificate {
            authority,
            serial: 7,
            id: id.into_bytes(),
        };
        let expected = Opener {
            certificate: Some(certificate),
            ..plain(true)
        };
        assert_eq!(read(&said), Some(expected));
    }

    #[test]
    fn what_opened_nothing_is_none() {
        let key = fingerprint(&[1; 32]);
        for said in [
            format!("Failed publickey for ada from 192.0.2.1 port 5 ssh2: ED25519 {key}"),
            format!("Postponed publickey for ada from 192.0.2.1 port 5 ssh2: ED25519 {key}"),
            format!("Invalid user Accepted publickey for x ssh2: ED25519 {key}"),
            "Accepted password for ada from 192.0.2.1 port 5 ssh2".to_owned(),
            "Accepted publickey for ada from 192.0.2.1 port 5 ssh2: RSA 00:11:22".to_owned(),
        ] {
            assert_eq!(read(&said), None, "{said}");
        }
    }
}
