//! What another policy would change, and what it comes to on hosts, held against what the rules say.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;
use watchward_protocol::restriction::Gate;

use super::*;
use crate::restriction::plan::{changes, loses};
use crate::restriction::policy::Place;
use crate::restriction::rows::listing::Came;
use crate::restriction::services::Service as Logged;

/// A policy over a few addresses, so that much overlaps: networks, rules, exceptions.
#[derive(Clone, Debug)]
struct Drawn {
    networks: Vec<Vec<Ipv4Net>>,
    /// For which hosts, from which networks, to which service.
    rules: Vec<(Vec<u8>, Vec<usize>, u8)>,
    /// The same, and on which day it ends.
    exceptions: Vec<(Vec<u8>, Vec<usize>, u8)>,
    enforce: bool,
}

fn net() -> impl Strategy<Value = Ipv4Net> {
    (0_u32..64, 26_u8..=32).prop_map(|(low, prefix)| {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() | low);
        Ipv4Net::new(address, prefix).unwrap().trunc()
    })
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let networks = prop::collection::vec(prop::collection::vec(net(), 1..4), 3);
    let hosts = || prop::collection::vec(0_u8..3, 1..3);
    let from = || prop::collection::vec(0_usize..3, 1..3);
    let rules = prop::collection::vec((hosts(), from(), 0_u8..2), 0..4);
    let exceptions = prop::collection::vec((hosts(), from(), 1_u8..28), 0..3);
    (networks, rules, exceptions, any::<bool>()).prop_map(
        |(networks, rules, exceptions, enforce)| Drawn {
            networks: networks.into_iter().map(apart).collect(),
            rules,
            exceptions,
            enforce,
        },
    )
}

/// Those that are in none of the others: a list that says something twice is refused.
pub(super) fn apart(mut nets: Vec<Ipv4Net>) -> Vec<Ipv4Net> {
    nets.sort_unstable();
    nets.dedup();
    let all = nets.clone();
    nets.retain(|net| !all.iter().any(|other| other != net && other.contains(net)));
    nets
}

const SERVICES: [&str; 2] = ["ssh", "admin"];

