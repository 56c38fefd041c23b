//! Room `alerting`: nobody can be reached for a while, and everybody is told exactly once afterwards.

use anyhow::Result;
use watchward_tests::site::play;
use watchward_tests::sms::Reply;
use watchward_tests::ssh;

#[test]
fn with_mail_and_gateway_down_each_message_comes_once_afterwards() -> Result<()> {
    play(
        "mail and gateway are down as an incident opens",
        "",
        |site| {
            let (web, office) = (site.watched("web", "")?, site.boot("office")?);
            site.mail.down()?;
            site.gateway.down();
            for _ in 0..10 {
                assert!(!ssh::password(&office, &web, "alice", "wrong")?);
            }
            site.incidents_until("the incident is open", |incidents| incidents.len() == 1)?;
            // The first try that gets through loses its answer: the message went out all the same.
            site.gateway.script([
                Reply::Refuse(503, 20500),
                Reply::HangUp,
                Reply::AcceptUnheard,
            ]);
            site.mail.up()?;
            site.gateway.up()?;
            let from = office.address().to_string();
            site.told_until("one email, one SMS", |told| told.of(&[&from]) == (1, 1))?;

            // What comes later is told later: by then a second message of the first had its chance.
            let cafe = site.boot("cafe")?;
            for _ in 0..10 {
                assert!(!ssh::password(&cafe, &web, "alice", "wrong")?);
            }
            let other = cafe.address().to_string();
            let told =
                site.told_until("the second incident", |told| told.of(&[&other]) == (1, 1))?;
            assert_eq!(told.of(&[&from]), (1, 1), "{told:#?}");
            Ok(())
        },
    )
}
