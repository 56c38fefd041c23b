//! The authority of hosts is replaced by a command, on both databases.

use futures_util::future::BoxFuture;

use super::*;
use crate::intake::Watched;

fn nobody(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    Box::pin(async { Ok(Vec::new()) })
}

async fn stores() -> Vec<Fresh> {
    testing::stores(&[crate::keys::SCHEMA, crate::alerting::SCHEMA]).await
}

#[tokio::test]
async fn the_next_one_is_made_once_and_the_one_before_vouches_for_it() {
    for fresh in stores().await {
        let authority = of(&fresh, POLICY).await;
        let first = authority.of_hosts(at(0)).await.unwrap();
        assert_eq!(authority.vouched().await.unwrap(), []);
        assert!(authority.rotate_hosts("ada", at(1)).await.unwrap());
        let again = authority.rotate_hosts("ada", at(2)).await.unwrap();
        assert!(!again, "it waits already");
        assert_eq!(authority.of_hosts(at(3)).await.unwrap().id, first.id);
        let [vouched] = &authority.vouched().await.unwrap()[..] else {
            panic!("one of them is new");
        };
        assert!(vouched.is_genuine());
        assert_eq!(vouched.by, STANDARD.encode(first.wire()));

        let standing = authority.standing_of_hosts(nobody, at(4)).await.unwrap();
        let standing = serde_json::to_value(standing).unwrap();
        // As long as the policy says, which is longer than anybody's certificate.
        let after = (at(1) + Duration::from_secs(30 * 86_400)).as_micros();
        assert_eq!(standing["signs_after"], after);
        let signs = |at: usize| standing["authorities"][at]["signs"].as_bool();
        assert_eq!((signs(0), signs(1)), (Some(true), Some(false)));
        let wanted = Wanted {
            since: at(0),
            before: at(9),
            who: String::new(),
            limit: 9,
        };
        let deeds = crate::keys::deeds(&fresh, &wanted).await.unwrap();
        assert_eq!(deeds[0].whom, "the authority of hosts");
    }
}

#[tokio::test]
async fn one_that_was_stolen_is_refused_by_clients_and_vouches_for_nobody() {
    for fresh in stores().await {
        let authority = of(&fresh, POLICY).await;
        let first = authority.of_hosts(at(0)).await.unwrap();
        let people = authority.lines(at(0)).await.unwrap();
        let gone = authority.replace_hosts(("ada", "stolen"), at(1)).await;
        assert_eq!(gone.unwrap(), [first.fingerprint()]);
        assert_ne!(authority.of_hosts(at(2)).await.unwrap().id, first.id);
        assert_eq!(authority.vouched().await.unwrap(), []);
        let lines = known_hosts(&fresh, &authority.policy.now()).await.unwrap();
        let key = STANDARD.encode(first.wire());
        let refused = format!("@revoked * ssh-ed25519 {key} {}", first.fingerprint());
        assert_eq!(lines, [refused]);
        assert_eq!(
            authority.lines(at(3)).await.unwrap(),
            people,
            "people's stays"
        );
    }
}
