//! Peers of WireGuard on a host: who may come into its network, and who of them does.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use crate::time::Timestamp;

/// The public key of a peer, as `wg show` writes it: 44 characters of Base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey([u8; 32]);

impl PeerKey {
    /// What the type of such a key is called beside those of SSH.
    pub const KIND: &str = "wireguard";

    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no public key of WireGuard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no public key of WireGuard, as `wg show` has them: 44 characters of Base64")]
pub struct NoKey;

impl FromStr for PeerKey {
    type Err = NoKey;

    /// No key has two spellings: what is left over of the last character has to be nothing.
    fn from_str(text: &str) -> Result<Self, NoKey> {
        let bytes = STANDARD.decode(text).map_err(|_| NoKey)?;
        bytes.try_into().map(Self).map_err(|_| NoKey)
    }
}

/// What stands on a host: all of it. Said after each change, and now and then, because what came
/// through is said with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// When the agent looked, by the host's clock.
    pub at: Timestamp,
    /// Each of them; at most [`MOST`](Self::MOST).
    pub peers: Vec<Peer>,
    /// How many more there are.
    pub omitted: u32,
    /// With which generation of [`Instruments`](crate::instruments::Instruments) this was looked at:
    /// what that revokes was taken away, but for those that say why not.
    pub generation: Option<u64>,
    /// What was taken away since this was said last; at most [`MOST`](Self::MOST).
    pub taken: Vec<Taken>,
    /// Why it is not known what stands, in one sentence for a person.
    pub trouble: Option<String>,
}

impl Peers {
    /// How many are told.
    pub const MOST: usize = 1_000;
}

/// A peer that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// On which interface.
    pub interface: String,
    /// Which.
    pub key: PeerKey,
    /// Which addresses it may have inside; at most [`MOST_ALLOWED`](Self::MOST_ALLOWED) are told.
    pub allowed: Vec<IpNet>,
    /// From where it was heard last, or where it is called.
    pub endpoint: Option<SocketAddr>,
    /// When it last proved who it is, by the host's clock; none: never since the interface is there.
    /// One that sends anything does so every two minutes.
    pub proved_at: Option<Timestamp>,
    /// How many bytes came from it.
    pub received: u64,
    /// How many bytes were sent to it.
    pub sent: u64,
    /// Why it was not taken away although it is revoked, in one sentence.
    pub kept: Option<String>,
}

impl Peer {
    /// How many networks of one are told.
    pub const MOST_ALLOWED: usize = 16;
    /// The longest name of an interface, in bytes (`IFNAMSIZ` of Linux).
    pub const LONGEST_INTERFACE: usize = 15;
}

/// A peer that was taken away because it is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// From which interface.
    pub interface: String,
    /// Which.
    pub key: PeerKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_spelling() {
        let text = "hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCwUVg=";
        let key: PeerKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        for other in [
            "",
            "hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCwUVg",
            "hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCwUVh=",
            " hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCwUVg=",
            "hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCwUVg=\n",
            "$(reboot)OFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCw=",
            "SHA256:hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIK",
            "hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCwUVghs6k=",
        ] {
            assert_eq!(other.parse::<PeerKey>(), Err(NoKey), "{other}");
        }
    }
}
