//! A new Ed25519 key, which leaves this process only for the ssh-agent.

use anyhow::anyhow;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use watchward_protocol::handed;
use zeroize::Zeroizing;

/// Its type (RFC 8709).
const KIND: &str = "ssh-ed25519";

/// A key of one login.
pub(super) struct Key {
    seed: Zeroizing<[u8; 32]>,
    point: Vec<u8>,
}

impl Key {
    /// One that nobody has yet.
    pub(super) fn new() -> anyhow::Result<Self> {
        let seed = Zeroizing::new(rand::random::<[u8; 32]>());
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed);
        let pair = pair.map_err(|_| anyhow!("cannot make a key"))?;
        let point = pair.public_key().as_ref().to_vec();
        Ok(Self { seed, point })
    }

    /// Its public half, as in a file `.pub`.
    pub(super) fn line(&self) -> String {
        format!("{KIND} {}", STANDARD.encode(self.wire()))
    }

    /// Its public half's fingerprint, as ssh-keygen writes it.
    pub(super) fn fingerprint(&self) -> String {
        handed::fingerprint(&self.wire())
    }

    fn wire(&self) -> Vec<u8> {
        [string(KIND.as_bytes()), string(&self.point)].concat()
    }

    /// Both halves as an ssh-agent takes them beside a certificate: the point, and the seed with it.
    pub(super) fn halves(&self) -> Zeroizing<Vec<u8>> {
        let both = Zeroizing::new([&self.seed[..], &self.point].concat());
        Zeroizing::new([string(&self.point), string(&both)].concat())
    }
}

/// Bytes with their length before them (RFC 4251, section 5).
#[expect(
    clippy::cast_possible_truncation,
    reason = "a key, a certificate or a comment"
)]
pub(super) fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}
