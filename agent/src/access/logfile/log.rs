//! One log: reads what is new, understands it, and hands it in with the place that was reached.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::time::Instant;
use watchward_daemon::clock;
use watchward_protocol::access::{AccessEvent, Service, Trust, UNRECOGNISED};
use watchward_protocol::hosts::FindingState;
use watchward_protocol::record::{Gap, Report};
use watchward_protocol::time::Timestamp;

use super::Writer;
use super::generation::Progress;
use super::mark::{Identity, Position};
use super::tail::{Moment, Tail};
use super::watch::Watch;
use crate::access::connection::Kept;
use crate::access::desk::Desk;
use crate::access::named;
use crate::access::openvpn::own_log;
use crate::access::syslog::{self, Clock};
use crate::access::understand::{Understand, Written};
use crate::spool::Ended;

/// How often the place is kept while only other programs write to the log.
const IDLE: Duration = Duration::from_secs(60);

/// A log that is followed.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    writer: Writer,
    source: String,
    subject: String,
    tail: Option<Tail>,
    understand: Understand,
    reached: Option<Position>,
    /// When the place was kept last.
    kept: Option<Instant>,
    /// The file that the last watch is on; none while there is no file.
    watched: Option<Option<Identity>>,
}

impl Log {
    pub(super) fn new(path: &Path, writer: Writer) -> Self {
        let source = path.display().to_string();
        Self {
            path: path.to_owned(),
            writer,
            subject: format!("access: {source}"),
            source,
            tail: None,
            understand: Understand::new(),
            reached: None,
            kept: None,
            watched: None,
        }
    }

    /// Hands in all that is new. Whether there was something.
    pub(super) async fn catch_up(
        &mut self,
        buffer: &mut Vec<u8>,
        desk: &mut Desk,
    ) -> Result<bool, Ended> {
        let mut busy = false;
        loop {
            let (reports, progress) = match self.read(buffer, desk) {
                Ok(read) => read,
                Err(error) => {
                    // What was read and not handed in is read again from the place that was kept.
                    self.tail = None;
                    self.explain(&error, desk);
                    return Ok(busy);
                }
            };
            self.tell(desk);
            busy |= self.keep(reports, desk).await?;
            if progress != Progress::More {
                return Ok(busy);
            }
        }
    }

    /// Sees to it that the log's newest file is watched. Whether that is news: then something may
    /// have been written before.
    pub(super) fn be_watched(&mut self, watch: &Watch) -> bool {
        let newest = self.tail.as_ref().and_then(Tail::newest);
        if self.watched == Some(newest) {
            return false;
        }
        match watch.add(&self.path) {
            Ok(()) => self.watched = Some(newest),
            Err(error) => {
                tracing::debug!(source = self.source, %error, "cannot be watched by inotify");
                return false;
            }
        }
        true
    }

