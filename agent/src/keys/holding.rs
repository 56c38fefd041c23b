//! What one holder has, gathered within the bounds of a report.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::Path;

use watchward_protocol::keys::{Effect, Holder, Keys, Means, Opening, PublicKey, Trouble};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::open::shown;

/// How often the very same one is told, and with how many different limits the same key: copies are
/// no news, and must not hide what stands below them.
const MOST_COPIES: u32 = 8;
const MOST_LIMITS: usize = 32;
/// How many bytes of them, about.
const LARGEST: usize = 832 << 10;
/// How many bytes of keys as they are on the wire: the first ones, and each once.
const WIRES: usize = 96 << 10;
/// How many of what could not be read: these come first, so that rubbish does not hide them.
const MOST_UNREAD: usize = 32;

/// What a holder has, or a file of theirs, as far as it was gathered.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    openings: Vec<Opening>,
    /// Of each key, or place without one: what limits stand before it, and how often.
    limits: HashMap<(Means, String), BTreeMap<u64, u32>>,
    omitted: u32,
    unread: Troubles,
    passed_over: Troubles,
    room: usize,
    wires: usize,
    /// The keys that are told as they are on the wire.
    carried: HashSet<String>,
}

/// Troubles of one effect, and how many more there were.
#[derive(Clone, Debug, Default)]
struct Troubles {
    said: Vec<Trouble>,
    more: usize,
}

impl Default for Holding {
    fn default() -> Self {
        Self {
            openings: Vec::new(),
            limits: HashMap::new(),
            omitted: 0,
            unread: Troubles::default(),
            passed_over: Troubles::default(),
            room: LARGEST,
            wires: WIRES,
            carried: HashSet::new(),
        }
    }
}

/// An opening of which nothing more is known than where it stands.
pub(super) fn opening(means: Means, file: &Path, line: Option<u32>) -> Opening {
    Opening {
        means,
        key: None,
        file: named(file),
        line,
        comment: Foreign::default(),
        options: Foreign::default(),
        principals: Vec::new(),
        not_before: None,
        not_after: None,
        condition: None,
    }
}

impl Holding {
    /// Adds one, if there is still room.
    pub(super) fn add(&mut self, mut opening: Opening) {
        if !self.is_news(&opening) {
            return;
        }
        shorten(&mut opening.comment);
        shorten(&mut opening.options);
        opening.principals.truncate(Opening::MOST_PRINCIPALS);
        opening.principals.iter_mut().for_each(shorten);
        let names = opening.principals.iter();
        let size = 256
            + opening.file.len()
            + opening.comment.as_bytes().len()
            + opening.options.as_bytes().len()
            + names.map(|name| 4 + name.as_bytes().len()).sum::<usize>();
        let left = self.room.checked_sub(size);
        match left.filter(|_| self.openings.len() < Keys::MOST_OPENINGS) {
            Some(left) => {
                self.room = left;
                self.carry(&mut opening);
                self.openings.push(opening);
            }
            None => self.omitted = self.omitted.saturating_add(1),
        }
    }

    /// Leaves out the key as it is on the wire where it is of no use, was told already, or has no room.
    fn carry(&mut self, opening: &mut Opening) {
        let means = opening.means;
        let Some(key) = opening.key.as_mut().filter(|key| !key.wire.is_empty()) else {
            return;
        };
        let is_asked = matches!(
            means,
            Means::AuthorizedKey | Means::Authority | Means::HostKey
        );
        let fits = is_asked && key.wire.len() <= PublicKey::LONGEST_WIRE;
        let is_new = fits && !self.carried.contains(&key.fingerprint);
        match self.wires.checked_sub(key.wire.len()).filter(|_| is_new) {
            Some(left) => {
                self.wires = left;
                self.carried.insert(key.fingerprint.clone());
            }
            None => key.wire.clear(),
        }
    }

