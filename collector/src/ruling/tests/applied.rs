//! A policy by the operator's hand: refused, signed, taken back, shown.

use std::process::Command;

use tower::ServiceExt;

use super::*;
use crate::ruling::apply::Refusal;
use crate::web::testing::{Browser, by_sudo, text};

#[tokio::test]
async fn nobody_locks_themselves_out_unless_they_insist() {
    for store in testing::stores(SCHEMAS).await {
        for name in ["web-1", "db-1"] {
            sqlx::query(
                "INSERT INTO host (id, name, enrolled_at, version, system, seen_at, deadline, \
                 silent, certificate_expires) VALUES ($1, $2, 0, '', '', 0, 0, 0, 0)",
            )
            .bind(format!("{:0>32}", name.len()))
            .bind(name)
            .execute(store.read())
            .await
            .unwrap();
        }
        let one = Ground::new("").start(&store, at(0)).await.unwrap();
        let from = |address: &str| Proposal {
            operator: Some(address.parse().unwrap()),
            ..proposal(GATED)
        };
        let planned = one.ruling.plan(&from("203.0.113.7"), at(1)).await.unwrap();
        let planned = serde_json::to_value(planned).unwrap();
        assert_eq!(planned["shut_to_you"], serde_json::json!(["web-1"]));
        assert_eq!(planned["changes"][0]["hosts"], serde_json::json!(["web-1"]));
        assert_eq!(planned["tables"], serde_json::json!(["groups", "networks"]));
        let refused = one
            .ruling
            .apply(from("203.0.113.7"), at(1))
            .await
            .unwrap_err();
        let refused = refused.to_string();
        for expected in ["new.toml", "line 7, column 13", "^^^^^", "--even-so"] {
            assert!(refused.contains(expected), "{expected}: {refused}");
        }
        assert_eq!(one.in_force(), 0);
        one.ruling.apply(from("192.0.2.7"), at(2)).await.unwrap();
        assert_eq!(one.in_force(), 1);
        let again = one.ruling.apply(proposal(GATED), at(3)).await.unwrap();
        assert_eq!(
            serde_json::to_value(again).unwrap()["outlook"]["same"],
            true
        );
        assert_eq!(one.in_force(), 1, "the same is no other version");
        let insisting = Proposal {
            even_so: true,
            ..from("203.0.113.7")
        };
        one.back(Some(1), insisting, at(4)).await.unwrap();
    }
}

/// Incidents: title, detail, advice, and whether it is over.
async fn incidents(store: &Store) -> Vec<(String, String, String, bool)> {
    let all: Vec<(String, String, String, Option<i64>)> =
        sqlx::query_as("SELECT title, detail, advice, resolved_at FROM alerting_incident")
            .fetch_all(store.read())
            .await
            .unwrap();
    all.into_iter()
        .map(|(title, detail, advice, over)| (title, detail, advice, over.is_some()))
        .collect()
}

