//! A line of an `AuthorizedPrincipalsFile`: a name that certificates may bear, and its options.

use jiff::tz::TimeZone;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::{options, skip};

/// A name that a certificate may bear for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name.
    pub name: Foreign,
    /// Until when.
    pub not_after: Option<Timestamp>,
    /// The options as they are written.
    pub options: Foreign,
}

/// Reads a line as `auth_check_principals_line` of OpenSSH does; nothing, where there is none on it.
///
/// # Errors
/// sshd ignores the line: why, in words that follow "sshd ignores it:".
pub fn principal(line: &[u8], zone: &TimeZone) -> Result<Option<Principal>, &'static str> {
    // Also in quotes: a comment begins anywhere.
    let text = line.split(|byte| b"\0#".contains(byte)).next();
    let text = skip(text.unwrap_or_default());
    let ends = |byte: &u8| b" \t\n".contains(byte);
    let length = text
        .iter()
        .rposition(|byte| !ends(byte))
        .map_or(0, |at| at + 1);
    let text = text.get(..length).unwrap_or_default();
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let blank = text.iter().rposition(|byte| *byte == b' ');
    let blank = blank.or_else(|| text.iter().rposition(|byte| *byte == b'\t'));
    let (written, name) = match blank {
        Some(at) => (text.get(..at), skip(text.get(at..).unwrap_or_default())),
        None => (None, text),
    };
    // Options end at a blank of their own: with none on the line, there are no options.
    let found = options::read(written.map_or(&[][..], |_| text), zone)?;
    if found.authority {
        return Err("cert-authority has no place here");
    }
    if found.principals.is_some() {
        return Err("principals= has no place here");
    }
    Ok(Some(Principal {
        name: name.into(),
        not_after: found.not_after,
        options: written.unwrap_or_default().trim_ascii_end().into(),
    }))
}
