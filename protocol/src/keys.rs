//! What opens each account on a host, and the keys that the host itself is known by.

use serde::{Deserialize, Serialize};

use crate::text::Foreign;
use crate::time::Timestamp;

/// Everything that one holder has. It takes the place of what was told of this holder before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// When the agent looked, by the host's clock.
    pub at: Timestamp,
    /// Whose they are.
    pub holder: Holder,
    /// Each of them.
    pub openings: Vec<Opening>,
    /// How many more there are that were left out because there are too many.
    pub omitted: u32,
    /// What could not be read, or is passed over.
    pub troubles: Vec<Trouble>,
}

impl Keys {
    /// How many openings of a holder are told.
    pub const MOST_OPENINGS: usize = 2_000;
    /// How many accounts of a host.
    pub const MOST_ACCOUNTS: usize = 10_000;
    /// How many troubles.
    pub const MOST_TROUBLES: usize = 64;
}

/// Something that is wrong with what a holder has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What follows from it.
    pub effect: Effect,
    /// The file that it is about; none: everything that the holder has.
    pub file: Option<String>,
    /// One sentence for a person.
    pub text: String,
}

impl Trouble {
    /// Whether there may be more than was told.
    pub fn hides(&self) -> bool {
        self.effect != Effect::PassedOver
    }

    /// Whether what stands in this file may not have been told.
    pub fn hides_in(&self, file: &str) -> bool {
        self.hides() && self.file.as_deref().is_none_or(|own| own == file)
    }
}

/// What follows from a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It was not read or not found out: there may be more than was told.
    Unread,
    /// sshd itself passes it over: it opens nothing.
    PassedOver,
    /// There is more than is looked at, as its owner has made it: there may be more than was told.
    Beyond,
    /// A word of a newer program: there may be more than was told.
    #[serde(other)]
    Unknown,
}

/// Whose keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An account, by its name: what opens it.
    Account(Foreign),
    /// The host itself: what it is known by. These are all its accounts; others are gone.
    Host(Vec<Foreign>),
}

/// One thing that opens an account, or that a host is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// What it is.
    pub means: Means,
    /// The public key, where it is one.
    pub key: Option<PublicKey>,
    /// The file that it stands in, or the program that names it.
    pub file: String,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// What stands after the key: by custom, whose it is.
    pub comment: Foreign,
    /// The options before the key, as they are written.
    pub options: Foreign,
    /// The names that it is limited to: principals of a certificate.
    pub principals: Vec<Foreign>,
    /// From when it is valid, where it says so.
    pub not_before: Option<Timestamp>,
    /// Until when it is valid, where it says so.
    pub not_after: Option<Timestamp>,
    /// For which connections alone it counts, where sshd's configuration tells them apart: `from
    /// 10.0.0.0/8`.
    pub condition: Option<String>,
}

impl Opening {
    /// Where the lines of [`Managed`](crate::instruments::Managed) stand on a host. Only its root
    /// writes there.
    pub const MANAGED: &str = "/etc/ssh/watchward/now/keys/";

    /// Whether it stands where only what the collector ordered should stand.
    pub fn is_managed(&self) -> bool {
        self.file.starts_with(Self::MANAGED)
    }

    /// The longest text of one that is told, in bytes.
    pub const LONGEST_TEXT: usize = 1024;
    /// How many principals.
    pub const MOST_PRINCIPALS: usize = 64;
}

/// What something is that opens an account, or that a host is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// A line of a file that `AuthorizedKeysFile` names.
    AuthorizedKey,
    /// An authority whose certificates are taken: a line with `cert-authority`, or `TrustedUserCAKeys`.
    Authority,
    /// Names that a certificate may bear for this account: `AuthorizedPrincipalsFile`.
    Principals,
    /// A program that is asked which keys open it, which nobody can know beforehand.
    Command,
    /// A key that sshd shows to clients.
    HostKey,
    /// A certificate that sshd shows to clients.
    HostCertificate,
    /// The certificate by which this agent speaks to the collector.
    AgentCertificate,
    /// A program that is asked for the names that a certificate may bear; no key opens by it alone.
    PrincipalsCommand,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its type as it is written: `ssh-ed25519`, `ssh-rsa`, `sk-ssh-ed25519@openssh.com`, ...
    pub kind: String,
    /// Its size in bits, as `ssh-keygen -l` says; 0 where that cannot be told.
    pub bits: u32,
    /// `SHA256:` and 43 characters of Base64, as sshd logs it. Of a certificate: that of its key.
    pub fingerprint: String,
    /// The key as it is on the wire (RFC 4253, 6.6), in the spelling that the fingerprint is of; empty
    /// where there was no room for it, and of certificates.
    pub wire: Vec<u8>,
}

impl PublicKey {
    /// The longest that is told as it is on the wire, in bytes.
    pub const LONGEST_WIRE: usize = 4096;
}