    /// Whether it says anything that was not said before.
    fn is_news(&mut self, opening: &Opening) -> bool {
        let what = match &opening.key {
            Some(key) => key.fingerprint.clone(),
            None => opening.file.clone(),
        };
        let mut hasher = DefaultHasher::new();
        let limits = (&opening.options, &opening.principals, &opening.condition);
        limits.hash(&mut hasher);
        let known = self
            .limits
            .entry((opening.means, what.clone()))
            .or_default();
        if opening.key.is_some()
            && known.len() >= MOST_LIMITS
            && !known.contains_key(&hasher.finish())
        {
            let text =
                format!("{what} stands on more lines with different options than {MOST_LIMITS}");
            self.beyond(Some(Path::new(&opening.file)), text);
            return false;
        }
        let copies = known.entry(hasher.finish()).or_default();
        *copies += 1;
        *copies <= MOST_COPIES
    }

    /// Adds what was gathered elsewhere.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.openings_of(other);
        self.complain(other);
    }

    /// Adds only what opens elsewhere.
    pub(super) fn openings_of(&mut self, other: &Self) {
        other.openings.iter().cloned().for_each(|it| self.add(it));
        self.omitted = self.omitted.saturating_add(other.omitted);
    }

    /// Authorities that are limited to no names are limited to this one.
    pub(super) fn name_authorities(&mut self, name: &Foreign) {
        let authorities = self.openings.iter_mut();
        for one in authorities.filter(|it| it.means == Means::Authority) {
            if one.principals.is_empty() {
                one.principals.push(name.clone());
            }
        }
    }

    /// Adds what counts only for some connections; what counts for all of them is there already.
    pub(super) fn also(&mut self, mut other: Self, condition: &str) {
        let openings = std::mem::take(&mut other.openings);
        let place = |one: &Opening| (one.means, one.file.clone(), one.line, one.options.clone());
        let places = self.openings.iter().enumerate();
        let places: HashMap<_, _> = places.map(|(at, one)| (place(one), at)).collect();
        for mut opening in openings {
            let known = places.get(&place(&opening));
            match known.and_then(|at| self.openings.get_mut(*at)) {
                None => {
                    opening.condition = Some(condition.to_owned());
                    self.add(opening);
                }
                Some(known) => {
                    if let Some(known) = &mut known.condition {
                        *known = cut(format!("{known} or {condition}"));
                    }
                }
            }
        }
        self.omitted = self.omitted.saturating_add(other.omitted);
        self.complain(&other);
    }

    /// Adds only what is wrong elsewhere.
    pub(super) fn complain(&mut self, other: &Self) {
        self.unread.extend(&other.unread);
        self.passed_over.extend(&other.passed_over);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.openings.len()
    }

    /// Says that something could not be read or found out: of a file, or of everything.
    pub(super) fn unread(&mut self, file: Option<&Path>, text: String) {
        self.unread.add(Effect::Unread, file, text);
    }

    /// Says that there is more than is looked at.
    pub(super) fn beyond(&mut self, file: Option<&Path>, text: String) {
        self.unread.add(Effect::Beyond, file, text);
    }

    /// Says that sshd itself passes something over.
    pub(super) fn passed_over(&mut self, file: Option<&Path>, text: String) {
        self.passed_over.add(Effect::PassedOver, file, text);
    }

    /// Says that sshd ignores a line. There may be millions of them.
    pub(super) fn ignored(&mut self, path: &Path, line: u32, why: &str) {
        if self.passed_over.said.len() >= Keys::MOST_TROUBLES {
            self.passed_over.more += 1;
            return;
        }
        let text = format!("{}, line {line}: sshd ignores it: {why}", shown(path));
        self.passed_over(Some(path), text);
    }

    /// All of it.
    pub(super) fn told(self, holder: Holder, at: Timestamp) -> Keys {
        let mut troubles = self.unread.told(MOST_UNREAD, Effect::Unread);
        let left = Keys::MOST_TROUBLES - troubles.len();
        troubles.extend(self.passed_over.told(left, Effect::PassedOver));
        Keys {
            at,
            holder,
            openings: self.openings,
            omitted: self.omitted,
            troubles,
        }
    }
}

impl Troubles {
    fn add(&mut self, effect: Effect, file: Option<&Path>, text: String) {
        if self.said.len() >= Keys::MOST_TROUBLES {
            self.more += 1;
            return;
        }
        let (file, text) = (file.map(named), cut(text));
        let trouble = Trouble { effect, file, text };
        // The same file may count for several reasons.
        if !self.said.contains(&trouble) {
            self.said.push(trouble);
        }
    }

