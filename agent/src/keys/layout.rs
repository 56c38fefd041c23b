//! Where sshd's configuration lies, and whether it says different things of different accounts.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How deep files may include each other, as in sshd.
const DEEPEST: usize = 16;
/// How many files are read.
const MOST: usize = 256;

/// What the configuration looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// There are `Match` blocks: each account is to be asked for.
    pub(super) matches: bool,
    /// There are `Match` blocks for where somebody comes from, which nobody can ask for beforehand.
    pub(super) by_origin: bool,
    /// The files, and the folders in which others would be read as well.
    pub(super) places: BTreeSet<PathBuf>,
}

impl Layout {
    /// Reads the configuration that begins with this file. What cannot be read may say anything.
    pub(super) fn read(main: &Path) -> Self {
        let mut layout = Self::default();
        layout.file(main, main.parent().unwrap_or(main), 0);
        layout
    }

    fn file(&mut self, path: &Path, folder: &Path, depth: usize) {
        if depth > DEEPEST || self.places.len() > MOST || !self.places.insert(path.to_owned()) {
            return;
        }
        let Ok(text) = fs::read(path) else {
            self.matches |= path.exists();
            return;
        };
        for line in text.split(|byte| *byte == b'\n') {
            let (keyword, value) = words(line);
            if keyword.eq_ignore_ascii_case(b"match") {
                self.matches |= !value.eq_ignore_ascii_case(b"all");
                self.by_origin |= by_origin(value);
            } else if keyword.eq_ignore_ascii_case(b"include") {
                for pattern in value.split(u8::is_ascii_whitespace) {
                    self.include(pattern, folder, depth);
                }
            }
        }
    }

    fn include(&mut self, pattern: &[u8], folder: &Path, depth: usize) {
        let pattern = pattern.trim_ascii();
        let pattern = pattern.strip_prefix(b"\"").unwrap_or(pattern);
        let pattern = pattern.strip_suffix(b"\"").unwrap_or(pattern);
        let path = folder.join(OsStr::from_bytes(pattern));
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return;
        };
        if wild(parent.as_os_str()) {
            // Not looked into; it may say anything.
            self.matches = true;
            return;
        }
        if !wild(name) {
            return self.file(&path, folder, depth + 1);
        }
        self.places.insert(parent.to_owned());
        let Ok(entries) = fs::read_dir(parent) else {
            return;
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut found: Vec<_> = names
            .filter(|it| fits(name.as_bytes(), it.as_bytes()))
            .collect();
        found.sort();
        for name in found {
            self.file(&parent.join(name), folder, depth + 1);
        }
    }
}

/// A line's keyword and what stands behind it, which may be behind a `=`.
fn words(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii();
    let parts = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'=';
    let end = line.iter().position(parts).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let blank = rest.iter().take_while(|byte| parts(byte)).count();
    (keyword, rest.get(blank..).unwrap_or_default())
}

/// Whether a `Match` looks at anything but who it is.
fn by_origin(criteria: &[u8]) -> bool {
    let mut words = criteria
        .split(u8::is_ascii_whitespace)
        .filter(|it| !it.is_empty());
    let known = |word: &[u8]| {
        let name = word.split(|byte| *byte == b'=').next().unwrap_or_default();
        let who: [&[u8]; 3] = [b"user", b"group", b"invalid-user"];
        who.iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    while let Some(word) = words.next() {
        if word.starts_with(b"#") {
            return false;
        }
        if !known(word) && !word.eq_ignore_ascii_case(b"all") {
            return true;
        }
        let alone = word.contains(&b'=') || word.eq_ignore_ascii_case(b"invalid-user");
        if !alone {
            words.next();
        }
    }
    false
}

fn wild(name: &OsStr) -> bool {
    name.as_bytes().iter().any(|byte| b"*?[".contains(byte))
}

/// Whether a name is one that a pattern of `*` and `?` means; one with `[` may mean any.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([b'[', ..], _) => true,
        ([b'*', rest @ ..], _) => {
            fits(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, name)| fits(pattern, name))
        }
        ([b'?', pattern @ ..], [_, name @ ..]) => fits(pattern, name),
        ([a, pattern @ ..], [b, name @ ..]) if a == b => fits(pattern, name),
        (pattern, name) => pattern.is_empty() && name.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(main: &str, included: &str) -> (Layout, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("sshd_config.d");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("one.conf"), included).unwrap();
        fs::write(below.join("two.off"), "Match User a\n").unwrap();
        let file = folder.path().join("sshd_config");
        fs::write(&file, main).unwrap();
        (Layout::read(&file), folder)
    }

    #[test]
    fn a_match_is_found_wherever_it_is() {
        for (main, included, expected) in [
            ("Port 22\n# Match User a\nMatch all\n", "", (false, false)),
            ("  match User a,b Group c\n", "", (true, false)),
            (
                "Include sshd_config.d/*.conf\n",
                "Match=Group c\n",
                (true, false),
            ),
            (
                "Include sshd_config.d/*.conf\n",
                "X11Forwarding no\n",
                (false, false),
            ),
            (
                "Include \"sshd_config.d/o?e.conf\"\n",
                "Match Address 192.0.2.0/24\n",
                (true, true),
            ),
            ("Match User=a LocalPort 22\n", "", (true, true)),
            ("Include */x\n", "", (true, false)),
            ("Include sshd_config\nInclude none\n", "", (false, false)),
        ] {
            let (found, _folder) = layout(main, included);
            assert_eq!(
                (found.matches, found.by_origin),
                expected,
                "{main}{included}"
            );
        }
    }

    #[test]
    fn places_are_the_files_and_the_folders_of_patterns() {
        let (found, folder) = layout("Include sshd_config.d/*.conf\nInclude none\n", "");
        let places = [
            "sshd_config",
            "sshd_config.d",
            "sshd_config.d/one.conf",
            "none",
        ];
        let places = places.map(|it| folder.path().join(it));
        assert_eq!(found.places, BTreeSet::from(places));
    }
}
