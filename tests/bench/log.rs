//! An `auth.log` as a week on a server with a public address leaves it: always the same bytes.

use std::io::{BufWriter, Write};
use std::path::Path;

/// How many different addresses knock; the first ones far more often than the last.
const ADDRESSES: u64 = 20_000;

/// Seconds in the week that the log tells of.
const WEEK: u64 = 7 * 86_400;

/// Numbers that look random and are the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % limit
    }

    fn name(&mut self) -> &'static str {
        let place = usize::try_from(self.below(8)).ok();
        place.and_then(|place| NAMES.get(place)).unwrap_or(&"admin")
    }

    fn address(&mut self) -> String {
        // The smaller of three: skewed towards the first.
        let mut number = self.below(ADDRESSES);
        for _ in 0..2 {
            number = number.min(self.below(ADDRESSES));
        }
        let mixed = number.wrapping_mul(0x9E37_79B9) & 0xFFFF;
        format!("203.{}.{}.{}", number % 64, mixed >> 8, mixed & 0xFF)
    }
}

/// Writes that many lines.
pub(crate) fn write(path: &Path, lines: usize) -> std::io::Result<()> {
    let mut dice = Dice(42);
    let mut out = BufWriter::new(std::fs::File::create(path)?);
    let mut written = 0;
    while written < lines {
        let second = WEEK * written as u64 / lines as u64;
        for message in connection(&mut dice).into_iter().take(lines - written) {
            writeln!(out, "{} {message}", head(second))?;
            written += 1;
        }
    }
    out.flush()
}

/// The traditional header, in the third week of November.
fn head(second: u64) -> String {
    let (day, second) = (15 + second / 86_400, second % 86_400);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("Nov {day:2} {hour:02}:{minute:02}:{:02} web1", second % 60)
}

/// What sshd and its PAM say of one connection.
fn connection(dice: &mut Dice) -> Vec<String> {
    let (address, port) = (dice.address(), 1024 + dice.below(64_000));
    let pid = 1000 + dice.below(60_000);
    let from = format!("from {address} port {port}");
    let name = dice.name();
    let says = |message: String| format!("sshd[{pid}]: {message}");
    let fails = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= \
                 rhost=";
    match dice.below(10) {
        0..=3 => vec![
            says(format!("Invalid user {name} {from}")),
            says("pam_unix(sshd:auth): check pass; user unknown".to_owned()),
            says(format!("{fails}{address}")),
            says(format!(
                "Failed password for invalid user {name} {from} ssh2"
            )),
            says(format!(
                "Connection closed by invalid user {name} {address} port {port} [preauth]"
            )),
        ],
        4..=7 => vec![
            says(format!("{fails}{address}  user=root")),
            says(format!("Failed password for root {from} ssh2")),
            says(format!("Received disconnect {from}:11: Bye Bye [preauth]")),
            says(format!(
                "Disconnected from authenticating user root {address} port {port} [preauth]"
            )),
        ],
        8 => vec![says(format!(
            "Connection closed by {address} port {port} [preauth]"
        ))],
        _ => vec![
            says(format!(
                "Accepted publickey for deploy {from} ssh2: ED25519 SHA256:{KEY}"
            )),
            says(
                "pam_unix(sshd:session): session opened for user deploy(uid=1001) by (uid=0)"
                    .to_owned(),
            ),
            "CRON[4711]: pam_unix(cron:session): session closed for user root".to_owned(),
            says(format!(
                "Disconnected from user deploy {address} port {port}"
            )),
            says("pam_unix(sshd:session): session closed for user deploy".to_owned()),
        ],
    }
}

const KEY: &str = "0pXmCPGtVeWxzYsTxcHyCkWeNBS8UCtK6cNoqVnUMmM";
const NAMES: [&str; 8] = [
    "admin",
    "test",
    "oracle",
    "ubuntu",
    "postgres",
    "user1",
    "git",
    "minecraft",
];
