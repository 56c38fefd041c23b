//! Room `restriction`: who comes from where they may, and who does not.

use anyhow::Result;
use serde_json::{Value, json};
use watchward_tests::site::play;
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until_seen};

#[test]
fn a_login_from_outside_is_told_at_once_and_one_from_inside_is_not() -> Result<()> {
    play("a login from outside", "", |site| {
        let (web, office) = (site.watched("web", "")?, site.boot("office")?);
        let cafe = site.boot("cafe")?;
        ssh::add_user(&web, "alice", "correct")?;
        let (inside, outside) = (office.address().to_string(), cafe.address().to_string());
        site.collector.rule(&format!(
            "[groups]\nweb = [\"we*\"]\n[networks]\noffice = [\"{inside}\"]\n\
             [[restriction.rules]]\ngroups = [\"web\"]\nservices = [\"ssh\"]\nfrom = [\"office\"]\n"
        ))?;

        assert!(ssh::password(&office, &web, "alice", "correct")?);
        assert!(!ssh::password(&cafe, &web, "alice", "wrong")?);
        let look = || site.collector.list(&["access", "--outside"]);
        let marked = until_seen("a failure is marked", SOON, look, |seen| !seen.is_empty())?;
        let said = ["host", "outcome", "user", "address", "permitted"].map(|it| &marked[0][it]);
        assert_eq!(
            said,
            ["web", "failure", "alice", &outside, "office"]
                .map(|it| json!(it))
                .each_ref()
        );
        assert_eq!(marked.len(), 1, "{marked:#?}");
        assert_eq!(site.collector.incidents()?, Vec::<Value>::new());

        assert!(ssh::password(&cafe, &web, "alice", "correct")?);
        let words = ["web", "alice", &outside, "outside the permitted networks"];
        site.told_until("an email and an SMS", |told| told.of(&words) == (1, 1))?;
        assert!(ssh::password(&cafe, &web, "alice", "correct")?);
        let look = || {
            site.collector
                .list(&["access", "--outside", "--outcome", "success"])
        };
        until_seen("two logins", SOON, look, |seen| seen.len() == 2)?;
        let incidents = site.collector.incidents()?;
        assert_eq!(incidents.len(), 1, "the second joins: {incidents:#?}");
        assert_eq!(incidents[0]["severity"], "critical");

        let shown = site.collector.ask(&["networks"])?;
        assert_eq!(shown["networks"][0]["name"], "office");
        assert_eq!(shown["networks"][0]["logins"], 1, "{shown:#}");
        assert_eq!(shown["elsewhere"], 2, "{shown:#}");
        assert_eq!(shown["outside"][0]["address"], json!(outside));
        assert_eq!(shown["outside"][0]["logins"], 2);
        Ok(())
    })
}
