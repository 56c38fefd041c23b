//! Lines that open accounts: taken down, checked each by itself, and written so that sshd reads what was meant. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::key;
use super::request::{LARGEST_LINES, Line, MOST_LINES, MOST_NETS, MOST_PRINCIPALS};
use crate::guard::Keys;

/// The longest name of an account, and the longest principal, in bytes.
const LONGEST_ACCOUNT: usize = 32;
const LONGEST_PRINCIPAL: usize = 64;
/// The last second of the year 9999: sshd reads four digits.
const END: u64 = 253_402_300_799;

/// Everything that is to open accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    all: Vec<Line>,
    bytes: usize,
    /// How many had no room.
    beyond: usize,
}

/// The accounts of this host, with their numbers.
pub(super) type Accounts = BTreeMap<String, u32>;

/// What is in force of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// The text of each account's file.
    pub(super) files: BTreeMap<String, String>,
    /// Why something is left out, in a sentence.
    pub(super) left_out: Option<String>,
}

impl Lines {
    /// Takes down some more, as far as there is room.
    pub(super) fn add(&mut self, more: Vec<Line>) {
        for line in more {
            self.bytes += size(&line);
            match self.all.len() < MOST_LINES && self.bytes <= LARGEST_LINES {
                true => self.all.push(line),
                false => self.beyond += 1,
            }
        }
    }

    /// Whom they are to open, as far as such a name could be an account's.
    pub(super) fn accounts(&self) -> BTreeSet<&str> {
        let named = self.all.iter().map(|line| line.account.as_str());
        named.filter(|name| is_account(name)).collect()
    }

    /// The files of all whom the guard lets be opened. Each line is taken or left out by itself.
    pub(super) fn written(&self, accounts: &Accounts, guard: &Keys) -> Written {
        let mut written = Written::default();
        let mut left_out = Vec::new();
        for line in &self.all {
            match may(line, accounts, guard).and_then(|()| text(line)) {
                Ok(text) => *written.files.entry(line.account.clone()).or_default() += &text,
                Err(why) => left_out.push(why),
            }
        }
        if self.beyond > 0 {
            left_out.push(format!("at most {MOST_LINES} lines may open accounts"));
        }
        let count = left_out.len().max(self.beyond);
        written.left_out = left_out.into_iter().next().map(|why| match count {
            1 => why,
            more => format!("{why} (one of {more} lines that are left out)"),
        });
        written
    }
}

fn may(line: &Line, accounts: &Accounts, guard: &Keys) -> Result<(), String> {
    let name = &line.account;
    if !is_account(name) {
        return Err("a line is for what cannot be an account's name".to_owned());
    }
    let Some(number) = accounts.get(name) else {
        return Err(format!("there is no account {name}"));
    };
    match guard.may_open(name, *number) {
        true => Ok(()),
        false => Err(format!(
            "the guard file of this host does not let {name} be opened: put it into `accounts` of `[keys]`"
        )),
    }
}

/// A line as sshd takes it (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"): every value is of letters that end
/// no quote, no list and no line.
fn text(line: &Line) -> Result<String, String> {
    let wrong = |what: &str| format!("a line for {} has {what}", line.account);
    let key = key::line(&line.key).ok_or_else(|| wrong("what is no key"))?;
    let mut options = Vec::new();
    if !line.principals.is_empty() {
        let named = line.principals.iter().all(|it| is_principal(it));
        if !named || line.principals.len() > MOST_PRINCIPALS {
            return Err(wrong("principals that cannot be written"));
        }
        let principals = line.principals.join(",");
        options.push(format!("cert-authority,principals=\"{principals}\""));
    }
    if !line.forwarding {
        options.push("restrict,pty".to_owned());
    }
    if !line.from.is_empty() {
        if line.from.len() > MOST_NETS {
            return Err(wrong("too many networks"));
        }
        let nets: Vec<String> = line.from.iter().map(ToString::to_string).collect();
        options.push(format!("from=\"{}\"", nets.join(",")));
    }
    if let Some(until) = line.until {
        let until = moment(until).ok_or_else(|| wrong("an end after the year 9999"))?;
        options.push(format!("expiry-time=\"{until}\""));
    }
    let options = options.join(",");
    let space = if options.is_empty() { "" } else { " " };
    Ok(format!("{options}{space}{key} watchward\n"))
}

/// Seconds since 1970 as `YYYYMMDDHHMMSSZ`, which OpenSSH reads from 9.1 on.
fn moment(seconds: u64) -> Option<String> {
    if seconds > END {
        return None;
    }
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let length = |year| if leap(year) { 366 } else { 365 };
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for of_month in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < of_month {
            break;
        }
        days -= of_month;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let day = days + 1;
    Some(format!(
        "{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z"
    ))
}

/// Whether an account may be called so: it becomes the name of a file, and a word for other programs.
fn is_account(name: &str) -> bool {
    let (first, rest) = name.split_at_checked(1).unwrap_or_default();
    let begins = first.bytes().any(|it| matches!(it, b'a'..=b'z' | b'_'));
    let plain = |it: u8| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    begins && rest.bytes().all(plain) && name.len() <= LONGEST_ACCOUNT
}

