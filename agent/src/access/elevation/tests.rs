//! Lines as sudo and su write them, and lines that users would like to write.

use proptest::prelude::*;
use watchward_protocol::access::{Action, Outcome};

use super::*;
use crate::access::said::{Part, Said};

/// `form outcome part user target command`, with `-` for what is not there.
fn shown(said: Option<Said<'_>>) -> String {
    let Some(said) = said else {
        return "-".to_owned();
    };
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or("-".into(), |bytes| {
            String::from_utf8_lossy(bytes).into_owned()
        })
    };
    let user = text(said.user.as_ref().map(|user| &*user.bytes));
    let (target, command) = (text(said.target.as_deref()), text(said.command.as_deref()));
    let Said {
        form,
        outcome,
        part,
        ..
    } = said;
    format!("{form} {outcome:?} {part:?} {user} {target} {command}")
}

#[test]
fn lines_of_sudo() {
    for (line, expected) in [
        (
            "   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id -u",
            "sudo Success Succeeds alice root /usr/bin/id -u",
        ),
        (
            "bob : HOST=web ; PWD=/ ; USER=www ; GROUP=adm ; TSID=00001A ; COMMAND=list",
            "sudo Success Succeeds bob www list",
        ),
        (
            "alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "sudo-wrong-password Failure Fails alice root /bin/sh",
        ),
        (
            "alice : 1 incorrect password attempt ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "sudo-wrong-password Failure Fails alice root /bin/sh",
        ),
        (
            "bob : user NOT in sudoers ; TTY=unknown ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "sudo-not-in-sudoers Failure Fails bob root /bin/sh",
        ),
        (
            "bob : command not allowed ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "sudo-command-not-allowed Failure Fails bob root /bin/sh",
        ),
        (
            "bob : a password is required ; PWD=/ ; USER=root ; COMMAND=/bin/true",
            "sudo-password-needed Failure Tells bob root /bin/true",
        ),
        (
            "bob : (command continued) /etc/passwd ; USER=root",
            "sudo-continued Unknown Beside bob - -",
        ),
        (
            "bob : unable to resolve host web: Name or service not known",
            "sudo-notice Unknown Beside bob - -",
        ),
        (
            "bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/false ; EXIT=1",
            "sudo Success Exits bob root -",
        ),
        ("the cat sat on the mat", "-"),
        ("bob : the cat sat on the mat", "-"),
    ] {
        assert_eq!(shown(sudo(line.as_bytes())), expected, "{line}");
    }
}

#[test]
fn lines_of_pam_about_sudo() {
    for (line, expected) in [
        (
            "pam_unix(sudo:auth): authentication failure; logname=al uid=1000 euid=0 tty=/dev/pts/0 ruser=alice rhost=  user=alice",
            "pam-failure Failure Tells alice - -",
        ),
        (
            "PAM 2 more authentication failures; logname= uid=1000 euid=0 tty= ruser=alice rhost=  user=alice",
            "pam-retries Failure Tells alice - -",
        ),
        (
            "pam_unix(sudo-i:session): session opened for user root(uid=0) by alice(uid=1000)",
            "pam-session-opened Success Tells alice root -",
        ),
        (
            "pam_unix(sudo:session): session opened for user root by (uid=0)",
            "pam-session-opened Success Tells - root -",
        ),
        (
            "pam_unix(sudo:session): session closed for user root",
            "pam-session-closed Unknown Ends - root -",
        ),
        ("pam_unix(cron:session): session closed for user root", "-"),
    ] {
        assert_eq!(shown(sudo(line.as_bytes())), expected, "{line}");
    }
}

