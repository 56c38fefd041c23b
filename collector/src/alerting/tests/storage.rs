//! Incidents in both databases: repeats join, the end ends, and nothing outlives a rollback.

use super::*;

async fn history(life: &Life) -> Vec<String> {
    sqlx::query_scalar("SELECT event FROM alerting_history ORDER BY id")
        .fetch_all(life.store.read())
        .await
        .unwrap()
}

async fn incidents(life: &Life) -> Vec<(String, i64, i64)> {
    sqlx::query_as("SELECT code, repeats, severity FROM alerting_incident ORDER BY id")
        .fetch_all(life.store.read())
        .await
        .unwrap()
}

#[tokio::test]
async fn repeats_join_and_are_told_once() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        for _ in 0..5 {
            life.raise(&brute_force(Severity::Warning)).await;
        }
        life.deliver_all().await;
        life.raise(&brute_force(Severity::Warning)).await;
        life.deliver_all().await;
        let all = incidents(&life).await;
        assert_eq!((all.len(), all[0].1), (1, 5), "{:?}", fresh.kind());
        assert_eq!(life.states().await.len(), 1, "told once");
        assert_eq!(history(&life).await, ["opened", "written"]);
    }
}

#[tokio::test]
async fn what_becomes_worse_is_told_again_and_its_end_once() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        life.raise(&brute_force(Severity::Warning)).await;
        life.deliver_all().await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        life.resolve(&brute_force(Severity::Critical)).await;
        life.resolve(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        let all = life.states().await;
        let all: Vec<_> = all
            .iter()
            .map(|(channel, kind, state)| (channel.as_str(), kind.as_str(), state.as_str()))
            .collect();
        assert_eq!(
            all,
            [
                ("email", "opened", "written"),
                ("email", "risen", "written"),
                ("sms", "opened", "written"),
                ("email", "resolved", "written"),
                ("sms", "resolved", "written"),
            ],
            "{:?}",
            fresh.kind()
        );
    }
}

#[tokio::test]
async fn a_warning_that_nobody_has_got_yet_and_becomes_critical_is_told_once() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        life.raise(&brute_force(Severity::Warning)).await;
        let mut outbox = life.outbox().await;
        outbox.prepare(clock::now()).await.unwrap();
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        assert_eq!(life.states().await.len(), 2, "one email, one SMS");
        let severities: Vec<i64> = sqlx::query_scalar("SELECT severity FROM alerting_message")
            .fetch_all(life.store.read())
            .await
            .unwrap();
        assert_eq!(severities, [2, 2]);
    }
}

#[tokio::test]
async fn the_next_time_is_another_incident_with_another_code() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        let alert = brute_force(Severity::Warning);
        life.raise(&alert).await;
        life.resolve(&alert).await;
        life.raise(&alert).await;
        let all = incidents(&life).await;
        assert_eq!(all.len(), 2);
        assert_ne!(all[0].0, all[1].0);
    }
}

#[tokio::test]
async fn codes_never_run_out_and_those_of_old_incidents_are_free_again() {
    for fresh in stores().await {
        let day = Duration::from_secs(86_400);
        let drawn = |letters: usize| Code::from(format!("W-{}", "7".repeat(letters)));
        let mut tx = fresh.begin().await.unwrap();
        let mut seen = Vec::new();
        for key in 0..7 {
            let alert = Alert {
                key: key.to_string(),
                ..brute_force(Severity::Warning)
            };
            let code = unused(&mut tx, drawn, NIGHT).await.unwrap();
            rows::open(&mut tx, &alert, &code, NIGHT).await.unwrap();
            seen.push(code.as_str().len() - 2);
        }
        assert_eq!(seen, [4, 5, 6, 7, 8, 8, 8], "{:?}", fresh.kind());
        resolve(&mut tx, "0", "", NIGHT).await.unwrap();
        let next = unused(&mut tx, drawn, NIGHT + 29 * day).await.unwrap();
        assert_eq!(next, drawn(8), "people still speak of the first one");
        let next = unused(&mut tx, drawn, NIGHT + 31 * day).await.unwrap();
        assert_eq!(next, drawn(4));
    }
}

