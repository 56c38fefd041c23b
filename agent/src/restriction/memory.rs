//! The bans of this host's own in a file, so that who comes again after a restart is not a stranger.
//!
//! One line for each change, the last of a network counts: `203.0.113.7/32 2 SINCE UNTIL`, or
//! `203.0.113.7/32 -`. The file is written anew at each start and when it has grown.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use ipnet::IpNet;
use watchward_protocol::time::Timestamp;

use super::ban::{Former, MOST_FORMER, Note};
use crate::kept;

/// So many lines are written until the file is written anew; with those of the bans that it has then,
/// it never has more than twice as many.
const MOST_LINES: usize = MOST_FORMER;
/// More than so many lines can be.
const LARGEST: u64 = 64 << 20;
const NAME: &str = "bans";

/// What remembers. The thread that writes ends with it.
#[derive(Debug)]
pub(super) struct Memory(Sender<Vec<Note>>);

impl Memory {
    /// What is remembered in this folder of bans that were over `longest` ago at most, and what
    /// remembers from now on. What cannot be read is as nothing.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub(super) fn open(
        folder: &Path,
        longest: Duration,
        now: Timestamp,
    ) -> anyhow::Result<(HashMap<IpNet, Former>, Self)> {
        let keeper = Keeper {
            file: folder.join(NAME),
            longest,
            lines: 0,
        };
        let known = keeper.read(now).unwrap_or_else(|error| {
            let file = keeper.file.display();
            tracing::warn!(%file, %error, "cannot read whom this host shut out; who comes again is new");
            HashMap::new()
        });
        let (notes, noted) = mpsc::channel();
        let builder = thread::Builder::new().name("bans".to_owned());
        let first = known.clone();
        builder
            .spawn(move || keeper.run(&first, &noted))
            .context("own bans cannot be remembered without a thread")?;
        Ok((known, Self(notes)))
    }

    /// Remembers changes. Does not wait.
    pub(super) fn note(&self, notes: Vec<Note>) {
        if !notes.is_empty() {
            // The thread lives as long as this.
            let _ = self.0.send(notes);
        }
    }
}

/// What the thread has.
struct Keeper {
    file: PathBuf,
    longest: Duration,
    /// How many were written since the file was written anew.
    lines: usize,
}

impl Keeper {
    fn run(mut self, known: &HashMap<IpNet, Former>, noted: &Receiver<Vec<Note>>) {
        let mut open = self.renew(known);
        while let Ok(notes) = noted.recv() {
            let notes: Vec<Note> = notes
                .into_iter()
                .chain(noted.try_iter().flatten())
                .collect();
            let done = open.and_then(|file| self.add(file, &notes));
            open = done.inspect_err(|error| {
                let file = self.file.display();
                tracing::warn!(%file, %error, "who comes again after a restart will be new");
            });
            if open.is_err() {
                open = File::options().append(true).create(true).open(&self.file);
            }
        }
    }

    /// Adds lines, and says where more are to be added.
    fn add(&mut self, mut file: File, notes: &[Note]) -> io::Result<File> {
        file.write_all(text(notes.iter().copied()).as_bytes())?;
        file.sync_data()?;
        self.lines += notes.len();
        if self.lines < MOST_LINES {
            return Ok(file);
        }
        let now = watchward_daemon::clock::now();
        let known = self.read(now)?;
        self.renew(&known)
    }

    /// Writes the whole file anew, or leaves it as it was.
    fn renew(&mut self, known: &HashMap<IpNet, Former>) -> io::Result<File> {
        let all = known.iter().map(|(net, ban)| (*net, Some(*ban)));
        let file = kept::replace(&self.file, text(all).as_bytes())?;
        self.lines = 0;
        Ok(file)
    }

