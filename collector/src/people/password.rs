//! Passwords: how they are kept, and which will do. Secrets of sessions are made here too.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use watchward_daemon::secret::Secret;

/// How many passwords are hashed at once: each takes 19 MiB, and a core.
const AT_ONCE: usize = 2;

/// How long somebody waits for their turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// How few characters a password may have, and how many bytes.
const SHORTEST: usize = 12;
const LONGEST: usize = 1024;

/// How many of them must differ.
const DIFFERENT: usize = 6;

/// Hashes with Argon2id, a few at a time, beside everything else.
#[derive(Clone, Debug)]
pub(super) struct Hashing(Arc<Semaphore>);

impl Default for Hashing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Hashing {
    /// What is kept of a password.
    pub(super) async fn hash(&self, password: &Secret) -> anyhow::Result<String> {
        let password = password.clone();
        let place = self.0.clone().acquire_owned().await?;
        tokio::task::spawn_blocking(move || {
            let hash = Argon2::default().hash_password(password.reveal().as_bytes());
            drop(place);
            Ok(hash.context("cannot hash a password")?.to_string())
        })
        .await?
    }

    /// Whether it is the password that was kept; `None` when too many ask. Where none was kept it
    /// is not, and that takes as long.
    pub(super) async fn verify(
        &self,
        password: &Secret,
        kept: Option<&str>,
    ) -> anyhow::Result<Option<bool>> {
        let turn = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned()).await;
        let Ok(place) = turn else { return Ok(None) };
        let (place, password) = (place?, password.clone());
        let kept = kept.map(str::to_owned);
        tokio::task::spawn_blocking(move || {
            let there = kept.is_some();
            let kept = kept.unwrap_or_else(|| nobodys().to_owned());
            let kept = PasswordHash::new(&kept).context("a password's hash is malformed")?;
            let right = password.reveal().len() <= LONGEST
                && Argon2::default()
                    .verify_password(password.reveal().as_bytes(), &kept)
                    .is_ok();
            drop(place);
            Ok(Some(right && there))
        })
        .await?
    }
}

/// The hash of a password that nobody has, for names that nobody has.
fn nobodys() -> &'static str {
    static NOBODYS: OnceLock<String> = OnceLock::new();
    NOBODYS.get_or_init(|| {
        let hash = Argon2::default().hash_password(secret().reveal().as_bytes());
        hash.map(|hash| hash.to_string()).unwrap_or_default()
    })
}

/// A secret of 256 random bits.
pub(super) fn secret() -> Secret {
    let bytes: [u8; 32] = rand::random();
    Secret::from(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a session's secret. It is random, so that a plain hash will do.
pub(super) fn session_hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A password to be used once: 100 random bits in letters and digits that no eye mixes up.
pub(super) fn one_time() -> Secret {
    const LETTERS: [u8; 32] = *b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes: [u8; 20] = rand::random();
    let mut text = String::new();
    for (place, byte) in bytes.into_iter().enumerate() {
        if place > 0 && place % 5 == 0 {
            text.push('-');
        }
        let letter = LETTERS.get(usize::from(byte % 32));
        text.push(char::from(*letter.unwrap_or(&b'a')));
    }
    Secret::from(text)
}

/// Whether an account may have this name: letters, digits, `.`, `-`, `_` and `@`, at most 64.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte))
}

/// Why a password will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// It has too few characters.
    Short,
    /// It has too many.
    Long,
    /// It has the account's name in it.
    Name,
    /// It is the old one.
    Old,
    /// It repeats itself, or only counts up.
    Simple,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "The new password needs at least 12 characters.",
            Self::Long => "The new password is too long: 1024 bytes are enough.",
            Self::Name => "The new password must not have your name in it.",
            Self::Old => "The new password is the old one.",
            Self::Simple => {
                "The new password is too simple: it needs at least 6 different characters, and \
                 more than a row of the keyboard or of the alphabet."
            }
        })
    }
}

/// Why this password will not do for this name, if it will not.
pub(super) fn weakness(name: &str, new: &Secret) -> Option<Weakness> {
    let new = new.reveal();
    let lower = new.to_lowercase();
    if new.chars().count() < SHORTEST {
        Some(Weakness::Short)
    } else if new.len() > LONGEST {
        Some(Weakness::Long)
    } else if lower.contains(&name.to_lowercase()) {
        Some(Weakness::Name)
    } else if is_simple(&lower) {
        Some(Weakness::Simple)
    } else {
        None
    }
}

/// Too few different characters, or mostly a walk along one of the rows.
fn is_simple(lower: &str) -> bool {
    const ROWS: [&str; 5] = [
        "abcdefghijklmnopqrstuvwxyz",
        "01234567890",
        "qwertyuiopasdfghjklzxcvbnm",
        "qwertzuiopasdfghjklyxcvbnm",
        "password",
    ];
    let letters: Vec<char> = lower.chars().collect();
    let mut different = letters.clone();
    different.sort_unstable();
    different.dedup();
    let follows = |pair: &[char]| {
        let pair: String = pair.iter().collect();
        let back: String = pair.chars().rev().collect();
        ROWS.iter()
            .any(|row| row.contains(&pair) || row.contains(&back))
    };
    let steps = letters.windows(2).filter(|pair| follows(pair)).count();
    different.len() < DIFFERENT || steps * 4 >= letters.len() * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(new: &str) -> Option<Weakness> {
        weakness("admin", &Secret::from(new.to_owned()))
    }

    #[test]
    fn says_what_will_not_do() {
        for (new, weakness) in [
            ("short", Weakness::Short),
            ("my Admin password", Weakness::Name),
            ("aaaaaaaaaaaaaaa", Weakness::Simple),
            ("abcabcabcabcabc", Weakness::Simple),
            ("1234567890123", Weakness::Simple),
            ("qwertyuiopasdf", Weakness::Simple),
            ("passwordpassword", Weakness::Simple),
        ] {
            assert_eq!(why(new), Some(weakness), "{new}");
        }
        assert_eq!(why(&"xy1!Qk".repeat(200)), Some(Weakness::Long));
        for fine in [
            "correct horse battery",
            "Tr0ub4dor&3xyz",
            "größere Häuser 7",
        ] {
            assert_eq!(why(fine), None, "{fine}");
        }
    }

    #[test]
    fn a_one_time_password_is_new_each_time_and_would_do() {
        let one = one_time();
        assert_eq!(one.reveal().len(), 23);
        assert_ne!(one.reveal(), one_time().reveal());
        assert_eq!(why(one.reveal()), None);
    }

    #[tokio::test]
    async fn only_the_password_itself_is_right() {
        let hashing = Hashing::default();
        let secret = |text: &str| Secret::from(text.to_owned());
        let kept = hashing.hash(&secret("it is this")).await.unwrap();
        assert!(kept.starts_with("$argon2id$"), "{kept}");
        for (password, kept, right) in [
            ("it is this", Some(kept.as_str()), true),
            ("it is that", Some(kept.as_str()), false),
            ("it is this", None, false),
        ] {
            let found = hashing.verify(&secret(password), kept).await.unwrap();
            assert_eq!(found, Some(right), "{password}");
        }
    }
}
