//! How ssh knows hosts by their certificates: `~/.ssh/watchward_known_hosts`, brought up to date with each login.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::screen::safe;

const NAME: &str = "watchward_known_hosts";
/// Whom ssh takes a host's word from; what else is in such a line can only be taken away by it.
const TRUSTED: &str = "@cert-authority ";
const REVOKED: &str = "@revoked ";

/// Keeps these lines in the place of those before, if whoever is asked takes what they trust more or less;
/// says what to do the first time.
///
/// # Errors
/// They cannot be kept, or are none.
pub(super) fn keep(
    lines: &[String],
    ask: impl FnOnce(&str) -> bool,
) -> anyhow::Result<Option<String>> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match home {
        Some(home) if !lines.is_empty() => keep_in(&PathBuf::from(home).join(".ssh"), lines, ask),
        _ => Ok(None),
    }
}

fn keep_in(
    folder: &Path,
    lines: &[String],
    ask: impl FnOnce(&str) -> bool,
) -> anyhow::Result<Option<String>> {
    ensure!(
        lines.iter().all(|it| is_sound(it)),
        "the collector said something else"
    );
    let file = folder.join(NAME);
    let named = || file.display().to_string();
    let is_new = !file.exists();
    if !is_new {
        let before = fs::read_to_string(&file).with_context(named)?;
        let difference = difference(&before, lines);
        if !difference.is_empty() && !ask(&difference) {
            return Ok(Some(format!("{} is as it was.", file.display())));
        }
    }
    let next = folder.join(format!("{NAME}.next"));
    fs::create_dir_all(folder).with_context(named)?;
    fs::write(&next, lines.join("\n") + "\n").with_context(named)?;
    fs::rename(&next, &file).with_context(named)?;
    Ok(is_new.then(|| {
        format!(
            "ssh asks about no host of yours any more with this in ~/.ssh/config:\n\
             UserKnownHostsFile ~/.ssh/known_hosts ~/.ssh/{NAME}"
        )
    }))
}

/// Whether it is a line that trusts an authority for hosts that it names, and not for all there are, or
/// one that revokes.
fn is_sound(line: &str) -> bool {
    if line.contains(['\n', '\r']) {
        return false;
    }
    let Some(trusted) = line.strip_prefix(TRUSTED) else {
        return line.starts_with(REVOKED);
    };
    let names = trusted.split(' ').next().unwrap_or_default();
    let names_some = |it: &str| it.contains(|one: char| one.is_ascii_alphanumeric());
    names.split(',').all(names_some)
}

/// What is trusted no more, and what in addition, each a line.
fn difference(before: &str, lines: &[String]) -> String {
    let old = trusted(before.lines());
    let new = trusted(lines.iter().map(String::as_str));
    let gone = old.difference(&new).map(|it| format!("- {it}\n"));
    let more = new.difference(&old).map(|it| format!("+ {it}\n"));
    gone.chain(more).collect()
}

/// Each name with the key of an authority that is trusted for it, fit to be shown.
fn trusted<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let all = lines.filter_map(|it| it.strip_prefix(TRUSTED)?.split_once(' '));
    let each = all.flat_map(|(names, key)| {
        let one = move |name| safe(&format!("{name} {key}")).to_string();
        names.split(',').map(one)
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "@cert-authority web ssh-ed25519 AAAA";

    fn keep(folder: &Path, lines: &[&str], answer: Option<bool>) -> anyhow::Result<Option<String>> {
        let lines: Vec<_> = lines.iter().map(|it| (*it).to_owned()).collect();
        keep_in(folder, &lines, |asked| {
            answer.unwrap_or_else(|| panic!("asked about {asked}"))
        })
    }

    #[test]
    fn what_is_kept_is_told_once_and_changes_only_when_somebody_takes_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".ssh");
        let kept = || fs::read_to_string(folder.join(NAME)).unwrap();
        let told = keep(&folder, &[WEB], None).unwrap();
        assert!(told.unwrap().contains("UserKnownHostsFile"));

        let revoked = [WEB, "@revoked db ssh-ed25519 BBBB"];
        assert_eq!(keep(&folder, &revoked, None).unwrap(), None);
        assert_eq!(kept(), format!("{WEB}\n{}\n", revoked[1]));

        let wider = "@cert-authority web,*.test ssh-ed25519 AAAA";
        let other = "@cert-authority web ssh-ed25519 CCCC";
        for changed in [wider, other] {
            let told = keep(&folder, &[changed], Some(false)).unwrap();
            assert!(told.unwrap().ends_with("is as it was."));
            assert_eq!(kept(), format!("{WEB}\n{}\n", revoked[1]));
        }
        assert_eq!(keep(&folder, &[wider], Some(true)).unwrap(), None);
        assert_eq!(kept(), format!("{wider}\n"));
    }

    #[test]
    fn what_would_be_taken_for_every_host_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for names in ["*", "*.*", "web,*", "web,", "?*", ""] {
            let wrong = format!("@cert-authority {names} ssh-ed25519 AAAA");
            assert!(keep(home.path(), &[&wrong], None).is_err(), "{names}");
        }
        assert!(
            keep(home.path(), &["web ssh-ed25519 AAAA"], None).is_err(),
            "anybody's key"
        );
        assert!(keep(home.path(), &[WEB], None).is_ok());
    }

    #[test]
    fn the_difference_says_which_names_and_which_key() {
        let lines = ["@cert-authority web,db ssh-ed25519 CCCC".to_owned()];
        assert_eq!(
            difference(WEB, &lines),
            "- web ssh-ed25519 AAAA\n+ db ssh-ed25519 CCCC\n+ web ssh-ed25519 CCCC\n"
        );
    }
}
