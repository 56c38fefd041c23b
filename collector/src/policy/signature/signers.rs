//! Who may sign policies: a file as ssh-keygen(1) describes it under ALLOWED SIGNERS. Pure but for
//! reading it.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use watchward_protocol::time::Timestamp;

use super::super::pattern::Pattern;
use super::{NAMESPACE, Untrusted};

/// Those who may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers(Vec<Signer>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signer {
    name: String,
    key: Vec<u8>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    /// Whether it may sign policies at all.
    policies: bool,
}

/// Why a file says of nobody who may sign.
#[derive(Debug, thiserror::Error)]
pub enum NotSigners {
    /// It cannot be read.
    #[error("cannot read the file of signers: {0}")]
    Unreadable(#[from] std::io::Error),
    /// A line of it makes no sense.
    #[error("line {line} of the file of signers: {why}")]
    Wrong {
        /// Which.
        line: usize,
        /// Why.
        why: &'static str,
    },
}

impl Signers {
    /// Reads a file of signers.
    ///
    /// # Errors
    /// It cannot be read, or a line makes no sense.
    pub fn read(file: &Path) -> Result<Self, NotSigners> {
        Self::parse(&std::fs::read_to_string(file)?)
    }

    pub(super) fn parse(text: &str) -> Result<Self, NotSigners> {
        let mut all = Vec::new();
        for (at, said) in text.lines().map(str::trim).enumerate() {
            if said.is_empty() || said.starts_with('#') {
                continue;
            }
            let line = at + 1;
            all.push(signer(said).map_err(|why| NotSigners::Wrong { line, why })?);
        }
        Ok(Self(all))
    }

    /// Whose key it is, if it may sign a policy now.
    pub(super) fn find(&self, key: &[u8], now: Timestamp) -> Result<&str, Untrusted> {
        let of_key = || self.0.iter().filter(|one| one.key == key);
        let fits = |one: &&Signer| {
            one.policies
                && one.after.is_none_or(|after| now >= after)
                && one.before.is_none_or(|before| now < before)
        };
        if let Some(one) = of_key().find(fits) {
            return Ok(&one.name);
        }
        Err(match of_key().next() {
            Some(one) => Untrusted::NotNow(one.name.clone()),
            None => {
                let digest = STANDARD_NO_PAD.encode(Sha256::digest(key));
                Untrusted::Stranger(format!("SHA256:{digest}"))
            }
        })
    }
}

fn signer(line: &str) -> Result<Signer, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let mut kind = words.next().ok_or("a key is missing")?;
    let mut signer = Signer {
        name: name.to_owned(),
        key: Vec::new(),
        after: None,
        before: None,
        policies: true,
    };
    if !is_kind(kind) {
        options(kind, &mut signer)?;
        kind = words.next().ok_or("a key is missing")?;
    }
    if !is_kind(kind) {
        return Err("expected names, options without a space, and a key");
    }
    let key = words.next().ok_or("a key is missing")?;
    signer.key = STANDARD.decode(key).map_err(|_| "this is no key")?;
    Ok(signer)
}

fn is_kind(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|start| word.starts_with(start))
}

fn options(said: &str, signer: &mut Signer) -> Result<(), &'static str> {
    let mut quoted = false;
    let apart = said.split(|character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    });
    for option in apart {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => signer.policies = value.split(',').any(is_ours),
            "valid-after" => signer.after = Some(moment(value)?),
            "valid-before" => signer.before = Some(moment(value)?),
            "cert-authority" => return Err("certificates are not taken: name the key itself"),
            _ => return Err("this option is not known"),
        }
    }
    Ok(())
}

fn is_ours(namespace: &str) -> bool {
    let pattern = Pattern::try_from(namespace.to_owned());
    pattern.is_ok_and(|pattern| pattern.matches(NAMESPACE))
}

/// `YYYYMMDD[HHMM[SS]][Z]`, in UTC.
fn moment(text: &str) -> Result<Timestamp, &'static str> {
    const EXPECTED: &str = "expected a moment in UTC such as 20270131 or 20270131235900Z";
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let padded = match digits.len() {
        8 | 12 | 14 => format!("{digits:0<14}"),
        _ => return Err(EXPECTED),
    };
    let number = |from: usize, to: usize| {
        let part = padded.get(from..to);
        part.and_then(|part| part.parse::<i16>().ok())
            .ok_or(EXPECTED)
    };
    let small = |from: usize| number(from, from + 2).map(|it| i8::try_from(it).unwrap_or(-1));
    let moment = jiff::civil::DateTime::new(
        number(0, 4)?,
        small(4)?,
        small(6)?,
        small(8)?,
        small(10)?,
        small(12)?,
        0,
    );
    let moment = moment.and_then(|moment| moment.to_zoned(jiff::tz::TimeZone::UTC));
    let moment = moment.map_err(|_| EXPECTED)?.timestamp();
    Ok(Timestamp::from_micros(moment.as_microsecond()))
}
