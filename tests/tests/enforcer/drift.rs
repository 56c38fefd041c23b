//! Third hands in the kernel's rules, and strangers at the socket.

use std::os::fd::AsFd;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use rustix::net::{SendFlags, send};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use serde_json::Value;
use watchward_enforcer::{Change, Client, Gates, Mode};
use watchward_tests::ready::with_networks;

use super::ground::{Ground, INSIDE, OUTSIDE, Place, bans, gates, is_open};

const HANDS: [&str; 7] = [
    "nft flush ruleset",
    "nft delete table inet watchward",
    "nft flush chain inet watchward inbound",
    "nft flush set inet watchward banned4_32",
    "nft insert rule inet watchward inbound accept",
    "nft add table inet watchward '{ flags dormant; }'",
    "nft add element inet watchward never4 '{ 203.0.113.5 }'",
];

#[test]
fn what_a_third_hand_takes_away_is_put_back() -> Result<()> {
    with_networks("drift", || {
        let ground = Ground::new("never = []")?;
        ground.serve(22)?;
        ground.gates(gates(1, Mode::Enforce, ["10.99.1.0/24", "203.0.113.0/24"]))?;
        let many: Vec<String> = (0..250).map(|it| format!("198.51.100.{it}/32")).collect();
        ground.ask(bans(many.iter().map(String::as_str), 3600))?;
        ground.ask(bans([&*format!("{OUTSIDE}/32")], 3600))?;
        let mut agent = ground.client()?;
        for hand in HANDS {
            ground.sh(Place::Host, hand)?;
            let said = agent.wait().with_context(|| ground.log())?;
            let Change::Meddled { what, put_back } = said else {
                bail!("{hand}: it was not seen");
            };
            ensure!(put_back && what.contains(" by nft"), "{hand}: {what}");
            ensure!(!is_open(&ground, OUTSIDE)?, "{hand}: no bans");
            ensure!(is_open(&ground, INSIDE)?, "{hand}");
            assert_eq!(ground.holding()?.bans, 251, "{hand}");
            assert_eq!(held(&ground)?, 251, "{hand}");
        }
        ensure!(agent.change().is_none());
        Ok(())
    })
}

/// How many elements the kernel has of single addresses.
fn held(ground: &Ground) -> Result<usize> {
    let elements = ground.sh(Place::Host, "nft -j list set inet watchward banned4_32")?;
    let elements: Value = serde_json::from_str(&elements)?;
    let elements = elements.pointer("/nftables/1/set/elem");
    let elements = elements.and_then(Value::as_array);
    elements.map(Vec::len).context("no set")
}

#[test]
fn what_others_do_in_tables_of_their_own_is_left_alone() -> Result<()> {
    with_networks("others' tables", || {
        let ground = Ground::new("never = []")?;
        ground.gates(gates(1, Mode::Enforce, ["10.99.1.0/24"]))?;
        let mut agent = ground.client()?;
        let others = "nft add table ip other; nft add chain ip other mine;
            nft add set ip other some '{ type ipv4_addr; elements = { 192.0.2.77 }; }'";
        ground.sh(Place::Host, others)?;
        let before = ground.sh(Place::Host, "nft list table ip other")?;
        ground.ask(bans(["203.0.113.5/32", "203.0.113.64/27"], 60))?;
        ground.gates(gates(2, Mode::Enforce, ["10.99.1.0/24"]))?;
        assert_eq!(ground.sh(Place::Host, "nft list table ip other")?, before);
        ensure!(agent.change().is_none());

        let ruleset = String::from_utf8(agent.ruleset()?)?;
        for line in ruleset.lines() {
            let _each_is_whole: Value = serde_json::from_str(line).context(line.to_owned())?;
        }
        for part in ["192.0.2.77", "turned away", "10.99.1.0", "banned4_27"] {
            ensure!(ruleset.contains(part), "no {part}: {ruleset}");
        }
        ensure!(!ruleset.contains("203.0.113.5"), "bans: {ruleset}");
        Ok(())
    })
}

#[test]
fn where_it_is_only_to_be_told_nothing_is_put_back() -> Result<()> {
    with_networks("drift that stays", || {
        let ground = Ground::new("never = []")?;
        ground.serve(22)?;
        let watching = Gates {
            put_back: false,
            ..gates(2, Mode::Enforce, ["10.99.1.0/24"])
        };
        ground.gates(watching.clone())?;
        let mut agent = ground.client()?;
        ground.sh(Place::Host, "nft flush ruleset")?;
        let Change::Meddled { put_back, .. } = agent.wait()? else {
            bail!("it was not seen");
        };
        ensure!(!put_back && !ground.holding()?.whole);
        ensure!(is_open(&ground, OUTSIDE)?);
        let generation = 3;
        ground.gates(Gates {
            generation,
            ..watching
        })?;
        ensure!(ground.holding()?.whole && !is_open(&ground, OUTSIDE)?);
        Ok(())
    })
}

#[test]
fn strangers_and_nonsense_are_not_heard() -> Result<()> {
    with_networks("strangers", || {
        let ground = Ground::new("never = []")?;
        let socket = ground.path("socket");
        let words = [
            &b"\x01\x02\x00\x0f\x42\x40"[..],
            b"{}",
            b"\x01\xff",
            &[0; 200_000],
        ];
        for word in words {
            let mut client = ground.client()?;
            send(client.as_fd(), word, SendFlags::NOSIGNAL)?;
            ensure!(client.wait().is_err(), "nonsense has an answer");
        }
        let folder = socket.parent().context("it has a folder")?;
        let open = format!(
            "chmod 755 {}; chmod 666 {}",
            folder.display(),
            socket.display()
        );
        ground.sh(Place::Host, &open)?;
        let stranger = thread::spawn(move || {
            let nobody = Uid::from_raw(65534);
            set_thread_res_uid(nobody, nobody, nobody)?;
            let asked = Client::connect(&socket).map(|mut client| client.wait());
            anyhow::Ok(asked?.is_err())
        });
        let refused = stranger
            .join()
            .map_err(|_| anyhow::anyhow!("it panicked"))??;
        ensure!(refused, "a stranger is heard");
        ensure!(ground.log().contains("65534"), "{}", ground.log());
        assert_eq!(ground.holding()?.bans, 0);
        Ok(())
    })
}
