//! What one holder has, gathered within the bounds of a report.

use std::path::Path;

use watchward_protocol::keys::{Holder, Keys, Means, Opening};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::open::shown;

/// How many openings are told.
const MOST: usize = 2000;
/// How many bytes of them, about.
const LARGEST: usize = 900 << 10;
/// How many troubles are told.
const MOST_TROUBLES: usize = 64;
/// How much of a text is told.
const LONGEST: usize = 1024;
/// How many principals of an opening are told.
const MOST_PRINCIPALS: usize = 64;

/// What a holder has, as far as it was gathered.
#[derive(Debug)]
pub(super) struct Holding {
    openings: Vec<Opening>,
    omitted: u32,
    troubles: Vec<String>,
    untold: usize,
    room: usize,
}

impl Default for Holding {
    fn default() -> Self {
        Self {
            openings: Vec::new(),
            omitted: 0,
            troubles: Vec::new(),
            untold: 0,
            room: LARGEST,
        }
    }
}

/// An opening of which nothing more is known than where it stands.
pub(super) fn opening(means: Means, file: &Path, line: Option<u32>) -> Opening {
    Opening {
        means,
        key: None,
        file: cut(shown(file)),
        line,
        comment: Foreign::default(),
        options: Foreign::default(),
        principals: Vec::new(),
        not_before: None,
        not_after: None,
    }
}

impl Holding {
    /// Adds one, if there is still room.
    pub(super) fn add(&mut self, mut opening: Opening) {
        shorten(&mut opening.comment);
        shorten(&mut opening.options);
        opening.principals.truncate(MOST_PRINCIPALS);
        opening.principals.iter_mut().for_each(shorten);
        let names = opening.principals.iter();
        let size = 256
            + opening.file.len()
            + opening.comment.as_bytes().len()
            + opening.options.as_bytes().len()
            + names.map(|name| 4 + name.as_bytes().len()).sum::<usize>();
        let left = self.room.checked_sub(size);
        match left.filter(|_| self.openings.len() < MOST) {
            Some(left) => {
                self.room = left;
                self.openings.push(opening);
            }
            None => self.omitted = self.omitted.saturating_add(1),
        }
    }

    /// Says what went wrong.
    pub(super) fn trouble(&mut self, what: String) {
        if self.troubles.len() + 1 < MOST_TROUBLES {
            self.troubles.push(cut(what));
        } else {
            self.untold += 1;
        }
    }

    /// Says that sshd ignores a line. There may be millions of them.
    pub(super) fn ignored(&mut self, path: &Path, line: Option<u32>, why: &str) {
        if self.troubles.len() + 1 >= MOST_TROUBLES {
            self.untold += 1;
            return;
        }
        let line = line.unwrap_or_default();
        self.trouble(format!(
            "{}, line {line}: sshd ignores it: {why}",
            shown(path)
        ));
    }

    /// All of it.
    pub(super) fn told(mut self, holder: Holder, at: Timestamp) -> Keys {
        if self.untold > 0 {
            self.troubles
                .push(format!("and {} more of this kind", self.untold));
        }
        Keys {
            at,
            holder,
            openings: self.openings,
            omitted: self.omitted,
            troubles: self.troubles,
        }
    }
}

fn shorten(text: &mut Foreign) {
    if text.as_bytes().len() > LONGEST {
        let mut bytes = std::mem::take(text).into_bytes();
        bytes.truncate(LONGEST);
        *text = bytes.into();
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

#[cfg(test)]
mod tests {
    use watchward_protocol::record::{Record, Report};
    use watchward_protocol::wire;

    use super::*;

    #[test]
    fn a_report_stays_below_a_mebibyte_and_says_what_it_leaves_out() {
        for (comment, kept) in [(0, 2000), (2000, 400)] {
            let mut holding = Holding::default();
            for line in 0..3000 {
                let mut one = opening(Means::AuthorizedKey, Path::new("/home/a/keys"), Some(line));
                one.comment = vec![b'x'; comment].into();
                one.options = vec![b'y'; comment].into();
                holding.add(one);
                holding.trouble("oh".repeat(2000));
            }
            let keys = holding.told(Holder::Account("a".into()), Timestamp::default());
            assert!(keys.openings.len() > kept - 50 && keys.openings.len() <= kept);
            assert_eq!(keys.openings.len() + keys.omitted as usize, 3000);
            assert_eq!(keys.troubles.len(), 64);
            assert!(
                keys.troubles[63].contains("2937 more"),
                "{}",
                keys.troubles[63]
            );
            let bytes = wire::encode(Record {
                seq: 1,
                covers: 0,
                kept_at: keys.at,
                boot: [0; 16],
                report: Report::Keys(keys),
            });
            assert!(bytes.len() < 1 << 20, "{}", bytes.len());
        }
    }
}