    /// Reads the next part.
    fn read(&mut self, buffer: &mut Vec<u8>, desk: &Desk) -> io::Result<(Vec<Report>, Progress)> {
        let moment = Moment {
            now: clock::now(),
            instant: Instant::now(),
        };
        let mut reports = Vec::new();
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => {
                let opened = open(&self.path, &self.source, moment, desk)?;
                reports.extend(opened.gap.map(Report::Gap));
                self.understand.resume(&opened.open);
                self.tail.insert(opened.tail)
            }
        };
        let clock = Clock {
            now: moment.now,
            ahead: ahead(moment.now),
        };
        self.understand.begin();
        let mut events = Vec::new();
        let (writer, understand) = (&self.writer, &mut self.understand);
        let alone = desk.only_shows();
        let mut line =
            |line: &[u8]| events.extend(understood(line, clock, writer, understand, alone));
        let progress = tail.advance(moment, buffer, &mut line)?;
        reports.extend(tail.gaps().into_iter().map(Report::Gap));
        reports.extend(events.into_iter().map(Report::Access));
        reports.extend(self.understand.gap(&self.source).map(Report::Gap));
        Ok((reports, progress))
    }

    /// Hands in what was read. The place alone is not worth a write to the disk each time: lines of
    /// other programs can be read again. Whether something is new.
    async fn keep(&mut self, reports: Vec<Report>, desk: &mut Desk) -> Result<bool, Ended> {
        let Some(mut position) = self.tail.as_ref().map(Tail::position) else {
            return Ok(false);
        };
        position.open = self.understand.kept();
        let files = |position: &Position| -> Vec<Identity> {
            position.marks.iter().map(|mark| mark.identity).collect()
        };
        let before = self.reached.replace(position.clone());
        let moved = before.as_ref().map(|before| &before.marks) != Some(&position.marks);
        let turned = before.as_ref().map(files) != Some(files(&position));
        if moved && self.kept.is_none_or(|kept| kept.elapsed() >= IDLE)
            || turned
            || !reports.is_empty()
        {
            let bytes = serde_json::to_vec(&position).unwrap_or_default();
            desk.keep(reports, &self.source, bytes).await?;
            self.kept = Some(Instant::now());
            return Ok(true);
        }
        Ok(moved)
    }

    fn tell(&self, desk: &mut Desk) {
        if self.tail.as_ref().is_some_and(Tail::is_there) {
            let detail = match &self.writer {
                Writer::Syslog(services) => format!(
                    "lines of {} are read from this file; any local user can forge them",
                    named(services)
                ),
                Writer::OpenVpn => "OpenVPN's lines are read from this file".to_owned(),
            };
            desk.say(&self.subject, FindingState::Watched, &detail);
        } else {
            let detail = "there is no such file; it is read from its start when it comes";
            desk.say(&self.subject, FindingState::Absent, detail);
        }
    }

    fn explain(&self, error: &io::Error, desk: &mut Desk) {
        if error.kind() == ErrorKind::NotFound {
            let detail = "there is no such folder; it is waited for";
            desk.say(&self.subject, FindingState::Absent, detail);
            return;
        }
        let detail = if error.kind() == ErrorKind::PermissionDenied {
            "the agent may not read it: its user must be in the file's group (often adm)".to_owned()
        } else {
            format!("cannot be read: {error}")
        };
        desk.say(&self.subject, FindingState::Failing, &detail);
    }
}

/// A log that was opened: what is not known of it, and the connections whose lines go on.
struct Opened {
    tail: Tail,
    gap: Option<Gap>,
    open: Vec<Kept>,
}

/// Opens a log where it was left, or at its end when it is seen for the first time.
fn open(path: &Path, source: &str, moment: Moment, desk: &Desk) -> io::Result<Opened> {
    let first = |gap| -> io::Result<Opened> {
        Ok(Opened {
            tail: Tail::first(path, moment.now)?,
            gap,
            open: Vec::new(),
        })
    };
    let Some(bytes) = desk.position(source) else {
        return first(None);
    };
    match serde_json::from_slice::<Position>(bytes) {
        Ok(position) => Ok(Opened {
            tail: Tail::resume(path, &position, moment)?,
            gap: None,
            open: position.open,
        }),
        Err(error) => first(Some(Gap {
            source: source.to_owned(),
            from: None,
            to: moment.now,
            lost: None,
            why: format!("the place it was read to cannot be understood: {error}"),
        })),
    }
}

/// What a line means, if one of the services wrote it. A line without a header may be anybody's:
/// then it counts only if it is one that sshd is known to write. `alone`: whatever other lines of the
/// same process say.
fn understood(
    line: &[u8],
    clock: Clock,
    writer: &Writer,
    understand: &mut Understand,
    alone: bool,
) -> Vec<AccessEvent> {
    let written = |service, at: Option<Timestamp>, pid, message| Written {
        service,
        at: at.unwrap_or(clock.now),
        pid,
        boot: 0,
        trust: Trust::Text,
        message,
    };
    let Writer::Syslog(services) = writer else {
        let (at, message) = own_log::read(line, clock);
        return understand.line(&written(Service::OpenVpn, at, None, message));
    };
    let read = syslog::read(line, clock);
    let service = read.program.map_or(Some(Service::Sshd), syslog::service);
    let Some(service) = service.filter(|service| services.contains(service)) else {
        return Vec::new();
    };
    let pid = read.pid.filter(|_| !alone);
    let mut events = understand.line(&written(service, read.at, pid, read.message));
    events.iter_mut().for_each(|event| event.pid = read.pid);
    if read.program.is_none() {
        events.retain(|event| event.form != UNRECOGNISED);
    }
    events
}

/// How many seconds this host's clock on the wall is ahead of UTC.
fn ahead(now: Timestamp) -> i64 {
    let at = jiff::Timestamp::from_microsecond(now.as_micros()).unwrap_or_default();
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    i64::from(zone.to_offset(at).seconds())
}
