//! Which openings of a host are lines that it was ordered to hold: nobody has to say that they are
//! right. Pure.

use watchward_protocol::host_keys::HostKeys;
use watchward_protocol::instruments::{Managed, Opens};
use watchward_protocol::keys::Means;
use watchward_protocol::time::Timestamp;

use super::inventory::{Inventory, Note, Whose};
use super::kept::Kept;
use super::options;
use super::proof::fingerprint;

/// Marks what a host was ordered to hold, and takes it for right: these lines, and its keys of ours with
/// these serials.
pub(super) fn recognise(inventory: &mut Inventory, managed: &[Managed], serials: &[u32]) {
    let lines: Vec<_> = managed
        .iter()
        .map(|line| (fingerprint(line.opens.key()), line))
        .collect();
    let mut notes = Vec::new();
    for (place, kept) in &mut inventory.openings {
        kept.ordered = is_ordered(&place.0, kept, (&lines, serials));
        if !kept.ordered {
            continue;
        }
        if kept.new {
            notes.push(Note {
                place: place.clone(),
                what: "ordered by the policy".to_owned(),
            });
        }
        let is_right = !kept.new && kept.approved == kept.opening.options && kept.was.is_none();
        kept.touched |= !is_right;
        kept.new = false;
        kept.approved = kept.opening.options.clone();
        kept.was = None;
    }
    inventory.notes.extend(notes);
}

/// Whether it is that, and nothing else: the same key somewhere else opens more than was ordered.
fn is_ordered(
    whose: &Whose,
    kept: &Kept,
    (lines, serials): (&[(String, &Managed)], &[u32]),
) -> bool {
    let opening = &kept.opening;
    if kept.gone_at.is_some() || !kept.is_ours() {
        return false;
    }
    match opening.means {
        // It opens nothing.
        Means::HostCertificate => return true,
        Means::HostKey => {
            let mut ours = serials.iter().map(|it| HostKeys::public_file(*it));
            return ours.any(|file| opening.file == file);
        }
        Means::AuthorizedKey
        | Means::Authority
        | Means::Principals
        | Means::Command
        | Means::AgentCertificate
        | Means::PrincipalsCommand => {}
    }
    let (Some(account), Some(key)) = (whose.account(), &opening.key) else {
        return false;
    };
    let of_key = lines.iter().filter(|(fingerprint, line)| {
        *fingerprint == key.fingerprint && line.account.as_bytes() == account.as_bytes()
    });
    let fits = of_key.filter(|(_, line)| match &line.opens {
        Opens::Key(_) => opening.means == Means::AuthorizedKey,
        Opens::Authority { .. } => opening.means == Means::Authority,
    });
    let fits: Vec<_> = fits.map(|(_, line)| *line).collect();
    let copies = usize::try_from(kept.copies).unwrap_or(usize::MAX);
    let mut written = opening.options.as_bytes().split(|byte| *byte == b'\n');
    (1..=fits.len()).contains(&copies)
        && written.all(|options| fits.iter().any(|line| says(options, line)))
}

/// Whether these options let in no more than the line was ordered for: whom, from where, until when, and
/// to do what.
fn says(options: &[u8], line: &Managed) -> bool {
    let mut ordered = Vec::new();
    if let Opens::Authority { principals, .. } = &line.opens {
        let names = options::names(options, "principals");
        let known = |names: &Vec<String>| names.iter().all(|name| principals.contains(name));
        let Some(names) = names.filter(known) else {
            return false;
        };
        ordered.push(format!("cert-authority,principals=\"{}\"", names.join(",")));
    }
    if !line.forwarding {
        ordered.push("restrict,pty".to_owned());
    }
    if !line.from.is_empty() {
        let nets: Vec<String> = line.from.iter().map(ToString::to_string).collect();
        ordered.push(format!("from=\"{}\"", nets.join(",")));
    }
    if let Some(end) = line.until.and_then(written) {
        // It is put off again and again: a host that has not heard of it yet ends it earlier.
        let earlier = options::names(options, "expiry-time").map(|it| it.join(","));
        let earlier = earlier.filter(|it| it.len() == end.len() && *it < end);
        ordered.push(format!("expiry-time=\"{}\"", earlier.unwrap_or(end)));
    }
    options::widened(ordered.join(",").as_bytes(), options).is_none()
}

