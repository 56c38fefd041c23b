//! How ssh knows hosts by their certificates: `~/.ssh/watchward_known_hosts`, brought up to date with each login.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use watchward_protocol::host_keys::{REVOKED, TRUSTED, Vouched, is_line};

use crate::screen::safe;

const NAME: &str = "watchward_known_hosts";

/// Keeps these lines in the place of those before, if whoever is asked takes what they trust more or less;
/// says what to do the first time. Nobody is asked about an authority that the one before vouches for, nor
/// about what is refused from now on.
///
/// # Errors
/// They cannot be kept, or are none.
pub(super) fn keep(
    (lines, vouched): (&[String], &[Vouched]),
    ask: impl FnOnce(&str) -> bool,
) -> anyhow::Result<Option<String>> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match home {
        Some(home) if !lines.is_empty() => {
            let folder = PathBuf::from(home).join(".ssh");
            keep_in(&folder, (lines, vouched), ask)
        }
        _ => Ok(None),
    }
}

fn keep_in(
    folder: &Path,
    (lines, vouched): (&[String], &[Vouched]),
    ask: impl FnOnce(&str) -> bool,
) -> anyhow::Result<Option<String>> {
    ensure!(
        lines.iter().all(|it| is_line(it)),
        "the collector said something else"
    );
    let file = folder.join(NAME);
    let named = || file.display().to_string();
    let is_new = !file.exists();
    if !is_new {
        let before = fs::read_to_string(&file).with_context(named)?;
        let difference = difference(&before, lines, vouched);
        if !difference.is_empty() && !ask(&difference) {
            let unasked = unasked(&before, lines, vouched);
            let said = format!("{} is as it was", file.display());
            if unasked.is_empty() {
                return Ok(Some(format!("{said}.")));
            }
            let all: Vec<_> = before.lines().map(str::to_owned).chain(unasked).collect();
            write(folder, &all).with_context(named)?;
            return Ok(Some(format!(
                "{said}, but for what is revoked, and what an authority there vouches for."
            )));
        }
    }
    write(folder, lines).with_context(named)?;
    Ok(is_new.then(|| {
        format!(
            "ssh asks about no host of yours any more with this in ~/.ssh/config:\n\
             UserKnownHostsFile ~/.ssh/known_hosts ~/.ssh/{NAME}"
        )
    }))
}

fn write(folder: &Path, lines: &[String]) -> std::io::Result<()> {
    let next = folder.join(format!("{NAME}.next"));
    fs::create_dir_all(folder)?;
    fs::write(&next, lines.join("\n") + "\n")?;
    fs::rename(&next, folder.join(NAME))
}

/// The lines that come in addition though nobody takes the rest: what is refused from now on, and the
/// authorities that another of the same host vouches for.
fn unasked(before: &str, lines: &[String], vouched: &[Vouched]) -> Vec<String> {
    let refused = lines.iter().filter(|it| it.starts_with(REVOKED));
    let refused = refused.filter(|it| !before.lines().any(|line| line == *it));
    let (old, new) = (
        trusted(before.lines()),
        trusted(lines.iter().map(String::as_str)),
    );
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, key) in new.difference(&old) {
        if is_vouched((name, key), &old, (before, lines), vouched) {
            next.entry(key).or_default().push(name);
        }
    }
    let next = next.into_iter();
    let next = next.map(|(key, names)| format!("{TRUSTED}{} {key}", names.join(",")));
    refused.cloned().chain(next).collect()
}

/// Whether an authority that the host has already says that this one can be trusted, too.
fn is_vouched(
    (name, key): (&str, &str),
    old: &BTreeSet<(&str, &str)>,
    (before, lines): (&str, &[String]),
    vouched: &[Vouched],
) -> bool {
    let all = || before.lines().chain(lines.iter().map(String::as_str));
    let is_refused = |key: &str| {
        let mut refused = all().filter_map(|it| it.strip_prefix(REVOKED)?.split_once(' '));
        refused.any(|(_, of)| is_of(of, key))
    };
    let of_key = vouched.iter().filter(|it| is_of(key, &it.key));
    let of_key = of_key.filter(|it| !is_refused(&it.by));
    let mut of_key = of_key.filter(|it| it.is_genuine());
    of_key.any(|it| old.iter().any(|one| one.0 == name && is_of(one.1, &it.by)))
}

