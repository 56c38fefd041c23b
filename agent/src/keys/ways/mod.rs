//! Where keys could be tried on this host: what sshd listens on, the accounts, and keys that open them.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use watchward_daemon::clock;
use watchward_protocol::keys::{Keys, Means, Opening};
use watchward_protocol::proof::{CONTROLS, HOST_KEYS, MOST_ACCOUNTS, Question, Stands, Way, Ways};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use crate::keys::accounts::Account;
use crate::keys::authorized;
use crate::keys::config::Config;
use crate::keys::inventory::View;
use crate::keys::known::Known;
use crate::keys::open::{Opened, Whose, open};
use crate::keys::settings::Settings;
use crate::keys::shelf::Shelf;

/// How many keys of an account that are not found where they stood end the search for controls: its
/// owner writes the file, and each search reads it anew.
const MISFITS: usize = 5;

/// Looks which ways there are for keys.
pub(super) async fn look(config: &Config, question: &Question) -> Ways {
    let known = match Known::ask(config, None).await {
        Ok(known) => known,
        Err(error) => return trouble(format!("{error:#}")),
    };
    let Some(general) = &known.said.general else {
        let place = config.sshd.display();
        return Ways {
            closed: Some(format!("there is no sshd at {place}")),
            ..Ways::default()
        };
    };
    let settings = general.always.clone();
    let (listens, tries) = (settings.listens.clone(), Some(known.said.tries()));
    let question = question.clone();
    let looking =
        tokio::task::spawn_blocking(move || (host_keys(&settings), accounts(&known, &question)));
    match looking.await {
        Ok((host_keys, (accounts, trouble))) => Ways {
            listens,
            host_keys,
            accounts,
            trouble,
            closed: None,
            tries,
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

/// By what sshd can be told from somebody else who listens in its place.
fn host_keys(settings: &Settings) -> Vec<Vec<u8>> {
    let wire = |path: &PathBuf| {
        // Only the public half: nobody but sshd has to see the other.
        let mut public = path.clone().into_os_string();
        public.push(".pub");
        let Opened::Text(text) = open(Path::new(&public), Whose::Hosts) else {
            return None;
        };
        let mut lines = text.lines.split(b'\n').map_while(Result::ok);
        lines.find_map(|line| authorized::wire(&line))
    };
    settings
        .host_keys
        .iter()
        .filter_map(wire)
        .take(HOST_KEYS)
        .collect()
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
    let asked: Vec<Asked> = (0..).zip(&question.keys).filter_map(Asked::read).collect();
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
        if hides(&keys) {
            unread.push(account.name.to_string());
        }
        ways.push(Way {
            account: account.name.clone(),
            controls: controls(&view, account, (&keys.openings, &asked)),
            stands: asked
                .iter()
                .filter_map(|it| stands(&keys, it, view.now))
                .collect(),
        });
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

/// What is asked about.
struct Asked {
    /// Which of the keys in question, counted from 0.
    number: u32,
    fingerprint: String,
    is_certificate: bool,
}

impl Asked {
    /// None: sshd takes it for no key.
    fn read((number, wire): (u32, &Vec<u8>)) -> Option<Self> {
        let named = wire.split_first_chunk().and_then(|(length, rest)| {
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            rest.get(..length)
        });
        Some(Self {
            number,
            fingerprint: authorized::fingerprint(wire)?,
            is_certificate: named?.ends_with(b"-cert-v01@openssh.com"),
        })
    }

    fn is(&self, opening: &Opening) -> bool {
        let means = matches!(opening.means, Means::AuthorizedKey | Means::Authority);
        let key = opening.key.as_ref();
        means && key.is_some_and(|own| own.fingerprint == self.fingerprint)
    }
}

/// Whether an account may have more than was told.
fn hides(keys: &Keys) -> bool {
    keys.omitted > 0 || keys.troubles.iter().any(|it| it.hides())
}

fn counts(opening: &Opening, now: Timestamp) -> bool {
    opening.not_after.is_none_or(|end| end > now)
}

/// Where the key stands, and why else a refusal may say little.
fn stands(keys: &Keys, asked: &Asked, now: Timestamp) -> Option<Stands> {
    let openings = || keys.openings.iter().filter(|it| counts(it, now));
    let mut places = openings().filter(|it| asked.is(it));
    let first = places.clone().next();
    let limited = places.find(|it| !counts_everywhere(it, now));
    let place = limited.or(first).map(|it| place(asked.number, it, now));
    let has = |means| openings().any(|it| it.means == means);
    let doubt = if hides(keys) {
        "not all its keys were looked at"
    } else if has(Means::Command) {
        "a program decides, and may know it for connections from elsewhere"
    } else if asked.is_certificate && (has(Means::Authority) || has(Means::PrincipalsCommand)) {
        "it takes certificates, and this one may count for connections from elsewhere"
    } else {
        return place;
    };
    let text = match place {
        Some(place) => format!("{}; {doubt}", place.text),
        None => doubt.to_owned(),
    };
    Some(Stands {
        key: asked.number,
        text,
        conditional: true,
    })
}

/// Other keys that should open the account from wherever it is asked.
fn controls(
    view: &View<'_>,
    account: &Account,
    (openings, asked): (&[Opening], &[Asked]),
) -> Vec<Vec<u8>> {
    let (mut found, mut misfits) = (Vec::new(), 0);
    let counting = openings.iter().filter(|it| counts(it, view.now));
    let is_other = |it: &&Opening| !asked.iter().any(|asked| asked.is(it));
    for one in counting.filter(|it| is_other(it) && counts_everywhere(it, view.now)) {
        match wire(view, account, one) {
            Some(wire) if found.contains(&wire) => {}
            Some(wire) => found.push(wire),
            None => misfits += 1,
        }
        if found.len() >= CONTROLS || misfits >= MISFITS {
            break;
        }
    }
    found
}

/// Whether what stands before a key may be only the beginning of it.
fn is_cut(options: &Foreign) -> bool {
    options.as_bytes().len() >= Opening::LONGEST_TEXT
}

/// Whether a key opens from wherever it is asked.
fn counts_everywhere(opening: &Opening, now: Timestamp) -> bool {
    opening.means == Means::AuthorizedKey
        && opening.condition.is_none()
        && opening.not_before.is_none_or(|begin| begin <= now)
        && !is_cut(&opening.options)
        && matches!(authorized::from(opening.options.as_bytes()), Ok(None))
}

/// Where it stands, in words.
fn place(key: u32, opening: &Opening, now: Timestamp) -> Stands {
    let mut text = format!("it stands in {}", opening.file);
    if let Some(line) = opening.line {
        text.push_str(&format!(", line {line}"));
    }
    if opening.means == Means::Authority {
        text.push_str(", as an authority: certificates that it signed open the account");
    }
    if is_cut(&opening.options) {
        text.push_str(", with more options than are looked at");
    } else if let Ok(Some(from)) = authorized::from(opening.options.as_bytes()) {
        let from = Foreign::from(from).shortened(200);
        text.push_str(&format!(", for connections from {from}"));
    }
    if let Some(condition) = &opening.condition {
        text.push_str(&format!(", for connections {condition}"));
    }
    Stands {
        key,
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
