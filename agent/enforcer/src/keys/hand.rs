//! The hand of this role: does what is asked, as far as the guard lets it, and undoes what nobody confirmed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::Folder;
use super::judge::{Wish, judge};
use super::krl::{self, Header};
use super::list::{self, List};
use super::programs::Programs;
use super::request::{Answer, Force, Holding, Request, Revoked, Session};
use super::session::{self, Over};
use crate::clock;
use crate::guarded::Guarded;
use crate::hand::short;
use crate::service::{say, warn};

/// Whoever acts.
pub(super) struct Hand {
    guarded: Guarded,
    folder: Folder,
    programs: Programs,
    staged: Result<List, String>,
    /// The file in force, byte for byte: whoever takes it away finds it again.
    file: Option<Vec<u8>>,
    /// What it names, where that was said since this program started.
    known: Option<List>,
    trial: Option<(u64, Duration)>,
    meddled: Option<String>,
    /// What could not be done, and is tried again.
    trouble: Option<String>,
}

impl Hand {
    /// Begins with what is on the disk. What nobody confirmed before is undone.
    pub(super) fn begin(guard: &Path, ssh: &Path, work: PathBuf) -> Self {
        let mut hand = Self {
            guarded: Guarded::new(guard.to_owned()),
            folder: Folder::below(ssh),
            programs: Programs { folder: work },
            staged: Ok(List::default()),
            file: None,
            known: None,
            trial: None,
            meddled: None,
            trouble: None,
        };
        if hand.folder.has_begun() {
            say("what was on trial when this ended is undone");
            // If it cannot be done now, it is tried again.
            let _noted = hand.undo();
        }
        hand.look();
        hand
    }

    /// What goes on with time: a trial ends, and whatever a third hand took away is put back.
    pub(super) fn look(&mut self) {
        self.guarded.look();
        if self.trial.is_some_and(|(_, until)| clock::now() >= until) {
            warn("what was on trial was not confirmed: what held before holds again");
            let _noted = self.undo();
        } else if self.trial.is_none() {
            let _noted = self.back();
        }
        if !self.folder.is_armed() {
            if self.trial.is_none() {
                (self.file, self.known) = (None, None);
            }
            return;
        }
        let there = self.folder.read().ok();
        if there.is_some() && there == self.file {
            return;
        }
        let sound = there.filter(|file| Header::read(file).is_some());
        let (file, what) = match (self.file.take(), sound) {
            // After a start it is what was left there.
            (None, Some(file)) => {
                self.file = Some(file);
                return;
            }
            (Some(file), _) => (file, "the list of revoked keys was changed or taken away"),
            // Without it sshd refuses every key.
            (None, None) => (krl::empty(), "the list of revoked keys was gone"),
        };
        warn(format_args!("{what}: it is put back"));
        self.meddled = Some(what.to_owned());
        self.note(self.folder.put(&file).map_err(unable));
        self.file = Some(file);
    }

    /// Whether there is a place for its files. Where somebody took it away, the service's next
    /// start makes it again.
    pub(super) fn has_ground(&self) -> bool {
        self.folder.is_there()
    }

    /// When something is to be done.
    pub(super) fn due(&self) -> Option<Duration> {
        self.trial.map(|(_, until)| until)
    }

    /// Does what is asked.
    pub(super) fn answer(&mut self, request: Request) -> Answer {
        self.look();
        match request {
            Request::Hello => Answer::Holding(self.holding()),
            Request::Stage { first, revoked } => done(self.stage(first, revoked)),
            Request::Try {
                generation,
                seconds,
            } => done(self.attempt(generation, seconds)),
            Request::Confirm { generation } => done(self.confirm(generation)),
            Request::Back => done(self.back()),
            Request::End(session) => self.end(&session),
        }
    }

    fn holding(&mut self) -> Holding {
        let force = self.file.as_ref().map(|file| {
            let header = Header::read(file).unwrap_or_default();
            Force {
                generation: header.generation,
                revoked: header.revoked,
                digest: list::digest(file),
            }
        });
        let trouble = self.guarded.trouble.clone().or(self.trouble.clone());
        let trouble = trouble.or_else(|| self.sshd_is_ready().err());
        Holding {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            force,
            trial: self.trial.map(|(_, until)| {
                let left = until.saturating_sub(clock::now()).as_secs();
                u32::try_from(left).unwrap_or(u32::MAX)
            }),
            known: self.known.is_some(),
            meddled: self.meddled.take(),
            trouble: short(&trouble.unwrap_or_default()),
            longest_trial: self.guarded.guard.keys.longest_trial.seconds(),
        }
    }

    fn stage(&mut self, first: bool, revoked: Vec<Revoked>) -> Result<(), String> {
        if first {
            self.staged = Ok(List::default());
        }
        let added = self.staged.as_mut().map(|list| list.add(revoked));
        if let Ok(Err(why)) = added {
            self.staged = Err(why);
        }
        self.staged.as_ref().map(drop).map_err(String::clone)
    }

