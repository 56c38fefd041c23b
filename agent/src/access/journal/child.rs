//! `journalctl` as a child: its lines as they come, in bounded memory.

use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};

/// An entry that takes more is given up. Fields over 4 KiB are not shown by journalctl, and few are
/// asked for: none of sshd's own comes near.
const LONGEST: usize = 256 * 1024;
/// So much is handed on at once.
const BATCH: usize = 64 * 1024;

/// A `journalctl` that runs.
#[derive(Debug)]
pub(super) struct Reading {
    child: Child,
    lines: ChildStdout,
    buffer: Vec<u8>,
    /// The rest of a line that is too long is still to come.
    skipping: bool,
}

/// Lines that were there at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Whole lines, each with its newline.
    pub(super) lines: Vec<u8>,
    /// How many lines were given up, because they were too long.
    pub(super) lost: u64,
}

impl Reading {
    /// Starts it with these arguments.
    pub(super) fn start(program: &str, arguments: &[&str]) -> std::io::Result<Self> {
        let mut child = Command::new(program)
            .args(["--output=json", "--no-pager"])
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = child.stdout.take();
        let lines = lines.ok_or_else(|| std::io::Error::other("it has no output"))?;
        Ok(Self {
            child,
            lines,
            buffer: Vec::new(),
            skipping: false,
        })
    }

    /// Waits for lines, and takes all that are there. None: it has ended.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Batch>> {
        let mut batch = Batch::default();
        loop {
            if self.lines.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
            while self.buffer.len() < BATCH {
                tokio::select! {
                    biased;
                    more = self.lines.read_buf(&mut self.buffer) => if more? == 0 { break },
                    () = std::future::ready(()) => break,
                }
            }
            self.take(&mut batch);
            if !batch.lines.is_empty() || batch.lost > 0 {
                return Ok(Some(batch));
            }
        }
    }

    /// Moves whole lines into the batch.
    fn take(&mut self, batch: &mut Batch) {
        if self.skipping {
            let Some(newline) = self.buffer.iter().position(|byte| *byte == b'\n') else {
                self.buffer.clear();
                return;
            };
            self.buffer.drain(..=newline);
            self.skipping = false;
            batch.lost += 1;
        }
        match self.buffer.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => {
                let rest = self.buffer.split_off(newline + 1);
                batch.lines = std::mem::replace(&mut self.buffer, rest);
            }
            None if self.buffer.len() > LONGEST => {
                self.buffer = Vec::new();
                self.skipping = true;
            }
            None => {}
        }
    }

    /// Ends it. What it had to say beside its lines.
    pub(super) async fn complaint(mut self) -> String {
        if let Ok(None) = self.child.try_wait() {
            // It may end by itself meanwhile.
            let _ = self.child.start_kill();
        }
        let mut said = Vec::new();
        if let Some(errors) = self.child.stderr.take() {
            // Without a word from it, its status will do.
            let _ = errors.take(4096).read_to_end(&mut said).await;
        }
        let said = String::from_utf8_lossy(&said);
        if let Some(last) = said.lines().rfind(|line| !line.trim().is_empty()) {
            return last.trim().to_owned();
        }
        match self.child.wait().await {
            Ok(status) => format!("it ended with {status}"),
            Err(error) => error.to_string(),
        }
    }
}