#[tokio::test]
async fn a_file_that_locks_everybody_out_of_a_host_is_not_taken() {
    for store in testing::stores(SCHEMAS).await {
        let ground = Ground::new("");
        ground.write(&policy("office"));
        let one = ground.start(&store, at(0)).await.unwrap();
        logged_in(&store, ("web-1", "203.0.113.7"), at(1)).await;
        logged_in(&store, ("web-1", "203.0.113.8"), at(2)).await;
        ground.write(GATED);
        assert!(one.ruling.take(at(3)).await);
        one.ruling.look(at(3)).await.unwrap();
        assert_eq!(one.in_force(), 1, "the version before stays");
        let (title, detail, advice, over) = incidents(&store).await.remove(0);
        assert!(title.contains("would lock people out") && !over, "{title}");
        for expected in ["line 7, column 13", "^^^^^", "nobody could any more"] {
            assert!(detail.contains(expected), "{expected}: {detail}");
        }
        assert!(
            advice.contains("watchward policy apply --even-so /"),
            "{advice}"
        );
        let again = ground.start(&store, at(4)).await.unwrap();
        assert_eq!(again.in_force(), 1, "nor at a start");

        // Who saves something else is right, and so is who insists.
        ground.write(&GATED.replace("enforce", "watch"));
        assert!(one.ruling.take(at(5)).await);
        one.ruling.look(at(5)).await.unwrap();
        assert_eq!(one.in_force(), 2);
        assert!(incidents(&store).await[0].3);
        ground.write(GATED);
        one.ruling.take(at(6)).await;
        let refused = one.ruling.apply(proposal(GATED), at(7)).await.unwrap_err();
        assert!(refused.to_string().contains("--even-so"), "{refused}");
        let insisting = Proposal {
            even_so: true,
            ..proposal(GATED)
        };
        one.ruling.apply(insisting, at(8)).await.unwrap();
        assert_eq!(one.in_force(), 3);
        assert!(incidents(&store).await[1].3, "the file is in force now");

        logged_in(&store, ("web-1", "192.0.2.7"), at(9)).await;
        let back = one.back(Some(2), proposal(""), at(10)).await;
        back.unwrap();
        ground.write(&format!("# One of them can.\n{GATED}"));
        one.ruling.take(at(11)).await;
        one.ruling.look(at(11)).await.unwrap();
        assert_eq!(one.in_force(), 5);
    }
}

#[tokio::test]
async fn what_somebody_looked_at_is_what_they_change() {
    for store in testing::stores(SCHEMAS).await {
        let one = Ground::new("").start(&store, at(0)).await.unwrap();
        let upon = |number, name| Proposal {
            upon: Some(number),
            ..proposal(&policy(name))
        };
        one.ruling.apply(upon(0, "office"), at(1)).await.unwrap();
        let late = one.ruling.apply(upon(0, "vpn"), at(2)).await.unwrap_err();
        assert!(late.to_string().contains("somebody else"), "{late}");
        assert_eq!(one.networks(), ["office"]);
    }
}

#[tokio::test]
async fn who_called_sudo_is_the_author() {
    for store in testing::stores(SCHEMAS).await {
        let one = Ground::new("").start(&store, at(0)).await.unwrap();
        let asked = serde_json::json!({ "text": policy("office"), "note": "moved" });
        let asked = by_sudo("ada", "/v1/policy/apply", &asked);
        let answer = routes(one.ruling.clone()).oneshot(asked).await.unwrap();
        assert!(answer.status().is_success(), "{}", text(answer).await);
        assert_eq!(authors(&store).await, listed(&[(1, "ada (as root)")]));
    }
}

#[tokio::test]
async fn one_word_goes_back() {
    for store in testing::stores(SCHEMAS).await {
        let one = Ground::new("").start(&store, at(0)).await.unwrap();
        let nothing = one.back(None, proposal(""), at(0)).await.unwrap_err();
        assert!(matches!(nothing, Refusal::None), "{nothing}");
        for (second, name) in [(1, "office"), (2, "home"), (3, "vpn")] {
            let new = proposal(&policy(name));
            one.ruling.apply(new, at(second)).await.unwrap();
        }
        one.back(None, proposal(""), at(4)).await.unwrap();
        assert_eq!(
            (one.in_force(), one.networks()),
            (4, vec!["home".to_owned()])
        );
        let back = one.back(None, proposal(""), at(5)).await.unwrap();
        assert_eq!(
            (one.in_force(), one.networks()),
            (5, vec!["office".to_owned()]),
            "once more is one further back"
        );
        let back = serde_json::to_value(back).unwrap();
        assert_eq!(back["outlook"]["back_to"]["number"], 1);
        let all = versions::list(&store, 1).await.unwrap();
        assert!(
            all[0].note.starts_with("back to version 1: why"),
            "{:?}",
            all[0]
        );
        let end = one.back(None, proposal(""), at(6)).await.unwrap_err();
        assert!(end.to_string().starts_with("no version before 1"), "{end}");
        let missing = one.back(Some(9), proposal(""), at(6)).await.unwrap_err();
        assert_eq!(missing.to_string(), "there is no version 9 of the policy");

        // What came after it is undone like any other.
        let new = proposal(&policy("cafe"));
        one.ruling.apply(new, at(7)).await.unwrap();
        one.back(None, proposal(""), at(8)).await.unwrap();
        assert_eq!(one.networks(), ["office"]);
        one.back(Some(4), proposal(""), at(9)).await.unwrap();
        let all = versions::list(&store, 1).await.unwrap();
        assert_eq!(
            (all[0].number, all[0].back_to),
            (8, Some(2)),
            "which version 4 was"
        );
    }
}

