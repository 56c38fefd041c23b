//! `watchward revoke`: a key, or all keys of a person, refused by every host from now on.

mod follow;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::args::Revoke;
use crate::client::Client;
use crate::named::Named;
use crate::row::Row;
use crate::screen::{Screen, Tone, safe};

pub(crate) async fn run(
    collector: &Client,
    asked: Revoke,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let what = what(asked.what.as_deref(), asked.serial)?;
    note_agent(collector, &what, screen).await?;
    let plan: Value = collector.post("/v1/revoke/plan", &what).await?;
    if !screen.is_for_programs() {
        show(&plan, screen)?;
    }
    let lonely = names(&plan);
    if !lonely.is_empty() && !asked.even_so {
        bail!(
            "this leaves an account without a way in: {}; nothing was changed (--even-so revokes it \
             nevertheless)",
            lonely.join(", ")
        );
    }
    let reason = match asked.reason {
        Some(reason) => reason,
        None if screen.can_ask() => why(screen)?,
        None => bail!("--reason is needed: it stands in the receipt"),
    };
    screen.agree_unless(asked.yes, "Revoke?")?;
    let wanted = json!({"what": what, "reason": reason, "even_so": asked.even_so});
    let done: Value = collector.post("/v1/revoke", &wanted).await?;
    let row = Row::of(&done);
    let (revoked, before) = (row.texts("revoked"), row.texts("before"));
    if !screen.is_for_programs() {
        for key in &before {
            screen.line(&format!("{} was revoked before.", safe(key)))?;
        }
        for key in &revoked {
            screen.line(&format!(
                "{} is revoked: every host is told now.",
                safe(key)
            ))?;
        }
    }
    let keys = [revoked, before].concat();
    match asked.no_wait {
        true if screen.is_for_programs() => Ok(screen.json(&done)?),
        true => Ok(()),
        false => follow::follow(collector, &keys, screen).await,
    }
}

/// What is meant: a certificate by its serial, a peer of WireGuard, a fingerprint, a file, or a person.
pub(crate) fn what(text: Option<&str>, serial: Option<u32>) -> anyhow::Result<Value> {
    if let Some(serial) = serial {
        return Ok(json!({ "serial": serial }));
    }
    let text = text.context("say what: a key, a person, or --serial")?;
    Ok(match Named::of(text)? {
        Named::Peer(peer) => json!({ "peer": peer }),
        Named::Fingerprint(fingerprint) => json!({ "fingerprint": fingerprint }),
        Named::Key(key) => json!({ "key": key }),
        Named::Other(person) => json!({ "person": person }),
    })
}

/// A word, if what is meant is the certificate of an agent by what its host says: sshd knows nothing of it. It is
/// no more, for any host can say so of a key that others hold.
async fn note_agent(collector: &Client, what: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    let fingerprint = what.get("fingerprint").and_then(Value::as_str);
    let Some(fingerprint) = fingerprint.filter(|_| !screen.is_for_programs()) else {
        return Ok(());
    };
    let query = [("fingerprint", fingerprint.to_owned())];
    let places: Value = collector.fetch("/v1/keys", &query).await?;
    let Some(host) = agent_of(&places) else {
        return Ok(());
    };
    Ok(screen.line(&format!(
        "By what {host} says, this is its agent's certificate, which sshd does not ask about. `watchward hosts \
         revoke {host}` cuts an agent off."
    ))?)
}

/// The host whose agent this is the certificate of.
fn agent_of(places: &Value) -> Option<String> {
    let mut all = Row::all(places);
    let found = all.find(|place| place.text("means") == "agent-certificate");
    found.map(|place| safe(&place.text("host")))
}

/// Asks until there is an answer.
fn why(screen: &mut Screen) -> anyhow::Result<String> {
    for _ in 0..3 {
        let reason = screen.ask("Why? ")?;
        if !reason.is_empty() {
            return Ok(reason);
        }
    }
    bail!("a reason is needed: it stands in the receipt; nothing was changed")
}

/// The accounts that nothing would open any more.
fn names(plan: &Value) -> Vec<String> {
    let lonely = Row::of(plan).list("lonely");
    lonely
        .map(|it| format!("{}@{}", it.text("account"), it.text("host")))
        .collect()
}

/// Says what revoking it would do.
fn show(plan: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    let all = Row::of(plan);
    for key in all.list("keys") {
        let name = safe(&key.text("fingerprint"));
        let of = [key.text("kind"), key.text("comment")];
        let of: Vec<_> = of
            .iter()
            .filter(|it| !it.is_empty())
            .map(|it| safe(it))
            .collect();
        screen.line(&format!(
            "{} {}",
            screen.paint(Tone::Bold, &name),
            of.join(" ")
        ))?;
        let person = key.text("person");
        let places: Vec<_> = key
            .list("places")
            .map(|it| format!("{}@{}", it.text("account"), it.text("host")))
            .collect();
        for one in key.list("certificates") {
            let line = format!(
                "  certificate {} {} for {}, until {}",
                one.cell("serial"),
                one.text("name"),
                one.text("principals").replace(' ', ", "),
                one.moment("until")
            );
            screen.line(&safe(&line))?;
        }
        let facts = [
            ("of", person),
            ("opens", places.join(", ")),
            ("last used", key.moment("used_at")),
        ];
        for (fact, text) in facts
            .iter()
            .filter(|(_, text)| !matches!(&**text, "" | "-"))
        {
            screen.line(&format!("  {fact:<10} {}", safe(text)))?;
        }
    }
    let number = |name| all.number(name).unwrap_or_default();
    let silent = match number("silent") {
        0 => String::new(),
        silent => format!(", {silent} of them silent"),
    };
    screen.line(&format!("Hosts: {}{silent}.", number("hosts")))?;
    let lonely = names(plan);
    if !lonely.is_empty() {
        let text = format!("Without a way in after that: {}.", safe(&lonely.join(", ")));
        screen.line(&screen.paint(Tone::Bad, &text))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_from_a_file_and_from_a_person() {
        assert_eq!(
            what(Some("SHA256:abc"), None).unwrap(),
            json!({"fingerprint": "SHA256:abc"})
        );
        let peer = "hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXS/pIKzCwUVg=";
        assert_eq!(what(Some(peer), None).unwrap(), json!({"peer": peer}));
        assert_eq!(what(Some("ada"), None).unwrap(), json!({"person": "ada"}));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.pub");
        std::fs::write(&file, "ssh-ed25519 AAAA").unwrap();
        let meant = what(file.to_str(), None).unwrap();
        assert_eq!(meant, json!({"key": "ssh-ed25519 AAAA"}));
        assert!(what(Some("nowhere.pub"), None).is_err());
    }

    #[test]
    fn the_certificate_of_an_agent_is_none_of_sshd() {
        let places = json!([{"host": "web", "means": "agent-certificate"}]);
        assert_eq!(agent_of(&places).as_deref(), Some("web"));
        let key = json!([{"host": "web", "means": "authorized-key"}]);
        assert_eq!(agent_of(&key), None);
        assert_eq!(agent_of(&json!([])), None);
    }
}
