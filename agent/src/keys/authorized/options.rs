//! The options before a key: taken or refused as sshd does (`sshauthopt_parse`, OpenSSH 7.7 and later).

use jiff::tz::TimeZone;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::expiry;

/// What the options before a key, or before a principal, say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Not the key opens, but certificates that it signed.
    pub(super) authority: bool,
    /// The names of which a certificate must bear one.
    pub(super) principals: Option<Vec<Foreign>>,
    /// Until when the line counts.
    pub(super) not_after: Option<Timestamp>,
    /// From where the line counts.
    pub(super) from: Option<Vec<u8>>,
    command: bool,
}

/// Why sshd refuses a line with such options.
type Refused = &'static str;

/// Options that are only there, and whether `no-` may stand before them.
const FLAGS: [(&[u8], bool); 9] = [
    (b"restrict", false),
    (b"cert-authority", false),
    (b"port-forwarding", true),
    (b"agent-forwarding", true),
    (b"x11-forwarding", true),
    (b"touch-required", true),
    (b"verify-required", true),
    (b"pty", true),
    (b"user-rc", true),
];

const VALUES: [&[u8]; 8] = [
    b"command",
    b"principals",
    b"from",
    b"expiry-time",
    b"environment",
    b"permitopen",
    b"permitlisten",
    b"tunnel",
];

/// Where the options end: at the first blank outside quotes. None: a quote stays open.
pub(super) fn end(line: &[u8]) -> Option<usize> {
    let (mut at, mut quoted) = (0, false);
    while let Some(byte) = line.get(at) {
        match byte {
            b' ' | b'\t' if !quoted => return Some(at),
            b'\\' if line.get(at + 1) == Some(&b'"') => at += 1,
            b'"' => quoted = !quoted,
            _ => {}
        }
        at += 1;
    }
    (!quoted).then_some(line.len())
}

/// Reads options; what stands after a blank outside quotes is none of them.
pub(super) fn read(mut text: &[u8], zone: &TimeZone) -> Result<Options, Refused> {
    let mut options = Options::default();
    while !ends(text) {
        if let Some((name, rest)) = flag(text) {
            options.authority |= name == b"cert-authority";
            text = rest;
        } else if let Some((name, rest)) = value(text) {
            let (value, rest) = dequote(rest)?;
            options.take(name, &value, zone)?;
            text = rest;
        }
        if ends(text) {
            break;
        }
        text = text.strip_prefix(b",").ok_or("an option is unknown")?;
        if text.is_empty() {
            return Err("the options end with a comma");
        }
    }
    Ok(options)
}

fn ends(text: &[u8]) -> bool {
    matches!(text.first(), None | Some(b' ' | b'\t'))
}

fn flag(text: &[u8]) -> Option<(&'static [u8], &[u8])> {
    FLAGS.iter().find_map(|(name, may_be_denied)| {
        let denied = after(text, b"no-").filter(|_| *may_be_denied);
        let rest = after(denied.unwrap_or(text), name)?;
        Some((*name, rest))
    })
}

fn value(text: &[u8]) -> Option<(&'static [u8], &[u8])> {
    VALUES.iter().find_map(|name| {
        let rest = after(text, name)?.strip_prefix(b"=")?;
        Some((*name, rest))
    })
}

/// What follows a name, in any case.
fn after<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(rest)
}

/// What stands in quotes, where `\"` is a quote, and what follows them.
fn dequote(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Refused> {
    let mut rest = text
        .strip_prefix(b"\"")
        .ok_or("an option's value is not in quotes")?;
    let mut value = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return Ok((value, after)),
            [b'\\', b'"', after @ ..] => {
                value.push(b'"');
                rest = after;
            }
            [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return Err("a quote stays open"),
        }
    }
}

impl Options {
    fn take(&mut self, name: &[u8], value: &[u8], zone: &TimeZone) -> Result<(), Refused> {
        match name {
            b"command" => once(&mut self.command, "command= stands there twice"),
            b"from" => {
                once(&mut self.from.is_some(), "from= stands there twice")?;
                self.from = Some(value.to_vec());
                Ok(())
            }
            b"principals" => {
                once(
                    &mut self.principals.is_some(),
                    "principals= stands there twice",
                )?;
                let names = value.split(|byte| *byte == b',');
                self.principals = Some(names.map(Foreign::from).collect());
                Ok(())
            }
            b"expiry-time" => {
                let end = expiry::read(value, zone).ok_or("expiry-time= names no time")?;
                self.not_after = Some(self.not_after.map_or(end, |earlier| earlier.min(end)));
                Ok(())
            }
            b"environment" => environment(value),
            b"permitopen" => permit(value, false),
            b"permitlisten" => permit(value, true),
            _ => tunnel(value),
        }
    }
}

fn once(seen: &mut bool, twice: Refused) -> Result<(), Refused> {
    if std::mem::replace(seen, true) {
        return Err(twice);
    }
    Ok(())
}

fn environment(value: &[u8]) -> Result<(), Refused> {
    let name = value.split(|byte| *byte == b'=').next().unwrap_or_default();
    let plain = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if name.len() == value.len() || name.is_empty() || !plain {
        return Err("environment= sets no variable");
    }
    Ok(())
}

/// The longest host's name (`NI_MAXHOST`).
const LONGEST_HOST: usize = 1025;

fn permit(value: &[u8], port_alone: bool) -> Result<(), Refused> {
    const WRONG: Refused = "permitopen= or permitlisten= names no host and port";
    if port_alone && !value.contains(&b':') {
        return if port(value) { Ok(()) } else { Err(WRONG) };
    }
    let (host, rest) = if value.first() == Some(&b'[') {
        let end = value.iter().position(|byte| *byte == b']').ok_or(WRONG)?;
        value.split_at(end + 1)
    } else {
        let end = value.iter().position(|byte| b":/".contains(byte));
        value.split_at(end.unwrap_or(value.len()))
    };
    match rest {
        [b':' | b'/', rest @ ..] if host.len() < LONGEST_HOST && port(rest) => Ok(()),
        _ => Err(WRONG),
    }
}

/// A port, `*`, or the name of a service. Beware: any name is taken for one of a service, for which
/// sshd asks the host.
fn port(text: &[u8]) -> bool {
    match number(text) {
        Some(number) => (1..=65535).contains(&number),
        None => text == b"*" || text.first().is_some_and(u8::is_ascii_alphabetic),
    }
}

fn tunnel(value: &[u8]) -> Result<(), Refused> {
    let device = number(value).is_some_and(|number| number < 0x7fff_fffe);
    if device || value.eq_ignore_ascii_case(b"any") {
        return Ok(());
    }
    Err("tunnel= names no device")
}

/// A number as C's `strtoll` reads it, but for signs of a negative one.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()?
        .parse()
        .ok()
        .filter(|_| plain)
}
