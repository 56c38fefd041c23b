//! A line of an `authorized_keys` file, read as sshd reads it: bytes in, what it opens out.

mod blob;
mod expiry;
mod fields;
mod options;
mod principal;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use watchward_protocol::keys::PublicKey;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use blob::{Blob, Kind};
use fields::NoKey;
pub use principal::{Principal, principal};

/// What sshd makes of a line with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing: it is blank, or a comment.
    Nothing,
    /// A key that opens, or whose certificates do.
    Key(Box<Authorized>),
    /// Something that opens nothing, though it looks as if it should.
    Refused(Refusal),
}

/// Why a line opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In words that follow "sshd ignores it:".
    pub why: String,
    /// Whether sshd goes on to the next line where it reads keys of authorities.
    pub skipped: bool,
}

/// A key that opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorized {
    /// The key.
    pub key: PublicKey,
    /// Not the key opens, but the certificates that it signed.
    pub authority: bool,
    /// The names of which such a certificate must bear one; where none are said, the account's.
    pub principals: Option<Vec<Foreign>>,
    /// Until when.
    pub not_after: Option<Timestamp>,
    /// The options as they are written.
    pub options: Foreign,
    /// What stands after the key.
    pub comment: Foreign,
}

/// A certificate in a file of its own, such as `HostCertificate` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The key that it certifies.
    pub key: PublicKey,
    /// What its authority calls it.
    pub id: Foreign,
    /// The names that it is limited to.
    pub principals: Vec<Foreign>,
    /// From when it is valid.
    pub not_before: Option<Timestamp>,
    /// Until when it is valid.
    pub not_after: Option<Timestamp>,
}

/// Reads a line of an `AuthorizedKeysFile` with or without its end, as `auth_check_authkey_line` of
/// OpenSSH does. A time without `Z` is one of `zone`.
pub fn line(line: &[u8], zone: &TimeZone) -> Line {
    // A line of nothing but its end opens nothing, and nobody meant that it should.
    let Some(text) = text(line).filter(|text| !text.trim_ascii().is_empty()) else {
        return Line::Nothing;
    };
    let end = match key(text) {
        Ok(found) => return take(0, &[], found, zone),
        Err(_) => match options::end(text) {
            Some(end) => end,
            None => return refused("a quote stays open"),
        },
    };
    match key(skip(text.get(end..).unwrap_or_default())) {
        Ok(found) => take(end, text, found, zone),
        Err(error) => {
            // The words for what was meant: a line that begins with a type has no options.
            let meant = match key(text) {
                Err(first) if Kind::written(word(text).0).is_some() => first,
                _ => error,
            };
            Line::Refused(meant.into())
        }
    }
}

/// Reads a line of a file that has only keys, as `TrustedUserCAKeys` and the host's own.
pub fn bare(line: &[u8]) -> Line {
    let Some(text) = text(line) else {
        return Line::Nothing;
    };
    match key(text) {
        Ok((found, _)) if found.kind.is_certificate() => Line::Refused(Refusal {
            why: "it is a certificate, not a key".to_owned(),
            skipped: true,
        }),
        Ok((found, comment)) => Line::Key(Box::new(Authorized {
            key: found.key,
            authority: false,
            principals: None,
            not_after: None,
            options: Foreign::default(),
            comment: trimmed(comment),
        })),
        Err(error) => Line::Refused(error.into()),
    }
}

/// Reads a line with a certificate; nothing, if it holds none.
pub fn certificate(line: &[u8]) -> Option<Certified> {
    let (found, _) = key(text(line)?).ok()?;
    let certificate = found.certificate?;
    Some(Certified {
        key: found.key,
        id: certificate.id,
        principals: certificate.principals,
        not_before: certificate.not_before,
        not_after: certificate.not_after,
    })
}

/// From where a line with these options counts; none: from everywhere.
///
/// # Errors
/// They are no options that sshd takes, or not whole.
pub fn from(options: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let read = options::read(options, &TimeZone::UTC)?;
    Ok(read.from)
}

/// The key of a line as it is on the wire; nothing, if it holds none.
pub fn wire(line: &[u8]) -> Option<Vec<u8>> {
    let text = text(line)?;
    let bare = |text| {
        key(text).ok()?;
        let (_, rest) = word(text);
        blob::decode(word(skip(rest)).0).ok()
    };
    bare(text).or_else(|| bare(skip(text.get(options::end(text)?..)?)))
}

/// What a key as it is on the wire is called, such as `SHA256:...`; a certificate, as its key is. None:
/// sshd would not take it for a key.
pub fn fingerprint(wire: &[u8]) -> Option<String> {
    blob::read(wire).ok().map(|found| found.key.fingerprint)
}

/// What is to be read of a line: to its first NUL, as C does, and not if it is a comment.
fn text(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = skip(line);
    let nothing = matches!(text.first(), None | Some(b'#'));
    (!nothing).then_some(text)
}

/// A key at the start, and what stands after it.
fn key(text: &[u8]) -> Result<(Blob, &[u8]), NoKey> {
    let (name, rest) = word(text);
    let written =
        Kind::written(name).ok_or(NoKey::Because("no type of key stands before the key"))?;
    if rest.is_empty() {
        return Err(NoKey::Because("nothing stands after the type of the key"));
    }
    let (blob, rest) = word(skip(rest));
    let found = blob::read(&blob::decode(blob)?)?;
    if found.kind != written {
        return Err(NoKey::Because(
            "the key has another type than the one before it",
        ));
    }
    Ok((found, skip(rest)))
}

/// Beware: sshd reads options to where they end by themselves, which may not be `end`.
fn take(end: usize, text: &[u8], (found, comment): (Blob, &[u8]), zone: &TimeZone) -> Line {
    if found.kind.is_certificate() {
        return refused("it is a certificate, which opens only where its authority is trusted");
    }
    let options = match options::read(text, zone) {
        Ok(options) => options,
        Err(why) => return refused(why),
    };
    if options.principals.is_some() && !options.authority {
        return refused("principals= needs cert-authority");
    }
    Line::Key(Box::new(Authorized {
        key: found.key,
        authority: options.authority,
        principals: options.principals,
        not_after: options.not_after,
        options: text.get(..end).unwrap_or_default().into(),
        comment: trimmed(comment),
    }))
}

fn refused(why: &str) -> Line {
    Line::Refused(Refusal {
        why: why.to_owned(),
        skipped: false,
    })
}

impl From<NoKey> for Refusal {
    fn from(no: NoKey) -> Self {
        Self {
            why: no.to_string(),
            skipped: matches!(no, NoKey::TooSmall(_)),
        }
    }
}

/// Up to the first blank, and what stands from there on.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| b" \t".contains(byte));
    text.split_at(end.unwrap_or(text.len()))
}

fn skip(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| b" \t".contains(byte));
    text.get(blanks.count()..).unwrap_or_default()
}

fn trimmed(comment: &[u8]) -> Foreign {
    comment.trim_ascii_end().into()
}
