//! `[alerting]`: who is told, of what, and by which servers.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_daemon::secret::SecretFile;
use watchward_protocol::span::Span;

use super::Severity;
use super::message::Channel;

mod checks;
mod notice;
mod values;

pub use values::{Address, Host, Name, Number, Sender, SmsBase, Token};

/// `[alerting]`: who is told, of what, and by which servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Config {
    /// The folder that messages are written into, a file each, while no server is configured for
    /// their channel.
    pub folder: PathBuf,
    /// How long an incident that is over is kept, with its messages and its history.
    pub keep: Span,
    /// How patiently messages are tried.
    pub pace: Pace,
    /// How many messages one person gets at most.
    pub budget: Budget,
    /// The server that sends emails.
    pub smtp: Option<Smtp>,
    /// The gateway that sends SMS.
    pub sms: Option<Sms>,
    /// Who is told. While there is nobody and no server, `operator` is, in the folder.
    pub contacts: Vec<Contact>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("/var/lib/watchward/messages"),
            keep: Span::days(400),
            pace: Pace::default(),
            budget: Budget::default(),
            smtp: None,
            sms: None,
            contacts: Vec::new(),
        }
    }
}

/// `[alerting.pace]`: how patiently messages are tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Pace {
    /// How long after a failed attempt the next one is made; twice as long after each one more.
    pub first_retry: Span,
    /// The longest wait between attempts.
    pub longest_retry: Span,
    /// How long messages are tried that are not critical. Critical ones are tried for ever.
    pub give_up: Span,
    /// How long a server may take over one attempt, or an SMTP server until it is ready for the
    /// message; over that it may take ten times as long.
    pub timeout: Span,
    /// How long a collector that shares the database may be silent until another one takes over
    /// what it was sending. Has no use with SQLite.
    pub lease: Span,
    /// How long the SMS gateway is asked whether a message that it took has arrived.
    pub receipt: Span,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first_retry: Span::seconds(2),
            longest_retry: Span::seconds(60),
            give_up: Span::days(4),
            timeout: Span::seconds(20),
            lease: Span::seconds(30),
            receipt: Span::minutes(3),
        }
    }
}

/// `[alerting.budget]`: how many messages one contact gets within a window by each channel. What is
/// beyond is told in counted summaries. Three tenths are for what is down or silent, three tenths for
/// what is not critical, and the rest for who got in or could; none takes from another. Beyond it come
/// only the first of each kind, and while something critical is held back a summary a minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Budget {
    /// How many emails; at least 5.
    pub email: u16,
    /// How many SMS; at least 5.
    pub sms: u16,
    /// The window.
    pub window: Span,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            email: 30,
            sms: 10,
            window: Span::minutes(10),
        }
    }
}

impl Budget {
    pub(super) const fn by(&self, channel: Channel) -> u16 {
        match channel {
            Channel::Email => self.email,
            Channel::Sms => self.sms,
        }
    }
}

impl Pace {
    /// How long to wait after so many attempts: doubling, and by lot between half and all of it, so
    /// that messages which failed together do not come back together.
    pub(super) fn wait(&self, attempts: i64, jitter: f64) -> Duration {
        let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 30)).unwrap_or(30);
        let whole = self.first_retry.duration().saturating_mul(1 << doublings);
        let most = whole.min(self.longest_retry.duration());
        most.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

/// `[alerting.smtp]`: the server that sends emails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Smtp {
    /// Its name, which its certificate must show.
    pub host: Host,
    /// Its port; 587 for `starttls`, 465 for `tls` and 25 for `none`, unless said.
    pub port: Option<NonZeroU16>,
    /// How the conversation is encrypted.
    #[serde(default)]
    pub tls: Tls,
    /// Who we are to it, with `password_file`.
    pub user: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<SecretFile>,
    /// From whom emails are, such as `"Watchward <watchward@example.org>"`.
    pub from: Address,
    /// The only authority that is trusted to sign its certificate, in PEM; without it, those that
    /// the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl Smtp {
    pub(super) fn port(&self) -> u16 {
        self.port.map_or_else(|| self.tls.port(), NonZeroU16::get)
    }
}

impl Tls {
    /// The port where servers usually speak like this.
    const fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// How a conversation with an SMTP server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// It begins in the clear and must then be encrypted.
    #[default]
    Starttls,
    /// It is encrypted from the start.
    Tls,
    /// It is not, and everybody on the way can read it. A password is refused then, unless the
    /// server is on this machine.
    None,
}

/// `[alerting.sms]`: a gateway that speaks the Twilio Messages API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Sms {
    /// The account's SID.
    pub account: Token,
    /// The SID of an API key, whose secret is in `secret_file` then.
    pub key: Option<Token>,
    /// The file that holds the API key's secret or, without `key`, the account's auth token.
    pub secret_file: SecretFile,
    /// The number that SMS are from; or else `messaging_service`.
    pub from: Option<Sender>,
    /// The SID of the messaging service that SMS are from.
    pub messaging_service: Option<Token>,
    /// Where the API is.
    #[serde(default)]
    pub base_url: SmsBase,
}

/// `[[alerting.contacts]]`: somebody who is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Contact {
    /// What people call them.
    pub name: Name,
    /// Their email address.
    pub email: Option<Address>,
    /// Their phone number, with country code: `+491701234567`.
    pub phone: Option<Number>,
    /// The least severity that they are told by email.
    #[serde(default = "all")]
    pub by_email: Threshold,
    /// The least severity that they are told by SMS.
    #[serde(default = "only_critical")]
    pub by_sms: Threshold,
}

/// The least severity that somebody is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// Everything.
    Info,
    /// What is worth looking at today, and more.
    Warning,
    /// What is worth waking somebody.
    Critical,
    /// Nothing.
    Never,
}

impl Threshold {
    const fn lets(self, severity: Severity) -> bool {
        match self {
            Self::Info => true,
            Self::Warning => !matches!(severity, Severity::Info),
            Self::Critical => matches!(severity, Severity::Critical),
            Self::Never => false,
        }
    }
}

const fn all() -> Threshold {
    Threshold::Info
}

const fn only_critical() -> Threshold {
    Threshold::Critical
}

impl Contact {
    /// Where a message of this severity, or in need of any, reaches them by this channel.
    pub(super) fn address(&self, channel: Channel, severity: Option<Severity>) -> Option<String> {
        let (threshold, address) = match channel {
            Channel::Email => (self.by_email, self.email.as_ref().map(Address::to_string)),
            Channel::Sms => (self.by_sms, self.phone.as_ref().map(Number::to_string)),
        };
        let lets = threshold.lets(severity.unwrap_or(Severity::Critical));
        address.filter(|_| lets)
    }

    /// Who is told as long as nobody is configured.
    fn operator() -> Self {
        Self {
            name: Name::operator(),
            email: Some(Address::operator()),
            phone: Some(Number::operator()),
            by_email: all(),
            by_sms: only_critical(),
        }
    }
}

impl Config {
    /// Who is told.
    pub(super) fn told(&self) -> Vec<Contact> {
        if self.contacts.is_empty() {
            return vec![Contact::operator()];
        }
        self.contacts.clone()
    }
}
