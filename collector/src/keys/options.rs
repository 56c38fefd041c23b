//! What a key may do, by the options before it; and whether that became more. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Options that allow something; all others take something away (sshd(8), AUTHORIZED_KEYS FILE
/// FORMAT). One that is not known is taken for one that takes away: its end is told rather than not.
const ALLOW: [&str; 8] = [
    "agent-forwarding",
    "environment",
    "no-touch-required",
    "port-forwarding",
    "pty",
    "tunnel",
    "user-rc",
    "x11-forwarding",
];

/// How many lines with the same key, and other options each, are compared.
pub(super) const MOST: usize = 64;

/// What `after` lets a key do that `before` did not, in words; `None` if nothing. Several lines with
/// the same key stand below each other: sshd takes whichever lets the client in.
pub(super) fn widened(before: &[u8], after: &[u8]) -> Option<String> {
    if before == after {
        return None;
    }
    let lines = |text: &[u8]| -> BTreeSet<Options> {
        let lines = text.split(|byte| *byte == b'\n').take(MOST + 1);
        lines.map(parse).collect()
    };
    let (before, after) = (lines(before), lines(after));
    if after.len() > MOST {
        return Some("more lines than are compared".to_owned());
    }
    let mut all = Vec::new();
    for line in after {
        let least = before
            .iter()
            .map(|old| more(old, &line))
            .min_by_key(Vec::len);
        all.extend(least.unwrap_or_default());
    }
    all.dedup();
    (!all.is_empty()).then(|| all.join(", "))
}

/// The names in the value of an option, if the line has it: those that it is limited to by
/// `principals=` (sshd(8)).
pub(super) fn names(line: &[u8], option: &str) -> Option<Vec<String>> {
    let options = parse(line);
    let value = String::from_utf8(options.get(option)?.clone()).ok()?;
    let inner = value
        .trim_end_matches('\n')
        .strip_prefix('"')?
        .strip_suffix('"')?;
    // What stands there twice, or is quoted within, is no line of ours.
    let plain = !inner.contains(['"', '\\', '\n']);
    plain.then(|| inner.split(',').map(str::to_owned).collect())
}

type Options = BTreeMap<String, Vec<u8>>;

fn more(before: &Options, after: &Options) -> Vec<String> {
    let allows = |name: &str| ALLOW.contains(&name);
    let ended = before
        .keys()
        .filter(|name| !allows(name) && !after.contains_key(*name));
    let ended = ended.map(|name| format!("{name} is gone"));
    let changed = after.iter().filter(|(name, value)| {
        let old = before.get(*name);
        old.is_some_and(|old| old != *value)
    });
    let changed = changed.map(|(name, _)| format!("{name} has changed"));
    let begun = after
        .keys()
        .filter(|name| allows(name) && !before.contains_key(*name));
    let begun = begun.map(|name| format!("{name} is new"));
    ended.chain(changed).chain(begun).collect()
}

/// The options of one line, as sshd reads them: separated by commas, a value in quotes in which
/// `\"` is a quote; names in any case. Of one that stands there more than once, all values.
fn parse(text: &[u8]) -> Options {
    let mut options = Options::new();
    let mut option = Vec::new();
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.iter().chain(b",") {
        match byte {
            b',' if !quoted => {
                add(&mut options, &option);
                option.clear();
                continue;
            }
            b'"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
        option.push(*byte);
    }
    add(&mut options, &option);
    options
}

fn add(options: &mut Options, option: &[u8]) {
    let option = option.trim_ascii();
    if option.is_empty() {
        return;
    }
    let mut parts = option.splitn(2, |byte| *byte == b'=');
    let name = parts.next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).to_lowercase();
    let values = options.entry(name).or_default();
    values.extend(parts.next().unwrap_or_default());
    values.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> Option<String> {
        widened(before.as_bytes(), after.as_bytes())
    }

    #[test]
    fn less_is_not_told_and_more_is() {
        let from = "from=\"10.0.0.0/8,192.0.2.7\"";
        assert_eq!(told("", from), None);
        assert_eq!(told("", "restrict,command=\"a, b\""), None);
        assert_eq!(told(from, from), None);
        assert_eq!(told(from, &format!("no-pty,{from}")), None);
        assert_eq!(told(from, "").as_deref(), Some("from is gone"));
        assert_eq!(
            told(from, "from=\"*\"").as_deref(),
            Some("from has changed")
        );
        assert_eq!(
            told("restrict", "restrict,pty").as_deref(),
            Some("pty is new")
        );
        assert_eq!(
            told("Restrict,no-PTY", "no-pty").as_deref(),
            Some("restrict is gone")
        );
    }

    #[test]
    fn a_comma_or_a_quote_in_a_value_ends_nothing() {
        let command = r#"command="echo \"a,from=b\",c",from="10.0.0.1""#;
        assert_eq!(
            told(command, r#"from="10.0.0.1""#).as_deref(),
            Some("command is gone")
        );
        assert_eq!(told(command, command), None);
    }

    #[test]
    fn very_many_lines_are_not_compared_and_told() {
        let many = |count: usize| {
            (0..count)
                .map(|n| format!("command=\"{n}\"\n"))
                .collect::<String>()
        };
        assert_eq!(told(&many(5000), &many(5000)), None);
        let why = told(&many(5000), &format!("{}restrict", many(5000)));
        assert_eq!(why.as_deref(), Some("more lines than are compared"));
    }

    #[test]
    fn a_second_line_without_limits_is_told() {
        let from = "from=\"10.0.0.1\"";
        assert_eq!(
            told(from, &format!("{from}\n")).as_deref(),
            Some("from is gone")
        );
        assert_eq!(told(&format!("{from}\n"), from), None);
        assert_eq!(
            told(&format!("{from}\nrestrict"), &format!("restrict\n{from}")),
            None
        );
    }
}
