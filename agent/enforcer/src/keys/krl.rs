//! What a file of revocations says of itself, in its first bytes (OpenSSH's PROTOCOL.krl). Pure.

/// How each begins: what it is, and the version of its form.
const MAGIC: &[u8; 12] = b"SSHKRL\n\0\0\0\0\x01";

/// What a file says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) generation: u64,
    pub(super) revoked: u32,
}

impl Header {
    /// What a file says; none: it is no such file of ours.
    pub(super) fn read(file: &[u8]) -> Option<Self> {
        let rest = file.strip_prefix(MAGIC)?;
        let (generation, rest) = rest.split_first_chunk()?;
        // When it was made, and its flags.
        let (_, rest) = rest.split_first_chunk::<16>()?;
        let (_reserved, rest) = text(rest)?;
        let (comment, _) = text(rest)?;
        let revoked = match comment {
            [] => 0,
            comment => std::str::from_utf8(comment).ok()?.parse().ok()?,
        };
        Some(Self {
            generation: u64::from_be_bytes(*generation),
            revoked,
        })
    }
}

/// A file that revokes nothing.
pub(super) fn empty() -> Vec<u8> {
    [&MAGIC[..], &[0; 32]].concat()
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
