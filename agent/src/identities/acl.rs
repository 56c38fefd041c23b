//! Who besides its owner may read a file: its access control list, as the kernel keeps it (acl(5)).

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

const NAME: &str = "system.posix_acl_access";
const VERSION: u32 = 2;
/// Of an entry that is about nobody by number.
const NOBODY: u32 = u32::MAX;

/// Has this account read the file besides its owner, and nobody else; none: its owner alone. A group
/// would not do: who may read what a group may is not known to whoever makes the file.
///
/// # Errors
/// The file system has no such lists, or the account is not known to this program's namespace.
pub(super) fn hold(file: &File, reader: Option<u32>) -> io::Result<()> {
    let mut held = [0; 64];
    let size = rustix::fs::fgetxattr(file, NAME, &mut held[..]);
    let Some(reader) = reader else {
        if matches!(size, Err(Errno::NODATA | Errno::OPNOTSUPP)) {
            return Ok(());
        }
        // Beware: what the list let a reader do is in the group's bits, and would stay there.
        file.set_permissions(Permissions::from_mode(0o600))?;
        return Ok(rustix::fs::fremovexattr(file, NAME)?);
    };
    let wanted = list(reader);
    if size.is_ok_and(|size| held.get(..size) == Some(&wanted[..])) {
        return Ok(());
    }
    Ok(rustix::fs::fsetxattr(
        file,
        NAME,
        &wanted,
        XattrFlags::empty(),
    )?)
}

/// The owner reads and writes, the reader reads, and nobody else does anything.
fn list(reader: u32) -> Vec<u8> {
    const OWNER: u16 = 0x01;
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x04;
    const MASK: u16 = 0x10;
    const OTHERS: u16 = 0x20;
    const READ: u16 = 4;
    const WRITE: u16 = 2;
    let entries = [
        (OWNER, READ | WRITE, NOBODY),
        (USER, READ, reader),
        (GROUP, 0, NOBODY),
        (MASK, READ, NOBODY),
        (OTHERS, 0, NOBODY),
    ];
    let mut list = VERSION.to_le_bytes().to_vec();
    for (whose, what, number) in entries {
        list.extend(whose.to_le_bytes());
        list.extend(what.to_le_bytes());
        list.extend(number.to_le_bytes());
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_read_it_no_more_leaves_nothing_to_the_group() {
        let file = tempfile::tempfile().unwrap();
        let mode = || file.metadata().unwrap().permissions().mode() & 0o777;
        // Some file systems have no such lists, and nobody else can read there.
        let has_lists = hold(&file, Some(65_534)).is_ok();
        assert_eq!(
            mode() & 0o040 != 0,
            has_lists,
            "the reader, as the mode shows it"
        );
        hold(&file, None).unwrap();
        assert_eq!(mode(), 0o600);
    }
}
