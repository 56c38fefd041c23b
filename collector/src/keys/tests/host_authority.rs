//! One authority of hosts takes the place of another, hosts' keys in time, and stolen ones at once.

use watchward_protocol::host_keys::HostKeys;

use super::host_keys::{Stage, TABLE, TURNING, certified, hosts, own, policy, read};
use serde_json::{Value, json};

use super::*;
use crate::keys::host_keys::entries;
use crate::keys::proof::Revoked;
use crate::keys::revocation::{Desk, routes as revoke_routes};
use crate::keys::rows::revoked;
use crate::web::testing::command;

const SCHEDULE: &str =
    "[keys.hosts_authority]\nevery = \"30d\"\noverlap = \"2d\"\ndeadline = \"1d\"\n";
const FILE: &str = "/etc/ssh/ssh_host_ed25519_key.pub";

/// How clients know hosts.
async fn lines(stage: &Stage, text: &str) -> Vec<String> {
    let policy = policy(text).unwrap();
    let lines = authority::known_hosts(&stage.store, &policy);
    lines.await.unwrap()
}

/// Who signed the only certificate.
fn signer(ordered: &HostKeys) -> String {
    let [certificate] = &ordered.certificates[..] else {
        panic!("{ordered:?}");
    };
    let said = read(certificate);
    let line = said.lines().find(|it| it.contains("Signing CA"));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn the_next_authority_of_hosts_signs_when_clients_could_know_it_and_the_old_goes_last() {
    for mut stage in Stage::all().await {
        let table = format!("{SCHEDULE}{TABLE}");
        let first = own(1, FILE);
        stage.shows(0, std::slice::from_ref(&first)).await;
        let old = signer(&stage.ordered(&table, 1).await.unwrap());
        stage
            .shows(2, &[first.clone(), certified(&first, 30 * DAY + 1)])
            .await;
        let before = lines(&stage, &table).await;
        assert_eq!(before.len(), 1);
        let renewed = stage.ordered(&table, 25 * DAY).await.unwrap();
        assert_eq!(signer(&renewed), old);
        let ahead = "info the authority of hosts is replaced on";
        let told = open(&stage.store).await;
        assert!(told.iter().any(|it| it.starts_with(ahead)), "{told:?}");
        stage
            .shows(25 * DAY + 1, &[first.clone(), certified(&first, 55 * DAY)])
            .await;

        // Clients know both, and nothing is signed by the next one yet.
        let published = stage.ordered(&table, 30 * DAY + 2).await.unwrap();
        let both = lines(&stage, &table).await;
        assert_eq!((both.len(), &both[0]), (2, &before[0]));
        assert_eq!(signer(&published), old);
        let waits = stage.ordered(&table, 32 * DAY).await.unwrap();
        assert_eq!(signer(&waits), old);

        let signed = stage.ordered(&table, 32 * DAY + 3).await.unwrap();
        assert_ne!(signer(&signed), old);
        assert_eq!(
            lines(&stage, &table).await,
            both,
            "a host shows the old one"
        );
        assert_eq!(open(&stage.store).await, Vec::<String>::new());
        stage.ordered(&table, 34 * DAY).await.unwrap();
        assert_eq!(lines(&stage, &table).await, both, "however long it does");
        let late = "critical the authority of hosts was to be replaced by";
        let told = open(&stage.store).await;
        assert!(told.iter().any(|it| it.starts_with(late)), "{told:?}");

        let new = certified(&first, 62 * DAY + 3);
        stage.shows(34 * DAY + 1, &[first.clone(), new]).await;
        stage.ordered(&table, 34 * DAY + 2).await.unwrap();
        assert_eq!(lines(&stage, &table).await, both[1..]);
        assert_eq!(open(&stage.store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_host_that_is_silent_is_waited_for_until_what_it_shows_is_over() {
    for mut stage in Stage::all().await {
        let table = format!("{SCHEDULE}{TABLE}");
        let first = own(1, FILE);
        stage.shows(0, std::slice::from_ref(&first)).await;
        stage.ordered(&table, 1).await.unwrap();
        stage
            .shows(2, &[first.clone(), certified(&first, 35 * DAY)])
            .await;
        for day in [30, 33, 34] {
            stage.ordered(&table, day * DAY + 2).await.unwrap();
        }
        assert_eq!(lines(&stage, &table).await.len(), 2);
        stage.ordered(&table, 36 * DAY).await.unwrap();
        assert_eq!(lines(&stage, &table).await.len(), 1);
    }
}

#[tokio::test]
async fn a_stolen_host_key_is_refused_by_clients_certified_no_more_and_replaced_at_once() {
    for mut stage in Stage::all().await {
        let first = own(1, FILE);
        stage.shows(0, std::slice::from_ref(&first)).await;
        stage.ordered(TABLE, 1).await.unwrap();
        let stolen = revoked_key(&first, "");
        let mut tx = stage.store.begin().await.unwrap();
        revoked::revoke(&mut tx, &stolen).await.unwrap();
        tx.commit().await.unwrap();
        let said = lines(&stage, TABLE).await;
        let refused = said
            .iter()
            .find(|it| it.starts_with("@revoked * ssh-ed25519 AAAA"));
        assert!(refused.unwrap().ends_with(&stolen.fingerprint), "{said:?}");

        let ordered = stage.ordered(TABLE, 3).await.unwrap();
        assert_eq!(ordered.certificates.len(), 0);
        assert_eq!((ordered.own, &ordered.serials[..]), (true, &[1][..]));
        stage.ordered(TABLE, 400).await.unwrap();
        let told = open(&stage.store).await;
        let shown = "critical web-1 shows a key that is revoked";
        assert_eq!(told, [shown], "whatever keeps it from another");
        let new = own(9, &HostKeys::public_file(1));
        stage.shows(401, &[first.clone(), new.clone()]).await;
        let beside = stage.ordered(TABLE, 402).await.unwrap();
        assert!(beside.own, "not before the other is shown");
        let all = [first.clone(), new.clone(), certified(&new, 30 * DAY + 402)];
        stage.shows(403, &all).await;
        stage.ordered(TABLE, 404).await.unwrap();
        let alone = stage.ordered(TABLE, 406).await.unwrap();
        assert_eq!((alone.own, &alone.serials[..]), (false, &[1][..]));
        assert_eq!(open(&stage.store).await, Vec::<String>::new());

        // The host is gone: what was stolen is refused all the same.
        let mut tx = stage.store.begin().await.unwrap();
        forget(&mut tx, host(1).id, at(410)).await.unwrap();
        tx.commit().await.unwrap();
        let said = lines(&stage, TABLE).await;
        assert!(
            said.iter().any(|it| it.starts_with("@revoked *")),
            "{said:?}"
        );
        let mut tx = stage.store.begin().await.unwrap();
        let by = (stolen.fingerprint.as_str(), "root");
        assert!(revoked::reinstate(&mut tx, by, at(411)).await.unwrap());
        tx.commit().await.unwrap();
        let said = lines(&stage, TABLE).await;
        assert!(
            !said.iter().any(|it| it.starts_with("@revoked")),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn people_hear_of_a_hosts_key_before_it_is_replaced_and_somebody_is_paged_when_it_is_not() {
    for mut stage in Stage::all().await {
        let table = format!("{TABLE}{TURNING}warn_ahead = \"2d\"\ndeadline = \"1d\"\n");
        let first = own(1, FILE);
        stage.shows(0, std::slice::from_ref(&first)).await;
        stage.ordered(&table, 1).await.unwrap();
        let all = [first.clone(), certified(&first, 30 * DAY + 1)];
        stage.shows(2, &all).await;
        stage.ordered(&table, 7 * DAY).await.unwrap();
        assert_eq!(open(&stage.store).await, Vec::<String>::new());
        stage.ordered(&table, 8 * DAY + 1).await.unwrap();
        let told = open(&stage.store).await;
        assert_eq!(told.len(), 1, "of all hosts together");
        assert!(
            told[0].starts_with("info the keys of 2 hosts are replaced from 20"),
            "{told:?}"
        );

        let (policy, now) = (policy(&table).unwrap(), at(8 * DAY + 2));
        let watched = hosts(&stage.store).await.unwrap();
        let entries = entries(&stage.store, (&watched, &policy), now)
            .await
            .unwrap();
        let days: Vec<_> = entries
            .iter()
            .map(|it| (it.what.as_str(), it.whose.as_str(), it.due_at, it.is_late))
            .collect();
        let (key, certificate) = (at(10 * DAY + 1), at(20 * DAY + 1));
        let expected = [
            ("host key", "web-1", key, false),
            ("host key", "web-2", key, false),
            ("host certificate", "web-1", certificate, false),
        ];
        assert_eq!(days, expected);
        assert_eq!(entries[0].deadline_at, Some(at(12 * DAY + 1)));

        stage.ordered(&table, 10 * DAY + 2).await.unwrap();
        assert_eq!(
            open(&stage.store).await,
            Vec::<String>::new(),
            "it has begun"
        );
        stage.ordered(&table, 12 * DAY + 2).await.unwrap();
        let told = open(&stage.store).await;
        let paged = told
            .iter()
            .filter(|it| it.starts_with("critical the key of web-"));
        assert_eq!(paged.count(), 2, "{told:?}");
    }
}

/// Keys in a file each.
fn three() -> [Opening; 3] {
    [1, 2, 3].map(|number| own(number, &format!("/etc/ssh/ssh_host_{number}.pub")))
}

/// What it would take to revoke a key.
fn revoked_key(key: &Opening, person: &str) -> Revoked {
    let key = key.key.clone().unwrap();
    Revoked {
        fingerprint: key.fingerprint,
        kind: key.kind,
        wire: key.wire,
        reason: "stolen".to_owned(),
        author: "root".to_owned(),
        at: at(2),
        comment: String::new(),
        person: person.to_owned(),
        generation: 7,
    }
}

#[tokio::test]
async fn a_host_that_says_revoked_keys_to_be_its_own_makes_no_lines_of_them() {
    for mut stage in Stage::all().await {
        let [hers, lost, its] = three();
        let mut tx = stage.store.begin().await.unwrap();
        let one = revoked_key(&lost, "");
        revoked::revoke(&mut tx, &one).await.unwrap();
        tx.commit().await.unwrap();
        stage
            .shows(3, &[hers.clone(), lost.clone(), its.clone()])
            .await;
        assert_eq!(
            lines(&stage, "[keys]").await,
            [""; 0],
            "nobody knew it as a host's"
        );
        let mut tx = stage.store.begin().await.unwrap();
        let one = revoked_key(&hers, "ada");
        revoked::revoke(&mut tx, &one).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(lines(&stage, "[keys]").await, [""; 0], "it is ada's");

        // What somebody revokes that a host shows is a host's, also the second time.
        let mut tx = stage.store.begin().await.unwrap();
        for one in [revoked_key(&its, ""), revoked_key(&lost, "")] {
            revoked::revoke(&mut tx, &one).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(lines(&stage, "[keys]").await.len(), 2);
    }
}

fn name(key: &Opening) -> String {
    key.key.clone().unwrap().fingerprint
}

/// What revoking host 1's own keys says, where somebody was shown these.
async fn stolen(stage: &Stage, keys: &[String]) -> Value {
    let routes = revoke_routes(Desk::of(&stage.store, hosts, Policy::default()).await);
    let wanted = json!({"host": "web-1", "reason": "carried away", "keys": keys});
    let (_, said) = command(&routes, "/v1/revoke/host-keys", Some(&wanted)).await;
    serde_json::from_str(&said).unwrap()
}

/// What would be revoked with host 1.
async fn shown(stage: &Stage) -> Value {
    let routes = revoke_routes(Desk::of(&stage.store, hosts, Policy::default()).await);
    let (_, said) = command(&routes, "/v1/revoke/host-keys?host=web-1", None).await;
    serde_json::from_str(&said).unwrap()
}

#[tokio::test]
async fn the_keys_of_a_stolen_host_are_refused_and_nobody_elses() {
    for mut stage in Stage::all().await {
        let [its, copied, deploys] = three();
        let opens = means(Means::AuthorizedKey, deploys.clone());
        let web_2 = Holder::Host(vec!["root".into()]);
        let told = heard(2, 1, 0, web_2, std::slice::from_ref(&copied));
        hear(&stage.store, &[told], at(0)).await;
        let told = heard(2, 2, 0, Holder::Account("root".into()), &[opens]);
        hear(&stage.store, &[told], at(0)).await;
        stage
            .shows(1, &[its.clone(), copied.clone(), deploys.clone()])
            .await;
        // Whoever has the host says that it never had that key.
        stage.shows(2, &[copied.clone(), deploys.clone()]).await;

        let all = [name(&its), name(&copied), name(&deploys)];
        let before = shown(&stage).await;
        assert_eq!(lines(&stage, "[keys]").await, [""; 0], "it is shown first");
        let done = stolen(&stage, &all).await;
        assert_eq!(done, before);
        assert_eq!(done["keys"], json!([name(&its)]));
        let mut shared: Vec<_> = done["shared"].as_array().unwrap().iter().collect();
        shared.sort_by_key(|it| it["fingerprint"] != json!(name(&copied)));
        let of_web_2 = |key| json!({"fingerprint": name(key), "of": ["web-2"]});
        assert_eq!(shared, [&of_web_2(&copied), &of_web_2(&deploys)]);
        let said = lines(&stage, "[keys]").await;
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("@revoked * ") && said[0].ends_with(&name(&its)));
    }
}

#[tokio::test]
async fn what_a_host_said_later_to_be_its_own_is_not_revoked_with_it() {
    for mut stage in Stage::all().await {
        let [its, others, instead] = three();
        let old = Opening {
            file: instead.file.clone(),
            ..own(4, "")
        };
        stage.shows(1, &[its.clone(), old]).await;
        // By its clock that is still the first look.
        let told = itself(
            9,
            1,
            &["root"],
            &[its.clone(), others.clone(), instead.clone()],
        );
        hear(&stage.store, &[told], at(2)).await;
        let before = shown(&stage).await;
        let done = stolen(&stage, &[name(&its), name(&others), name(&instead)]).await;
        assert_eq!(done, before);
        assert_eq!(done["keys"], json!([name(&its)]));
        let shared = done["shared"].as_array().unwrap();
        assert!(shared.iter().all(|it| it["of"] == json!([])), "{done}");
        assert_eq!(shared.len(), 2, "{done}");
        assert_eq!(lines(&stage, "[keys]").await.len(), 1);
    }
}

#[tokio::test]
async fn what_was_certified_for_a_stolen_host_is_revoked_if_it_was_shown() {
    for mut stage in Stage::all().await {
        let first = own(1, FILE);
        stage.shows(0, std::slice::from_ref(&first)).await;
        stage.ordered(TABLE, 1).await.unwrap();
        let next = own(9, "/etc/ssh/ssh_host_new.pub");
        stage.shows(2, &[first.clone(), next.clone()]).await;
        stage.ordered(TABLE, 3).await.unwrap();
        let done = stolen(&stage, &[name(&next)]).await;
        assert_eq!(done["keys"], json!([name(&next)]));
        let left = json!([{"fingerprint": name(&first), "of": []}]);
        assert_eq!(done["shared"], left, "nobody was shown it");
    }
}
