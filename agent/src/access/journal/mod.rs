//! The journal: what servers wrote there, with the fields that only journald can set.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use watchward_daemon::clock;
use watchward_protocol::access::Service;
use watchward_protocol::hosts::FindingState;
use watchward_protocol::record::{Gap, Report};

use super::desk::Desk;
use super::named;
use crate::spool::Ended;

mod child;
mod entry;
mod export;
mod opened;
mod pace;
mod place;
mod reader;
mod recall;
mod suppressed;

use child::Reading;
use entry::{Entry, FIELDS, matches};
use pace::Pace;
use place::Place;
use reader::Reader;

/// What it is called in what the agent found.
pub(super) const SUBJECT: &str = "access: journal";
/// Its name in positions and gaps.
const SOURCE: &str = "journal";

/// How long one question to the journal may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// When the place is gone, entries from so long before are looked at again: clocks are set back.
const BEFORE: Duration = Duration::from_secs(3600);

/// What this machine is called in its journal.
const MACHINE: &str = "/etc/machine-id";

/// These matches, of this machine alone. A journalctl that follows shows nothing of earlier boots
/// unless it merges all journals (seen with systemd 252), those of other machines among them.
fn of_this_machine(matches: Vec<String>, machine: &str) -> Vec<String> {
    if machine.is_empty() {
        return matches;
    }
    let own = format!("_MACHINE_ID={machine}");
    let mut words = vec!["--merge".to_owned()];
    for word in matches {
        if word == "+" {
            words.push(own.clone());
        }
        words.push(word);
    }
    words.push(own);
    words
}

/// Where the journal is.
#[derive(Debug)]
pub(super) struct Journal {
    program: String,
    socket: PathBuf,
    services: Vec<Service>,
}

/// How soon it is tried again at first, and after many times.
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(60);

/// Why the journal cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) state: FindingState,
    pub(super) why: String,
}

impl From<String> for Unreadable {
    fn from(why: String) -> Self {
        let state = FindingState::Failing;
        Self { state, why }
    }
}

/// How to go on.
struct Start {
    argument: String,
    /// Entries up to here were read before.
    place: Place,
    gap: Option<Gap>,
}

impl Journal {
    pub(super) fn of_host(services: &[Service]) -> Self {
        Self {
            services: services.to_vec(),
            program: "journalctl".to_owned(),
            socket: PathBuf::from("/run/systemd/journal/socket"),
        }
    }

    /// Whether the journal can be read.
    pub(super) async fn can_be_read(&self) -> Result<(), Unreadable> {
        self.look().await.map(drop)
    }

    /// Its last entry, if it can be read.
    async fn look(&self) -> Result<Option<Entry>, Unreadable> {
        if !self.socket.exists() {
            let socket = self.socket.display();
            let why = format!("no journald runs here ({socket} is missing)");
            return Err(Unreadable {
                state: FindingState::Absent,
                why,
            });
        }
        let (entry, complaint) = self.one(&["--lines=1", FIELDS]).await?;
        if complaint.contains("not seeing messages") || complaint.contains("permission") {
            let why = "the agent may not read it: its user must be in the group systemd-journal";
            return Err(Unreadable::from(why.to_owned()));
        }
        Ok(entry)
    }

    /// Reads the services' entries for ever; begins again whenever that ends.
    pub(super) async fn follow(&self, desk: &mut Desk) -> Result<Infallible, Ended> {
        let mut delay = SOON;
        loop {
            let began = Instant::now();
            let Unreadable { state, why } = match self.start(desk).await {
                Ok(start) => self.read(start, desk).await?,
                Err(unreadable) => unreadable,
            };
            if began.elapsed() > LATE {
                delay = SOON;
            }
            desk.say(SUBJECT, state, &format!("{why}; it is tried again"));
            sleep(delay).await;
            delay = (delay * 2).min(LATE);
        }
    }

