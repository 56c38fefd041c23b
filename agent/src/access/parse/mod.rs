//! The subcommand `parse`: shows what is understood of a log, line by line.

use std::io::{self, BufRead, Read, Write};

use watchward_protocol::access::Service;
use watchward_protocol::time::Timestamp;

use super::elevation;
use super::openvpn::{self, Line, own_log};
use super::said::Said;
use super::sshd::{self, Parsed};
use super::syslog::{self, Clock};
use write::{write_json, write_text};

mod write;

/// Of a longer line only the beginning is kept. sshd's own lines have at most 500 bytes.
const LONGEST: u64 = 8192;

/// Output is gathered up to this size before it is written.
const BATCH: usize = 64 * 1024;

/// What came of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines read.
    pub lines: u64,
    /// Lines that a server is known to write.
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

/// What a line says, and how often it is told to have come.
struct Found<'a> {
    meaning: Meaning<'a>,
    repeated: u32,
}

/// What a line says, by whose it is.
enum Meaning<'a> {
    Sshd(Parsed<'a>),
    Other(Service, Said<'a>),
}

fn understand(line: &[u8]) -> Option<Found<'_>> {
    // The time is not shown, so any clock will do.
    let clock = Clock {
        now: Timestamp::from_micros(0),
        ahead: 0,
    };
    let read = syslog::read(line, clock);
    let Some(program) = read.program else {
        return of_sshd(read.message).or_else(|| {
            let (_, message) = own_log::read(line, clock);
            of_another(Service::OpenVpn, message)
        });
    };
    match syslog::service(program)? {
        Service::Sshd => of_sshd(read.message),
        other @ (Service::Sudo | Service::Su | Service::OpenVpn | Service::WireGuard) => {
            of_another(other, read.message)
        }
    }
}

fn of_sshd(message: &[u8]) -> Option<Found<'_>> {
    let (repeated, message) = sshd::repeated(message);
    Some(Found {
        meaning: Meaning::Sshd(sshd::parse(message)?),
        repeated,
    })
}

/// Where a line can be read in several ways, it is not understood: here no other lines are known.
fn of_another(service: Service, message: &[u8]) -> Option<Found<'_>> {
    let (repeated, message) = sshd::repeated(message);
    let said = match service {
        Service::Sshd | Service::WireGuard => None,
        Service::Sudo => elevation::sudo(message),
        Service::Su => elevation::su(message),
        Service::OpenVpn => match openvpn::parse(message) {
            Line::Client(mut readings) if readings.len() == 1 => readings.pop().map(|it| it.said),
            Line::Client(_) | Line::Unknown | Line::Other => None,
        },
    }?;
    Some(Found {
        meaning: Meaning::Other(service, said),
        repeated,
    })
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