fn is_principal(name: &str) -> bool {
    let plain =
        |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b':' | b'@' | b'-');
    (1..=LONGEST_PRINCIPAL).contains(&name.len()) && name.bytes().all(plain)
}

fn size(line: &Line) -> usize {
    let principals: usize = line.principals.iter().map(String::len).sum();
    line.account.len() + line.key.len() + principals + 17 * line.from.len() + 9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::guard::Guard;
    use crate::keys::TRACER;

    fn line(account: &str) -> Line {
        Line {
            account: account.to_owned(),
            key: TRACER.to_vec(),
            principals: Vec::new(),
            from: Vec::new(),
            until: None,
            forwarding: false,
        }
    }

    fn written(all: Vec<Line>, guard: &str) -> Written {
        let mut lines = Lines::default();
        lines.add(all);
        let accounts = [("root", 0), ("toor", 0), ("ada", 1000), ("zoe", 1001)];
        let accounts = accounts.map(|(name, number)| (name.to_owned(), number));
        lines.written(&accounts.into(), &Guard::parse(guard).unwrap().keys)
    }

    #[test]
    fn a_line_says_what_was_meant() {
        let all = vec![
            Line {
                from: vec![
                    "192.0.2.0/24".parse().unwrap(),
                    "2001:db8::/32".parse().unwrap(),
                ],
                until: Some(1_798_761_600),
                ..line("ada")
            },
            Line {
                principals: vec!["role:operator".to_owned(), "ada".to_owned()],
                forwarding: true,
                ..line("ada")
            },
        ];
        let written = written(all, "[keys]\naccounts = [\"*\"]");
        assert_eq!(written.left_out, None);
        let key = key::line(&TRACER).unwrap();
        let expected = format!(
            "restrict,pty,from=\"192.0.2.0/24,2001:db8::/32\",expiry-time=\"20270101000000Z\" {key} watchward\n\
             cert-authority,principals=\"role:operator,ada\" {key} watchward\n"
        );
        assert_eq!(written.files["ada"], expected);
        assert_eq!(moment(951_782_400).as_deref(), Some("20000229000000Z"));
        assert_eq!(moment(END).as_deref(), Some("99991231235959Z"));
        assert_eq!(moment(END + 1), None);
    }

    #[test]
    fn the_guard_says_who_may_be_opened_and_never_means_root() {
        for (guard, account, may) in [
            ("", "ada", false),
            ("[keys]\naccounts = [\"*\"]", "ada", true),
            ("[keys]\naccounts = [\"*\"]", "root", false),
            ("[keys]\naccounts = [\"*\"]", "toor", false),
            ("[keys]\naccounts = [\"*\", \"root\"]", "root", true),
            ("[keys]\naccounts = [\"zoe\"]", "ada", false),
            ("[keys]\naccounts = [\"*\"]", "nobody-here", false),
        ] {
            let written = written(vec![line(account)], guard);
            assert_eq!(written.files.len(), usize::from(may), "{guard}: {account}");
            assert_eq!(written.left_out.is_none(), may);
        }
    }

    #[test]
    fn what_cannot_be_written_is_left_out_and_the_others_are_not() {
        let wrong = [
            line("../ada"),
            line("Ada"),
            line(""),
            line("-o"),
            Line {
                key: b"\0\0\0\x0bssh-ed25519x".to_vec(),
                ..line("ada")
            },
            Line {
                principals: vec!["a\" ,b".to_owned()],
                ..line("ada")
            },
            Line {
                principals: vec!["a\nssh-ed25519 AAAA".to_owned()],
                ..line("ada")
            },
            Line {
                until: Some(END + 1),
                ..line("ada")
            },
        ];
        let guard = "[keys]\naccounts = [\"*\"]";
        for one in wrong {
            let both = written(vec![one.clone(), line("zoe")], guard);
            assert_eq!(both.files.keys().collect::<Vec<_>>(), ["zoe"], "{one:?}");
            assert!(both.left_out.is_some());
        }
        let many = written(vec![line("ada"); MOST_LINES + 1], guard);
        assert_eq!(many.files["ada"].lines().count(), MOST_LINES);
        assert!(many.left_out.is_some());
    }

    proptest! {
        #[test]
        fn whatever_is_said_a_line_stays_one(account: String, principal: String, forwarding: bool) {
            let one = Line {
                principals: vec![principal],
                forwarding,
                ..line("ada")
            };
            let guard = "[keys]\naccounts = [\"*\"]";
            let other = Line { account, ..line("ada") };
            for (name, text) in written(vec![one, other], guard).files {
                prop_assert!(["ada", "zoe"].contains(&name.as_str()));
                for line in text.lines() {
                    prop_assert!(line.ends_with(" watchward") && line.matches('"').count() % 2 == 0);
                }
                prop_assert!(text.lines().count() <= 2);
            }
        }
    }
}