/// What is trusted no more, and what in addition, each a line. An authority that another of the same host
/// vouches for is no news, and neither is one that goes and leaves the host another.
fn difference(before: &str, lines: &[String], vouched: &[Vouched]) -> String {
    let old = trusted(before.lines());
    let new = trusted(lines.iter().map(String::as_str));
    let stays = |(name, _): &(&str, &str)| new.iter().any(|one| one.0 == *name);
    let gone = old.difference(&new).filter(|it| !stays(it));
    let more = new.difference(&old);
    let more = more.filter(|it| !is_vouched(**it, &old, (before, lines), vouched));
    let refused = |all: BTreeSet<&str>| -> BTreeSet<String> {
        let keys = all.into_iter().filter_map(|it| it.strip_prefix(REVOKED));
        keys.map(|it| format!("{}\n", safe(it))).collect()
    };
    let refused_before = refused(before.lines().collect());
    let refused_now = refused(lines.iter().map(String::as_str).collect());
    let again = refused_before.difference(&refused_now);
    let line =
        |sign, (name, key): &(&str, &str)| format!("{sign} {}\n", safe(&format!("{name} {key}")));
    let gone = gone.map(|it| line('-', it));
    let more = more.map(|it| line('+', it));
    gone.chain(more)
        .chain(again.map(|it| format!("+ refused no more: {it}")))
        .collect()
}

/// Whether a line's key, with its type before and its comment behind, is this one.
fn is_of(key: &str, encoded: &str) -> bool {
    key.split(' ').nth(1) == Some(encoded)
}

/// Each name with the key of an authority that is trusted for it.
fn trusted<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<(&'a str, &'a str)> {
    let all = lines.filter_map(|it| it.strip_prefix(TRUSTED)?.split_once(' '));
    all.flat_map(|(names, key)| names.split(',').map(move |name| (name, key)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "@cert-authority web ssh-ed25519 AAAA";

    fn keep(folder: &Path, lines: &[&str], answer: Option<bool>) -> anyhow::Result<Option<String>> {
        let lines: Vec<_> = lines.iter().map(|it| (*it).to_owned()).collect();
        keep_in(folder, (&lines, &[]), |asked| {
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
            let told = keep(&folder, &[changed, revoked[1]], Some(false)).unwrap();
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
            difference(WEB, &lines, &[]),
            "+ db ssh-ed25519 CCCC\n+ web ssh-ed25519 CCCC\n"
        );
    }

    #[test]
    fn what_is_revoked_is_refused_unasked_and_trusted_again_only_when_somebody_takes_it() {
        let home = tempfile::tempdir().unwrap();
        let kept = || fs::read_to_string(home.path().join(NAME)).unwrap();
        keep(home.path(), &[WEB], None).unwrap();
        let (other, revoked) = (
            "@cert-authority web ssh-ed25519 CCCC",
            "@revoked * ssh-ed25519 AAAA",
        );
        // Nobody is there to take the one that signs now; the stolen one counts no more all the same.
        let told = keep(home.path(), &[other, revoked], Some(false)).unwrap();
        assert!(told.unwrap().contains("but for what is revoked,"));
        assert_eq!(kept(), format!("{WEB}\n{revoked}\n"));
        keep(home.path(), &[other, revoked], Some(true)).unwrap();
        assert_eq!(kept(), format!("{other}\n{revoked}\n"));
        keep(home.path(), &[other], Some(false)).unwrap();
        assert_eq!(kept(), format!("{other}\n{revoked}\n"));
    }

    #[test]
    fn nobody_is_asked_about_an_authority_that_the_one_before_vouches_for() {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;

        let pair = |seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let wire = |pair: &Ed25519KeyPair| {
            let head = &b"\0\0\0\x0bssh-ed25519\0\0\0\x20"[..];
            [head, pair.public_key().as_ref()].concat()
        };
        let (old, new) = (pair(1), pair(2));
        let line = |pair, names: &str| {
            let key = STANDARD.encode(wire(pair));
            format!("@cert-authority {names} ssh-ed25519 {key} watchward-hosts")
        };
        let vouch = |by: &Ed25519KeyPair, signer: &Ed25519KeyPair| {
            let said = signer.sign(&Vouched::statement(&wire(&new)));
            Vouched::new(&wire(&new), &wire(by), said.as_ref())
        };
        let home = tempfile::tempdir().unwrap();
        let take = |lines: &[String], vouched: &[Vouched], answer| {
            keep_in(home.path(), (lines, vouched), |_| answer)
        };
        let kept = || fs::read_to_string(home.path().join(NAME)).unwrap();
        take(&[line(&old, "web")], &[], true).unwrap();
        let both = [line(&old, "web"), line(&new, "web")];
        for wrong in [vouch(&old, &new), vouch(&new, &new)] {
            take(&both, &[wrong], false).unwrap();
            assert_eq!(kept(), format!("{}\n", line(&old, "web")));
        }
        let more = [line(&old, "web"), line(&new, "web,db")];
        take(&more, &[vouch(&old, &old)], false).unwrap();
        assert_eq!(kept().lines().count(), 2);
        assert!(!kept().contains("db"), "it is another host");
        take(&both, &[vouch(&old, &old)], false).unwrap();
        assert_eq!(kept().lines().count(), 2);
        // The old one goes when no host needs it any more.
        take(&[line(&new, "web")], &[], false).unwrap();
        assert_eq!(kept(), format!("{}\n", line(&new, "web")));
    }
}