#[tokio::test]
async fn where_policies_are_signed_no_other_comes_into_force() {
    let ground = Ground::new("");
    let key = ground.path("key");
    let keygen = |words: &[&str]| {
        let mut command = Command::new("ssh-keygen");
        let done = command.args(words).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let key_path = key.to_str().unwrap();
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", key_path]);
    let public = std::fs::read_to_string(ground.path("key.pub")).unwrap();
    std::fs::write(ground.path("signers"), format!("ada@example.org {public}")).unwrap();
    let sign = |text: &str| {
        ground.write(text);
        let _ = std::fs::remove_file(ground.path("policy.toml.sig"));
        let file = ground.path("policy.toml");
        let file = file.to_str().unwrap();
        keygen(&[
            "-q",
            "-Y",
            "sign",
            "-n",
            "watchward-policy",
            "-f",
            key_path,
            file,
        ]);
        std::fs::read_to_string(ground.path("policy.toml.sig")).unwrap()
    };
    ground.configure(&format!("policy.signers = {:?}\n", ground.path("signers")));
    for store in testing::stores(SCHEMAS).await {
        sign(&policy("office"));
        let one = ground.start(&store, at(0)).await.unwrap();
        assert_eq!(
            one.networks(),
            ["office"],
            "a signature may lie beside the file"
        );
        // The signature is of another text.
        ground.write(&policy("home"));
        assert!(one.ruling.take(at(1)).await);
        one.ruling.look(at(1)).await.unwrap();
        assert_eq!(one.networks(), ["office"]);

        let unsigned = one
            .ruling
            .apply(proposal(&policy("vpn")), at(2))
            .await
            .unwrap_err();
        assert!(unsigned.to_string().contains("is not signed"), "{unsigned}");
        let mut signed = proposal(&policy("vpn"));
        signed.brought.signature = Some(sign(&policy("vpn")));
        one.ruling.apply(signed, at(3)).await.unwrap();
        assert_eq!(one.networks(), ["vpn"]);
        let signer = versions::list(&store, 1).await.unwrap().remove(0).signer;
        assert_eq!(signer.as_deref(), Some("ada@example.org"));
        one.back(None, proposal(""), at(4)).await.unwrap();
        assert_eq!(
            one.networks(),
            ["office"],
            "what was signed once may come back"
        );
    }
}

#[tokio::test]
async fn the_page_shows_every_version_with_its_author() {
    for store in testing::stores(SCHEMAS).await {
        let one = Ground::new("").start(&store, at(0)).await.unwrap();
        let browser = Browser::open(&store, pages(one.ruling.clone())).await;
        let page = browser.read("/policy").await;
        assert!(page.contains("Nobody has brought a policy yet"), "{page}");
        let mut new = proposal(&format!("# <b>\n{}", policy("office")));
        new.author = "<i>ada".to_owned();
        one.ruling.apply(new, at(1)).await.unwrap();
        let page = browser.read("/policy").await;
        for expected in ["in force", "&#60;i&#62;ada", "why", "href=\"/policy/1\""] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        let page = browser.read("/policy/1").await;
        assert!(page.contains("# &#60;b&#62;\n[networks]"), "{page}");
    }
}
