//! Who is told of what, as the policy routes it: tried in order, and nobody is left out by mistake.

use proptest::prelude::*;

use super::*;
use crate::alerting::about::About;

/// A policy as far as it is about telling.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Sample {
    groups: Groups,
    alerting: Routes,
}

fn read(text: &str) -> Result<Routes, String> {
    let text = text.replace("[[routes]]", "[[alerting.routes]]");
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("[groups]\ndatabases = [\"db-*\"]\n{text}");
    std::fs::write(file.path(), text).unwrap();
    let contacts = ["ann", "bob", "security"].map(|name| contact(name, Threshold::Critical));
    let read = watchward_daemon::config::read_whole(file.path(), |sample: &mut Sample| {
        sample.alerting.join(&sample.groups, Some(&contacts))
    });
    read.map(|sample| sample.alerting)
        .map_err(|error| error.to_string())
}

fn routes(text: &str) -> Routes {
    read(text).unwrap()
}

fn picked(routes: &Routes, key: &str, severity: Severity, host: Option<&str>) -> Vec<String> {
    let contacts = ["ann", "bob", "security"].map(|name| contact(name, Threshold::Critical));
    let picked = routes.pick(&contacts, About::new(key, severity, host));
    picked.iter().map(|one| one.name.to_string()).collect()
}

const ROUTES: &str = r#"
    [[routes]]
    rooms = ["access", "keys"]
    contacts = ["security"]
    continue = true

    [[routes]]
    groups = ["databases"]
    from = "warning"
    contacts = ["bob"]

    [[routes]]
    severities = ["critical"]
    rooms = ["health", "access"]
    contacts = ["ann"]
"#;

#[test]
fn the_first_that_matches_decides_unless_it_goes_on() {
    let routes = routes(ROUTES);
    let who = |key, severity, host| picked(&routes, key, severity, host).join(" ");
    assert_eq!(who("access.x 1", Severity::Info, Some("web-1")), "security");
    assert_eq!(
        who("access.x 1", Severity::Critical, Some("web-1")),
        "ann security"
    );
    assert_eq!(
        who("access.x 1", Severity::Critical, Some("db-1")),
        "bob security"
    );
    assert_eq!(
        who("health.down 1", Severity::Critical, Some("db-1")),
        "bob"
    );
    assert_eq!(who("health.down 1", Severity::Critical, None), "ann");
}

#[test]
fn what_no_route_matches_is_told_to_everybody() {
    let everybody = ["ann", "bob", "security"];
    assert_eq!(
        picked(&routes(ROUTES), "hosts.silent 1", Severity::Critical, None),
        everybody
    );
    assert_eq!(
        picked(&routes(""), "access.x", Severity::Info, None),
        everybody
    );
}

#[test]
fn what_makes_no_sense_is_shown_at_its_place() {
    for (text, marked, expected) in [
        (
            "contacts = [\"ann\", \"an\"]",
            "^^^^",
            "there is no contact \"an\"",
        ),
        (
            "contacts = [\"ann\"]\ngroups = [\"db\"]",
            "^^^^",
            "there is no group \"db\"",
        ),
        (
            "contacts = [\"ann\"]\nrooms = [\"acess\"]",
            "^^^^^^^",
            "unknown variant `acess`",
        ),
        (
            "contacts = [\"ann\"]\nroom = []",
            "^^^^",
            "unknown field `room`",
        ),
    ] {
        let error = read(&format!("[[routes]]\n{text}\n")).unwrap_err();
        assert!(
            error.contains(marked) && error.contains(expected),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn somebody_is_always_told(
        lines in proptest::collection::vec((0..4_usize, 0..3_usize, any::<bool>()), 0..6),
        room in 0..4_usize,
        severity in 0..3_usize,
    ) {
        let rooms = ["access", "health", "hosts", "keys"];
        let who = ["ann", "bob", "security"];
        let text: String = lines
            .iter()
            .map(|(room, to, on)| format!(
                "[[routes]]\nrooms = [\"{}\"]\ncontacts = [\"{}\"]\ncontinue = {on}\n",
                rooms[*room], who[*to],
            ))
            .collect();
        let key = format!("{}.x", rooms[room]);
        let severity = [Severity::Info, Severity::Warning, Severity::Critical][severity];
        prop_assert!(!picked(&routes(&text), &key, severity, None).is_empty());
    }
}

#[tokio::test]
async fn an_incident_and_its_end_go_where_the_route_was_when_it_began() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let mut config = impatient(folder.path());
        config.contacts = ["ann", "bob"]
            .map(|name| contact(name, Threshold::Never))
            .into();
        let life = Life::begin(&fresh, config).await;
        let to = |name: &str| {
            let text = format!("[[routes]]\ngroups = [\"databases\"]\ncontacts = [\"{name}\"]\n");
            life.reroute.send_replace(Arc::new(routes(&text)));
        };
        to("bob");
        life.raise(&brute_force(Severity::Warning)).await;
        life.deliver_all().await;
        to("ann");
        life.resolve(&brute_force(Severity::Warning)).await;
        life.deliver_all().await;
        let told: Vec<(String, String)> =
            sqlx::query_as("SELECT contact, kind FROM alerting_message ORDER BY id")
                .fetch_all(life.store.read())
                .await
                .unwrap();
        let told: Vec<_> = told
            .iter()
            .map(|(who, what)| (who.as_str(), what.as_str()))
            .collect();
        assert_eq!(told, [("bob", "opened"), ("bob", "resolved")]);
    }
}