    fn attempt(&mut self, generation: u64, seconds: u32) -> Result<(), String> {
        let list = std::mem::replace(&mut self.staged, Err("nothing was said".to_owned()))?;
        self.back()?;
        let wish = Wish {
            generation,
            seconds,
        };
        self.permit(&list, wish)?;
        self.sshd_is_ready()?;
        let armed = self.folder.is_armed();
        self.programs.make(&list, generation, &self.folder.next)?;
        let file = std::fs::read(&self.folder.next).map_err(unable)?;
        self.folder.begin().map_err(unable)?;
        let until = clock::now() + Duration::from_secs(seconds.into());
        if let Err(why) = self.put(armed) {
            self.undo()?;
            return Err(why);
        }
        (self.file, self.known) = (Some(file), Some(list));
        self.trial = Some((generation, until));
        say(format_args!(
            "list {generation} is on trial for {seconds} s"
        ));
        Ok(())
    }

    /// Whether the guard lets this be.
    fn permit(&self, list: &List, wish: Wish) -> Result<(), String> {
        let trouble = self.guarded.trouble.clone();
        trouble.map_or(Ok(()), Err)?;
        let held = self.file.as_deref().and_then(Header::read);
        let held = held.map(|it| it.generation);
        judge(list, wish, &self.guarded.guard.keys, held, clock::shown())
    }

    /// Puts the list that was made in its place, and sees that sshd looks at it.
    fn put(&self, armed: bool) -> Result<(), String> {
        self.folder.put_next().map_err(unable)?;
        if !armed {
            let made = "make that folder, and restart watchward-enforcer-keys";
            let armed = self.folder.arm();
            armed.map_err(|error| format!("/etc/ssh/sshd_config.d: {error}: {made}"))?;
        }
        let test = self.programs.test();
        test.map_err(|why| format!("sshd does not take its configuration with this list: {why}"))?;
        self.must_be_ours(&self.programs.names()?)?;
        match armed {
            true => Ok(()),
            false => self.programs.reload(),
        }
    }

    fn confirm(&mut self, generation: u64) -> Result<(), String> {
        let force = self.file.as_deref().and_then(Header::read);
        match self.trial {
            Some((of, _)) if of == generation => {}
            None if force.is_some_and(|it| it.generation == generation) => return Ok(()),
            Some(_) | None => return Err("no such list is on trial".to_owned()),
        }
        self.folder.end().map_err(unable)?;
        self.trial = None;
        say(format_args!("list {generation} is confirmed"));
        Ok(())
    }

    fn back(&mut self) -> Result<(), String> {
        match self.folder.has_begun() {
            true => self.undo(),
            false => Ok(()),
        }
    }

    /// What held before the trial holds again. What cannot be done now is tried again.
    fn undo(&mut self) -> Result<(), String> {
        let undone = match self.folder.began_with_nothing() {
            false => self.folder.restore(),
            true => self.folder.disarm(),
        };
        // An sshd that does not hear of it obeys a list that is empty.
        if self.folder.began_with_nothing()
            && let Err(why) = self.programs.reload()
        {
            warn(why);
        }
        let ended = undone.and_then(|()| self.folder.end()).map_err(unable);
        (self.trial, self.known) = (None, None);
        self.file = self.folder.read().ok().filter(|_| self.folder.is_armed());
        self.note(ended.clone());
        ended
    }

    fn end(&self, session: &Session) -> Answer {
        let guard = &self.guarded.guard.keys;
        let usable = self.guarded.trouble.is_none() && guard.revoke;
        let Some(known) = self
            .known
            .as_ref()
            .filter(|_| usable && self.trial.is_none())
        else {
            return Answer::Refused("it does not hold yet what is revoked".to_owned());
        };
        if !known.revokes(&session.key, session.certificate.as_ref()) {
            return Answer::Refused("nothing that is revoked opened it".to_owned());
        }
        match session::end(session.pid, session.started) {
            Ok(Over::Ended) => {
                say(format_args!("ended the session of process {}", session.pid));
                Answer::Done
            }
            Ok(Over::Gone) => Answer::Gone,
            Err(why) => Answer::Refused(short(&why)),
        }
    }

    /// Whether sshd takes its configuration, and nobody else told it of revoked keys.
    fn sshd_is_ready(&self) -> Result<(), String> {
        let test = self.programs.test();
        test.map_err(|why| format!("sshd's configuration has an error: {why}"))?;
        let named = self.programs.names()?;
        match named == "none" && !self.folder.is_armed() {
            true => Ok(()),
            false => self.must_be_ours(&named),
        }
    }

    /// Whether sshd looks at this role's file.
    fn must_be_ours(&self, named: &str) -> Result<(), String> {
        match named {
            named if named == self.folder.revoked().to_string_lossy() => Ok(()),
            "none" => Err(NOT_INCLUDED.to_owned()),
            named => Err(format!(
                "sshd's configuration has a line `RevokedKeys {named}` that is not Watchward's: \
                 revoke those keys with Watchward, and take that line away"
            )),
        }
    }

    fn note(&mut self, done: Result<(), String>) {
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

fn unable(error: io::Error) -> String {
    format!("it cannot be done: {error}")
}
