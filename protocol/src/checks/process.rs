//! `[health.process.NAME]`: a program that should be running.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pace::{Pace, paced};

paced! {
    Pace::USUAL;
    /// A program that should be running.
    pub struct Config {
        /// The name of the program, as `ps -C` takes it: `cron`, `postgres`.
        pub name: Program,
    }
}

/// The name of a program: a file's name, without a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Program(String);

/// A text that is no program's name.
#[derive(Debug, thiserror::Error)]
#[error("expected the name of a program without its folder, such as \"cron\"")]
pub struct NotAProgram;

impl Program {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Program {
    type Error = NotAProgram;

    fn try_from(text: String) -> Result<Self, NotAProgram> {
        let fits = (1..=255).contains(&text.len())
            && !text.contains('/')
            && !text.contains(char::is_control);
        if fits {
            Ok(Self(text))
        } else {
            Err(NotAProgram)
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Program> for String {
    fn from(program: Program) -> Self {
        program.0
    }
}
