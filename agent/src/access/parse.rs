//! The subcommand `parse`: shows what is understood of a log, line by line.

use std::io::{self, BufRead, Read, Write};
use std::net::IpAddr;

use watchward_protocol::access::{Action, Outcome, Peer};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::sshd::{self, Parsed};
use super::syslog::{self, Clock};

/// Of a longer line only the beginning is kept. sshd's own lines have at most 500 bytes.
const LONGEST: u64 = 8192;

/// Output is gathered up to this size before it is written.
const BATCH: usize = 64 * 1024;

/// What came of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines read.
    pub lines: u64,
    /// Lines that sshd is known to write.
    pub understood: u64,
    /// All others, also those of other programs.
    pub unparsed: u64,
}

/// Reads a log to its end and writes what is understood of each line: a JSON object with `json`, a
/// short text otherwise. Memory stays the same whatever comes. Ends quietly when nobody reads on.
///
/// # Errors
///
/// Whatever prevents reading the log or writing what came of it.
pub fn parse_command(
    mut input: impl BufRead,
    mut output: impl Write,
    json: bool,
) -> io::Result<Summary> {
    let mut summary = Summary::default();
    let (mut line, mut shown) = (Vec::new(), Vec::with_capacity(2 * BATCH));
    loop {
        line.clear();
        if input.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            input.skip_until(b'\n')?;
        }
        summary.lines += 1;
        let found = understand(&line);
        match &found {
            Some(_) => summary.understood += 1,
            None => summary.unparsed += 1,
        }
        if json {
            write_json(&mut shown, summary.lines, found.as_ref());
        } else {
            write_text(&mut shown, summary.lines, found.as_ref())?;
        }
        if shown.len() >= BATCH {
            if !pass_on(&mut output, &shown)? {
                return Ok(summary);
            }
            shown.clear();
        }
    }
    pass_on(&mut output, &shown)?;
    Ok(summary)
}

/// Whether there is still somebody who reads.
fn pass_on(output: &mut impl Write, bytes: &[u8]) -> io::Result<bool> {
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true),
    }
}

/// A line's message, and how often it is told to have come.
struct Found<'a> {
    parsed: Parsed<'a>,
    repeated: u32,
}

fn understand(line: &[u8]) -> Option<Found<'_>> {
    // The time is not shown, so any clock will do.
    let line = syslog::read(
        line,
        Clock {
            now: Timestamp::from_micros(0),
            ahead: 0,
        },
    );
    if !line.program.is_none_or(syslog::is_sshd) {
        return None;
    }
    let (repeated, message) = sshd::repeated(line.message);
    Some(Found {
        parsed: sshd::parse(message)?,
        repeated,
    })
}

fn write_json(out: &mut Vec<u8>, line: u64, found: Option<&Found<'_>>) {
    let Some(Found { parsed, repeated }) = found else {
        out.extend_from_slice(b"{\"line\":");
        decimal(out, line);
        out.extend_from_slice(b",\"unparsed\":true}\n");
        return;
    };
    out.extend_from_slice(b"{\"line\":");
    decimal(out, line);
    out.extend_from_slice(b",\"service\":\"sshd\",\"outcome\":\"");
    out.extend_from_slice(outcome(parsed.outcome).as_bytes());
    out.extend_from_slice(b"\",\"action\":\"");
    out.extend_from_slice(action(parsed.action).as_bytes());
    out.extend_from_slice(b"\",\"address\":");
    write_peer(out, parsed.peer);
    out.extend_from_slice(b",\"user\":");
    match &parsed.user {
        Some(user) => quote(out, &user.bytes),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"method\":");
    match parsed.method {
        Some(method) => quote(out, method.as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"form\":\"");
    out.extend_from_slice(parsed.form.as_bytes());
    out.extend_from_slice(b"\",\"releases\":\"");
    out.extend_from_slice(parsed.releases.as_bytes());
    out.push(b'"');
    write_keys(out, parsed);
    if *repeated > 1 {
        out.extend_from_slice(b",\"repeated\":");
        decimal(out, u64::from(*repeated));
    }
    out.extend_from_slice(b"}\n");
}

fn write_peer(out: &mut Vec<u8>, peer: Option<Peer>) {
    let Some(Peer { address, port }) = peer else {
        out.extend_from_slice(b"null,\"port\":null");
        return;
    };
    out.push(b'"');
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            decimal(out, u64::from(first));
            for octet in rest {
                out.push(b'.');
                decimal(out, u64::from(octet));
            }
        }
        IpAddr::V6(address) => out.extend_from_slice(address.to_string().as_bytes()),
    }
    out.extend_from_slice(b"\",\"port\":");
    match port {
        Some(port) => decimal(out, u64::from(port)),
        None => out.extend_from_slice(b"null"),
    }
}

/// A number in digits. The standard way to write one takes as long as to parse a line.
fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut divisor = 1;
    while number / divisor >= 10 {
        divisor *= 10;
    }
    while divisor > 0 {
        let digit = number / divisor % 10;
        out.push(u8::try_from(digit).map_or(b'?', |digit| b'0' + digit));
        divisor /= 10;
    }
}

