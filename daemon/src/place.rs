//! Places in a configuration file: what makes no sense only beside another part of the file is shown
//! with line and caret, as the parser shows the rest.

use std::fmt::Write;
use std::ops::Range;

use toml::de::DeTable;

pub use toml::Spanned;

/// Something in a file that makes no sense with the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    place: Place,
    message: String,
    other: Option<(Place, String)>,
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// From byte to byte.
    Bytes(Range<usize>),
    /// Under this key of this key of that key.
    Key(Vec<String>),
}

impl Misplaced {
    /// What is wrong with this, in one sentence.
    pub fn at<T>(place: &Spanned<T>, message: impl Into<String>) -> Self {
        Self {
            place: Place::Bytes(place.span()),
            message: message.into(),
            other: None,
        }
    }

    /// What is wrong with what stands under this key, each name within the one before.
    pub fn at_key(names: &[&str], message: impl Into<String>) -> Self {
        Self {
            place: Place::key(names),
            message: message.into(),
            other: None,
        }
    }

    /// The other place that it does not go with, and what is there.
    #[must_use]
    pub fn beside<T>(mut self, other: &Spanned<T>, what: impl Into<String>) -> Self {
        self.other = Some((Place::Bytes(other.span()), what.into()));
        self
    }

    /// The other key that it does not go with, and what is there.
    #[must_use]
    pub fn beside_key(mut self, names: &[&str], what: impl Into<String>) -> Self {
        self.other = Some((Place::key(names), what.into()));
        self
    }

    /// For a person, with the lines of the file's text.
    pub fn shown(&self, text: &str) -> String {
        let mut shown = String::new();
        let place = Line::of(text, &self.place.bytes(text));
        let (number, column) = (place.number, place.column + 1);
        let _ = writeln!(shown, "line {number}, column {column}");
        place.write(&mut shown);
        let _ = writeln!(shown, "{}", self.message);
        if let Some((other, what)) = &self.other {
            Line::of(text, &other.bytes(text)).write(&mut shown);
            let _ = writeln!(shown, "{what}");
        }
        shown
    }
}

impl Place {
    fn key(names: &[&str]) -> Self {
        Self::Key(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// From byte to byte; of a key, its last name as far as the file has it.
    fn bytes(&self, text: &str) -> Range<usize> {
        let names = match self {
            Self::Bytes(bytes) => return bytes.clone(),
            Self::Key(names) => names,
        };
        let root = DeTable::parse(text).ok();
        let (mut place, mut table) = (0..0, root.as_ref().map(Spanned::get_ref));
        for name in names {
            let found = table.and_then(|table| table.get_key_value(name.as_str()));
            let Some((key, value)) = found else { break };
            place = key.span();
            table = value.get_ref().as_table();
        }
        place
    }
}

/// A line of a file, and what is marked of it, in characters.
struct Line<'a> {
    number: usize,
    text: &'a str,
    column: usize,
    length: usize,
}

impl<'a> Line<'a> {
    fn of(text: &'a str, place: &Range<usize>) -> Self {
        let start = text.floor_char_boundary(place.start);
        let (before, rest) = text.split_at(start);
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        let end = rest.find('\n').map_or(text.len(), |end| start + end);
        let marked = text.floor_char_boundary(place.end).clamp(start, end);
        let characters = |range| text.get(range).map_or(0, |part: &str| part.chars().count());
        Self {
            number: before.matches('\n').count() + 1,
            text: text.get(begin..end).unwrap_or_default(),
            column: characters(begin..start),
            length: characters(start..marked).max(1),
        }
    }

    fn write(&self, shown: &mut String) {
        let gutter = self.number.to_string().len();
        let (indent, carets) = (" ".repeat(self.column), "^".repeat(self.length));
        let _ = writeln!(shown, "{:gutter$} |", "");
        let _ = writeln!(shown, "{} | {}", self.number, self.text);
        let _ = writeln!(shown, "{:gutter$} | {indent}{carets}", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places_are_shown() {
        let text = "first = 1\n# ä\nsecond = \"ü\"\n";
        let place = |part: &str| {
            let start = text.find(part).unwrap();
            Spanned::new(start..start + part.len(), ())
        };
        let wrong = Misplaced::at(&place("\"ü\""), "this is not one")
            .beside(&place("first"), "and this says it is");
        let expected = "line 3, column 10\n  |\n3 | second = \"ü\"\n  |          ^^^\n\
             this is not one\n  |\n1 | first = 1\n  | ^^^^^\nand this says it is\n";
        assert_eq!(wrong.shown(text), expected);
    }

    #[test]
    fn a_key_is_found_wherever_the_file_has_it() {
        let text = "[a.b]\nx = 1\n[a.c.\"d e\"]\n[f]\n";
        for (names, expected) in [
            (&["a", "b"][..], "1 | [a.b]\n  |    ^\n"),
            (&["a", "b", "x"], "2 | x = 1\n  | ^\n"),
            (&["a", "c", "d e"], "3 | [a.c.\"d e\"]\n  |      ^^^^^\n"),
            (&["a", "c", "no", "d"], "3 | [a.c.\"d e\"]\n  |    ^\n"),
        ] {
            let shown = Misplaced::at_key(names, "no").shown(text);
            assert!(shown.contains(expected), "{names:?}: {shown}");
        }
    }

    #[test]
    fn a_place_over_many_lines_or_at_the_end_has_a_mark() {
        for (place, expected) in [(0..9, "1 | a = [\n  | ^^^^^\n"), (9..9, "  | ^\n")] {
            let wrong = Misplaced::at(&Spanned::new(place, ()), "no").shown("a = [\n1]\n");
            assert!(wrong.contains(expected), "{wrong}");
        }
    }
}
