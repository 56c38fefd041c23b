//! `[health.command.NAME]`: a Nagios plugin, or any program that tells by its exit status.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::pace::{Pace, paced};
use super::path::AbsolutePath;
use crate::span::Span;

paced! {
    Pace::USUAL.every(Span::minutes(1)).within(Span::seconds(15));
    /// A program that tells by its exit status.
    pub struct Config {
        /// The program, from the root, and its words, as they are: no shell reads them.
        pub command: Argv,
        /// The folder it runs in: `/` unless said otherwise.
        pub directory: Option<AbsolutePath>,
        /// What is in its environment beside `PATH` and `LANG`.
        #[serde(default)]
        pub env: BTreeMap<Variable, Word>,
    }
}

/// A program and its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Argv {
    program: AbsolutePath,
    words: Vec<Word>,
}

/// What cannot be run.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected a program's whole path and its words, such as [\"/usr/lib/nagios/plugins/check_load\", \
     \"-w\", \"5\"]; at most 64 of them, none with a NUL"
)]
pub struct NotACommand;

impl Argv {
    /// The program.
    pub const fn program(&self) -> &AbsolutePath {
        &self.program
    }

    /// Its words, without the program itself.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(Word::as_str)
    }
}

impl TryFrom<Vec<String>> for Argv {
    type Error = NotACommand;

    fn try_from(all: Vec<String>) -> Result<Self, NotACommand> {
        if all.len() > 64 {
            return Err(NotACommand);
        }
        let mut all = all.into_iter();
        let program = all.next().ok_or(NotACommand)?;
        let program = AbsolutePath::try_from(program).map_err(|_| NotACommand)?;
        let words = all.map(Word::try_from).collect::<Result<_, _>>();
        let words = words.map_err(|_| NotACommand)?;
        Ok(Self { program, words })
    }
}

impl From<Argv> for Vec<String> {
    fn from(argv: Argv) -> Self {
        let words = argv.words.into_iter().map(String::from);
        std::iter::once(argv.program.into()).chain(words).collect()
    }
}

impl fmt::Display for Argv {
    /// Only the program: its words may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.fmt(f)
    }
}

/// A word that a program can be given: at most 4096 bytes without a NUL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Word(String);

/// A text that no program can be given.
#[derive(Debug, thiserror::Error)]
#[error("expected at most 4096 bytes without a NUL")]
pub struct NotAWord;

impl Word {
    /// The word as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Word {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        if text.len() > 4096 || text.contains('\0') {
            return Err(NotAWord);
        }
        Ok(Self(text))
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0
    }
}

/// The name of a variable of the environment: letters, digits and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Variable(String);

/// A text that is no name of a variable.
#[derive(Debug, thiserror::Error)]
#[error("expected the name of a variable of the environment, such as \"HTTP_PROXY\"")]
pub struct NotAVariable;

impl Variable {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Variable {
    type Error = NotAVariable;

    fn try_from(text: String) -> Result<Self, NotAVariable> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let fits = (1..=128).contains(&text.len())
            && text.bytes().all(plain)
            && !text.starts_with(|first: char| first.is_ascii_digit());
        if fits {
            Ok(Self(text))
        } else {
            Err(NotAVariable)
        }
    }
}

impl From<Variable> for String {
    fn from(variable: Variable) -> Self {
        variable.0
    }
}
