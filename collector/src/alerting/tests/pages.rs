//! Silences from the page, by whoever has signed in.

use axum::http::StatusCode;
use watchward_daemon::clock;

use super::*;
use crate::alerting::{pages, silences};
use crate::people;
use crate::web::testing::{Browser, text};

#[tokio::test]
async fn what_is_expected_is_silenced_and_told_again_from_the_page() {
    for store in testing::stores(&[SCHEMA, people::SCHEMA]).await {
        let browser = Browser::open(&store, pages(store.clone(), Rules::default())).await;
        let mut tx = store.begin().await.unwrap();
        let alert = brute_force(Severity::Critical);
        raise(&mut tx, &alert, clock::now()).await.unwrap();
        tx.commit().await.unwrap();

        let incidents = browser.read("/incidents").await;
        let code = incidents.split("/incidents/").nth(1).unwrap();
        let code = code.split('"').next().unwrap();
        let incident = browser.read(&format!("/incidents/{code}")).await;
        let form = incident.split("href=\"/silences?").nth(1).unwrap();
        let form = form.split('"').next().unwrap().replace("&#38;", "&");
        let filled = browser.read(&format!("/silences?{form}")).await;
        assert!(
            filled.contains(&format!("value=\"{}\"", alert.key)),
            "{filled}"
        );

        let form = format!("{form}&until=2h&also_critical=on&reason=%3Cb%3Etest");
        let answer = browser.send("/silences", &form).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let all = silences(&store).await.unwrap();
        assert_eq!(
            (all[0].author.as_str(), all[0].reason.as_str()),
            ("ada", "<b>test")
        );
        let incident = browser.read(&format!("/incidents/{code}")).await;
        assert!(
            incident.contains("<dt>Silenced</dt><dd>by ada"),
            "{incident}"
        );
        assert!(!incident.contains("Silence this"), "it is silenced already");
        let listed = browser.read("/silences").await;
        assert!(
            listed.contains("&#60;b&#62;test") && !listed.contains("<b>test"),
            "{listed}"
        );

        let path = format!("/silences/{}/end", all[0].id);
        let answer = browser.send(&path, "").await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let all = silences(&store).await.unwrap();
        assert_eq!(all[0].ended_by.as_deref(), Some("ada"));
        let again = browser.send(&path, "").await;
        assert_eq!(again.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn who_takes_an_incident_on_stands_on_its_page() {
    for store in testing::stores(&[SCHEMA, people::SCHEMA]).await {
        let browser = Browser::open(&store, pages(store.clone(), Rules::default())).await;
        let mut tx = store.begin().await.unwrap();
        let alert = brute_force(Severity::Critical);
        raise(&mut tx, &alert, clock::now()).await.unwrap();
        tx.commit().await.unwrap();
        let incidents = browser.read("/incidents").await;
        let code = incidents.split("/incidents/").nth(1).unwrap();
        let code = code.split('"').next().unwrap();
        let path = format!("/incidents/{code}/ack");
        let incident = browser.read(&format!("/incidents/{code}")).await;
        assert!(
            incident.contains(&format!("action=\"{path}\"")),
            "{incident}"
        );
        let answer = browser.send(&path, "note=%3Cb%3Eon+it").await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let incident = browser.read(&format!("/incidents/{code}")).await;
        let by = "<dt>Acknowledged</dt><dd>by ada, ";
        assert!(
            incident.contains(by) && incident.contains("&#60;b&#62;on it"),
            "{incident}"
        );
        assert!(!incident.contains(&path), "once is enough");
        let missing = browser.send("/incidents/W-0000/ack", "note=").await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_silence_that_makes_no_sense_is_refused_and_what_was_typed_stays() {
    for store in testing::stores(&[SCHEMA, people::SCHEMA]).await {
        let rules =
            Rules::default().knowing(|_, name| Box::pin(async move { Ok(name == "web-1") }));
        let browser = Browser::open(&store, pages(store.clone(), rules)).await;
        for (form, why) in [
            ("reason=r&until=2h", "say what to silence"),
            ("host=web-1&until=2h", "say why"),
            ("host=web-1&reason=r&until=soon", "How long?"),
            ("host=web-1&reason=r&until=40d", "30 days at most"),
            ("host=web-1&reason=r&until=1000", "has passed"),
            ("host=nope&reason=r&until=2h", "No host is called so"),
            ("group=nobody&reason=r&until=2h", "no such group"),
            ("room=cellar&reason=r&until=2h", "no such kind"),
        ] {
            let answer = browser.send("/silences", form).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form}");
            let page = text(answer).await;
            assert!(
                page.contains(why) && page.contains("role=\"alert\""),
                "{form}: {page}"
            );
            let host = form.contains("host=web-1");
            assert_eq!(page.contains("value=\"web-1\""), host, "{form}");
        }
        assert!(silences(&store).await.unwrap().is_empty());
    }
}
