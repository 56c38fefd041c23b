//! What another policy would change about keys: what opens which accounts, which machines' keys rotate,
//! which peers' keys would be too old, and who would be given certificates no more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use watchward_protocol::time::Timestamp;

use super::authority::principal_role;
use super::peers;
use super::policy::Policy;
use super::rotation::Machine;
use super::rows::certificate;
use crate::people::Roles;
use crate::people::deed::Wanted;
use crate::store::Store;

/// Whoever was given a certificate longer ago than this is not thought of.
const LATELY: Duration = Duration::from_secs(90 * 86_400);
/// So many certificates are looked through.
const MOST: i64 = 10_000;

/// What would be another. Safe for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// What would open accounts newly, and what no longer.
    pub opened: Vec<Way>,
    /// See [`opened`](Self::opened).
    pub closed: Vec<Way>,
    /// Machines' keys whose rotation would begin, and those that would be forgotten.
    pub begun: Vec<String>,
    /// See [`begun`](Self::begun).
    pub ended: Vec<String>,
    /// Peers of WireGuard whose keys would be too old.
    pub aged: Vec<String>,
    /// People who were given a certificate within 90 days and would be given none.
    pub ungranted: Vec<String>,
}

/// Something that opens an account of some hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The account.
    pub account: String,
    /// What opens it: `certificates of role:operator`, `the machine key backup`.
    pub by: String,
    /// On which hosts.
    pub hosts: Vec<String>,
}

/// What would be another if a policy took the place of the one before, on these hosts.
///
/// # Errors
/// The database's.
pub async fn outlook(
    store: &Store,
    (before, after): (&Policy, &Policy),
    hosts: &[String],
    now: Timestamp,
) -> sqlx::Result<Outlook> {
    let (was, is) = (ways(before, hosts), ways(after, hosts));
    let name = |it: &Machine| it.name().to_owned();
    let machines = |policy: &Policy| policy.machines.iter().map(name).collect::<BTreeSet<_>>();
    let (had, has) = (machines(before), machines(after));
    Ok(Outlook {
        opened: grouped(is.difference(&was)),
        closed: grouped(was.difference(&is)),
        begun: has.difference(&had).cloned().collect(),
        ended: had.difference(&has).cloned().collect(),
        aged: peers::outlook(store, (before, after), now).await?,
        ungranted: ungranted(store, (before, after), now).await?,
    })
}

/// Each account of each host, and what opens it by the policy.
fn ways(policy: &Policy, hosts: &[String]) -> BTreeSet<(String, String, String)> {
    let mut ways = BTreeSet::new();
    for host in hosts {
        for login in policy.logins.iter().filter(|it| it.groups.has(host)) {
            for account in login.accounts() {
                let by = |name| format!("certificates of {name}");
                let names = login.principals().map(by);
                ways.extend(names.map(|by| (account.to_owned(), by, host.clone())));
            }
        }
        for machine in policy.machines.iter().filter(|it| it.groups.has(host)) {
            let by = format!("the machine key {} of {}", machine.name(), machine.client);
            let accounts = machine.accounts().into_iter();
            ways.extend(accounts.map(|it| (it.to_owned(), by.clone(), host.clone())));
        }
    }
    ways
}

fn grouped<'a>(ways: impl Iterator<Item = &'a (String, String, String)>) -> Vec<Way> {
    let mut hosts: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (account, by, host) in ways {
        hosts.entry((account, by)).or_default().push(host.clone());
    }
    let one = |((account, by), hosts): ((&str, &str), Vec<String>)| Way {
        account: account.to_owned(),
        by: by.to_owned(),
        hosts,
    };
    hosts.into_iter().map(one).collect()
}

