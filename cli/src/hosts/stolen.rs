//! `watchward hosts revoke --stolen`: clients refuse the keys of a host in other hands, and it is cut off.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::cut_off;
use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, safe};

const PATH: &str = "/v1/revoke/host-keys";

/// Revokes what is shown, and cuts the host off whatever came of that.
pub(super) async fn revoke(
    collector: &Client,
    (host, reason, yes): (&str, &str, bool),
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > 500 {
        bail!("a reason is needed, of 500 bytes at most; nothing was changed");
    }
    let shown: anyhow::Result<Value> = collector.fetch(PATH, &[("host", host.to_owned())]).await;
    if !screen.is_for_programs() {
        match &shown {
            Ok(shown) => show(host, shown, screen)?,
            Err(why) => screen.line(&format!(
                "Its keys cannot be told: {}",
                safe(&format!("{why:#}"))
            ))?,
        }
    }
    let is_any = shown.as_ref().is_ok_and(has_keys);
    screen.agree_unless(yes, &question(host, is_any))?;
    // Its keys first: of a host that is cut off they are forgotten.
    let keys: anyhow::Result<Value> = match shown {
        Ok(shown) => {
            let keys = Row::of(&shown).texts("keys");
            let wanted = json!({"host": host, "reason": reason, "keys": keys});
            let answer = collector.post(PATH, &wanted).await;
            answer.with_context(|| format!("its keys may not be revoked: {}", keys.join(", ")))
        }
        Err(why) => Err(why.context("its keys are not revoked")),
    };
    let gone = cut_off(collector, host).await;
    say((host, &keys), gone.is_ok(), screen)?;
    let mut failed = Vec::new();
    match &keys {
        Ok(keys) => failed.extend(left(keys)),
        Err(why) => failed.push(format!("{why:#}")),
    }
    failed.extend(gone.err().map(|why| format!("it is not cut off: {why:#}")));
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("{}", safe(&failed.join("; "))),
    }
}

/// Whether a key would be revoked.
fn has_keys(shown: &Value) -> bool {
    !Row::of(shown).texts("keys").is_empty()
}

/// What is asked: of no more than was shown.
fn question(host: &str, has_keys: bool) -> String {
    let host = safe(host);
    match has_keys {
        true => format!("Revoke what clients are to refuse, and cut {host} off for good?"),
        false => format!("Cut {host} off for good?"),
    }
}

/// Says what would be revoked, and what would not.
fn show(host: &str, shown: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    let keys = Row::of(shown).texts("keys");
    for key in &keys {
        screen.line(&format!("{} is to be refused by clients.", safe(key)))?;
    }
    let others = others(shown);
    for other in &others {
        screen.line(&format!("{} stays as it is.", safe(other)))?;
    }
    if keys.is_empty() && others.is_empty() {
        screen.line(&format!("{} has told of no key of its own.", safe(host)))?;
    }
    Ok(())
}

/// Says what was done, whatever was not.
fn say(
    (host, keys): (&str, &anyhow::Result<Value>),
    is_cut_off: bool,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        let revoked = is_cut_off.then_some(host);
        return Ok(screen.json(&json!({"revoked": revoked, "host_keys": keys.as_ref().ok()}))?);
    }
    let refused = keys.as_ref().map(|keys| Row::of(keys).texts("keys"));
    for key in refused.unwrap_or_default() {
        screen.line(&format!(
            "{} is revoked: clients refuse it, and its certificates.",
            safe(&key)
        ))?;
    }
    if is_cut_off {
        screen.line(&format!("{} is cut off.", safe(host)))?;
    }
    Ok(())
}

/// What is not revoked, and how it would be; nothing where all is.
fn left(keys: &Value) -> Option<String> {
    let others = others(keys);
    (!others.is_empty()).then(|| {
        format!(
            "not revoked: {}; `watchward revoke` with the key has it refused everywhere",
            others.join("; ")
        )
    })
}

/// The keys that the host says to be its own, and why that is not enough.
fn others(keys: &Value) -> Vec<String> {
    let all = Row::of(keys).list("shared");
    all.map(|it| {
        let (key, of) = (it.text("fingerprint"), it.texts("of"));
        match of.is_empty() {
            true => format!("{key}, which only the host says to be its own"),
            false => format!("{key} of {}", of.join(", ")),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spoken_of_where_there_are_any() {
        for (shown, is_any) in [
            (json!({"keys": ["SHA256:a"], "shared": []}), true),
            (json!({"keys": [], "shared": []}), false),
        ] {
            let question = question("web", has_keys(&shown));
            assert_eq!(question.starts_with("Revoke"), is_any, "{question}");
            assert!(question.ends_with("ut web off for good?"), "{question}");
        }
    }

    #[test]
    fn what_is_not_revoked_is_named_with_whose_it_is() {
        let keys = json!({"keys": ["SHA256:a"], "shared": [
            {"fingerprint": "SHA256:b", "of": ["web-2", "ada"]}, {"fingerprint": "SHA256:c", "of": []}]});
        let left = left(&keys).unwrap();
        assert!(left.contains("SHA256:b of web-2, ada; SHA256:c, which only the host says"));
        assert!(!left.contains("SHA256:a"));
        assert_eq!(
            super::left(&json!({"keys": ["SHA256:a"], "shared": []})),
            None
        );
    }
}
