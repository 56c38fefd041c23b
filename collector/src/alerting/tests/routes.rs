//! Who is told of what, as the policy routes it: tried in order, and nobody is left out by mistake.

use proptest::prelude::*;

use super::*;
use crate::alerting::about::About;

fn routes(text: &str) -> Routes {
    toml::from_str(text).unwrap()
}

fn picked(routes: &Routes, key: &str, severity: Severity, host: Option<&str>) -> Vec<String> {
    let contacts = ["ann", "bob", "security"].map(|name| contact(name, Threshold::Critical));
    let groups = Groups::new(|group, host| group == "databases" && host.starts_with("db-"));
    let picked = routes.pick(&contacts, About::new(key, severity, host), &groups);
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
    let gone = routes("[[routes]]\ncontacts = [\"somebody who left\"]\n");
    assert_eq!(picked(&gone, "access.x", Severity::Info, None), everybody);
}

#[test]
fn a_contact_that_nobody_configured_and_a_typo_are_found() {
    let known = [contact("ann", Threshold::Critical)];
    let routes = routes("[[routes]]\ncontacts = [\"ann\"]\n[[routes]]\ncontacts = [\"an\"]\n");
    let (number, name) = routes.unknown_contact(&known).unwrap();
    assert_eq!((number, name.as_str()), (1, "an"));
    for bad in ["room = []", "rooms = [\"acess\"]", "from = \"bad\""] {
        let text = format!("[[routes]]\ncontacts = [\"ann\"]\n{bad}\n");
        assert!(toml::from_str::<Routes>(&text).is_err(), "{bad}");
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
        let who = ["ann", "bob", "gone"];
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
