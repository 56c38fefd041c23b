//! Where a key could be tried on this host: what sshd listens on, the accounts, and keys that open them.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;

use jiff::tz::TimeZone;
use watchward_daemon::clock;
use watchward_protocol::keys::{Means, Opening};
use watchward_protocol::proof::{CONTROLS, MOST_ACCOUNTS, Question, Stands, Way, Ways};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::accounts::Account;
use super::authorized;
use super::config::Config;
use super::inventory::View;
use super::known::Known;
use super::open::{Opened, Whose, open};
use super::shelf::Shelf;

/// Looks which ways there are for a key.
pub(super) async fn look(config: &Config, question: &Question) -> Ways {
    let known = match Known::ask(config, None).await {
        Ok(known) => known,
        Err(error) => return trouble(format!("{error:#}")),
    };
    let Some(general) = &known.said.general else {
        let place = config.sshd.display();
        return trouble(format!("there is no sshd at {place}"));
    };
    let listens = general.always.listens.clone();
    let question = question.clone();
    let looking = tokio::task::spawn_blocking(move || accounts(&known, &question));
    match looking.await {
        Ok((accounts, trouble)) => Ways {
            listens,
            accounts,
            trouble,
        },
        Err(_) => trouble("its keys cannot be read".to_owned()),
    }
}

fn trouble(why: String) -> Ways {
    Ways {
        trouble: Some(why),
        ..Ways::default()
    }
}

/// The ways of each account, and why there may be more.
fn accounts(known: &Known, question: &Question) -> (Vec<Way>, Option<String>) {
    let view = View {
        accounts: &known.accounts,
        said: &known.said,
        shelf: &Shelf::default(),
        zone: &TimeZone::system(),
        now: clock::now(),
    };
    let Some(key) = authorized::fingerprint(&question.key) else {
        return (Vec::new(), Some("sshd takes this for no key".to_owned()));
    };
    let wanted: HashSet<&Foreign> = question.accounts.iter().collect();
    let is_wanted = |it: &&Account| wanted.is_empty() || wanted.contains(&it.name);
    let all = known.accounts.list.iter().filter(is_wanted);
    let mut unread = Vec::new();
    let mut ways = Vec::new();
    for account in all.clone().take(MOST_ACCOUNTS) {
        let Some(keys) = view.account(account).0 else {
            unread.push(account.name.to_string());
            continue;
        };
        if keys.troubles.iter().any(|it| it.hides()) {
            unread.push(account.name.to_string());
        }
        ways.push(way(&view, account, (&keys.openings, &key)));
    }
    let beyond = all.count().saturating_sub(MOST_ACCOUNTS) + known.accounts.omitted;
    let mut troubles = known.said.troubles.clone();
    if beyond > 0 {
        troubles.push(format!("{beyond} more accounts are left out"));
    }
    if !unread.is_empty() {
        unread.truncate(5);
        troubles.push(format!("not all keys of {} can be read", unread.join(", ")));
    }
    (ways, (!troubles.is_empty()).then(|| troubles.join("; ")))
}

fn way(view: &View<'_>, account: &Account, (openings, key): (&[Opening], &str)) -> Way {
    let counts = |it: &&Opening| it.not_after.is_none_or(|end| end > view.now);
    let is_key = |it: &&Opening| {
        let means = matches!(it.means, Means::AuthorizedKey | Means::Authority);
        means && it.key.as_ref().is_some_and(|own| own.fingerprint == key)
    };
    let stands = openings.iter().filter(counts).find(is_key);
    let stands = stands.map(|it| place(it, view.now));
    let controls = openings
        .iter()
        .filter(counts)
        .filter(|it| !is_key(it) && counts_everywhere(it, view.now))
        .filter_map(|it| wire(view, account, it));
    Way {
        account: account.name.clone(),
        controls: controls.take(CONTROLS).collect(),
        stands,
    }
}

/// Whether a key opens from wherever it is asked.
fn counts_everywhere(opening: &Opening, now: Timestamp) -> bool {
    opening.means == Means::AuthorizedKey
        && opening.condition.is_none()
        && opening.not_before.is_none_or(|begin| begin <= now)
        && matches!(authorized::from(opening.options.as_bytes()), Ok(None))
}

/// Where it stands, in words.
fn place(opening: &Opening, now: Timestamp) -> Stands {
    let mut text = format!("it stands in {}", opening.file);
    if let Some(line) = opening.line {
        text.push_str(&format!(", line {line}"));
    }
    if opening.means == Means::Authority {
        text.push_str(", as an authority: certificates that it signed open the account");
    }
    if let Ok(Some(from)) = authorized::from(opening.options.as_bytes()) {
        let from = Foreign::from(from).shortened(200);
        text.push_str(&format!(", for connections from {from}"));
    }
    if let Some(condition) = &opening.condition {
        text.push_str(&format!(", for connections {condition}"));
    }
    Stands {
        text,
        conditional: !counts_everywhere(opening, now),
    }
}

/// The key of an opening as it is on the wire, from the line that it stands on.
fn wire(view: &View<'_>, account: &Account, opening: &Opening) -> Option<Vec<u8>> {
    let whose = Whose::Account {
        account,
        strict: true,
        all: view.accounts,
    };
    let Opened::Text(text) = open(Path::new(&opening.file), whose) else {
        return None;
    };
    let before = usize::try_from(opening.line?).ok()?.checked_sub(1)?;
    let line = text.lines.split(b'\n').nth(before)?.ok()?;
    let wire = authorized::wire(&line)?;
    let own = opening.key.as_ref()?;
    (authorized::fingerprint(&wire)? == own.fingerprint).then_some(wire)
}