    /// Finds out how to go on: from where it was left, if that is still there.
    async fn start(&self, desk: &mut Desk) -> Result<Start, Unreadable> {
        let last = self.look().await?;
        let kept = desk.position(SOURCE).map(serde_json::from_slice::<Place>);
        let now = clock::now();
        let anew = Start::at(Place::after(last.as_ref(), now));
        let place = match kept {
            Some(Ok(place)) => place,
            // Seen for the first time: old logins are no news.
            None => return Ok(anew),
            Some(Err(error)) => {
                let gap = Gap {
                    source: SOURCE.to_owned(),
                    from: None,
                    to: now,
                    lost: None,
                    why: format!("the place it was read to cannot be understood: {error}"),
                };
                return Ok(Start {
                    gap: Some(gap),
                    ..anew
                });
            }
        };
        let Some(cursor) = &place.cursor else {
            return Ok(Start::at(place));
        };
        // A seek to an entry that is gone goes to another one and does not tell.
        let found = self.one(&[&format!("--cursor={cursor}"), FIELDS]).await;
        let next = found.ok().and_then(|(entry, _)| entry);
        if next.as_ref().is_some_and(|entry| entry.cursor == *cursor) {
            return Ok(Start::at(place));
        }
        let (oldest, _) = self.one(&[FIELDS]).await?;
        let after = oldest.into_iter().chain(next).map(|entry| entry.taken);
        let gap = Gap {
            source: SOURCE.to_owned(),
            from: Some(place.at),
            to: after
                .filter(|taken| *taken > place.at)
                .min()
                .unwrap_or_else(clock::now),
            lost: None,
            why: "the entry that was read last is no longer in the journal: what followed it may \
                have been removed as well"
                .to_owned(),
        };
        let since = (place.at - BEFORE).as_micros().div_euclid(1_000_000);
        Ok(Start {
            argument: format!("--since=@{since}"),
            place,
            gap: Some(gap),
        })
    }

    /// Reads until the child ends; why it did.
    async fn read(&self, start: Start, desk: &mut Desk) -> Result<Unreadable, Ended> {
        let fixed = ["--follow", "--no-tail", "--quiet", FIELDS, &start.argument];
        let machine = std::fs::read_to_string(MACHINE).unwrap_or_default();
        let matches = of_this_machine(matches(&self.services), machine.trim());
        let matches = matches.iter().map(String::as_str);
        let all: Vec<&str> = fixed.into_iter().chain(matches).collect();
        let mut reading = match Reading::start(&self.program, &all) {
            Ok(reading) => reading,
            Err(error) => return Ok(self.cannot_start(&error).into()),
        };
        let (mut reader, mut pace) = (Reader::new(start.place, self.services.clone()), Pace::new());
        let gap = start.gap.into_iter().map(Report::Gap).collect();
        reader.keep(gap, desk).await?;
        let detail = format!(
            "entries of {} are read from the journal",
            named(&self.services)
        );
        desk.say(SUBJECT, FindingState::Watched, &detail);
        loop {
            match reading.next().await {
                Ok(Some(entries)) => {
                    reader.take(&entries, desk).await?;
                    desk.gather(pace.after(reading.taken())).await;
                }
                Ok(None) => {
                    let complaint = timeout(PATIENCE, reading.complaint()).await;
                    let complaint = complaint.unwrap_or_else(|_| "it closed its output".to_owned());
                    return Ok(format!("journalctl ended: {complaint}").into());
                }
                Err(error) => return Ok(format!("journalctl cannot be read: {error}").into()),
            }
        }
    }

    fn cannot_start(&self, error: &std::io::Error) -> String {
        format!("{} cannot be started: {error}", self.program)
    }

    /// The first entry that journalctl shows with these arguments, and what it says beside it.
    async fn one(&self, arguments: &[&str]) -> Result<(Option<Entry>, String), String> {
        let ask = async {
            let mut reading = Reading::start(&self.program, arguments)
                .map_err(|error| self.cannot_start(&error))?;
            let entries = reading.next().await.map_err(|error| error.to_string())?;
            let entry = entries.unwrap_or_default().into_iter().next();
            Ok((entry, reading.complaint().await))
        };
        let answer = timeout(PATIENCE, ask).await;
        answer.unwrap_or_else(|_| Err("journalctl does not answer".to_owned()))
    }
}

impl Start {
    fn at(place: Place) -> Self {
        let argument = match &place.cursor {
            // Not `--after-cursor`: together with matches it skips an entry before systemd 255
            // (systemd issue 30288). The entry itself is known again by its cursor.
            Some(cursor) => format!("--cursor={cursor}"),
            None => format!("--since=@{}", place.at.as_micros().div_euclid(1_000_000)),
        };
        Self {
            argument,
            place,
            gap: None,
        }
    }
}

#[cfg(test)]
mod tests;
