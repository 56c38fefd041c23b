//! What hosts make of a revocation, as they say it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep};
use watchward_protocol::proof::Said;
use watchward_protocol::receipt::{Host, How, Receipt, Stand};

use crate::client::Client;
use crate::screen::{Screen, Tone, safe};

/// For how long at most.
const LONGEST: Duration = Duration::from_secs(60);
/// So long a host may take to say for the first time what it holds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked.
const EVERY: Duration = Duration::from_millis(500);

/// Follows until each host that is heard has refused these keys and was asked, or for a minute; an
/// error, unless it is so.
pub(super) async fn follow(
    collector: &Client,
    keys: &[String],
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let (mut shown, start) = (HashMap::new(), Instant::now());
    let receipts = loop {
        let mut receipts: Vec<Receipt> = Vec::new();
        for key in keys {
            let query = [("fingerprint", key.clone())];
            receipts.push(collector.fetch("/v1/revoke/stand", &query).await?);
        }
        if !screen.is_for_programs() {
            show(&receipts, start.elapsed(), &mut shown, screen)?;
        }
        let past = start.elapsed();
        let waits = receipts.iter().any(|it| !is_settled(it, past));
        if !waits || past >= LONGEST {
            break receipts;
        }
        sleep(EVERY).await;
    };
    if screen.is_for_programs() {
        screen.json(&serde_json::to_value(&receipts)?)?;
    } else {
        conclude(&receipts, screen)?;
    }
    let lacking: Vec<_> = receipts.iter().flat_map(lacks).collect();
    match lacking.len() {
        0 => Ok(()),
        _ => bail!("not done: {}", lacking.join("; ")),
    }
}

/// Whether nothing more is to be expected within a minute, after so long.
fn is_settled(receipt: &Receipt, past: Duration) -> bool {
    let is_asked = |host: &Host| match (&host.proof, &host.held_at) {
        (Some(proof), Some(held)) => proof.at >= *held,
        (proof, _) => proof.is_some(),
    };
    let mut hosts = receipt.hosts.iter();
    hosts.all(|host| match host.stand {
        Stand::Pending | Stand::Refused => true,
        Stand::Waiting => false,
        // The first time that a host is told anything, it says only then what it can hold.
        Stand::Mute if past < PATIENCE => false,
        Stand::Held | Stand::Mute => !can_be_asked(receipt) || is_asked(host),
    })
}

/// Whether the key itself is known: sshd cannot be asked about a fingerprint, a certificate, or a peer.
fn can_be_asked(receipt: &Receipt) -> bool {
    let key = &receipt.key;
    !key.kind.is_empty() && !key.is_certificate() && !key.is_peer()
}

/// What is not as it should be, of hosts that are heard.
fn lacks(receipt: &Receipt) -> Vec<String> {
    let mut lacks = Vec::new();
    if receipt.key.kind.is_empty() {
        lacks.push("the key itself is not known, so that no door can be asked about it".to_owned());
    }
    for host in &receipt.hosts {
        let name = &host.host;
        match host.stand {
            Stand::Pending => continue,
            Stand::Mute if host.has_no_door() => {}
            Stand::Held => {}
            Stand::Waiting | Stand::Refused | Stand::Mute => {
                lacks.push(format!("{name}: {}", host.words()));
            }
        }
        if host.sessions.iter().any(|one| one.how == How::Alive) {
            lacks.push(format!("{name}: a session goes on"));
        }
        lacks.extend(host.doubt().map(|doubt| format!("{name}: {doubt}")));
        match &host.proof {
            Some(proof) => {
                let said = |what| proof.doors.iter().filter(|it| it.said == what).count();
                let (opens, untold) = (said(Said::Accepted), said(Said::Unknown));
                if opens > 0 {
                    lacks.push(format!("{name}: it opens {}", counted(opens, "door")));
                }
                if untold + proof.omitted > 0 || !proof.trouble.is_empty() {
                    lacks.push(format!("{name}: not proven at every door"));
                }
            }
            None if can_be_asked(receipt) => lacks.push(format!("{name}: not asked yet")),
            None => {}
        }
    }
    // As the receipt has it: nothing shows then that anybody refuses the key.
    if lacks.is_empty() && can_be_asked(receipt) && !has_door(receipt) {
        lacks.push("no door was asked: no host that is watched has one".to_owned());
    }
    lacks
}

