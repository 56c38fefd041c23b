//! Receipts: each revocation has its own, and all are signed by the same key.

use watchward_daemon::clock;

use super::*;
use crate::sealing::Sealing;

#[tokio::test]
async fn each_revocation_of_a_key_has_a_receipt_of_its_own() {
    for store in stores().await {
        revoke(&store, at(0)).await;
        hear(&store, &[heard(1, session(Way::Ended, &[]))], at(2)).await;
        let mut tx = store.begin().await.unwrap();
        rows::next(&mut tx, at(3)).await.unwrap();
        let ended = rows::reinstate(&mut tx, (&stolen(), "ada"), at(3)).await;
        assert!(ended.unwrap());
        tx.commit().await.unwrap();
        revoke(&store, at(10)).await;
        let desk = Desk::of(&store, two, Policy::default()).await;
        let receipt = async |which| {
            let found = desk.sources().receipt(which, at(11)).await.unwrap();
            let receipt = found.unwrap();
            (receipt.revoked.at.0, receipt.counts.sessions_ended)
        };
        let all = rows::within(&store, (at(0), at(100))).await.unwrap();
        let [first, second] = [0, 1].map(|it: usize| all[it].0);
        let of = |now: i64, sessions| (receipt::Moment::from(at(now)).0, sessions);
        assert_eq!(receipt(Which::Numbered(first)).await, of(0, 1));
        assert_eq!(receipt(Which::Numbered(second)).await, of(10, 0));
        assert_eq!(receipt(Which::Last(&stolen())).await, of(10, 0));
        let none = desk.sources().receipt(Which::Numbered(999), at(11)).await;
        assert!(none.unwrap().is_none());
    }
}

#[tokio::test]
async fn receipts_are_signed_by_the_same_key_after_a_restart_and_with_a_new_master_key() {
    let keys = ["AQ", "Ag"].map(|start| format!("{start}{}A=", "A".repeat(40)));
    for store in stores().await {
        revoke(&store, at(0)).await;
        let receipt = receipt_of(&store, at(1)).await;
        let mut before = None;
        let both = format!("{}\n{}", keys[1], keys[0]);
        let mut tx = store.begin().await.unwrap();
        sqlx::query("DELETE FROM keys_signer")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        for text in [&keys[0], &keys[0], &both, &keys[1]] {
            let sealing = Sealing::of(text);
            let signer = Signer::open(&store, &sealing, clock::now()).await.unwrap();
            let public = *before.get_or_insert(signer.public());
            assert_eq!(public, signer.public());
            let signed = signer.sign(&receipt).unwrap();
            assert_eq!(verify(signed.as_bytes(), &public).as_ref(), Ok(&receipt));
        }
        let other = Signer::open(&store, &Sealing::of(&keys[0]), clock::now()).await;
        let why = other.unwrap().sign(&receipt).unwrap_err();
        assert!(why.contains("master key"), "{why}");
    }
}
