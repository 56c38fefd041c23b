//! Where sshd's configuration lies, and what its `Match` blocks look at.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::criteria::Criteria;

/// How deep files may include each other, as in sshd.
const DEEPEST: usize = 16;
/// How many files are read.
const MOST: usize = 256;
/// How many lines of blocks are taken.
const MOST_LINES: usize = 4096;

/// What the configuration looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// What `Match` blocks look at.
    pub(super) criteria: Criteria,
    /// The files, and the folders in which others would be read as well.
    pub(super) places: BTreeSet<PathBuf>,
    /// What stands in `Match` blocks: behind `Match`, a keyword, and what it is set to.
    pub(super) blocks: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
}

impl Layout {
    /// Reads the configuration that begins with this file. What cannot be read may say anything.
    pub(super) fn read(main: &Path) -> Self {
        let mut layout = Self::default();
        layout.file(main, main.parent().unwrap_or(main), (0, None));
        layout
    }

    /// Reads one file that is included so deep, and in this block. A block ends with its file.
    fn file(&mut self, path: &Path, folder: &Path, (depth, inside): (usize, Option<&[u8]>)) {
        if depth > DEEPEST || self.places.len() > MOST || !self.places.insert(path.to_owned()) {
            return;
        }
        let Ok(text) = fs::read(path) else {
            if path.exists() {
                self.unread(path);
            }
            return;
        };
        let mut block = inside;
        for line in text.split(|byte| *byte == b'\n') {
            let (keyword, value) = words(line);
            if keyword.eq_ignore_ascii_case(b"match") {
                self.criteria.add(value);
                block = Some(value);
                continue;
            }
            if let Some(block) = block
                && self.blocks.len() < MOST_LINES
                && !matches!(keyword, [] | [b'#', ..])
            {
                let line = (block.to_vec(), keyword.to_vec(), value.to_vec());
                self.blocks.push(line);
            }
            if keyword.eq_ignore_ascii_case(b"port") {
                let port = std::str::from_utf8(value)
                    .ok()
                    .and_then(|it| it.parse().ok());
                port.into_iter().for_each(|it| self.criteria.listens(it));
            } else if keyword.eq_ignore_ascii_case(b"include") {
                for pattern in value.split(u8::is_ascii_whitespace) {
                    self.include(pattern, folder, (depth, block));
                }
            }
        }
    }

    /// What cannot be read may say anything of anybody.
    fn unread(&mut self, path: &Path) {
        self.criteria.who = true;
        let path = path.display();
        self.criteria
            .pass(format!("what {path} includes or says of Match"));
    }

    fn include(&mut self, pattern: &[u8], folder: &Path, (depth, block): (usize, Option<&[u8]>)) {
        let pattern = pattern.trim_ascii();
        let pattern = pattern.strip_prefix(b"\"").unwrap_or(pattern);
        let pattern = pattern.strip_suffix(b"\"").unwrap_or(pattern);
        let path = folder.join(OsStr::from_bytes(pattern));
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return;
        };
        if wild(parent.as_os_str()) {
            return self.unread(parent);
        }
        if !wild(name) {
            return self.file(&path, folder, (depth + 1, block));
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
            self.file(&parent.join(name), folder, (depth + 1, block));
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
        for (main, included, who, origins) in [
            ("Port 22\n# Match User a\nMatch all\n", "", false, 0),
            ("  match User a,b Group c\n", "", true, 0),
            ("Include sshd_config.d/*.conf\n", "Match=Group c\n", true, 0),
            (
                "Include sshd_config.d/*.conf\n",
                "X11Forwarding no\n",
                false,
                0,
            ),
            (
                "Include \"sshd_config.d/o?e.conf\"\n",
                "Match Address 192.0.2.0/24\n",
                false,
                1,
            ),
            ("Port 22\nPort 23\nMatch User=a LocalPort 22\n", "", true, 1),
            ("Include */x\n", "", true, 0),
            ("Include sshd_config\nInclude none\n", "", false, 0),
        ] {
            let (found, _folder) = layout(main, included);
            let asked = found.criteria.unusual().0.len();
            assert_eq!(
                (found.criteria.who, asked),
                (who, origins),
                "{main}{included}"
            );
        }
        let (found, _folder) = layout("Include */x\n", "");
        assert_eq!(
            found.criteria.unknown.len(),
            1,
            "and that it is not looked into is said"
        );
    }

    #[test]
    fn what_stands_in_a_block_is_read_with_it_until_its_file_ends() {
        let main = "Port 22\nMatch User git\n  # why\n  ForceCommand x y\n\
            Include sshd_config.d/*.conf\n  Banner none\nMatch all\nUsePAM=yes\n";
        let (found, _folder) = layout(main, "X11Forwarding no\nMatch Group c\nPermitTTY no\n");
        let words = |one: &[u8]| String::from_utf8_lossy(one).into_owned();
        let blocks = found.blocks.iter();
        let blocks: Vec<_> = blocks
            .map(|(block, name, value)| [words(block), words(name), words(value)])
            .collect();
        let expected = [
            ["User git", "ForceCommand", "x y"],
            ["User git", "Include", "sshd_config.d/*.conf"],
            ["User git", "X11Forwarding", "no"],
            ["Group c", "PermitTTY", "no"],
            ["User git", "Banner", "none"],
            ["all", "UsePAM", "yes"],
        ];
        assert_eq!(blocks, expected);
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
