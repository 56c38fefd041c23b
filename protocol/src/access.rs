//! What an agent saw of somebody getting in, or trying to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::text::Foreign;
use crate::time::Timestamp;

/// The form of a line that no grammar matched.
pub const UNRECOGNISED: &str = "unrecognised";

/// One line of an access log, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessEvent {
    /// When the server wrote the line, by the host's clock.
    pub at: Timestamp,
    /// The server that wrote it.
    pub service: Service,
    /// What happened.
    pub action: Action,
    /// Whether somebody got in.
    pub outcome: Outcome,
    /// Whether this is a try of its own, and not a further line about one already told.
    pub attempt: bool,
    /// The name of the grammar that matched, such as `failed`; [`UNRECOGNISED`] when none did.
    pub form: String,
    /// Who it says it was.
    pub user: Option<User>,
    /// The account that was asked for, by `sudo` and `su`; root where nothing else was said.
    pub target: Option<Foreign>,
    /// Where it came from. `sudo` and `su` have none: whoever asks is on the host already.
    pub peer: Option<Peer>,
    /// The addresses that a VPN gave inside of it.
    pub tunnel: Tunnel,
    /// How: `password`, `publickey`, `keyboard-interactive/pam`, ...
    pub method: Option<String>,
    /// The public key that was used.
    pub key: Option<Key>,
    /// The certificate that was used.
    pub certificate: Option<Certificate>,
    /// What `sudo` ran, or was asked to run.
    pub command: Option<Foreign>,
    /// Process that wrote the line.
    pub pid: Option<u32>,
    /// How sure it is that the server itself wrote the line.
    pub trust: Trust,
    /// The message as it stood in the log, without its header.
    pub line: Foreign,
}

/// A server that lets people in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// OpenSSH's sshd, with its helpers `sshd-session` and `sshd-auth`.
    Sshd,
    /// `sudo`, with what PAM says in its name.
    Sudo,
    /// `su`, of util-linux or of shadow, with what PAM says in its name.
    Su,
    /// A server of OpenVPN.
    OpenVpn,
    /// WireGuard, of which the agent tells what it sees: it writes no lines itself.
    WireGuard,
}

impl Service {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Sshd,
        Self::Sudo,
        Self::Su,
        Self::OpenVpn,
        Self::WireGuard,
    ];

    /// What it is called in configuration, JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Sudo => "sudo",
            Self::Su => "su",
            Self::OpenVpn => "openvpn",
            Self::WireGuard => "wireguard",
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Somebody proved, or failed to prove, who they are.
    Authentication,
    /// The server refused before or beside authentication: a locked account, a deny list, a penalty.
    Refusal,
    /// A connection came, or ended before authentication.
    Connection,
    /// A session began.
    SessionOpened,
    /// A session ended.
    SessionClosed,
    /// Something else the server says about access: a key revoked, a file unreadable, throttling.
    Notice,
}

/// Whether somebody got in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// They did.
    Success,
    /// They did not.
    Failure,
    /// The line does not say.
    Unknown,
}

/// A user name as the server wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name; chosen by the stranger, and perhaps a password typed in the wrong field.
    pub name: Foreign,
    /// Whether the server said that it has such an account. `false`: it said it has not.
    pub known: bool,
}

/// Where a connection came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The address; an IPv4 address is never written as an IPv6 one.
    pub address: IpAddr,
    /// The TCP port, where the line has it.
    pub port: Option<u16>,
}

/// The addresses that a VPN gave inside of it: none, one of either kind, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// The IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

/// A public key as sshd names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Such as `ED25519` or `RSA-CERT`.
    pub kind: String,
    /// Such as `SHA256:...`.
    pub fingerprint: String,
}

/// A certificate as a server names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The key id that its authority gave it (sshd), or its common name (OpenVPN).
    pub id: Foreign,
    /// Its serial number, where the line has it and it fits.
    pub serial: Option<u64>,
    /// Fingerprint of the authority that signed it, where the line has it.
    pub authority: Option<String>,
}

/// How sure it is that the server itself wrote a line. Only the highest may lead to enforcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// A text file: any local user can write such a line with `logger`.
    Text,
    /// The journal says that the server's program wrote it, running as an ordinary user.
    Session,
    /// The journal says that the server's program wrote it, running as root.
    Server,
}