#[test]
fn lines_of_sudo_in_json() {
    for (line, expected) in [
        (
            r#"@cee:{"sudo":{"accept":{"uuid":"x","submituser":"alice","command":"/usr/bin/id","runuser":"root","runargv":["id","-u"]}}}"#,
            "sudo Success Succeeds alice root /usr/bin/id -u",
        ),
        (
            r#"@cee:{"sudo":{"reject":{"reason":"user NOT in sudoers","submituser":"bob","runuser":"root","command":"/bin/sh"}}}"#,
            "sudo-not-in-sudoers Failure Fails bob root /bin/sh",
        ),
        (
            r#"@cee:{"sudo":{"exit":{"submituser":"bob","exit_value":0}}}"#,
            "sudo-exited Unknown Beside bob - -",
        ),
        (r#"@cee:{"sudo":{"accept":{"submituser":"bo"#, "-"),
    ] {
        assert_eq!(shown(sudo(line.as_bytes())), expected, "{line}");
    }
}

#[test]
fn lines_of_su() {
    for (line, expected) in [
        (
            "(to root) alice on pts/1",
            "su Success Succeeds alice root -",
        ),
        (
            "FAILED SU (to root) alice on pts/1",
            "su-failed Failure Fails alice root -",
        ),
        (
            "FAILED SU (to root) alice on none",
            "su-failed Failure Fails alice root -",
        ),
        (
            "Successful su for root by alice",
            "su Success Succeeds alice root -",
        ),
        (
            "FAILED su for root by alice",
            "su-failed Failure Fails alice root -",
        ),
        (
            "+ /dev/pts/0 alice:root",
            "su-log Unknown Tells alice root -",
        ),
        (
            "- /dev/pts/0 alice:root",
            "su-log Unknown Tells alice root -",
        ),
        (
            "SU by alice to restricted account root",
            "su-restricted Failure Fails alice root -",
        ),
        (
            "pam_authenticate: Authentication failure",
            "su-notice Unknown Beside - - -",
        ),
        (
            "pam_unix(su-l:auth): authentication failure; logname=alice uid=1000 euid=0 tty=/dev/pts/1 ruser=alice rhost=  user=root",
            "pam-failure Failure Tells alice root -",
        ),
        (
            "pam_unix(su:session): session opened for user root(uid=0) by alice(uid=1000)",
            "pam-session-opened Success Tells alice root -",
        ),
        ("(to root) alice", "-"),
        ("x(to root) alice on pts/1", "-"),
    ] {
        assert_eq!(shown(su(line.as_bytes())), expected, "{line}");
    }
}

/// Words that a user may put into a folder or a command to look like somebody else's.
fn words() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        " ; ",
        "USER=nobody",
        "COMMAND=/bin/true",
        "TTY=x",
        "PWD=/",
        " : ",
        "EXIT=0",
        "GROUP=g",
        "user NOT in sudoers",
        "(command continued) ",
        "a",
        "/",
        " ",
        "'",
        "#012",
        "=",
        "\u{e9}",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nobody_dresses_up_as_another(folder in words(), arguments in words(), no in any::<bool>()) {
        let reason = if no { "user NOT in sudoers ; " } else { "" };
        let line = format!(
            "alice : {reason}TTY=pts/0 ; PWD=/tmp{folder} ; USER=root ; COMMAND=/bin/sh {arguments}"
        );
        let said = sudo(line.as_bytes()).unwrap();
        let user = said.user.as_ref().map(|user| user.bytes.to_vec());
        prop_assert_eq!(user, Some(b"alice".to_vec()), "{}", line);
        prop_assert_eq!(said.outcome, if no { Outcome::Failure } else { Outcome::Success });
        prop_assert_ne!(said.action, Action::Notice, "{}", line);
        let target = said.target.as_deref().map(<[u8]>::to_vec);
        prop_assert!(target.is_none() || target == Some(b"root".to_vec()), "{}", line);
        let command = format!("/bin/sh {arguments}").into_bytes();
        let shown = said.command.as_deref().map(<[u8]>::to_vec);
        prop_assert!(shown.is_none() || shown == Some(command), "{}", line);
        prop_assert!(matches!(said.part, Part::Succeeds | Part::Fails | Part::Exits), "{}", line);
    }

    #[test]
    fn any_bytes_are_survived(message in prop::collection::vec(any::<u8>(), 0..300)) {
        sudo(&message);
        su(&message);
    }
}
