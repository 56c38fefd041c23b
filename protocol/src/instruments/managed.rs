//! A line that opens an account of a host, beside what the account's own files say.

use ipnet::IpNet;

use crate::time::Timestamp;

/// A line that opens an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Managed {
    /// The account's name: `[a-z_][a-z0-9_.-]*`, at most [`LONGEST_NAME`](Self::LONGEST_NAME) bytes.
    pub account: String,
    /// What opens it.
    pub opens: Opens,
    /// From where alone; none: from everywhere. At most [`MOST_NETS`](Self::MOST_NETS).
    pub from: Vec<IpNet>,
    /// Until when: in whole seconds, and not after the year 9999.
    pub until: Option<Timestamp>,
    /// Whether connections may be forwarded, and scripts of the account's own be run when it is
    /// opened; else there is a terminal and a command, and nothing besides.
    pub forwarding: bool,
}

/// What opens an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opens {
    /// A public key as on the wire, and no certificate.
    Key(Vec<u8>),
    /// Certificates that an authority signed for one of these principals.
    Authority {
        /// The authority's public key, as on the wire.
        key: Vec<u8>,
        /// From 1 to [`MOST_PRINCIPALS`](Managed::MOST_PRINCIPALS), each of `[A-Za-z0-9._:@-]`, and of
        /// at most [`LONGEST_PRINCIPAL`](Managed::LONGEST_PRINCIPAL) bytes.
        principals: Vec<String>,
    },
}

impl Managed {
    /// The longest name of an account, in bytes: as `useradd` makes them.
    pub const LONGEST_NAME: usize = 32;
    /// From how many networks a line may open.
    pub const MOST_NETS: usize = 64;
    /// For how many principals an authority's certificates may open an account.
    pub const MOST_PRINCIPALS: usize = 64;
    /// The longest principal, in bytes.
    pub const LONGEST_PRINCIPAL: usize = 64;
    /// The end of the year 9999, in microseconds since 1970: `expiry-time` has four digits.
    const END: i64 = 253_402_300_799_000_000;
    /// The kinds of keys that open something, as OpenSSH names them. Of DSA it knows nothing any more.
    const KINDS: [&str; 7] = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];

    /// How many bytes it counts for.
    pub fn size(&self) -> usize {
        let principals: usize = match &self.opens {
            Opens::Key(_) => 0,
            Opens::Authority { principals, .. } => principals.iter().map(String::len).sum(),
        };
        self.account.len() + self.opens.key().len() + principals + 17 * self.from.len() + 9
    }

    /// Whether a host can hold it.
    pub fn sound(&self) -> bool {
        let whole = |it: Timestamp| {
            let micros = it.as_micros();
            micros % 1_000_000 == 0 && (0..=Self::END).contains(&micros)
        };
        let nets =
            self.from.len() <= Self::MOST_NETS && self.from.iter().all(|net| net.trunc() == *net);
        is_account(&self.account) && self.opens.sound() && nets && self.until.is_none_or(whole)
    }
}

impl Opens {
    /// The key in the line: what opens, or what signs what opens.
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Key(key) | Self::Authority { key, .. } => key,
        }
    }

    fn sound(&self) -> bool {
        let named = match self {
            Self::Key(_) => true,
            Self::Authority { principals, .. } => {
                (1..=Managed::MOST_PRINCIPALS).contains(&principals.len())
                    && principals.iter().all(|it| is_principal(it))
            }
        };
        named && is_key(self.key())
    }
}

/// Whether an account may be called so.
fn is_account(name: &str) -> bool {
    let (first, rest) = name.split_at_checked(1).unwrap_or_default();
    let plain = |it: u8| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    first.bytes().any(|it| matches!(it, b'a'..=b'z' | b'_'))
        && rest.bytes().all(plain)
        && name.len() <= Managed::LONGEST_NAME
}

fn is_principal(name: &str) -> bool {
    let plain =
        |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b':' | b'@' | b'-');
    (1..=Managed::LONGEST_PRINCIPAL).contains(&name.len()) && name.bytes().all(plain)
}

/// Whether it begins as a key does, and not as a certificate.
fn is_key(blob: &[u8]) -> bool {
    let kind = || {
        let (length, rest) = blob.split_first_chunk()?;
        let (kind, rest) = rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
        (!rest.is_empty()).then_some(kind)
    };
    blob.len() <= crate::proof::LONGEST_KEY
        && kind().is_some_and(|it| Managed::KINDS.iter().any(|known| known.as_bytes() == it))
}
