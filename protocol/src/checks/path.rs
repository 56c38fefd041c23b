//! A path that starts at the root, and a number of bytes.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A path that begins with `/` and does not climb with `..`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbsolutePath(String);

/// A text that is no such path.
#[derive(Debug, thiserror::Error)]
#[error("expected a path that begins with \"/\" and has no \"..\", such as \"/var/backups/db.gz\"")]
pub struct NotAPath;

impl AbsolutePath {
    /// The path as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as the standard library has it.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl TryFrom<String> for AbsolutePath {
    type Error = NotAPath;

    fn try_from(text: String) -> Result<Self, NotAPath> {
        let climbs = text.split('/').any(|part| part == "..");
        let fits = text.starts_with('/') && text.len() < 4096 && !text.contains('\0');
        if fits && !climbs {
            Ok(Self(text))
        } else {
            Err(NotAPath)
        }
    }
}

impl From<AbsolutePath> for String {
    fn from(path: AbsolutePath) -> Self {
        path.0
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number of bytes: `512B`, `10MB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(u64);

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

/// A text that is no number of bytes.
#[derive(Debug, thiserror::Error)]
#[error("expected a size such as \"512B\", \"10MB\" or \"1GiB\"")]
pub struct NotASize;

impl Size {
    /// How many bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl TryFrom<String> for Size {
    type Error = NotASize;

    fn try_from(text: String) -> Result<Self, NotASize> {
        let named = |(unit, scale): &(&str, u64)| Some((text.strip_suffix(unit)?, *scale));
        let (number, scale) = UNITS.iter().find_map(named).ok_or(NotASize)?;
        let whole = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u64>().ok().filter(|_| whole);
        let bytes = number.and_then(|number| number.checked_mul(scale));
        bytes.map(Self).ok_or(NotASize)
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, scale): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*scale);
        let whole = UNITS.iter().filter(fits).max_by_key(|(_, scale)| *scale);
        let (unit, scale) = whole.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_as_it_is_written() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("10MB", 10_000_000),
            ("1GiB", 1 << 30),
            ("3KB", 3000),
            ("1025KiB", 1025 << 10),
        ] {
            let size = Size::try_from(text.to_owned()).unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, text));
        }
        for text in [
            "",
            "B",
            "10",
            "-1B",
            "+1B",
            "1.5MB",
            "1mb",
            "99999999999TiB",
        ] {
            assert!(
                Size::try_from(text.to_owned()).is_err(),
                "{text:?} was taken"
            );
        }
    }

    #[test]
    fn a_path_starts_at_the_root_and_does_not_climb() {
        for (text, taken) in [
            ("/var/backups", true),
            ("/a..b", true),
            ("var", false),
            ("/var/../etc", false),
            ("/a\0b", false),
            ("", false),
        ] {
            let path = AbsolutePath::try_from(text.to_owned());
            assert_eq!(path.is_ok(), taken, "{text:?}");
        }
    }
}
