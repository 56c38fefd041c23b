//! The gates that were seen to hold last, in a file, so that they can be named after a restart.
//!
//! The enforcer says which hold by a number and a digest alone. `GENERATION DIGEST` is the first
//! line, and for each gate follows `enforce NAME` or `watch NAME`.

use std::fs;
use std::io;
use std::path::PathBuf;

use watchward_protocol::restriction::{GateHeld, Mode};

use super::gates::{Confirmed, Standing};
use crate::kept;

const NAME: &str = "gates.held";

/// What keeps them.
#[derive(Debug)]
pub(super) struct Keeper {
    file: PathBuf,
    /// Which were kept last, or could not be.
    kept: Option<(u64, u64)>,
}

impl Keeper {
    /// One for this folder, with how the gates stood when the program ended. What cannot be read is
    /// as nothing.
    pub(super) fn open(folder: &std::path::Path) -> (Self, Standing) {
        let file = folder.join(NAME);
        let known = match fs::read_to_string(&file) {
            Ok(text) => read(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let file = file.display();
                tracing::warn!(%file, %error, "cannot read which gates held");
                None
            }
        };
        let kept = known.as_ref().map(|(version, _)| *version);
        (Self { file, kept }, Standing::recalling(known))
    }

    /// Keeps them, if they are others than before.
    pub(super) fn keep(&mut self, standing: &Standing) {
        let Some(known) = standing.confirmed() else {
            return;
        };
        if self.kept == Some(known.0) {
            return;
        }
        self.kept = Some(known.0);
        if let Err(error) = kept::replace(&self.file, text(known).as_bytes()) {
            let file = self.file.display();
            tracing::warn!(%file, %error, "which gates hold is not known after a restart");
        }
    }
}

fn text(((generation, digest), gates): &Confirmed) -> String {
    let mut text = format!("{generation} {digest}\n");
    for gate in gates {
        text += &format!("{} {}\n", gate.mode.name(), gate.name.escape_debug());
    }
    text
}

/// All of it, or nothing.
fn read(text: &str) -> Option<Confirmed> {
    let mut lines = text.lines();
    let (generation, digest) = lines.next()?.split_once(' ')?;
    let version = (generation.parse().ok()?, digest.parse().ok()?);
    let gate = |line: &str| {
        let (mode, name) = line.split_once(' ')?;
        let mut modes = [Mode::Watch, Mode::Enforce].into_iter();
        Some(GateHeld {
            name: name.to_owned(),
            mode: modes.find(|known| known.name() == mode)?,
            turned_away: 0,
            from: Vec::new(),
        })
    };
    Some((version, lines.map(gate).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_damaged_is_nothing() {
        let gate = |name: &str, mode| GateHeld {
            name: name.to_owned(),
            mode,
            turned_away: 0,
            from: Vec::new(),
        };
        let gates = vec![gate("ssh", Mode::Enforce), gate("my db", Mode::Watch)];
        let known = ((7, u64::MAX), gates);
        assert_eq!(read(&text(&known)), Some(known));
        for damaged in ["", "7", "7 x\n", "7 8\nshut ssh\n", "7 8\nenforce\n"] {
            assert_eq!(read(damaged), None, "{damaged:?}");
        }
    }
}
