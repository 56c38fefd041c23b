//! What sshd makes of its configuration: with what this role tells it, and without.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lines::Accounts;
use super::programs::{Programs, SSHD, run};
use crate::clock;

const GETENT: &str = "/usr/bin/getent";

/// An account that no host has: what applies to it applies where nothing is said of anybody.
const NOBODY: &str = "watchward-nobody";

/// A connection of which sshd is told no more than this port, which nobody serves: no `Match` block is
/// about it, not even one for everybody but some. Without a port sshd gives up where a block names one.
const NONE: &str = "lport=1";

/// For so long accounts are asked about, where sshd's configuration tells them apart.
const PATIENCE: Duration = Duration::from_secs(10);

impl Programs {
    /// Whether sshd takes its configuration.
    pub(super) fn test(&self) -> Result<(), String> {
        run(SSHD, &["-t"]).map(drop)
    }

    /// The file of revoked keys that sshd's configuration names: `none`, where it names none.
    pub(super) fn names(&self) -> Result<String, String> {
        let said = run(SSHD, &["-T", "-C", &connection(NOBODY)])?;
        Ok(value(&said, "revokedkeys").unwrap_or("none").to_owned())
    }

    /// In which files sshd would look for everybody's keys if it were not told by this drop-in, as it
    /// writes them. What `Match` blocks say for some goes on overriding that.
    pub(super) fn files_without(&self, drop_in: &Path) -> Result<String, String> {
        let said = self.said_without(drop_in, "")?;
        let files = value(&said, "authorizedkeysfile").unwrap_or("none");
        match files.chars().all(|it| is_plain(it) || it == ' ') {
            true => Ok(files.to_owned()),
            false => Err(format!(
                "a path in `AuthorizedKeysFile {files}` cannot be written again"
            )),
        }
    }

    /// The files of the host keys that sshd would show if it were told this and not what this drop-in
    /// says, as it writes them.
    pub(super) fn host_keys(&self, drop_in: &Path, more: &str) -> Result<Vec<String>, String> {
        let said = self.said_without(drop_in, more)?;
        let named = values(&said, "hostkey").map(|file| match file.chars().all(is_plain) {
            true => Ok(file.to_owned()),
            false => Err(format!(
                "the path in `HostKey {file}` cannot be written again"
            )),
        });
        named.collect()
    }

    /// What sshd says for everybody of its configuration with this before it, and without this drop-in.
    fn said_without(&self, drop_in: &Path, more: &str) -> Result<String, String> {
        let folder = drop_in.parent().unwrap_or(Path::new("/"));
        let main = folder.with_file_name("sshd_config");
        let text = fs::read_to_string(&main);
        let text = text.map_err(|error| format!("{}: {error}", main.display()))?;
        let text = more.to_owned() + &without(&text, drop_in, &parts(folder))?;
        self.write("sshd_config", &text)?;
        let place = self.folder.join("sshd_config");
        let words = ["-T", "-C", NONE, "-f"];
        let place = place.to_str().ok_or("a path is no text")?;
        run(SSHD, &[&words[..], &[place]].concat())
    }

    /// Who of these accounts is not opened by these files, as sshd's configuration says of each. Only
    /// `Match` blocks tell them apart.
    pub(super) fn unopened<'a>(
        &self,
        accounts: impl Iterator<Item = &'a String>,
        files: &str,
        drop_in: &Path,
    ) -> Option<String> {
        let folder = drop_in.parent().unwrap_or(Path::new("/"));
        let all = parts(folder)
            .into_iter()
            .chain([folder.with_file_name("sshd_config")]);
        let mut texts = all.filter_map(|path| fs::read_to_string(path).ok());
        let one = if texts.any(|text| has_match(&text)) {
            usize::MAX
        } else {
            1
        };
        let begin = clock::now();
        for account in accounts.take(one) {
            if clock::now().saturating_sub(begin) > PATIENCE {
                return Some("sshd could not be asked about every account in time".to_owned());
            }
            let said = match run(SSHD, &["-T", "-C", &connection(account)]) {
                Ok(said) => said,
                Err(why) => return Some(why),
            };
            let named = value(&said, "authorizedkeysfile").unwrap_or_default();
            if !named.split(' ').any(|it| it == files) {
                return Some(format!(
                    "sshd does not look into {files} for {account}: a `Match` block of its \
                     configuration names other files"
                ));
            }
        }
        None
    }

    /// Which of these accounts there are.
    pub(super) fn accounts(&self, names: BTreeSet<&str>) -> Result<Accounts, String> {
        let mut found = BTreeMap::new();
        let names: Vec<&str> = names.into_iter().collect();
        for some in names.chunks(100) {
            // Beware: it ends with 2 where one of them is not there.
            let said = super::programs::output(GETENT, &[&["passwd"][..], some].concat())?;
            for line in String::from_utf8_lossy(&said.stdout).lines() {
                let mut fields = line.split(':');
                let name = fields.next().filter(|it| some.contains(it));
                let number = fields.nth(1).and_then(|it| it.parse().ok());
                found.extend(name.map(str::to_owned).zip(number));
            }
        }
        Ok(found)
    }
}