fn write_keys(out: &mut Vec<u8>, parsed: &Parsed<'_>) {
    if let Some(key) = &parsed.key {
        out.extend_from_slice(b",\"key\":{\"type\":");
        quote(out, key.kind.as_bytes());
        out.extend_from_slice(b",\"fingerprint\":");
        quote(out, key.fingerprint.as_bytes());
        out.push(b'}');
    }
    if let Some(certificate) = &parsed.certificate {
        out.extend_from_slice(b",\"certificate\":{\"id\":");
        quote(out, &certificate.id);
        out.extend_from_slice(b",\"serial\":");
        decimal(out, certificate.serial);
        out.extend_from_slice(b",\"authority\":");
        quote(out, certificate.authority.as_bytes());
        out.push(b'}');
    }
}

/// A JSON string of plain ASCII, so that no terminal can be fooled by it. Bytes that are not UTF-8
/// are shown as `\xff`.
fn quote(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if text
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(byte))
    {
        out.extend_from_slice(text);
        out.push(b'"');
        return;
    }
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
                ' '..='~' => out.push(character as u8),
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                    }
                }
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\\\x{byte:02x}").as_bytes());
        }
    }
    out.push(b'"');
}

fn write_text(out: &mut Vec<u8>, line: u64, found: Option<&Found<'_>>) -> io::Result<()> {
    let Some(Found { parsed, repeated }) = found else {
        return writeln!(out, "{line:>7}  not understood");
    };
    write!(
        out,
        "{line:>7}  {:<7}  {}",
        outcome(parsed.outcome),
        parsed.form
    )?;
    if let Some(method) = parsed.method {
        write!(out, " {method}")?;
    }
    if let Some(user) = &parsed.user {
        write!(out, " user \"{}\"", Foreign::from(&*user.bytes))?;
    }
    if let Some(peer) = parsed.peer {
        write!(out, " from {}", peer.address)?;
    }
    if let Some(port) = parsed.peer.and_then(|peer| peer.port) {
        write!(out, " port {port}")?;
    }
    if *repeated > 1 {
        write!(out, ", {repeated} times")?;
    }
    writeln!(out, " (OpenSSH {})", parsed.releases)
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Unknown => "unknown",
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Authentication => "authentication",
        Action::Refusal => "refusal",
        Action::Connection => "connection",
        Action::SessionOpened => "session-opened",
        Action::SessionClosed => "session-closed",
        Action::Notice => "notice",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(log: &[u8], json: bool) -> (String, Summary) {
        let mut output = Vec::new();
        let summary = parse_command(log, &mut output, json).unwrap();
        (String::from_utf8(output).unwrap(), summary)
    }

    #[test]
    fn every_line_has_its_answer() {
        let log =
            b"Nov 21 03:04:05 h sshd[1]: Failed password for bob from 192.0.2.1 port 5 ssh2\r\n\
            Nov 21 03:04:05 h cron[1]: Failed password for bob from 192.0.2.1 port 5 ssh2\n\
            \xff\0\n\
            Invalid user \\303\\251\\377 from UNKNOWN port 65535";
        let (output, summary) = shown(log, true);
        assert_eq!(
            output.lines().collect::<Vec<_>>(),
            [
                r#"{"line":1,"service":"sshd","outcome":"failure","action":"authentication","address":"192.0.2.1","port":5,"user":"bob","method":"password","form":"failed","releases":"6.6+"}"#,
                r#"{"line":2,"unparsed":true}"#,
                r#"{"line":3,"unparsed":true}"#,
                r#"{"line":4,"service":"sshd","outcome":"failure","action":"refusal","address":null,"port":null,"user":"\u00e9\\xff","method":null,"form":"invalid-user","releases":"7.3+"}"#,
            ]
        );
        assert_eq!(
            summary,
            Summary {
                lines: 4,
                understood: 2,
                unparsed: 2
            }
        );
        assert!(
            shown(log, false)
                .0
                .contains("failure  failed password user \"bob\" from 192.0.2.1")
        );
    }

    #[test]
    fn a_line_of_any_length_is_one_line() {
        let mut log = vec![b'x'; 1_000_000];
        log.extend_from_slice(b"\nInvalid user x from 192.0.2.1 port 5\n");
        let (output, summary) = shown(&log, true);
        assert_eq!(
            summary,
            Summary {
                lines: 2,
                understood: 1,
                unparsed: 1
            }
        );
        assert!(output.contains(r#"{"line":2,"service":"sshd""#));
    }

    #[test]
    fn nothing_a_stranger_types_reaches_a_terminal() {
        let every = (1..=255_u8)
            .filter(|byte| !b"\n\r\\".contains(byte))
            .collect::<Vec<_>>();
        let start = b"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh \
            ruser= rhost=192.0.2.1  user=";
        for json in [true, false] {
            let (output, summary) = shown(&[start, every.as_slice()].concat(), json);
            assert_eq!(summary.understood, 1);
            assert!(
                output
                    .chars()
                    .all(|shown| shown == '\n' || !shown.is_control()),
                "{output}"
            );
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = b"x\n".repeat(1_000_000);
        let summary = parse_command(log.as_slice(), Gone, true).unwrap();
        assert!(summary.lines < 1_000_000);
    }
}
