//! Text that a stranger chose: kept as bytes, and escaped on every way out.

use std::fmt;

/// Bytes from outside that are meant as text: a user name, a key id, a log line.
///
/// They are kept as they came. [`Display`](fmt::Display) is the only way to show them: printable
/// text stays, everything a terminal, a mail client or a reader could be fooled by is escaped.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foreign(Vec<u8>);

impl Foreign {
    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as they came, given away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// As it is shown, in at most that many characters; where it was cut it ends in `…`.
    pub fn shortened(&self, characters: usize) -> String {
        let shown = self.to_string();
        if shown.chars().nth(characters).is_none() {
            return shown;
        }
        let start = shown.chars().take(characters.saturating_sub(1));
        start.chain(['…']).collect()
    }
}

impl From<Vec<u8>> for Foreign {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Foreign {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Foreign {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

/// Text as [`Foreign`] is shown.
pub fn escaped(text: &str) -> String {
    Foreign::from(text).to_string()
}

/// The same of text that may have been escaped before: backslashes stay as they are.
pub fn escaped_once(text: &str) -> String {
    let parts: Vec<_> = text.split('\\').map(escaped).collect();
    parts.join("\\")
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if deceives(character) {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Whether a character can make text look like what it is not: controls, separators that break
/// lines, marks that turn the direction of writing, and characters that take no room.
fn deceives(character: char) -> bool {
    character.is_control()
        || character == '\\'
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_plain_text_as_it_is() {
        assert_eq!(Foreign::from("zoë o'brien").to_string(), "zoë o'brien");
    }

    #[test]
    fn is_cut_after_it_was_escaped() {
        assert_eq!(Foreign::from("zoë").shortened(3), "zoë");
        assert_eq!(Foreign::from("zoë o'brien").shortened(4), "zoë…");
        assert_eq!(Foreign::from("\u{1b}\u{1b}").shortened(8), "\\u{1b}\\…");
    }

    #[test]
    fn nothing_reaches_a_terminal_unescaped() {
        for code in (0..0x20).chain(0x7f..0xa0).chain([0x202e, 0x200b, 0x2028]) {
            let character = char::from_u32(code).unwrap();
            let shown = Foreign::from(character.to_string().as_str()).to_string();
            assert!(shown.starts_with('\\'), "{code:#x} came out as {shown:?}");
        }
        assert_eq!(Foreign::from(&b"\xffa"[..]).to_string(), "\\xffa");
        assert_eq!(
            Foreign::from("\\x1b").to_string(),
            "\\\\x1b",
            "no two texts look the same"
        );
    }

    #[test]
    fn what_was_escaped_stays_and_the_rest_is_escaped() {
        let once = escaped("a\u{1b}b");
        assert_eq!(escaped_once(&once), once);
        assert_eq!(escaped_once("a\u{1b}\\b"), "a\\u{1b}\\b");
    }
}
