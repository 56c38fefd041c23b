//! `journalctl` as a child: its entries as they come, in bounded memory.

use std::io;
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};

use super::entry::{self, Entry};
use super::export::Cutter;

/// So much is handed on at once.
const BATCH: usize = 64 * 1024;
/// At least so much is read at once, if it is there.
const PIECE: usize = 8 * 1024;

/// A `journalctl` that runs.
#[derive(Debug)]
pub(super) struct Reading {
    child: Child,
    output: ChildStdout,
    cutter: Cutter,
    taken: usize,
}

impl Reading {
    /// Starts it with these arguments. The export format costs journalctl half as much as JSON.
    pub(super) fn start(program: &str, arguments: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["--output=export", "--no-pager"])
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take();
        let output = output.ok_or_else(|| io::Error::other("it has no output"))?;
        Ok(Self {
            child,
            output,
            cutter: Cutter::default(),
            taken: 0,
        })
    }

    /// Waits for entries, and takes all that are there. None: it has ended.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<Entry>>> {
        let mut entries = Vec::new();
        self.taken = 0;
        while entries.is_empty() {
            let buffer = self.cutter.buffer();
            let before = buffer.len();
            buffer.reserve(PIECE);
            if self.output.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
            let full = buffer.len() + BATCH;
            while buffer.len() < full {
                buffer.reserve(PIECE);
                tokio::select! {
                    biased;
                    more = self.output.read_buf(buffer) => if more? == 0 { break },
                    () = std::future::ready(()) => break,
                }
            }
            self.taken += buffer.len() - before;
            self.cutter
                .cut(&mut |entry| entries.extend(entry::read(entry)));
        }
        Ok(Some(entries))
    }

    /// How many bytes were there the last time.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Ends it. What it had to say beside its entries.
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
