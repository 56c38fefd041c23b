//! The number of an account, as the C library knows it.

use std::fs;
use std::process::{Command, Stdio};

/// The number of an account of this name.
///
/// # Errors
/// There is none, in one sentence.
pub(super) fn number(name: &str) -> Result<u32, String> {
    let listed = fs::read_to_string("/etc/passwd").ok();
    let found = listed.as_deref().and_then(|text| of(text, name));
    // It may be of a directory.
    let asked = || {
        let mut getent = Command::new("getent");
        getent.args(["passwd", "--", name]).stdin(Stdio::null());
        let said = getent.output().ok()?;
        of(&String::from_utf8_lossy(&said.stdout), name)
    };
    let found = found.or_else(asked);
    found.ok_or_else(|| format!("there is no account {name} on this host"))
}

/// The first line of `passwd(5)` with this name counts, as for the library.
fn of(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        let number = fields.nth(1).and_then(|it| it.parse().ok());
        number.filter(|_| is_it)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let text = "root:x:0:0::/root:/bin/sh\nzoe2:x:7:7::/:/bin/sh\nzoe:x:1000:1::/:/bin/sh\n\
            zoe:x:8:1::/:/bin/sh\nbroken:x:one:1::/:/bin/sh\n";
        assert_eq!(of(text, "zoe"), Some(1000));
        assert_eq!(of(text, "zo"), None);
        assert_eq!(of(text, "broken"), None);
        assert_eq!(number("root"), Ok(0));
        assert!(
            number("nobody-is-called-so")
                .unwrap_err()
                .contains("nobody-is-called-so")
        );
    }
}