/// Whether a host has a door, or may have one when it is back.
fn has_door(receipt: &Receipt) -> bool {
    let mut hosts = receipt.hosts.iter();
    hosts.any(|host| {
        let proof = host.proof.as_ref();
        let has_some = proof.is_some_and(|it| !it.doors.is_empty() || it.omitted > 0);
        host.stand == Stand::Pending || has_some
    })
}

/// Shows what is other than before.
fn show(
    receipts: &[Receipt],
    past: Duration,
    shown: &mut HashMap<(String, String), String>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    for receipt in receipts {
        for host in &receipt.hosts {
            let place = (receipt.key.fingerprint.clone(), host.host.clone());
            let stand = stand(host, past);
            let said = words(host, stand);
            if shown.get(&place) == Some(&said) {
                continue;
            }
            let tone = match stand {
                Stand::Held => Tone::Good,
                Stand::Waiting => Tone::Dim,
                Stand::Mute if host.has_no_door() => Tone::Dim,
                Stand::Pending => Tone::Warn,
                Stand::Refused | Stand::Mute => Tone::Bad,
            };
            let which = match receipts.len() {
                1 => String::new(),
                _ => format!("{} ", safe(&receipt.key.fingerprint)),
            };
            let said_safe = screen.paint(tone, &safe(&said));
            screen.line(&format!("{which}{}: {said_safe}", safe(&host.host)))?;
            shown.insert(place, said);
        }
    }
    Ok(())
}

/// How a host stands after so long: what it cannot hold it says only some time after it is first told.
fn stand(host: &Host, past: Duration) -> Stand {
    let is_early = past < PATIENCE && !host.has_no_door();
    match host.stand == Stand::Mute && is_early {
        true => Stand::Waiting,
        false => host.stand,
    }
}

/// The same in a line.
fn words(host: &Host, stand: Stand) -> String {
    let mut words = vec![match stand == host.stand {
        true => host.words().to_owned(),
        false => stand.words().to_owned(),
    }];
    if !host.why.is_empty() {
        words.push(host.why.clone());
    }
    for one in &host.sessions {
        words.push(format!("session of {} {}", one.account, one.how.words()));
        words.extend(one.survivors.iter().cloned());
    }
    words.extend(host.doubt());
    for one in host.tunnel.iter().flat_map(|it| &it.taken) {
        words.push(format!(
            "taken away from {} at {}",
            one.interface, one.last_at.0
        ));
    }
    if let Some(proof) = &host.proof {
        let said = |what| proof.doors.iter().filter(|it| it.said == what).count();
        let doors = [
            (Said::Refused, "refuse it"),
            (Said::Accepted, "TAKE IT"),
            (Said::Unknown, "cannot be told of"),
        ];
        for (what, word) in doors {
            if said(what) > 0 {
                words.push(format!("{} {word}", counted(said(what), "door")));
            }
        }
        if !proof.trouble.is_empty() {
            words.push(proof.trouble.clone());
        }
    }
    words.join("; ")
}

