//! One entry of the journal: what a server said, and how sure it is that the server said it. Pure.
//!
//! Fields that start with `_` are set by journald from what the kernel says of the sender; all
//! others are the sender's own words (systemd.journal-fields(7)).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use watchward_protocol::access::{Service, Trust};
use watchward_protocol::time::Timestamp;

use super::export::fields;
use super::suppressed;
use crate::access::syslog;

/// The fields that are asked for. The cursor, the times and the boot always come.
pub(super) const FIELDS: &str = "--output-fields=MESSAGE,MESSAGE_ID,SYSLOG_IDENTIFIER,_UID,_EXE,\
    _PID,_SYSTEMD_UNIT,_TRANSPORT,_SOURCE_REALTIME_TIMESTAMP";

/// Which entries are asked for: of the services' programs, whoever runs them (sshd's sessions run as
/// the user who logged in), of others that call themselves so, and what journald says of messages
/// it left out. OpenVPN's units give it many names, and one program.
pub(super) fn matches(services: &[Service]) -> Vec<String> {
    let programs: Vec<&str> = services
        .iter()
        .flat_map(|service| match service {
            Service::Sshd => &["sshd", "sshd-session", "sshd-auth"][..],
            Service::Sudo => &["sudo"],
            Service::Su => &["su"],
            Service::OpenVpn => &["openvpn"],
            // It writes no lines: the room `peers` sees it.
            Service::WireGuard => &[],
        })
        .copied()
        .collect();
    let mut all = Vec::new();
    for field in ["_COMM", "SYSLOG_IDENTIFIER"] {
        all.extend(programs.iter().map(|name| format!("{field}={name}")));
        all.extend((!programs.is_empty()).then(|| "+".to_owned()));
    }
    all.extend(["_TRANSPORT=driver".to_owned(), suppressed::MATCH.to_owned()]);
    all
}

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
    pub(super) service: Service,
    pub(super) trust: Trust,
    /// Whether root sent it, by whatever program.
    pub(super) by_root: bool,
    /// Whether journald itself says that it left messages out.
    pub(super) suppressed: bool,
    /// Nothing, if it was too long to be kept.
    pub(super) message: Option<Vec<u8>>,
}

/// Reads the fields of an entry. None: it has no cursor.
pub(super) fn read(entry: &[u8]) -> Option<Entry> {
    let mut read = Raw::default();
    for (name, value) in fields(entry) {
        let place = match name {
            b"__CURSOR" => &mut read.cursor,
            b"__REALTIME_TIMESTAMP" => &mut read.taken,
            b"_SOURCE_REALTIME_TIMESTAMP" => &mut read.sent,
            b"_BOOT_ID" => &mut read.boot,
            b"_PID" => &mut read.pid,
            b"_UID" => &mut read.uid,
            b"_EXE" => &mut read.program,
            b"_SYSTEMD_UNIT" => &mut read.unit,
            b"SYSLOG_IDENTIFIER" => &mut read.name,
            b"_TRANSPORT" => &mut read.transport,
            b"MESSAGE" => &mut read.message,
            b"MESSAGE_ID" => &mut read.meaning,
            _ => continue,
        };
        // A field that is there again does not take the place of the first.
        place.get_or_insert(value);
    }
    read.entry()
}

/// The fields as they are.
#[derive(Default)]
struct Raw<'a> {
    cursor: Option<&'a [u8]>,
    taken: Option<&'a [u8]>,
    sent: Option<&'a [u8]>,
    boot: Option<&'a [u8]>,
    pid: Option<&'a [u8]>,
    uid: Option<&'a [u8]>,
    program: Option<&'a [u8]>,
    unit: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    transport: Option<&'a [u8]>,
    message: Option<&'a [u8]>,
    meaning: Option<&'a [u8]>,
}

impl Raw<'_> {
    fn entry(self) -> Option<Entry> {
        let text = |field: Option<&[u8]>| String::from_utf8(field?.to_vec()).ok();
        let number = |field: Option<&[u8]>| text(field)?.parse::<i64>().ok();
        let taken = number(self.taken)
            .map(Timestamp::from_micros)
            .unwrap_or_default();
        let boot = text(self.boot).and_then(|boot| u128::from_str_radix(&boot, 16).ok());
        let own = self.transport == Some(b"driver");
        let (service, trust) = self.author();
        Some(Entry {
            cursor: text(self.cursor)?,
            taken,
            at: number(self.sent).map_or(taken, Timestamp::from_micros),
            boot: boot.unwrap_or(0),
            pid: number(self.pid).and_then(|pid| u32::try_from(pid).ok()),
            service,
            trust,
            by_root: self.uid == Some(b"0"),
            suppressed: own
                && suppressed::MATCH.as_bytes().strip_prefix(b"MESSAGE_ID=") == self.meaning,
            message: self.message.map(<[u8]>::to_vec),
        })
    }
}