    fn read(&self, now: Timestamp) -> io::Result<HashMap<IpNet, Former>> {
        let mut text = Vec::new();
        match File::open(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
            file => file?.take(LARGEST).read_to_end(&mut text)?,
        };
        let mut known = HashMap::new();
        let lines = text.split(|byte| *byte == b'\n');
        for (net, ban) in lines.filter_map(|line| note(str::from_utf8(line).ok()?)) {
            match ban {
                Some(ban) => known.insert(net, ban),
                None => known.remove(&net),
            };
        }
        known.retain(|_, ban| now.since(ban.until) <= self.longest);
        let mut latest: Vec<_> = known.into_iter().collect();
        latest.sort_unstable_by_key(|(net, ban)| (std::cmp::Reverse(ban.until), *net));
        latest.truncate(MOST_FORMER);
        Ok(latest.into_iter().collect())
    }
}

fn text(notes: impl Iterator<Item = Note>) -> String {
    let mut text = String::new();
    for (net, ban) in notes {
        // Writing to a text cannot fail.
        let _ = match ban {
            None => writeln!(text, "{net} -"),
            Some(ban) => {
                let (since, until) = (ban.since.as_micros(), ban.until.as_micros());
                writeln!(text, "{net} {} {since} {until}", ban.times)
            }
        };
    }
    text
}

/// A line that was cut off by a crash says nothing.
fn note(line: &str) -> Option<Note> {
    let mut words = line.split(' ');
    let net = words.next()?.parse().ok()?;
    let times = words.next()?;
    if times == "-" {
        return Some((net, None));
    }
    let mut moment = || Some(Timestamp::from_micros(words.next()?.parse().ok()?));
    let ban = Former {
        times: times.parse().ok()?,
        since: moment()?,
        until: moment()?,
    };
    Some((net, Some(ban)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn ban(times: u32, minutes: u64) -> Former {
        Former {
            times,
            since: NOON,
            until: NOON + Duration::from_secs(60 * minutes),
        }
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    /// What is read of a file once it is as it should be: a thread writes it.
    fn reads(folder: &Path, now: Timestamp, expected: &[(IpNet, Former)]) {
        let expected: HashMap<_, _> = expected.iter().copied().collect();
        let keeper = Keeper {
            file: folder.join(NAME),
            longest: WEEK,
            lines: 0,
        };
        for _ in 0..6000 {
            if keeper.read(now).unwrap() == expected {
                return;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        panic!("{:?}, not {expected:?}", keeper.read(now));
    }

    #[test]
    fn the_last_word_on_each_network_is_remembered_until_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other, gone] = ["192.0.2.1/32", "2001:db8::/64", "192.0.2.3/32"].map(net);
        let (known, memory) = Memory::open(folder.path(), WEEK, NOON).unwrap();
        assert!(known.is_empty());
        memory.note(vec![(one, Some(ban(1, 10))), (gone, Some(ban(1, 10)))]);
        memory.note(vec![(one, Some(ban(2, 40))), (gone, None)]);
        memory.note(vec![(other, Some(ban(3, 160)))]);
        reads(
            folder.path(),
            NOON,
            &[(one, ban(2, 40)), (other, ban(3, 160))],
        );
        drop(memory);
        let later = NOON + WEEK + Duration::from_secs(3600);
        let (known, _memory) = Memory::open(folder.path(), WEEK, later).unwrap();
        assert_eq!(known, [(other, ban(3, 160))].into());
        reads(folder.path(), NOON, &[(other, ban(3, 160))]);
    }

    #[test]
    fn what_a_crash_left_of_a_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let left = format!(
            "{}192.0.2.9/32 4 18",
            text([(net("192.0.2.1/32"), Some(ban(1, 9)))].into_iter())
        );
        std::fs::write(folder.path().join(NAME), left).unwrap();
        let (known, memory) = Memory::open(folder.path(), WEEK, NOON).unwrap();
        assert_eq!(known, [(net("192.0.2.1/32"), ban(1, 9))].into());
        memory.note(vec![(net("192.0.2.2/32"), Some(ban(1, 9)))]);
        let both = ["192.0.2.1/32", "192.0.2.2/32"].map(|it| (net(it), ban(1, 9)));
        reads(folder.path(), NOON, &both);
    }
}