/// Who was given a certificate lately by the one policy and would be given none by the other. Of each
/// person the roles of the last certificate count.
async fn ungranted(
    store: &Store,
    (before, after): (&Policy, &Policy),
    now: Timestamp,
) -> sqlx::Result<Vec<String>> {
    if before.certificates == after.certificates {
        return Ok(Vec::new());
    }
    let wanted = Wanted {
        since: now - LATELY,
        before: now,
        who: String::new(),
        limit: MOST,
    };
    let mut people: BTreeMap<String, Roles> = BTreeMap::new();
    for one in certificate::certificates(store, &wanted).await? {
        if one.serial.is_some() {
            let roles = one.principals.split(' ').filter_map(principal_role);
            people.entry(one.person).or_insert_with(|| roles.collect());
        }
    }
    let grants = |policy: &Policy, name: &str, roles: &Roles| {
        let mut grants = policy.certificates.iter();
        grants.any(|it| it.is_for(name, roles))
    };
    let loses = |(name, roles): &(String, Roles)| {
        grants(before, name, roles) && !grants(after, name, roles)
    };
    let losing = people.into_iter().filter(loses);
    Ok(losing.map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SCHEMA;
    use crate::policy::{Groups, Networks};
    use crate::store::testing;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const GRANT: &str = "[[certificates]]\nfrom = [\"office\"]\n";
    const LOGIN: &str = "[[logins]]\ngroups = [\"all\"]\naccounts = [\"deploy\"]\n";
    const MACHINE: &str = "[[machines]]\nname = \"backup\"\nclient = \"db\"\nuser = \"backup\"\n\
        groups = [\"all\"]\naccounts = [\"store\"]\n";

    fn policy(text: &str) -> Policy {
        let mut policy: Policy = toml::from_str(text).unwrap();
        let mut networks: Networks = toml::from_str("office = [\"192.0.2.0/24\"]").unwrap();
        networks.join().unwrap();
        policy.join(&Groups::default(), &networks).unwrap();
        policy
    }

    async fn given(store: &Store, person: &str, principals: &str) {
        let sql = "INSERT INTO keys_certificate (at, person, fingerprint, kind, wire, authority, serial, \
            name, principals, until) VALUES ($1, $2, '', '', $3, 1, 1, '', $4, 0)";
        let row = sqlx::query(sql)
            .bind(NOW.as_micros() - 1)
            .bind(person.to_owned());
        let row = row.bind(Vec::<u8>::new()).bind(principals.to_owned());
        row.execute(store.read()).await.unwrap();
    }

    #[tokio::test]
    async fn what_opens_and_closes_and_who_loses_is_told() {
        for store in testing::stores(&[SCHEMA]).await {
            given(&store, "ada", "person:ada role:operator").await;
            given(&store, "zoe", "person:zoe role:security").await;
            let hosts = ["web".to_owned(), "db".to_owned()];
            let before = format!(
                "{GRANT}roles = [\"operator\", \"security\"]\n{LOGIN}roles = [\"operator\"]\n{MACHINE}"
            );
            let after = format!(
                "{GRANT}roles = [\"operator\"]\n{LOGIN}roles = [\"operator\"]\npeople = [\"ada\"]\n"
            );
            let (before, after) = (policy(&before), policy(&after));
            let sides = (&before, &after);
            let told = outlook(&store, sides, &hosts, NOW).await.unwrap();
            let way = |account: &str, by: &str| Way {
                account: account.to_owned(),
                by: by.to_owned(),
                hosts: vec!["db".to_owned(), "web".to_owned()],
            };
            let expected = Outlook {
                opened: vec![way("deploy", "certificates of person:ada")],
                closed: vec![way("store", "the machine key backup of db")],
                begun: Vec::new(),
                ended: vec!["backup".to_owned()],
                aged: Vec::new(),
                ungranted: vec!["zoe".to_owned()],
            };
            assert_eq!(told, expected);
            let same = outlook(&store, (&before, &before), &hosts, NOW).await;
            assert_eq!(same.unwrap(), Outlook::default());
        }
    }
}