impl Raw<'_> {
    /// Which server it is of, and how sure that is.
    fn author(&self) -> (Service, Trust) {
        let program = self.program.and_then(installed);
        let named = || self.name.and_then(syslog::service);
        let service = program.or_else(named).unwrap_or(Service::Sshd);
        // What sshd writes to its standard error (`sshd -e`) has line ends that a stranger chose.
        // OpenVPN, which its unit has write there, lets none through.
        let loose = self.transport == Some(b"stdout") && service != Service::OpenVpn;
        if program.is_none() || loose {
            return (service, Trust::Text);
        }
        // A server of OpenVPN gives up root. A user can run the same program, but not in its unit.
        let unit = self.unit.unwrap_or_default();
        let at_home = service == Service::OpenVpn && unit.starts_with(b"openvpn");
        if self.uid == Some(b"0") || at_home {
            (service, Trust::Server)
        } else {
            (service, Trust::Session)
        }
    }
}

/// The service that a program is. Only programs that root installed are believed.
fn installed(program: &[u8]) -> Option<Service> {
    // What runs on after an upgrade has lost its file: proc(5).
    let path = program.strip_suffix(b" (deleted)").unwrap_or(program);
    let path = Path::new(OsStr::from_bytes(path));
    let by_root = path.starts_with("/usr") || path.starts_with("/opt");
    match path.file_name().filter(|_| by_root)?.as_bytes() {
        b"sshd" | b"sshd-session" | b"sshd-auth" => Some(Service::Sshd),
        b"sudo" => Some(Service::Sudo),
        b"su" => Some(Service::Su),
        b"openvpn" => Some(Service::OpenVpn),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &str) -> Entry {
        let start = "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795230245000001\n_BOOT_ID=ff\n";
        read(format!("{start}{fields}").as_bytes()).unwrap()
    }

    #[test]
    fn reads_what_sshd_wrote() {
        let entry = entry(
            "_PID=77\n_UID=0\n_EXE=/usr/sbin/sshd\nMESSAGE=Connection closed by 192.0.2.7 port 4711\n\
             _SOURCE_REALTIME_TIMESTAMP=1795230245000000\n",
        );
        assert_eq!(entry.cursor, "s=1;i=2");
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
            let fields = format!("_UID={uid}\n_EXE={program}\nMESSAGE=x\n");
            assert_eq!(entry(&fields).trust, expected, "{program} of {uid}");
        }
        assert_eq!(entry("MESSAGE=x\n_UID=0\n").trust, Trust::Text);
        let loose = "_UID=0\n_EXE=/usr/sbin/sshd\n_TRANSPORT=stdout\nMESSAGE=x\n";
        assert_eq!(entry(loose).trust, Trust::Text);
    }

    #[test]
    fn who_wrote_it_is_what_ran_and_only_then_what_it_calls_itself() {
        for (fields, expected) in [
            (
                "_UID=1000\n_EXE=/usr/bin/sudo\nSYSLOG_IDENTIFIER=sshd",
                (Service::Sudo, Trust::Session),
            ),
            ("_UID=0\n_EXE=/usr/bin/sudo", (Service::Sudo, Trust::Server)),
            (
                "_UID=1000\n_EXE=/usr/bin/logger\nSYSLOG_IDENTIFIER=sudo",
                (Service::Sudo, Trust::Text),
            ),
            ("_UID=1000\n_EXE=/bin/su", (Service::Sshd, Trust::Text)),
            ("_UID=1000\n_EXE=/usr/bin/su", (Service::Su, Trust::Session)),
            (
                "_UID=65534\n_EXE=/usr/sbin/openvpn",
                (Service::OpenVpn, Trust::Session),
            ),
            (
                "_UID=65534\n_EXE=/usr/sbin/openvpn\n_SYSTEMD_UNIT=openvpn@home.service",
                (Service::OpenVpn, Trust::Server),
            ),
            (
                "_UID=0\n_EXE=/usr/sbin/openvpn\n_TRANSPORT=stdout",
                (Service::OpenVpn, Trust::Server),
            ),
            (
                "_UID=1000\nSYSLOG_IDENTIFIER=ovpn-home",
                (Service::OpenVpn, Trust::Text),
            ),
        ] {
            let entry = entry(&format!("{fields}\nMESSAGE=x\n"));
            assert_eq!((entry.service, entry.trust), expected, "{fields}");
        }
    }

    #[test]
    fn a_field_that_comes_again_is_not_believed() {
        let entry = entry("_UID=1000\nMESSAGE=first\nMESSAGE=second\n_UID=0\n");
        assert!(!entry.by_root);
        assert_eq!(entry.message.unwrap(), b"first");
    }
}
