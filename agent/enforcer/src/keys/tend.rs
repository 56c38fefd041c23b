//! What goes on with time: a trial ends, what a third hand took away is put back, and sshd's configuration is followed.

use super::folder::{Stamp, Whole};
use super::hand::{Hand, unable};
use super::krl::Header;
use crate::clock;
use crate::service::warn;

impl Hand {
    /// Does all of it that is due.
    pub(super) fn look(&mut self) {
        if self.guarded.look() {
            // Whoever knows the whole order says it again, and the guard is asked again.
            self.known = None;
        }
        if self.trial.is_some_and(|trial| clock::now() >= trial.until) {
            warn("what was on trial was not confirmed: what held before holds again");
            let _noted = self.undo();
        } else if self.trial.is_none() {
            let _noted = self.back();
        }
        if self.trial.is_none() && !self.folder.is_read() {
            // Whoever was killed, or could not, has left it so.
            let read = self.programs.test().and_then(|()| self.reload());
            self.note(read);
        }
        let Some(told) = self.folder.told() else {
            if self.trial.is_none() {
                (self.whole, self.known) = (None, None);
            }
            return;
        };
        self.keep(told);
        if self.trial.is_none() {
            self.settle();
            self.follow();
        }
    }

    /// What held before holds again, if it is on trial what holds.
    pub(super) fn back(&mut self) -> Result<(), String> {
        match self.folder.has_begun() {
            true => self.undo(),
            false => Ok(()),
        }
    }

    /// What held before the trial holds again. What cannot be done now is tried again.
    pub(super) fn undo(&mut self) -> Result<(), String> {
        let undone = self.folder.restore().map_err(unable);
        (self.trial, self.known) = (None, None);
        (self.whole, self.stamp) = (self.folder.read().ok(), Stamp::new());
        // What the trial followed is not followed any more.
        self.followed = Stamp::new();
        self.note(undone.clone());
        self.settle();
        self.whole = self.whole.take().filter(|it| !it.told.is_empty());
        undone
    }

    /// Sees that what is in force is what it was.
    fn keep(&mut self, told: String) {
        let stamp = self.folder.stamp();
        if self.whole.is_some() && stamp == self.stamp {
            return;
        }
        let there = self.folder.read().ok();
        self.stamp = stamp;
        if there.is_some() && there == self.whole {
            return;
        }
        let is_sound = |it: &Whole| Header::read(&it.revoked).is_some() && !it.told.is_empty();
        let (whole, what) = match (self.whole.take(), there.filter(is_sound)) {
            // After a start it is what was left there.
            (None, Some(whole)) => {
                self.whole = Some(whole);
                return;
            }
            (Some(whole), _) => (whole, "what sshd is told of keys was changed or taken away"),
            // Without a list sshd refuses every key.
            (None, None) => (Whole::nothing(told), "what sshd is told of keys was gone"),
        };
        warn(format_args!("{what}: it is put back"));
        self.meddled = Some(what.to_owned());
        let put = self.folder.make(&whole);
        let put = put.and_then(|made| self.folder.switch(&made));
        self.note(put.map_err(unable));
        (self.whole, self.stamp) = (Some(whole), self.folder.stamp());
        if self.trial.is_none() {
            self.folder.clear();
        }
    }

    /// Sees that sshd is told what is in force: whoever was killed in between left another line there.
    fn settle(&mut self) {
        let Some(whole) = &self.whole else {
            return;
        };
        let told = self.folder.told();
        if told.as_ref().is_none_or(|told| *told == whole.told) {
            return;
        }
        let put = self.folder.tell(&whole.told).map_err(unable);
        // An sshd that does not hear of it obeys what is in force there: nothing.
        let put = put.and_then(|()| self.programs.test());
        let put = put.and_then(|()| self.reload());
        self.note(put);
    }

    /// Has sshd read what it is told.
    pub(super) fn reload(&self) -> Result<(), String> {
        self.programs.reload()?;
        self.folder.was_read().map_err(unable)
    }

    /// Where somebody changed in which files sshd looks for keys, it looks there, and into this role's
    /// besides.
    fn follow(&mut self) {
        let configuration = self.folder.configuration();
        if configuration == self.followed {
            return;
        }
        self.followed = configuration;
        let Some(whole) = self.whole.clone().filter(|it| !it.keys.is_empty()) else {
            return;
        };
        // What sshd does not take it does not follow either.
        if self.programs.test().is_err() {
            return;
        }
        let files = self.programs.files_without(&self.folder.drop_in);
        let told = match files {
            Ok(files) => self.folder.text(Some(&files)) + whole.shown(),
            Err(why) => return self.left_out.accounts = Some(why),
        };
        if told != whole.told {
            let next = Whole {
                told,
                ..whole.clone()
            };
            let put = self.folder.make(&next);
            let put = put.and_then(|made| self.folder.switch(&made));
            self.note(put.map_err(unable));
            (self.whole, self.stamp) = (self.folder.read().ok(), self.folder.stamp());
            self.settle();
            self.folder.clear();
        }
        self.left_out.accounts = self.unopened(&whole);
    }
}
