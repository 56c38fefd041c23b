//! The hand of this role: does what is asked, as far as the guard lets it, and undoes what nobody confirmed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::{Folder, Stamp, Whole};
use super::host;
use super::krl::Header;
use super::lines::Lines;
use super::list::{self, List};
use super::programs::Programs;
use super::request::{Answer, Force, Holding, Request, Revoked, Session};
use super::session::{self, Over};
use super::trial::{LeftOut, Trial};
use crate::clock;
use crate::guarded::Guarded;
use crate::hand::short;
use crate::service::{say, warn};

/// Whoever acts.
pub(super) struct Hand {
    pub(super) guarded: Guarded,
    pub(super) folder: Folder,
    pub(super) programs: Programs,
    pub(super) staged: Result<List, String>,
    pub(super) lines: Lines,
    /// What is in force, byte for byte: whoever takes it away finds it again.
    pub(super) whole: Option<Whole>,
    /// When that was changed on the disk last.
    pub(super) stamp: Stamp,
    /// What is revoked, where that was said since this program started.
    pub(super) known: Option<List>,
    pub(super) trial: Option<Trial>,
    pub(super) meddled: Option<String>,
    /// What could not be done, and is tried again.
    pub(super) trouble: Option<String>,
    pub(super) left_out: LeftOut,
    /// When sshd's own configuration was changed last, as far as this role has followed it.
    pub(super) followed: Stamp,
}

impl Hand {
    /// Begins with what is on the disk. What nobody confirmed before is undone.
    pub(super) fn begin(guard: &Path, ssh: &Path, work: PathBuf) -> Self {
        let mut hand = Self {
            guarded: Guarded::new(guard.to_owned()),
            folder: Folder::below(ssh),
            programs: Programs {
                folder: work,
                is_starting: true,
            },
            staged: Ok(List::default()),
            lines: Lines::default(),
            whole: None,
            stamp: Stamp::new(),
            known: None,
            trial: None,
            meddled: None,
            trouble: None,
            left_out: LeftOut::default(),
            followed: Stamp::new(),
        };
        if hand.folder.has_begun() {
            say("what was on trial when this ended is undone");
            // If it cannot be done now, it is tried again.
            let _noted = hand.undo();
        }
        hand.look();
        hand.folder.clear();
        hand.programs.is_starting = false;
        hand
    }

    /// Whether there is a place for its files. Where somebody took it away, the service's next
    /// start makes it again.
    pub(super) fn has_ground(&self) -> bool {
        self.folder.is_there()
    }

    /// When something is to be done.
    pub(super) fn due(&self) -> Option<Duration> {
        self.trial.map(|trial| trial.until)
    }

    /// Does what is asked.
    pub(super) fn answer(&mut self, request: Request) -> Answer {
        self.look();
        match request {
            Request::Hello => Answer::Holding(self.holding()),
            Request::Stage { first, revoked } => done(self.stage(first, revoked)),
            Request::Open(lines) => {
                self.lines.add(lines);
                Answer::Done
            }
            Request::Try {
                generation,
                seconds,
            } => done(self.attempt(generation, seconds)),
            Request::Show { shown, seconds } => done(self.show(&shown, seconds)),
            Request::Confirm { generation } => done(self.confirm(generation)),
            Request::Back => done(self.back()),
            Request::End(session) => self.end(session),
            Request::Since { user, started } => match session::since(user, started) {
                Ok(processes) => Answer::Processes(processes),
                Err(error) => Answer::Refused(short(&unable(error))),
            },
        }
    }

