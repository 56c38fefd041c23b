//! Which folders stand on another machine, or on a program's word, as the kernel lists them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// File systems that may not answer, by the beginning of their type's name. Not `autofs`, below which
/// each folder is of its own.
const FOREIGN: [&str; 12] = [
    "nfs", "cifs", "smb", "fuse", "ceph", "9p", "afs", "lustre", "gpfs", "beegfs", "ocfs", "gfs",
];

/// What is mounted and may not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mounts(Vec<(PathBuf, bool)>);

impl Mounts {
    /// Reads what is mounted now.
    pub(super) fn now() -> Self {
        let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
        Self::read(&text)
    }

    /// Understands `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`).
    fn read(text: &[u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n');
        Self(lines.filter_map(mount).collect())
    }

    /// What a path is on, if that may not answer; told by its name alone, without a look.
    pub(super) fn foreign(&self, path: &Path) -> Option<&Path> {
        let above = self.0.iter().filter(|(place, _)| path.starts_with(place));
        // Of two mounts on one place the later one is seen.
        let nearest = above.max_by_key(|(place, _)| place.as_os_str().len());
        nearest.and_then(|(place, foreign)| foreign.then_some(place.as_path()))
    }
}

fn mount(line: &[u8]) -> Option<(PathBuf, bool)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let place = fields.nth(4)?;
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    let foreign = FOREIGN.iter().any(|it| kind.starts_with(it.as_bytes()));
    Some((PathBuf::from(OsString::from_vec(unescaped(place))), foreign))
}

/// Blanks and the like are written as a backslash and three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), text);
    while let Some((byte, more)) = rest.split_first() {
        let digits = more.get(..3).filter(|_| *byte == b'\\');
        let digits = digits.and_then(|it| std::str::from_utf8(it).ok());
        match digits.and_then(|it| u8::from_str_radix(it, 8).ok()) {
            Some(code) => {
                plain.push(code);
                rest = more.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(*byte);
                rest = more;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_answer_is_known_by_its_name() {
        let mounts = Mounts::read(
            b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            30 22 0:40 / /home rw shared:7 master:2 - nfs4 server:/home rw\n\
            31 30 8:2 / /home/local rw - ext4 /dev/sdb1 rw\n\
            32 22 0:50 / /mnt/a\\040b rw - fuse.sshfs x:/ rw\nrubbish\n",
        );
        for (path, place) in [
            ("/home/zoe/.ssh", Some("/home")),
            ("/homes/zoe", None),
            ("/home/local/zoe", None),
            ("/mnt/a b/zoe", Some("/mnt/a b")),
            ("/root", None),
        ] {
            assert_eq!(
                mounts.foreign(Path::new(path)),
                place.map(Path::new),
                "{path}"
            );
        }
    }
}
