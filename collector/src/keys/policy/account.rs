//! The name of an account on a host, as the policy may name it.

use serde::{Deserialize, Serialize};

/// The name of an account on a host: it begins with a lower-case letter or `_`, and goes on with those,
/// digits, `.` and `-`; at most 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Account(String);

impl Account {
    /// The name.
    pub(in crate::keys) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Account {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let first = |it: &u8| it.is_ascii_lowercase() || *it == b'_';
        let rest = |it: &u8| first(it) || it.is_ascii_digit() || matches!(it, b'.' | b'-');
        let bytes = text.as_bytes();
        let plain = bytes.first().is_some_and(first) && bytes.iter().all(rest);
        match plain && bytes.len() <= 32 {
            true => Ok(Self(text)),
            false => Err(
                "expected an account's name: lower-case letters, digits, `_`, `.` and `-`, 32 at most",
            ),
        }
    }
}

impl From<Account> for String {
    fn from(account: Account) -> Self {
        account.0
    }
}
