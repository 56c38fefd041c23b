//! Values that a configuration can only have if they make sense.

use std::fmt;
use std::net::IpAddr;

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};
use watchward_protocol::text::Foreign;

/// A text that is not what it should be: what was expected.
#[derive(Debug, thiserror::Error)]
#[error("expected {0}")]
pub struct Unexpected(&'static str);

/// An email address, with a name or without: `on-call@example.org`, `On call <on-call@example.org>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(Mailbox);

impl Address {
    pub(in crate::alerting) fn mailbox(&self) -> &Mailbox {
        &self.0
    }

    #[expect(clippy::expect_used, reason = "a constant, which a test parses")]
    pub(in crate::alerting) fn operator() -> Self {
        Self("operator@localhost".parse().expect("an email address"))
    }
}

impl TryFrom<String> for Address {
    type Error = Unexpected;

    fn try_from(text: String) -> Result<Self, Unexpected> {
        let plain = Foreign::from(text.as_str()).to_string() == text;
        let mailbox = text.parse().ok().filter(|_| plain);
        mailbox.map(Self).ok_or(Unexpected(
            "an email address such as \"on-call@example.org\"",
        ))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A phone number as E.164 has it: `+` and seven to fifteen digits, with country code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number(String);

impl Number {
    /// A number that belongs to nobody (North America's 555-0100).
    pub(super) fn operator() -> Self {
        Self("+12025550100".to_owned())
    }
}

impl TryFrom<String> for Number {
    type Error = Unexpected;

    fn try_from(text: String) -> Result<Self, Unexpected> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let plain = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if plain {
            return Ok(Self(text));
        }
        Err(Unexpected(
            "a phone number with country code and without spaces, such as \"+491701234567\"",
        ))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From whom SMS are: a number, a short code, or a name of at most eleven letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sender(String);

impl TryFrom<String> for Sender {
    type Error = Unexpected;

    fn try_from(text: String) -> Result<Self, Unexpected> {
        let name = (1..=11).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
        if name || Number::try_from(text.clone()).is_ok() {
            return Ok(Self(text));
        }
        Err(Unexpected(
            "a number such as \"+15550100\", a short code, or at most 11 letters and digits",
        ))
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An identifier that an SMS gateway gave: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

impl TryFrom<String> for Token {
    type Error = Unexpected;

    fn try_from(text: String) -> Result<Self, Unexpected> {
        let plain = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        plain
            .then_some(Self(text))
            .ok_or(Unexpected("an identifier such as \"AC\" and 32 digits"))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A server's host name or address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);

impl Host {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Host {
    type Error = Unexpected;

    fn try_from(text: String) -> Result<Self, Unexpected> {
        let plain = (1..=253).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':'));
        plain.then_some(Self(text)).ok_or(Unexpected(
            "a host name such as \"smtp.example.org\", without a port",
        ))
    }
}

/// What people call a contact: at most 64 characters that look like what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn operator() -> Self {
        Self("operator".to_owned())
    }
}

impl TryFrom<String> for Name {
    type Error = Unexpected;

    fn try_from(text: String) -> Result<Self, Unexpected> {
        let plain = Foreign::from(text.as_str()).to_string() == text;
        let fits = (1..=64).contains(&text.chars().count()) && text.trim() == text;
        (plain && fits)
            .then_some(Self(text))
            .ok_or(Unexpected("a name of at most 64 printable characters"))
    }
}

/// Where an SMS gateway's API is: `https://api.twilio.com`. In the clear only on this machine or in
/// a private network, for a stand-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SmsBase(String);

impl Default for SmsBase {
    fn default() -> Self {
        Self("https://api.twilio.com".to_owned())
    }
}

impl SmsBase {
    /// Without a slash at its end.
    pub(in crate::alerting) fn as_str(&self) -> &str {
        &self.0
    }

    pub(in crate::alerting) fn is_encrypted(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl TryFrom<String> for SmsBase {
    type Error = Unexpected;

    fn try_from(text: String) -> Result<Self, Unexpected> {
        let near = |host: &str| {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            host == "localhost"
                || address.is_ok_and(|address| match address {
                    IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
                    IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
                })
        };
        let url = reqwest::Url::parse(&text).ok().filter(|url| {
            let bare = url.query().is_none() && url.fragment().is_none();
            let host = url.host_str().unwrap_or_default();
            bare && match url.scheme() {
                "https" => !host.is_empty(),
                "http" => near(host),
                _ => false,
            }
        });
        url.map(|url| Self(url.as_str().trim_end_matches('/').to_owned()))
            .ok_or(Unexpected(
                "a URL such as \"https://api.twilio.com\" (http:// only in a private network)",
            ))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SmsBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Written as it is shown.
macro_rules! written {
    ($($value:ident),*) => {$(
        impl From<$value> for String {
            fn from(value: $value) -> Self {
                value.to_string()
            }
        }
    )*};
}

written!(Address, Number, Sender, Token, Host, Name, SmsBase);
