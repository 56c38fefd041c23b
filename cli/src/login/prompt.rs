//! What somebody types: on their terminal without an echo, or line by line from standard input, where
//! a program types for them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;

use anyhow::{Context, ensure};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Who types.
#[derive(Debug)]
pub(super) struct Prompt {
    from: BufReader<File>,
    is_terminal: bool,
}

impl Prompt {
    /// Standard input, if a program is there; else the terminal.
    pub(super) fn open() -> anyhow::Result<Self> {
        let input = io::stdin();
        let is_terminal = input.is_terminal();
        let from = if is_terminal {
            let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
            terminal.context("there is no terminal to type on")?
        } else {
            File::from(input.as_fd().try_clone_to_owned()?)
        };
        Ok(Self {
            from: BufReader::new(from),
            is_terminal,
        })
    }

    /// Whether somebody is there, and not a program.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Says what has to be seen, also where a program types.
    pub(super) fn tell(&mut self, text: &str) -> anyhow::Result<()> {
        match self.is_terminal {
            true => self.say(text),
            false => Ok(writeln!(io::stderr(), "{text}")?),
        }
    }

    /// Says something to whoever types.
    pub(super) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        self.show(&format!("{text}\n"))
    }

    /// Asks for something that anybody may see.
    pub(super) fn plain(&mut self, text: &str) -> anyhow::Result<String> {
        self.show(text)?;
        Ok(self.line()?.to_string())
    }

    /// Asks for something that nobody may see.
    pub(super) fn secret(&mut self, text: &str) -> anyhow::Result<Zeroizing<String>> {
        self.show(text)?;
        if !self.is_terminal {
            return self.line();
        }
        self.hidden(LocalModes::ECHO)
    }

    /// Asks for something long, which is not shown: a terminal takes no more than 4,095 bytes of a
    /// line that it lets one edit.
    pub(super) fn pasted(&mut self, text: &str) -> anyhow::Result<Zeroizing<String>> {
        self.show(text)?;
        if !self.is_terminal {
            return self.line();
        }
        self.hidden(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// A line that is typed while the terminal does without these.
    fn hidden(&mut self, without: LocalModes) -> anyhow::Result<Zeroizing<String>> {
        let _hidden = Hidden::new(self.from.get_ref().try_clone()?, without)?;
        let line = self.line()?;
        self.show("\n")?;
        Ok(line)
    }

    fn show(&mut self, text: &str) -> anyhow::Result<()> {
        match self.is_terminal {
            true => Ok(self.from.get_ref().write_all(text.as_bytes())?),
            false => Ok(()),
        }
    }

    fn line(&mut self) -> anyhow::Result<Zeroizing<String>> {
        let mut line = Zeroizing::new(String::new());
        let length = self.from.read_line(&mut line)?;
        ensure!(length > 0, "nobody typed anything");
        let end = line.trim_end_matches(['\n', '\r']).len();
        line.truncate(end);
        Ok(line)
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped.
#[derive(Debug)]
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    fn new(terminal: File, without: LocalModes) -> anyhow::Result<Self> {
        let before = tcgetattr(&terminal).context("cannot hide what you type")?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(without);
        tcsetattr(&terminal, OptionalActions::Flush, &hidden)
            .context("cannot hide what you type")?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