    fn extend(&mut self, other: &Self) {
        for trouble in &other.said {
            let known = self.said.contains(trouble);
            if !known && self.said.len() < Keys::MOST_TROUBLES {
                self.said.push(trouble.clone());
            } else if !known {
                self.more += 1;
            }
        }
        self.more += other.more;
    }

    /// At most so many, of which the last says how many more there are.
    fn told(mut self, most: usize, effect: Effect) -> Vec<Trouble> {
        if self.said.len() + usize::from(self.more > 0) > most {
            let fit = most.saturating_sub(1);
            self.more += self.said.len().saturating_sub(fit);
            self.said.truncate(fit);
        }
        if self.more > 0 && most > 0 {
            let (file, text) = (None, format!("and {} more of this kind", self.more));
            self.said.push(Trouble { effect, file, text });
        }
        self.said
    }
}

/// A file as reports name it.
fn named(path: &Path) -> String {
    cut(shown(path))
}

fn shorten(text: &mut Foreign) {
    if text.as_bytes().len() > Opening::LONGEST_TEXT {
        let mut bytes = std::mem::take(text).into_bytes();
        bytes.truncate(Opening::LONGEST_TEXT);
        *text = bytes.into();
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(Opening::LONGEST_TEXT));
    text
}

#[cfg(test)]
mod tests {
    use watchward_protocol::record::{Record, Report};
    use watchward_protocol::wire;

    use super::*;

    fn line(number: u32, fingerprint: &str, options: &str) -> Opening {
        let mut one = opening(Means::AuthorizedKey, Path::new("/root/keys"), Some(number));
        one.key = Some(PublicKey {
            kind: "ssh-ed25519".to_owned(),
            bits: 256,
            fingerprint: fingerprint.to_owned(),
            wire: Vec::new(),
        });
        one.options = options.into();
        one
    }

    fn told(holding: Holding) -> Keys {
        holding.told(Holder::Account("root".into()), Timestamp::default())
    }

    #[test]
    fn a_key_does_not_hide_below_many_copies_of_another() {
        let mut holding = Holding::default();
        for number in 0..5000 {
            holding.add(line(number, "SHA256:known", ""));
        }
        holding.add(line(5000, "SHA256:hidden", ""));
        let keys = told(holding);
        assert_eq!((keys.omitted, &keys.troubles[..]), (0, &[][..]));
        assert_eq!(keys.openings.len(), 9);
        assert_eq!(keys.openings[8].line, Some(5000));
    }

    #[test]
    fn nor_do_its_limits_below_many_others_of_the_same_key() {
        let mut holding = Holding::default();
        for number in 0..5000 {
            holding.add(line(number, "SHA256:a", &format!("command=\"{number}\"")));
        }
        let keys = told(holding);
        assert_eq!((keys.omitted, keys.openings.len()), (0, 32));
        let [only] = &keys.troubles[..] else {
            panic!("{:?}", keys.troubles);
        };
        assert_eq!(only.effect, Effect::Beyond);
        assert!(only.text.contains("SHA256:a"), "{only:?}");
    }

    #[test]
    fn a_report_stays_below_a_mebibyte_and_says_what_it_leaves_out() {
        for (comment, kept) in [(0, 2000), (2000, 370)] {
            let mut holding = Holding::default();
            for number in 0..3000 {
                let mut one = line(number, &format!("SHA256:{number:043}"), "");
                one.comment = vec![b'x'; comment].into();
                let wire = vec![b'w'; 51 + comment];
                one.key
                    .iter_mut()
                    .for_each(|key| key.wire.clone_from(&wire));
                one.options = vec![b'y'; comment].into();
                holding.add(one);
                let text = format!("{number}{}", "oh".repeat(2000));
                holding.passed_over(Some(Path::new(&text)), text.clone());
            }
            holding.unread(None, "what counts".to_owned());
            let keys = holding.told(Holder::Account("a".into()), Timestamp::default());
            assert!(keys.openings.len() > kept - 50 && keys.openings.len() <= kept);
            assert_eq!(keys.openings.len() + keys.omitted as usize, 3000);
            assert_eq!(keys.troubles.len(), 64);
            let [first, .., last] = &keys.troubles[..] else {
                panic!("many");
            };
            assert_eq!((&first.text[..], first.hides()), ("what counts", true));
            assert!(last.text.contains("2938 more"), "{last:?}");
            assert!(!last.hides());
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
