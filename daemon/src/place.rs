//! Places in a configuration file: what makes no sense only beside another part of the file is shown
//! with line and caret, as the parser shows the rest.

use std::fmt::Write;
use std::ops::Range;

pub use toml::Spanned;

/// Something in a file that makes no sense with the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    place: Range<usize>,
    message: String,
    other: Option<(Range<usize>, String)>,
}

impl Misplaced {
    /// What is wrong with this, in one sentence.
    pub fn at<T>(place: &Spanned<T>, message: impl Into<String>) -> Self {
        Self {
            place: place.span(),
            message: message.into(),
            other: None,
        }
    }

    /// The other place that it does not go with, and what is there.
    #[must_use]
    pub fn beside<T>(mut self, other: &Spanned<T>, what: impl Into<String>) -> Self {
        self.other = Some((other.span(), what.into()));
        self
    }

    /// For a person, with the lines of the file's text.
    pub(crate) fn shown(&self, text: &str) -> String {
        let mut shown = String::new();
        let place = Line::of(text, &self.place);
        let (number, column) = (place.number, place.column + 1);
        let _ = writeln!(shown, "TOML error at line {number}, column {column}");
        place.write(&mut shown);
        let _ = writeln!(shown, "{}", self.message);
        if let Some((other, what)) = &self.other {
            Line::of(text, other).write(&mut shown);
            let _ = writeln!(shown, "{what}");
        }
        shown
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
        let expected = "TOML error at line 3, column 10\n  |\n3 | second = \"ü\"\n  |          ^^^\n\
             this is not one\n  |\n1 | first = 1\n  | ^^^^^\nand this says it is\n";
        assert_eq!(wrong.shown(text), expected);
    }

    #[test]
    fn a_place_over_many_lines_or_at_the_end_has_a_mark() {
        for (place, expected) in [(0..9, "1 | a = [\n  | ^^^^^\n"), (9..9, "  | ^\n")] {
            let wrong = Misplaced::at(&Spanned::new(place, ()), "no").shown("a = [\n1]\n");
            assert!(wrong.contains(expected), "{wrong}");
        }
    }
}