impl Drawn {
    fn read(&self) -> Policy {
        let listed = |all: &mut dyn Iterator<Item = String>| -> String {
            all.map(|one| format!("\"{one}\""))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut text = String::from("[restriction.services]\nadmin = [\"tcp/8443\"]\n[groups]\n");
        for host in 0..3 {
            text += &format!("g{host} = [\"web-{host}\"]\n");
        }
        text += "[networks]\n";
        for (at, nets) in self.networks.iter().enumerate() {
            text += &format!(
                "n{at} = [{}]\n",
                listed(&mut nets.iter().map(|net| net.to_string()))
            );
        }
        let mode = if self.enforce { "enforce" } else { "watch" };
        for (hosts, from, service) in &self.rules {
            text += &format!(
                "[[restriction.rules]]\ngroups = [{}]\nservices = [\"{}\"]\nfrom = [{}]\nmode = \"{mode}\"\n",
                listed(&mut hosts.iter().map(|host| format!("g{host}"))),
                SERVICES[usize::from(*service)],
                listed(&mut from.iter().map(|at| format!("n{at}"))),
            );
        }
        for (hosts, from, day) in &self.exceptions {
            text += &format!(
                "[[restriction.exceptions]]\ngroups = [{}]\nservices = [\"ssh\"]\nfrom = [{}]\n\
                 until = \"2027-01-{day:02}\"\nreason = \"drawn\"\n",
                listed(&mut hosts.iter().map(|host| format!("g{host}"))),
                listed(&mut from.iter().map(|at| format!("n{at}"))),
            );
        }
        read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

impl Drawn {
    /// Whether SSH of a host is shut to an address on a day of January 2027: the rules read by
    /// themselves.
    fn shuts(&self, host: u8, address: Ipv4Addr, day: u8) -> bool {
        let holds = |from: &[usize]| {
            let mut nets = from.iter().flat_map(|at| &self.networks[*at]);
            nets.any(|net| net.contains(&address))
        };
        let about = |hosts: &[u8], service: u8| hosts.contains(&host) && service == 0;
        let rules: Vec<_> = self
            .rules
            .iter()
            .filter(|(hosts, _, service)| about(hosts, *service))
            .collect();
        let mut excepted = self.exceptions.iter();
        let excepted =
            excepted.any(|(hosts, from, until)| about(hosts, 0) && day <= *until && holds(from));
        self.enforce
            && !rules.is_empty()
            && !rules.iter().any(|(_, from, _)| holds(from))
            && !excepted
    }
}

/// Whether a host that holds this gate lets an address pass then.
fn passes(gate: &Gate, address: IpAddr, now: Timestamp) -> bool {
    let mut exceptions = gate.exceptions.iter().filter(|one| now < one.until);
    gate.from.iter().any(|net| net.contains(&address))
        || exceptions.any(|one| one.from.contains(&address))
}

proptest! {
    #[test]
    fn a_gate_lets_pass_whom_the_policy_permits_and_nobody_else(
        drawn in drawn(),
        host in 0_u8..3,
        service in 0_usize..2,
        low in 0_u8..70,
        day in -20_i64..20,
        later in 0_i64..20,
    ) {
        let table = drawn.read().table;
        let (host, service) = (format!("web-{host}"), SERVICES[service]);
        let address = IpAddr::from(Ipv4Addr::new(10, 0, 0, low));
        // What is ordered now holds later too, while nobody can be asked.
        let (now, later) = (at(day * 86_400), at((day + later) * 86_400));
        let gates = table.gates(&host, at(0), now).gates;
        let gate = gates.iter().find(|gate| gate.name == service);
        match table.place((&host, service), address, later) {
            Place::Open => prop_assert!(gate.is_none()),
            Place::Inside => prop_assert!(passes(gate.unwrap(), address, later)),
            Place::Outside(_) => prop_assert!(!passes(gate.unwrap(), address, later)),
        }
        if let Some(gate) = gate {
            for (at, net) in gate.from.iter().enumerate() {
                for other in &gate.from[at + 1..] {
                    prop_assert!(!net.contains(other) && !other.contains(net), "they overlap");
                }
            }
        }
    }

    #[test]
    fn whoever_a_policy_shuts_out_is_in_its_plan_and_nobody_else(
        before in drawn(),
        after in drawn(),
        host in 0_u8..3,
        low in 0_u8..70,
        day in 1_u8..30,
    ) {
        let address = Ipv4Addr::new(10, 0, 0, low);
        let midday = format!("2027-01-{day:02}T12:00:00Z").parse::<jiff::Timestamp>();
        let now = Timestamp::from_micros(midday.unwrap().as_microsecond());
        let came = Came {
            host: format!("web-{host}"),
            service: Logged::Ssh,
            user: None,
            address: address.into(),
            count: 1,
            first_at: now,
            last_at: now,
        };
        let (old, new) = (before.read().table, after.read().table);
        let expected = after.shuts(host, address, day) && !before.shuts(host, address, day);
        prop_assert_eq!(loses((&old, &new), &came, now), expected);
    }

    #[test]
    fn what_a_plan_adds_and_removes_is_what_changes_for_an_address(
        before in drawn(),
        after in drawn(),
        host in 0_u8..3,
        low in 0_u8..70,
    ) {
        let (before, after) = (before.read().table, after.read().table);
        let host = format!("web-{host}");
        let address = IpAddr::from(Ipv4Addr::new(10, 0, 0, low));
        let now = at(0);
        let changes = changes((&before, &after), std::slice::from_ref(&host), now);
        let permitted = |table: &Table| {
            !matches!(table.place((&host, "admin"), address, now), Place::Outside(_))
        };
        let change = changes.iter().find(|one| one.service == "admin");
        let both = change.is_some_and(|one| one.before.is_some() && one.before == one.after);
        prop_assume!(change.is_none() || both);
        let listed = |nets: Option<&Vec<String>>| nets.into_iter().flatten().any(|net| {
            net.parse::<IpNet>().unwrap().contains(&address)
        });
        let (was, is) = (permitted(&before), permitted(&after));
        prop_assert_eq!(listed(change.map(|one| &one.added)), !was && is);
        prop_assert_eq!(listed(change.map(|one| &one.removed)), was && !is);
    }
}

#[test]
fn a_policy_grows_newer_when_an_exception_ends() {
    let table = read(&GATED.replace("2999-12-31", "2027-01-20"))
        .unwrap()
        .table;
    let (before, after) = (at(0), at(30 * 86_400));
    let (old, new) = (
        table.gates("web-1", at(0), before),
        table.gates("web-1", at(0), after),
    );
    assert!(new.generation > old.generation);
    assert_eq!(
        (old.gates[0].exceptions.len(), new.gates[0].exceptions.len()),
        (1, 0)
    );
    assert_eq!(
        table.next_end(before),
        Some(old.gates[0].exceptions[0].until)
    );
    assert_eq!(table.next_end(after), None);
    assert!(table.gates("web-1", at(1), before).generation > old.generation);
}

/// Lines of a plan: account, address, host.
fn losing(plan: &Plan) -> Vec<String> {
    let all = plan.losing.iter();
    all.map(|one| {
        let user = one.user.clone().unwrap_or_default();
        format!("{user} {} {} {}", one.address, one.host, one.logins)
    })
    .collect()
}

#[tokio::test]
async fn who_would_be_shut_out_is_named_and_nobody_else() {
    let (open, shut) = (Policy::default(), read(GATED).unwrap());
    let counted = read(&GATED.replace("\"enforce\"", "\"watch\"")).unwrap();
    let hosts = [watched(1, "web-1"), watched(2, "db-1")];
    for store in stores().await {
        let mut elsewhere = login(4, 40, "203.0.113.9");
        elsewhere.host.name = "db-1".into();
        let long_ago = login(5, -91 * 86_400, "203.0.113.10");
        let heard = [
            login(1, 10, "192.0.2.7"),
            login(2, 20, "203.0.113.7"),
            login(3, 30, "203.0.113.7"),
            login(6, 35, "198.51.100.7"),
            login(7, 36, "::ffff:203.0.113.8"),
            failure(8, 37, "203.0.113.11"),
            elsewhere,
            long_ago,
        ];
        hear(&store, &heard, &open, at(50)).await;
        let look = async |before: &Policy, after: &Policy| {
            plan(&store, (&before.table, &after.table), &hosts, at(60))
                .await
                .unwrap()
        };
        let planned = look(&open, &shut).await;
        assert_eq!(
            losing(&planned),
            ["root 203.0.113.8 web-1 1", "root 203.0.113.7 web-1 2"]
        );
        assert_eq!(losing(&look(&counted, &shut).await), losing(&planned));
        assert_eq!(losing(&look(&shut, &shut).await), [""; 0]);
        assert_eq!(losing(&look(&open, &counted).await), [""; 0]);
    }
}

#[test]
fn from_where_a_gate_could_be_passed_then_is_said() {
    let read = |mode: &str| read(&GATED.replace("\"enforce\"", mode)).unwrap().table;
    let (open, counted, shut) = (Table::default(), read("\"watch\""), read("\"enforce\""));
    let hosts = ["web-1", "db-1"].map(str::to_owned);
    let office = [
        "192.0.2.0/24",
        "2001:db8::/32",
        "198.51.100.7/32 until 3000-01-01T00:00:00Z",
    ];
    let (others, only) = ("everybody else", "everybody else (only counted)");
    for (before, after, added, removed) in [
        (&open, &shut, &[][..], &[others][..]),
        (&counted, &shut, &[], &[others]),
        (&open, &counted, &[], &[only]),
        (&shut, &counted, &[only], &[]),
        (&shut, &open, &[others], &[]),
    ] {
        let [change] = &changes((before, after), &hosts, at(0))[..] else {
            panic!("one gate of one host")
        };
        assert_eq!(change.hosts, ["web-1"]);
        match change.after {
            Some(_) => assert_eq!(change.permitted, office),
            None => assert_eq!(change.permitted, ["everybody"]),
        }
        assert_eq!(
            (&change.added[..], &change.removed[..]),
            (
                &added.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..],
                &removed
                    .iter()
                    .map(|it| (*it).to_owned())
                    .collect::<Vec<_>>()[..],
            )
        );
    }
}
