//! One entry of the journal, as `journalctl -o json` writes it. Pure.
//!
//! Fields that start with `_` are set by journald from what the kernel says of the sender; all
//! others are the sender's own words (systemd.journal-fields(7)).

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use watchward_protocol::access::Trust;
use watchward_protocol::time::Timestamp;

/// The fields that are asked for. The cursor, the times and the boot always come.
pub(super) const FIELDS: &str = "--output-fields=MESSAGE,_UID,_EXE,_PID,_SOURCE_REALTIME_TIMESTAMP";

/// Which entries are asked for: of sshd's programs, whoever runs them (its sessions run as the user
/// who logged in), and of others that call themselves so.
pub(super) const MATCHES: [&str; 7] = [
    "_COMM=sshd",
    "_COMM=sshd-session",
    "_COMM=sshd-auth",
    "+",
    "SYSLOG_IDENTIFIER=sshd",
    "SYSLOG_IDENTIFIER=sshd-session",
    "SYSLOG_IDENTIFIER=sshd-auth",
];

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) cursor: String,
    /// When journald took it.
    pub(super) taken: Timestamp,
    /// When it was sent.
    pub(super) at: Timestamp,
    pub(super) boot: u128,
    pub(super) pid: Option<u32>,
    pub(super) trust: Trust,
    /// Whether root sent it, by whatever program.
    pub(super) by_root: bool,
    /// Nothing, if it is larger than journalctl shows (4 KiB).
    pub(super) message: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    taken: &'a str,
    #[serde(rename = "_SOURCE_REALTIME_TIMESTAMP")]
    sent: Option<&'a str>,
    #[serde(rename = "_BOOT_ID")]
    boot: Option<&'a str>,
    #[serde(rename = "_PID")]
    pid: Option<&'a str>,
    #[serde(rename = "_UID")]
    uid: Option<&'a str>,
    #[serde(rename = "_EXE", borrow)]
    program: Option<Program<'a>>,
    #[serde(rename = "MESSAGE")]
    message: Option<Message>,
}

/// A path; one that is not UTF-8 comes as numbers, and is none of sshd's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Program<'a> {
    Path(#[serde(borrow)] Cow<'a, str>),
    Other(IgnoredAny),
}

/// Text, bytes that are not UTF-8, or several if the field is there more than once.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
    Many(Vec<Message>),
}

impl Message {
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::Many(many) => many
                .into_iter()
                .next()
                .map(Self::into_bytes)
                .unwrap_or_default(),
        }
    }
}

/// Reads one line.
pub(super) fn read(line: &[u8]) -> Result<Entry, serde_json::Error> {
    let raw: Raw<'_> = serde_json::from_slice(line)?;
    let micros = |text: &str| text.parse().ok().map(Timestamp::from_micros);
    let taken = micros(raw.taken).unwrap_or_default();
    let boot = raw
        .boot
        .and_then(|boot| u128::from_str_radix(boot, 16).ok());
    let program = match &raw.program {
        Some(Program::Path(path)) => Some(path.as_ref()),
        Some(Program::Other(_)) | None => None,
    };
    let trust = trust(program, raw.uid);
    Ok(Entry {
        cursor: raw.cursor,
        taken,
        at: raw.sent.and_then(micros).unwrap_or(taken),
        boot: boot.unwrap_or(0),
        pid: raw.pid.and_then(|pid| pid.parse().ok()),
        trust,
        by_root: raw.uid == Some("0"),
        message: raw.message.map(Message::into_bytes),
    })
}

/// Only programs that root installed are believed to be sshd.
fn trust(program: Option<&str>, uid: Option<&str>) -> Trust {
    // What runs on after an upgrade has lost its file: proc(5).
    let program = program.map(|program| program.strip_suffix(" (deleted)").unwrap_or(program));
    let program = program.map(Path::new).filter(|program| {
        let names = ["sshd", "sshd-session", "sshd-auth"].map(Path::new);
        let installed = program.starts_with("/usr") || program.starts_with("/opt");
        installed && names.iter().any(|name| program.ends_with(name))
    });
    match (program, uid) {
        (Some(_), Some("0")) => Trust::Server,
        (Some(_), _) => Trust::Session,
        (None, _) => Trust::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &str) -> Entry {
        let line = format!(
            r#"{{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795230245000001","_BOOT_ID":"000000000000000000000000000000ff",{fields}}}"#
        );
        read(line.as_bytes()).unwrap()
    }

    #[test]
    fn reads_what_sshd_wrote() {
        let entry = entry(
            r#""_PID":"77","_UID":"0","_EXE":"/usr/sbin/sshd","MESSAGE":"Connection closed by 192.0.2.7 port 4711","_SOURCE_REALTIME_TIMESTAMP":"1795230245000000""#,
        );
        assert_eq!(entry.at, Timestamp::from_micros(1_795_230_245_000_000));
        assert_eq!(
            (entry.pid, entry.boot, entry.trust),
            (Some(77), 255, Trust::Server)
        );
        assert_eq!(
            entry.message.unwrap(),
            b"Connection closed by 192.0.2.7 port 4711"
        );
    }

    #[test]
    fn only_what_root_installed_is_believed() {
        for (program, uid, expected) in [
            ("/usr/sbin/sshd", "0", Trust::Server),
            ("/usr/lib/openssh/sshd-session", "0", Trust::Server),
            ("/usr/lib/openssh/sshd-auth", "0", Trust::Server),
            ("/usr/sbin/sshd (deleted)", "0", Trust::Server),
            ("/opt/openssh/sbin/sshd", "1000", Trust::Session),
            ("/usr/bin/logger", "0", Trust::Text),
            ("/home/eve/usr/sbin/sshd", "0", Trust::Text),
            ("/usrsbin/sshd", "0", Trust::Text),
            ("/usr/bin/notsshd", "0", Trust::Text),
            ("/tmp/sshd", "1000", Trust::Text),
        ] {
            let fields = format!(r#""_UID":"{uid}","_EXE":"{program}","MESSAGE":"x""#);
            assert_eq!(entry(&fields).trust, expected, "{program} of {uid}");
        }
        assert_eq!(entry(r#""MESSAGE":"x","_UID":"0""#).trust, Trust::Text);
    }

    #[test]
    fn messages_come_in_all_forms() {
        for (form, expected) in [
            (r#""a\u00e9""#, Some("a\u{e9}".as_bytes())),
            ("[97,255,98]", Some(&b"a\xffb"[..])),
            (r#"["first","second"]"#, Some(&b"first"[..])),
            ("[[97],\"b\"]", Some(&b"a"[..])),
            ("null", None),
        ] {
            let entry = entry(&format!(r#""MESSAGE":{form}"#));
            assert_eq!(entry.message.as_deref(), expected, "{form}");
        }
    }
}
