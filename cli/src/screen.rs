//! What is shown: tables and lines for people, JSON for programs; never a control sequence that a
//! stranger typed.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal, Write as _};

use anyhow::bail;
use serde_json::Value;
use watchward_protocol::time::Timestamp;

/// Standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    json: bool,
    colours: bool,
}

/// How a text looks, where the terminal can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Dim,
    Bold,
    Good,
    Warn,
    Bad,
}

impl Screen {
    /// Standard output, for people or for programs.
    pub(crate) fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json,
            colours: !plain && io::stdout().is_terminal(),
        }
    }

    /// Whether a program reads.
    pub(crate) fn is_for_programs(&self) -> bool {
        self.json
    }

    /// A line. What is in it must have passed [`safe`] or be our own words.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Whether somebody is there to be asked.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json && io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// What somebody types after a question.
    pub(crate) fn ask(&mut self, question: &str) -> io::Result<String> {
        let mut out = io::stdout().lock();
        write!(out, "{question}")?;
        out.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Asks whether something is meant.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn agree(&mut self, question: &str) -> anyhow::Result<()> {
        let answer = self.ask(&format!("{question} [y/N] "))?;
        match answer.to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => bail!("nothing was changed"),
        }
    }

    /// The same, where nobody has said so before.
    ///
    /// # Errors
    /// It is not meant, or nobody is there to say so.
    pub(crate) fn agree_unless(&mut self, yes: bool, question: &str) -> anyhow::Result<()> {
        match yes {
            true => Ok(()),
            false if self.can_ask() => self.agree(question),
            false => bail!("--yes is needed where nobody can be asked; nothing was changed"),
        }
    }

    /// The same text in a tone.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colours => return text.to_owned(),
            Tone::Dim => "2",
            Tone::Bold => "1",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A mark for whether something is watched.
    pub(crate) fn state_mark(&self, state: &str) -> String {
        match state {
            "watched" => self.paint(Tone::Good, "+ watched"),
            "failing" => self.paint(Tone::Bad, "! failing"),
            _ => self.paint(Tone::Dim, "- absent "),
        }
    }

    /// A value for programs, on one line.
    pub(crate) fn json(&mut self, value: &Value) -> io::Result<()> {
        self.line(&json(value))
    }

    /// A table for people; where there is nothing in it, this sentence.
    pub(crate) fn list<const N: usize>(
        &mut self,
        heads: [&str; N],
        rows: &[[String; N]],
        none: &str,
    ) -> io::Result<()> {
        match rows.is_empty() {
            true => self.line(none),
            false => self.table(heads, rows),
        }
    }

    /// A table for people: the last column may be as long as it likes.
    pub(crate) fn table<const N: usize>(
        &mut self,
        heads: [&str; N],
        rows: &[[String; N]],
    ) -> io::Result<()> {
        let mut widths = heads.map(|head| head.chars().count());
        let rows: Vec<[String; N]> = rows
            .iter()
            .map(|row| row.each_ref().map(|cell| safe(cell)))
            .collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let head = line(&heads.map(str::to_owned), &widths);
        let head = self.paint(Tone::Bold, &head);
        self.line(&head)?;
        for row in &rows {
            self.line(&line(row, &widths))?;
        }
        Ok(())
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{cell:<width$}  ");
    }
    text.trim_end().to_owned()
}

/// A text that can be shown. The collector has escaped it before; this is the second lock.
pub(crate) use watchward_protocol::text::escaped_once as safe;

/// The same for a text of several lines.
pub(crate) fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// JSON on one line, in which every character that could fool a terminal is written as `\uXXXX`.
fn json(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        if character == '\\' || safe(character.encode_utf8(&mut [0; 4])).chars().count() == 1 {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// A moment, in UTC to the second.
pub(crate) fn moment(micros: Option<i64>) -> String {
    let Some(micros) = micros else {
        return "-".to_owned();
    };
    Timestamp::from_micros(micros)
        .to_string()
        .replace('T', " ")
        .replace('Z', "")
}

/// The time of day, in UTC to the second.
pub(crate) fn clock(micros: Option<i64>) -> String {
    let moment = moment(micros);
    moment
        .split_once(' ')
        .map_or(moment.clone(), |(_, clock)| clock.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_stranger_typed_steers_the_terminal() {
        for code in (0..0x20).chain(0x7f..0xa0).chain([0x202e, 0x200b, 0x2028]) {
            let character = char::from_u32(code).unwrap().to_string();
            assert!(safe(&character).starts_with('\\'), "{code:#x}");
            let text = json(&Value::String(character.clone()));
            assert!(!text.contains(&character), "{code:#x} in {text:?}");
            assert_eq!(
                serde_json::from_str::<Value>(&text).unwrap(),
                Value::String(character),
                "a program reads what was meant"
            );
        }
    }

    #[test]
    fn what_the_collector_escaped_is_not_escaped_again() {
        assert_eq!(safe("a\\x1bb"), "a\\x1bb");
        assert_eq!(safe("zoë"), "zoë");
    }

    #[test]
    fn a_moment_is_utc() {
        assert_eq!(moment(Some(0)), "1970-01-01 00:00:00");
        assert_eq!(clock(Some(1_000_000)), "00:00:01");
        assert_eq!(moment(None), "-");
    }
}
