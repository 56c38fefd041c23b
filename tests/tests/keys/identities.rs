//! A key that a host makes for its programs: used by a real client there, and read by nobody else.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use watchward_protocol::identities::{Identities, Identity};
use watchward_protocol::order::Order;
use watchward_protocol::wire::encode_order;
use watchward_tests::agent;
use watchward_tests::host::Host;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until};

use super::{append, watched};

const FOLDER: &str = "/var/lib/watchward-identities/backup";

#[test]
fn a_key_is_made_where_it_is_used_and_replaced_there() -> Result<()> {
    play("a key is made by the host itself", "", |site| {
        let (web, home) = (watched(site)?, site.boot("home")?);
        web.sh("useradd -m -s /bin/bash zoe; useradd -m -s /bin/bash mallory")?;
        home.sh("useradd -m -s /bin/bash alice")?;
        order(&web, &[1], 1)?;
        let first = made(&web, 1)?;
        append(&home, "alice", &first)?;
        ensure!(opens(&web, &home, "zoe")?, "{}", agent::log(&web));
        for other in ["mallory", "watchward-agent-keys"] {
            let read = web.try_sh(&format!("runuser -u {other} -- cat {FOLDER}/id"))?;
            ensure!(!read, "{other} reads it");
        }
        ensure!(!opens(&web, &home, "mallory")?, "mallory gets in");

        order(&web, &[1, 2], 1)?;
        let second = made(&web, 2)?;
        ensure!(opens(&web, &home, "zoe")?, "the first is used");
        append(&home, "alice", &second)?;
        order(&web, &[1, 2], 2)?;
        until("the second is used", SOON, || {
            Ok((web.sh(&format!("cat {FOLDER}/id.pub"))?.trim() == second).then_some(()))
        })?;
        home.sh("sed -i '1d' /home/alice/.ssh/authorized_keys")?;
        ensure!(opens(&web, &home, "zoe")?, "the second opens");
        order(&web, &[2], 2)?;
        until("the first is gone", SOON, || {
            Ok((!web.try_sh(&format!("test -e {FOLDER}/1"))?).then_some(()))
        })
        .with_context(|| agent::log(&web))?;
        ensure!(opens(&web, &home, "zoe")?);
        let swept =
            web.sh("systemctl show -P LimitCORE watchward-agent watchward-agent-identities")?;
        ensure!(swept.split_whitespace().all(|it| it == "0"), "{swept}");
        Ok(())
    })
}

/// A real client of an account, with the host's key and nothing else.
fn opens(from: &Host, to: &Host, account: &str) -> Result<bool> {
    let to = to.address();
    from.try_sh(&format!(
        "runuser -u {account} -- ssh -F none -o StrictHostKeyChecking=no -o BatchMode=yes \
         -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o IdentityAgent=none \
         -o LogLevel=ERROR -o ConnectTimeout=20 -i {FOLDER}/id alice@{to} true"
    ))
}

/// The public half, as soon as it is there.
fn made(web: &Host, serial: u32) -> Result<String> {
    let file = format!("{FOLDER}/{serial}/id.pub");
    until("a key is made", SOON, || {
        Ok(web.try_sh(&format!("test -e {file}"))?.then_some(()))
    })
    .with_context(|| agent::log(web))?;
    Ok(web.sh(&format!("cat {file}"))?.trim().to_owned())
}

/// What a collector would order, as the agent keeps it.
fn order(web: &Host, serials: &[u32], using: u32) -> Result<()> {
    let backup = Identity {
        name: "backup".to_owned(),
        account: "zoe".to_owned(),
        serials: serials.to_vec(),
        using,
    };
    let order = Order::Identities(Arc::new(Identities {
        identities: vec![backup],
        known_hosts: Vec::new(),
    }));
    let place = "/var/lib/watchward-agent/identities.order";
    web.write(&format!("{place}.next"), &encode_order(order), 0o600)?;
    web.sh(&format!(
        "chown watchward-agent: {place}.next; mv {place}.next {place}"
    ))
    .map(drop)
}
