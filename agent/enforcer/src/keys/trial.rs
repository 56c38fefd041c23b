//! A trial: what was said is made aside, put in force in one step, and holds once it is confirmed.

use std::path::Path;
use std::time::Duration;

use super::folder::{Keys, Whole};
use super::hand::{Hand, unable};
use super::judge::{Wish, judge};
use super::krl::Header;
use super::lines::{Accounts, Lines};
use super::request::Digest;
use crate::clock;
use crate::service::{say, warn};

/// What is on trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) generation: u64,
    pub(super) until: Duration,
}

/// What was asked for and is not in force, though the rest is.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftOut {
    /// Keys that are never revoked.
    pub(super) spared: Vec<Digest>,
    /// Lines that open accounts.
    pub(super) lines: Option<String>,
    /// Accounts for which sshd does not look at these lines.
    pub(super) accounts: Option<String>,
    /// What sshd shows of itself.
    pub(super) shown: Option<String>,
}

impl Hand {
    /// Puts in force what was said, for so long.
    pub(super) fn attempt(&mut self, generation: u64, seconds: u32) -> Result<(), String> {
        let mut list = std::mem::replace(&mut self.staged, Err("nothing was said".to_owned()))?;
        let lines = std::mem::take(&mut self.lines);
        self.back()?;
        self.permit(Wish {
            generation,
            seconds,
        })?;
        self.sshd_is_ready()?;
        self.folder.clear();
        let mut left_out = LeftOut {
            spared: list.spare(&self.guarded.guard.keys.never()),
            shown: self.left_out.shown.clone(),
            ..LeftOut::default()
        };
        let revoked = self.programs.make(&list, generation)?;
        // As it was before it is read: what is changed from here on is followed afterwards.
        let followed = self.folder.configuration();
        let (keys, told) = self.compose(&lines, &mut left_out);
        let before = self.whole.as_ref();
        let whole = Whole {
            revoked,
            keys,
            certificates: before.map(|it| it.certificates.clone()).unwrap_or_default(),
            told: told + before.map_or("", Whole::shown),
        };
        self.try_whole(whole, (generation, seconds))?;
        left_out.accounts = self.whole.as_ref().and_then(|it| self.unopened(it));
        self.left_out = left_out;
        (self.known, self.followed) = (Some(list), followed);
        Ok(())
    }

    /// Puts a whole in force for so long. What holds then is the list of this generation.
    pub(super) fn try_whole(
        &mut self,
        whole: Whole,
        (generation, seconds): (u64, u32),
    ) -> Result<(), String> {
        let made = self.folder.make(&whole).map_err(unable)?;
        let reread = self.folder.told().as_ref() != Some(&whole.told);
        self.start(&made)?;
        if let Err(why) = self.put(&made, reread) {
            self.undo()?;
            return Err(why);
        }
        self.whole = Some(whole);
        self.stamp = self.folder.stamp();
        let until = clock::now() + Duration::from_secs(seconds.into());
        self.trial = Some(Trial { generation, until });
        say(format_args!(
            "list {generation} is on trial for {seconds} s"
        ));
        Ok(())
    }

    /// Whether the guard lets this be.
    fn permit(&self, wish: Wish) -> Result<(), String> {
        let trouble = self.guarded.trouble.clone();
        trouble.map_or(Ok(()), Err)?;
        let held = self.whole.as_ref().and_then(|it| Header::read(&it.revoked));
        let held = held.map(|it| it.generation);
        judge(wish, &self.guarded.guard.keys, held, clock::shown())
    }

    /// The files of lines that open accounts, and how sshd is told of all. What cannot be is left out:
    /// what is revoked does not wait for it.
    fn compose(&self, lines: &Lines, left_out: &mut LeftOut) -> (Keys, String) {
        let accounts = self.programs.accounts(lines.accounts());
        let accounts = accounts.unwrap_or_else(|why| {
            warn(why);
            Accounts::new()
        });
        let written = lines.written(&accounts, &self.guarded.guard.keys);
        left_out.lines = written.left_out;
        if written.files.is_empty() {
            return (written.files, self.folder.text(None));
        }
        let files = self.programs.files_without(&self.folder.drop_in);
        let told = files.map(|files| self.folder.text(Some(&files)));
        // What was found out before is better than to open nobody.
        let before = || self.whole.as_ref().filter(|it| !it.keys.is_empty());
        match told.or_else(|why| before().map(|it| it.plain().to_owned()).ok_or(why)) {
            Ok(told) => (written.files, told),
            Err(why) => {
                left_out.lines = Some(format!("no account is opened, for {why}"));
                (Keys::new(), self.folder.text(None))
            }
        }
    }

    /// From here on there is a way back.
    fn start(&self, made: &Path) -> Result<(), String> {
        let before = match (self.folder.told(), self.folder.current()) {
            (Some(_), Ok(current)) => Ok(current),
            _ => self.folder.make(&Whole::nothing(String::new())),
        };
        let begun = before.and_then(|before| self.folder.begin(&before));
        begun.map_err(|error| {
            let _of_no_use = std::fs::remove_dir_all(made);
            unable(error)
        })
    }

    /// Puts in force what was made, and sees that sshd looks at it.
    fn put(&self, made: &Path, reread: bool) -> Result<(), String> {
        self.folder.switch(made).map_err(unable)?;
        if reread {
            let told = std::fs::read_to_string(made.join("told")).map_err(unable)?;
            self.folder.tell(&told).map_err(|error| {
                let made = "make that folder, and restart watchward-enforcer-keys";
                format!("/etc/ssh/sshd_config.d: {error}: {made}")
            })?;
        }
        let test = self.programs.test();
        test.map_err(|why| format!("sshd does not take its configuration with this list: {why}"))?;
        self.must_be_ours(&self.programs.names()?)?;
        match reread {
            false => Ok(()),
            true => self.reload(),
        }
    }

    /// What is on trial holds from now on.
    pub(super) fn confirm(&mut self, generation: u64) -> Result<(), String> {
        let force = self.whole.as_ref().and_then(|it| Header::read(&it.revoked));
        match self.trial {
            Some(trial) if trial.generation == generation => {}
            None if force.is_some_and(|it| it.generation == generation) => return Ok(()),
            Some(_) | None => return Err("no such list is on trial".to_owned()),
        }
        self.folder.end().map_err(unable)?;
        self.trial = None;
        self.folder.clear();
        say(format_args!("list {generation} is confirmed"));
        Ok(())
    }
}