#[tokio::test]
async fn what_has_been_over_for_long_is_forgotten_with_all_that_was_told_of_it() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        let about = |key: &str| Alert {
            key: key.to_owned(),
            ..brute_force(Severity::Critical)
        };
        for key in ["over", "open", "last"] {
            life.raise(&about(key)).await;
        }
        life.resolve(&about("over")).await;
        life.deliver_all().await;
        life.resolve(&about("last")).await;
        let prune = async |oldest| {
            let mut tx = life.store.begin().await.unwrap();
            let gone = rows::prune(&mut tx, oldest).await.unwrap();
            tx.commit().await.unwrap();
            gone
        };
        let now = clock::now();
        assert_eq!(prune(now - Duration::from_secs(3_600)).await, 0);
        assert_eq!(prune(now + Duration::from_secs(3_600)).await, 1);
        assert_eq!(incidents(&life).await.len(), 2);
        for table in ["alerting_message", "alerting_history"] {
            let sql = format!(
                "SELECT COUNT(*) FROM {table} WHERE incident NOT IN \
                (SELECT id FROM alerting_incident)"
            );
            let orphans: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .fetch_one(life.store.read())
                .await
                .unwrap();
            assert_eq!(orphans, 0, "{table}");
        }
        life.deliver_all().await;
        assert_eq!(
            prune(now + Duration::from_secs(3_600)).await,
            0,
            "the last one stays"
        );
    }
}

#[tokio::test]
async fn what_is_rolled_back_was_never_raised() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        let mut tx = life.store.begin().await.unwrap();
        raise(&mut tx, &brute_force(Severity::Critical), NIGHT)
            .await
            .unwrap();
        tx.rollback().await.unwrap();
        life.deliver_all().await;
        assert!(incidents(&life).await.is_empty());
        assert!(life.states().await.is_empty());
    }
}

#[tokio::test]
async fn a_text_with_a_nul_byte_does_not_undo_what_was_reported_with_it() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        let mut alert = brute_force(Severity::Warning);
        for text in [
            &mut alert.key,
            &mut alert.title,
            &mut alert.detail,
            &mut alert.advice,
        ] {
            text.push('\0');
        }
        life.raise(&alert).await;
        life.resolve(&alert).await;
        assert_eq!(history(&life).await, ["opened", "resolved"]);
    }
}

#[tokio::test]
async fn the_command_line_sees_incidents_their_history_and_who_was_told() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let routes = routes(life.store.clone(), life.rules.clone());
        let asking = async {
            let fetch = async |path: &str| {
                let answer = reqwest::get(format!("{base}/{path}")).await.unwrap();
                let status = answer.status().as_u16();
                let body = answer.json::<serde_json::Value>().await;
                (status, body.unwrap_or_default())
            };
            let (_, all) = fetch("incidents?state=open").await;
            let first = &all["incidents"][0];
            assert_eq!(
                (&first["state"], &first["host"]),
                (&"open".into(), &"db-3".into())
            );
            let code = first["id"].as_str().unwrap().to_lowercase();
            let (_, one) = fetch(&format!("incidents/{code}")).await;
            let one = &one["incidents"][0];
            assert_eq!(one["id"], first["id"]);
            assert_eq!(one["history"][0]["event"], "opened");
            assert_eq!(one["messages"][1]["channel"], "sms");
            assert_eq!(fetch("incidents/W-AAAA").await.0, 404);
            let (_, ways) = fetch("alerting").await;
            assert!(ways["notice"].as_str().unwrap().contains("[alerting.smtp]"));
        };
        tokio::select! {
            ended = async { axum::serve(listener, routes).await } => panic!("{ended:?}"),
            () = asking => {}
        }
    }
}