fn connection(account: &str) -> String {
    format!("user={account},host=localhost,addr=127.0.0.1,lport=22")
}

/// What `sshd -T` says of something.
fn value<'a>(said: &'a str, keyword: &'a str) -> Option<&'a str> {
    values(said, keyword).next()
}

/// The same of what it may say several times.
fn values<'a>(said: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = said.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(move |(word, value)| (word == keyword).then_some(value.trim()))
}

/// Whether a path with this can be written again as it is.
fn is_plain(it: char) -> bool {
    it.is_ascii_alphanumeric() || "/._%@+:,-".contains(it)
}

/// The files of a folder that an `Include` with `*.conf` names, in its order.
fn parts(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let all = entries.map(|it| it.path());
    let is_named = |it: &PathBuf| {
        let name = it
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        name.ends_with(".conf") && !name.starts_with('.')
    };
    all.filter(is_named).collect()
}

/// The first word of a line, and what follows it.
fn keyword(line: &str) -> (String, &str) {
    let line = line.trim();
    let end = line.find(|it: char| it.is_ascii_whitespace() || it == '=');
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(|it: char| it.is_ascii_whitespace() || it == '=');
    (word.to_ascii_lowercase(), rest)
}

fn has_match(text: &str) -> bool {
    text.lines().any(|line| keyword(line).0 == "match")
}

/// sshd's configuration with everything that it includes but this drop-in. Pure.
///
/// # Errors
/// It cannot be told what that would be.
fn without(text: &str, drop_in: &Path, parts: &BTreeSet<PathBuf>) -> Result<String, String> {
    let pattern = drop_in.with_file_name("*.conf");
    let mut left = String::new();
    for line in text.lines() {
        let (word, rest) = keyword(line);
        if word != "include" {
            left += &format!("{line}\n");
            continue;
        }
        for path in rest.split_ascii_whitespace() {
            let path = path.trim_matches('"');
            if path.starts_with('#') {
                break;
            }
            // What is not absolute is meant from sshd's own folder.
            let whole = pattern.with_file_name("").join("..").join(path);
            let is_ours = Path::new(path) == pattern || path == "sshd_config.d/*.conf";
            if is_ours {
                for part in parts.iter().filter(|it| *it != drop_in) {
                    left += &format!("Include \"{}\"\n", part.display());
                }
            } else if whole.parent() == drop_in.parent() {
                return Err(format!(
                    "`Include {path}` is not understood: write {}",
                    pattern.display()
                ));
            } else {
                left += &format!("Include \"{path}\"\n");
            }
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sshd_would_say_without_this_role_is_told_by_everybody_else() {
        let drop_in = Path::new("/etc/ssh/sshd_config.d/10-watchward.conf");
        let parts = [
            "/etc/ssh/sshd_config.d/10-watchward.conf",
            "/etc/ssh/sshd_config.d/z.conf",
        ];
        let parts = parts.map(PathBuf::from).into();
        let text = "# a comment\n  include /etc/ssh/sshd_config.d/*.conf\nPort 22\nInclude=/etc/x/*.conf y\n";
        assert_eq!(
            without(text, drop_in, &parts).unwrap(),
            "# a comment\nInclude \"/etc/ssh/sshd_config.d/z.conf\"\nPort 22\n\
             Include \"/etc/x/*.conf\"\nInclude \"y\"\n"
        );
        let other = "Include \"/etc/ssh/sshd_config.d/1*\"";
        assert!(without(other, drop_in, &parts).is_err());
        assert!(
            has_match("Port 22\n\tmatch=User ada\n") && !has_match("# Match User ada\nMatchless")
        );
    }
}