    fn holding(&mut self) -> Holding {
        let force = self.whole.as_ref().map(|whole| {
            let header = Header::read(&whole.revoked).unwrap_or_default();
            Force {
                generation: header.generation,
                revoked: header.revoked,
                digest: list::digest(&whole.revoked),
            }
        });
        let opened = self.whole.iter().flat_map(|whole| whole.keys.values());
        let opened: usize = opened.map(|text| text.lines().count()).sum();
        let trouble = self.guarded.trouble.clone().or(self.trouble.clone());
        let trouble = trouble.or_else(|| self.sshd_is_ready().err());
        let said = |what: Option<&String>| short(what.map_or("", String::as_str));
        let unopened = self.left_out.accounts.as_ref();
        Holding {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            force,
            trial: self.trial.map(|trial| {
                let left = trial.until.saturating_sub(clock::now()).as_secs();
                u32::try_from(left).unwrap_or(u32::MAX)
            }),
            known: self.known.is_some(),
            meddled: self.meddled.take(),
            trouble: said(trouble.as_ref()),
            longest_trial: self.guarded.guard.keys.longest_trial.seconds(),
            opened: u32::try_from(opened).unwrap_or(u32::MAX),
            unopened: said(self.left_out.lines.as_ref().or(unopened)),
            shown: self.whole.as_ref().and_then(host::ordered),
            unshown: said(self.left_out.shown.as_ref()),
            spared: self.left_out.spared.clone(),
            may_close: self.guarded.guard.keys.close,
        }
    }

    fn stage(&mut self, first: bool, revoked: Vec<Revoked>) -> Result<(), String> {
        if first {
            self.staged = Ok(List::default());
            self.lines = Lines::default();
        }
        let added = self.staged.as_mut().map(|list| list.add(revoked));
        if let Ok(Err(why)) = added {
            self.staged = Err(why);
        }
        self.staged.as_ref().map(drop).map_err(String::clone)
    }

    fn end(&self, session: Session) -> Answer {
        let guard = &self.guarded.guard.keys;
        let usable = self.guarded.trouble.is_none() && guard.revoke && self.trial.is_none();
        let Some(known) = self.known.as_ref().filter(|_| usable) else {
            return Answer::Refused("it does not hold yet what is revoked".to_owned());
        };
        let revoked = || {
            let openers = self.programs.openers(session.pid, session.started)?;
            let mut openers = openers.iter();
            match openers.any(|it| known.revokes(&it.key, it.certificate.as_ref())) {
                true => Ok(()),
                false => Err("nothing that is revoked opened it".to_owned()),
            }
        };
        match session::end(session.pid, session.started, revoked) {
            Ok(Over::Ended) => {
                say(format_args!("ended the session of process {}", session.pid));
                Answer::Done
            }
            Ok(Over::Gone) => Answer::Gone,
            Err(why) => Answer::Refused(short(&why)),
        }
    }

    /// Whether sshd takes its configuration, and nobody else told it of revoked keys.
    pub(super) fn sshd_is_ready(&self) -> Result<(), String> {
        let test = self.programs.test();
        test.map_err(|why| format!("sshd's configuration has an error: {why}"))?;
        let named = self.programs.names()?;
        match named == "none" && self.folder.told().is_none() {
            true => Ok(()),
            false => self.must_be_ours(&named),
        }
    }

    /// Whether sshd looks at this role's file.
    pub(super) fn must_be_ours(&self, named: &str) -> Result<(), String> {
        match named {
            named if named == self.folder.revoked() => Ok(()),
            "none" => Err(NOT_INCLUDED.to_owned()),
            named => Err(format!(
                "sshd's configuration has a line `RevokedKeys {named}` that is not Watchward's: \
                 revoke those keys with Watchward, and take that line away"
            )),
        }
    }

    /// Who is not opened by lines of theirs that are in force.
    pub(super) fn unopened(&self, whole: &Whole) -> Option<String> {
        let files = self.folder.keys();
        let accounts = whole.keys.keys();
        self.programs
            .unopened(accounts, &files, &self.folder.drop_in)
    }

    pub(super) fn note(&mut self, done: Result<(), String>) {
        let trouble = done.err();
        if let Some(why) = trouble.as_ref().filter(|_| trouble != self.trouble) {
            warn(why);
        }
        self.trouble = trouble;
    }
}

const NOT_INCLUDED: &str = "sshd does not read /etc/ssh/sshd_config.d: put the line `Include \
    /etc/ssh/sshd_config.d/*.conf` at the top of /etc/ssh/sshd_config";

fn done(what: Result<(), String>) -> Answer {
    match what {
        Ok(()) => Answer::Done,
        Err(why) => Answer::Refused(short(&why)),
    }
}

pub(super) fn unable(error: io::Error) -> String {
    format!("it cannot be done: {error}")
}