fn conclude(receipts: &[Receipt], screen: &mut Screen) -> anyhow::Result<()> {
    for receipt in receipts {
        let of = |stand| receipt.hosts.iter().filter(move |host| host.stand == stand);
        let held = of(Stand::Held).count();
        screen.line(&format!(
            "\nHosts that refuse it: {held} of {}.",
            receipt.counts.hosts
        ))?;
        let closed = of(Stand::Mute).filter(|host| host.has_no_door());
        let closed: Vec<_> = closed.map(|host| safe(&host.host)).collect();
        if !closed.is_empty() {
            screen.line(&format!(
                "Without sshd, so without a door: {}.",
                closed.join(", ")
            ))?;
        }
        let pending: Vec<_> = of(Stand::Pending).map(|host| safe(&host.host)).collect();
        if !pending.is_empty() {
            screen.line(&format!(
                "Pending: {}. A host is told first thing when it is back.",
                pending.join(", ")
            ))?;
        }
        screen.line(&format!(
            "The receipt: watchward receipt {}",
            safe(&receipt.key.fingerprint)
        ))?;
    }
    Ok(())
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn receipt(stand: &str, held_at: Value, proof: Value) -> Receipt {
        let host = json!({
            "host": "web", "stand": stand, "why": "", "said_at": null, "held_at": held_at,
            "generation": null, "digest": null, "sessions": [], "proof": proof,
        });
        let zeros = |names: &[&str]| -> Value {
            let zeros = names.iter().map(|name| ((*name).to_owned(), json!(0)));
            zeros.collect::<serde_json::Map<_, _>>().into()
        };
        let counts = zeros(&[
            "hosts",
            "held",
            "pending",
            "doors",
            "refused",
            "controlled",
            "accepted",
            "unknown",
            "sessions_ended",
            "sessions_alive",
            "survivors",
        ]);
        let receipt = json!({
            "format": "watchward-receipt", "version": 1, "made_at": "a", "is_proven": false,
            "key": {"fingerprint": "SHA256:a", "kind": "ssh-rsa", "comment": "", "person": ""},
            "revoked": {"at": "a", "by": "ada", "why": "lost", "generation": 7},
            "counts": counts, "missing": [], "hosts": [host], "signer": "SHA256:b",
        });
        serde_json::from_value(receipt).unwrap()
    }

    fn proof(at: &str, said: &str) -> Value {
        let door = json!({"account": "zoe", "at": "::1", "said": said, "control": "", "note": ""});
        json!({"at": at, "doors": [door], "omitted": 0, "trouble": ""})
    }

    #[test]
    fn it_is_done_where_every_host_that_is_heard_holds_it_and_no_door_takes_it() {
        let held = || json!("2026-11-22T12:00:05Z");
        let (early, late) = ("2026-11-22T12:00:01Z", "2026-11-22T12:00:06Z");
        let mut doubted = receipt("held", held(), proof(late, "refused"));
        doubted.hosts[0].unknown_sessions = 1;
        let host = &doubted.hosts[0];
        assert!(words(host, host.stand).contains("of 1 session it is not known"));
        for (receipt, settled, done) in [
            (receipt("held", held(), proof(late, "refused")), true, true),
            (
                receipt("held", held(), proof(late, "accepted")),
                true,
                false,
            ),
            (receipt("held", held(), proof(late, "unknown")), true, false),
            (
                receipt("held", held(), proof(early, "refused")),
                false,
                true,
            ),
            (receipt("held", held(), Value::Null), false, false),
            (
                receipt("waiting", Value::Null, proof(late, "refused")),
                false,
                false,
            ),
            (receipt("refused", Value::Null, Value::Null), true, false),
            (
                receipt("mute", Value::Null, proof(late, "refused")),
                true,
                false,
            ),
            (receipt("pending", Value::Null, Value::Null), true, true),
            (doubted, true, false),
        ] {
            assert_eq!(is_settled(&receipt, PATIENCE), settled, "{receipt:#?}");
            assert_eq!(lacks(&receipt).is_empty(), done, "{receipt:#?}");
        }
    }

    #[test]
    fn where_no_host_has_a_door_nothing_is_shown() {
        let none = json!({"at": "a", "doors": [], "omitted": 0, "trouble": ""});
        let mut receipt = receipt("mute", Value::Null, none);
        let host = &receipt.hosts[0];
        assert_eq!(words(host, host.stand), "no sshd here, so no door");
        assert!(is_settled(&receipt, PATIENCE));
        assert_eq!(
            lacks(&receipt),
            ["no door was asked: no host that is watched has one"]
        );
        let mut silent = host.clone();
        silent.stand = Stand::Pending;
        silent.proof = None;
        receipt.hosts.push(silent);
        assert!(lacks(&receipt).is_empty(), "it may have one");
        receipt.hosts.clear();
        assert_eq!(lacks(&receipt).len(), 1, "nobody is watched");
    }

    #[test]
    fn what_a_host_cannot_hold_is_said_when_it_could_have_said_so_itself() {
        let receipt = receipt("mute", Value::Null, proof("a", "refused"));
        let host = &receipt.hosts[0];
        assert!(words(host, stand(host, Duration::ZERO)).starts_with("not held yet"));
        let said = words(host, stand(host, PATIENCE));
        assert!(said.contains("install watchward-enforcer there"), "{said}");
        assert!(lacks(&receipt).concat().contains("install"));
    }
}