/// A moment as hosts write it: `YYYYMMDDHHMMSSZ`.
fn written(at: Timestamp) -> Option<String> {
    let at = jiff::Timestamp::from_microsecond(at.as_micros().max(0)).ok()?;
    Some(at.strftime("%Y%m%d%H%M%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use watchward_protocol::hosts::HostId;
    use watchward_protocol::keys::{Opening, PublicKey};
    use watchward_protocol::text::Foreign;

    use super::super::inventory::Identity;
    use super::*;
    use crate::intake::Host;

    fn line(account: &str, principals: &[&str]) -> Managed {
        Managed {
            account: account.to_owned(),
            opens: Opens::Authority {
                key: vec![1, 2, 3],
                principals: principals.iter().map(|it| (*it).to_owned()).collect(),
            },
            from: Vec::new(),
            until: None,
            forwarding: true,
        }
    }

    fn kept(file: &str, options: &str, copies: u32) -> Kept {
        let opening = Opening {
            means: Means::Authority,
            key: Some(PublicKey {
                kind: "ssh-ed25519".into(),
                bits: 256,
                fingerprint: fingerprint(&[1, 2, 3]),
                wire: Vec::new(),
            }),
            file: file.to_owned(),
            line: Some(1),
            comment: Foreign::default(),
            options: options.into(),
            principals: Vec::new(),
            not_before: None,
            not_after: None,
            condition: None,
        };
        Kept::appear(opening, copies, true, Timestamp::default())
    }

    fn news(account: &str, kept: Kept, managed: &[Managed]) -> bool {
        let place = (Whose::Account(account.into()), Identity([1; 32]));
        let mut inventory = Inventory {
            host: Host {
                id: HostId::from_bytes([1; 16]),
                name: "web".into(),
            },
            listed_at: None,
            holders: BTreeMap::new(),
            openings: BTreeMap::from([(place.clone(), kept)]),
            notes: Vec::new(),
            retired: Vec::new(),
        };
        recognise(&mut inventory, managed, &[]);
        let kept = &inventory.openings[&place];
        assert_eq!(kept.new, !kept.ordered);
        kept.new
    }

    #[test]
    fn what_was_ordered_is_no_news_and_everything_else_is() {
        let managed = [line("deploy", &["role:operator", "person:ada"])];
        let own = "/etc/ssh/watchward/current/keys/deploy";
        let written = "cert-authority,principals=\"role:operator,person:ada\"";
        for (account, file, options, copies, is_new) in [
            ("deploy", own, written, 1, false),
            (
                "deploy",
                own,
                "cert-authority,principals=\"person:ada\",no-pty",
                1,
                false,
            ),
            ("root", own, written, 1, true),
            (
                "deploy",
                "/home/deploy/.ssh/authorized_keys",
                written,
                1,
                true,
            ),
            ("deploy", own, written, 2, true),
            ("deploy", own, "cert-authority", 1, true),
            (
                "deploy",
                own,
                "cert-authority,principals=\"role:access\"",
                1,
                true,
            ),
            (
                "deploy",
                own,
                &format!("{written}\ncert-authority"),
                1,
                true,
            ),
        ] {
            let found = news(account, kept(file, options, copies), &managed);
            assert_eq!(found, is_new, "{account} {file} {options} {copies}");
        }
        assert!(
            news("deploy", kept(own, written, 1), &[]),
            "it is ordered no more"
        );
    }
    #[test]
    fn a_line_that_lost_its_limits_is_not_the_one_that_was_ordered() {
        let line = Managed {
            opens: Opens::Key(vec![1, 2, 3]),
            from: vec![
                "192.0.2.0/24".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ],
            until: Some(Timestamp::from_micros(1_798_761_600_000_000)),
            forwarding: false,
            ..line("deploy", &[])
        };
        let from = "from=\"192.0.2.0/24,2001:db8::/32\"";
        let end = "expiry-time=\"20270101000000Z\"";
        let sooner = "expiry-time=\"20261231235959Z\"";
        for (options, fits) in [
            (format!("restrict,pty,{from},{end}"), true),
            (format!("restrict,pty,{from},{sooner}"), true),
            (
                format!("restrict,pty,{from},expiry-time=\"20270101000001Z\""),
                false,
            ),
            (format!("restrict,pty,{from}"), false),
            (format!("restrict,pty,{end}"), false),
            (format!("restrict,pty,from=\"*\",{end}"), false),
            (format!("{from},{end}"), false),
            (format!("restrict,pty,port-forwarding,{from},{end}"), false),
        ] {
            assert_eq!(says(options.as_bytes(), &line), fits, "{options}");
        }
    }
}
