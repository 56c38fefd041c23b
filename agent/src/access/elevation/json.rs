//! sudo's lines with `Defaults log_format=json`, which no user can dress up.

use std::borrow::Cow;

use serde::Deserialize;
use watchward_protocol::access::{Action, Outcome};

use crate::access::said::{Part, Said};
use crate::access::sshd::Name;

#[derive(Deserialize)]
struct Line {
    sudo: Event,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Event {
    Accept(Told),
    Reject(Told),
    Exit(Told),
    Alert(Told),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    submituser: Option<String>,
    runuser: Option<String>,
    command: Option<String>,
    runargv: Vec<String>,
    reason: Option<String>,
}

/// `{"sudo":{"accept":{...}}}` behind `@cee:`.
pub(super) fn parse(object: &[u8]) -> Option<Said<'static>> {
    let line: Line = serde_json::from_slice(object).ok()?;
    let (mut said, told) = match line.sudo {
        Event::Accept(told) => {
            let action = Action::Authentication;
            let said = Said::new("sudo", action, Outcome::Success, Part::Succeeds);
            (said, told)
        }
        Event::Reject(told) => (refusal(told.reason.as_deref().unwrap_or_default()), told),
        Event::Exit(told) => (Said::notice("sudo-exited"), told),
        Event::Alert(told) => (Said::notice("sudo-notice"), told),
    };
    let bytes = |text: String| Cow::Owned(text.into_bytes());
    said.user = told.submituser.map(|name| Name {
        bytes: bytes(name),
        known: true,
    });
    said.target = told.runuser.map(bytes);
    let arguments = told.runargv.get(1..).unwrap_or_default();
    said.command = told.command.map(|command| {
        let words: Vec<_> = std::iter::once(&command).chain(arguments).collect();
        let words: Vec<_> = words.iter().map(|word| word.as_str()).collect();
        bytes(words.join(" "))
    });
    Some(said)
}

fn refusal(reason: &str) -> Said<'static> {
    if reason == "a password is required" {
        return Said::refused("sudo-password-needed").no_try();
    }
    if reason.contains("incorrect password attempt") {
        return Said::failed("sudo-wrong-password").method("password");
    }
    Said::refused(match reason {
        "user NOT in sudoers" => "sudo-not-in-sudoers",
        "user NOT authorized on host" => "sudo-not-on-this-host",
        "command not allowed" | "command rejected by policy" => "sudo-command-not-allowed",
        _ => "sudo-not-allowed",
    })
}
