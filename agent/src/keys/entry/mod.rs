//! Whether sshd would let an account in from an address, and by what: settings, lists, keys, shell.

mod access;
mod means;
mod patterns;
mod rules;

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use watchward_daemon::clock;
use watchward_protocol::keys::Keys;
use watchward_protocol::reach::{Question, Step, Verdict};

use super::accounts::{Account, Accounts};
use super::child;
use super::config::Config;
use super::inventory::View;
use super::settings::Settings;
use super::shelf::Shelf;
use super::sshd::{self, Said};
use rules::Rules;
use watchward_protocol::reach::Answer;

/// What is said of all of this.
const SUBJECT: &str = "sshd";

/// What sshd would do with this account from this address.
pub(super) async fn answer(config: &Config, question: &Question) -> Answer {
    let steps = match look(config, question).await {
        Ok(seen) => seen.steps(question),
        Err(step) => vec![step],
    };
    Answer::of(steps)
}

/// Why nothing can be told, as a step of its own.
fn unknown(text: impl Into<String>) -> Step {
    Step::new(SUBJECT, Verdict::Unknown, text)
}

fn refuses(text: impl Into<String>) -> Step {
    Step::new(SUBJECT, Verdict::Refuses, text)
}

/// All that was looked at.
struct Seen {
    account: Account,
    shell: String,
    groups: Vec<Vec<u8>>,
    rules: Rules,
    /// None: a file is too large to be read at once.
    keys: Option<Keys>,
    doubts: Vec<String>,
}

async fn look(config: &Config, question: &Question) -> Result<Seen, Step> {
    if !config.sshd.exists() {
        let place = config.sshd.display();
        return Err(refuses(format!("there is no sshd at {place}")));
    }
    let name = std::str::from_utf8(question.account.as_bytes());
    let plain = |name: &&str| !name.is_empty() && !name.contains([',', '\n', ':']);
    let name = name.ok().filter(plain).filter(|it| !it.starts_with('-'));
    let name = name.ok_or_else(|| refuses("no account can have this name"))?;
    let found = child::run(Path::new("getent"), &["passwd", name], &[]).await;
    let found = found.map_err(|_| refuses(format!("there is no account {name}")))?;
    let first = Accounts::read(&found).list.into_iter().next();
    let account = first.ok_or_else(|| refuses(format!("there is no account {name}")))?;
    let shell = found.split(|byte| *byte == b'\n').next();
    let shell = shell.and_then(|line| line.rsplit(|byte| *byte == b':').next());
    let shell = String::from_utf8_lossy(shell.unwrap_or_default()).into_owned();
    let groups = child::run(Path::new("id"), &["-Gnz", name], &[]).await;
    let groups = groups.map_err(|error| unknown(format!("its groups are not known: {error:#}")))?;
    let groups = groups.split(|byte| *byte == 0).filter(|it| !it.is_empty());
    let groups = groups.map(<[u8]>::to_vec).collect();
    let said = sshd::say(&config.sshd, name, (question.address, question.port)).await;
    let (said, mut doubts) =
        said.map_err(|error| unknown(format!("sshd does not say what applies: {error:#}")))?;
    let rules = Rules::read(&said);
    let keys = keys(&account, Settings::read(&said)).await?;
    for file in ["/etc/hosts.deny", "/etc/nologin"] {
        if weighs(Path::new(file)).await {
            doubts.push(format!("{file} may turn it away, and is not looked into"));
        }
    }
    Ok(Seen {
        account,
        shell,
        groups,
        rules,
        keys,
        doubts,
    })
}

/// What opens it, for this connection alone.
async fn keys(account: &Account, settings: Settings) -> Result<Option<Keys>, Step> {
    let accounts = Accounts::ask().await;
    let accounts = accounts.map_err(|error| unknown(format!("{error:#}")))?;
    let (account, said) = (account.clone(), Said::of_one(Arc::new(settings)));
    let looking = tokio::task::spawn_blocking(move || {
        let (shelf, zone) = (Shelf::default(), TimeZone::system());
        let view = View {
            accounts: &accounts,
            said: &said,
            shelf: &shelf,
            zone: &zone,
            now: clock::now(),
        };
        view.account(&account).0
    });
    looking
        .await
        .map_err(|_| unknown("its keys cannot be read"))
}

/// Whether there is anything in a file but comments.
async fn weighs(file: &Path) -> bool {
    match tokio::fs::read(file).await {
        Ok(text) if file.ends_with("nologin") => text.len() < usize::MAX,
        Ok(text) => {
            let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            lines.any(|line| !line.is_empty() && !line.starts_with(b"#"))
        }
        Err(_) => false,
    }
}

impl Seen {
    fn steps(&self, question: &Question) -> Vec<Step> {
        if let Some(port) = question
            .port
            .filter(|port| !self.rules.ports.contains(port))
        {
            let text = format!(
                "sshd's configuration does not name port {port}: whom it lets in who listens there is \
                 not known"
            );
            return vec![unknown(text)];
        }
        let mut steps = vec![access::judge(self, question.address)];
        steps.extend(self.shell());
        let root = self.account.uid == 0;
        steps.extend(means::judge(self, (question.address, clock::now()), root));
        steps.extend(self.doubts.iter().map(|doubt| unknown(doubt.clone())));
        steps
    }

    /// A shell that runs nothing.
    fn shell(&self) -> Option<Step> {
        let name = Path::new(&self.shell).file_name()?;
        let none = name == "nologin" || name == "false";
        let text = format!(
            "its shell is {}, which runs nothing; only forwarding might be possible",
            self.shell
        );
        none.then(|| refuses(text))
    }
}
