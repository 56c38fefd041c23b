//! Ends what a test started, also when the test process itself is killed.
//!
//! One keeper, a small shell, holds a list of commands. It reads that list from a pipe, and runs
//! what is left of it when the pipe closes, which the kernel does however the test process ends.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, bail};

const KEEPER: &str = r#"
declare -A todo
while IFS= read -r line; do
    number=${line%% *} command=${line#* }
    if [ "$command" = done ]; then unset "todo[$number]"; else todo[$number]=$command; fi
done
for number in $(printf '%s\n' "${!todo[@]}" | sort -rn); do bash -c "${todo[$number]}"; done
"#;

/// A command that will run when this value is dropped, or when the process ends.
#[derive(Debug)]
pub struct Undo {
    number: u64,
    command: String,
}

impl Undo {
    /// Promises to run this line of shell.
    pub fn promise(command: String) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if command.contains('\n') {
            bail!("the keeper reads one line for each command: {command}");
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        tell(&format!("{number} {command}\n"))?;
        Ok(Self { number, command })
    }

    /// Calls it off: there is nothing left to clean up, or another promise has it.
    pub fn forget(mut self) {
        self.command = "true".to_owned();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let command = Command::new("bash")
            .args(["-c", &self.command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if command.is_ok() {
            let _gone_with_the_keeper = tell(&format!("{} done\n", self.number));
        }
    }
}

/// An empty folder of its own, removed with all that is in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _undo: Undo,
}

impl Folder {
    /// A new one, whose name starts with `prefix`.
    pub fn new(prefix: &str) -> Result<Self> {
        let path = tempfile::Builder::new().prefix(prefix).tempdir()?.keep();
        let undo = Undo::promise(format!("rm -rf --one-file-system '{}'", path.display()))?;
        Ok(Self { path, _undo: undo })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn tell(line: &str) -> Result<()> {
    static PIPE: OnceLock<Mutex<Option<ChildStdin>>> = OnceLock::new();
    let pipe = PIPE.get_or_init(|| Mutex::new(keeper().ok()));
    let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = pipe
        .as_mut()
        .context("cannot start bash to clean up behind the tests")?;
    pipe.write_all(line.as_bytes())
        .context("the shell that cleans up behind the tests is gone")
}

/// In a session of its own, so that Ctrl-C ends the tests and not what cleans up behind them.
fn keeper() -> Result<ChildStdin> {
    let mut child: Child = Command::new("setsid")
        .args(["bash", "-c", KEEPER])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    child.stdin.take().context("no pipe to the keeper")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("left-behind");
        std::fs::write(&file, "").unwrap();
        let undo = Undo::promise(format!("rm {}", file.display())).unwrap();
        assert!(file.exists());
        drop(undo);
        assert!(!file.exists());
    }

    #[test]
    fn a_panicking_test_is_cleaned_up_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("left-behind");
        std::fs::write(&file, "").unwrap();
        let path = file.display().to_string();
        let panicked = std::thread::spawn(move || {
            let _undo = Undo::promise(format!("rm {path}")).unwrap();
            panic!("as a failing test does");
        });
        assert!(panicked.join().is_err());
        assert!(!file.exists());
    }
}
