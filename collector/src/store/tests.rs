//! What every room relies on, on both databases.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Kind, Schema, SnapshotError, Store, testing};

const SCHEMA: Schema = Schema {
    room: "sample",
    steps: &["CREATE TABLE sample (id {id}, body {bytes} NOT NULL, note TEXT)"],
};

#[tokio::test]
async fn what_was_committed_is_there_after_a_start_and_the_rest_is_not() {
    for store in testing::stores(&[SCHEMA]).await {
        let mut tx = store.begin().await.unwrap();
        let insert = "INSERT INTO sample (body, note) VALUES ($1, $2) RETURNING id";
        let first: i64 = sqlx::query_scalar(insert)
            .bind(vec![0_u8, 255])
            .bind(None::<String>)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();

        let mut lost = store.begin().await.unwrap();
        sqlx::query(insert)
            .bind(vec![1_u8])
            .bind(Some("never"))
            .execute(&mut *lost)
            .await
            .unwrap();
        lost.rollback().await.unwrap();

        let again = store.reopen().await;
        let rows: Vec<(i64, Vec<u8>, Option<String>)> =
            sqlx::query_as("SELECT id, body, note FROM sample")
                .fetch_all(again.read())
                .await
                .unwrap();
        assert_eq!(rows, [(first, vec![0, 255], None)], "{:?}", store.kind());
    }
}

async fn insert(store: &Store, note: &str) {
    let mut tx = store.begin().await.unwrap();
    keep(&mut tx, note).await;
    tx.commit().await.unwrap();
}

async fn keep(tx: &mut super::Tx, note: &str) {
    sqlx::query("INSERT INTO sample (body, note) VALUES ($1, $2)")
        .bind(vec![1_u8])
        .bind(note)
        .execute(&mut **tx)
        .await
        .unwrap();
}

async fn notes(store: &Store) -> Vec<String> {
    sqlx::query_scalar("SELECT note FROM sample ORDER BY id")
        .fetch_all(store.read())
        .await
        .unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn a_copy_has_what_was_committed_while_somebody_writes_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    let store = Store::open(&url("db"), &[SCHEMA]).await.unwrap();
    insert(&store, "before").await;
    let mut open = store.begin().await.unwrap();
    keep(&mut open, "not yet").await;
    let mut copy = store.snapshot("SELECT 1").await.unwrap();
    open.commit().await.unwrap();
    insert(&store, "after").await;

    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut bytes = Vec::new();
    copy.read_to_end(&mut bytes).unwrap();
    std::fs::write(folder.path().join("restored"), bytes).unwrap();
    let restored = Store::open(&url("restored"), &[SCHEMA]).await.unwrap();
    assert_eq!(notes(&restored).await, ["before"]);
    assert_eq!(notes(&store).await, ["before", "not yet", "after"]);
    let left = files(folder.path());
    assert!(!left.contains(&"db.backup".to_owned()), "{left:?}");
}

#[tokio::test]
async fn one_copy_at_a_time_and_none_of_a_collector_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("db").display());
    let store = Store::open(&url, &[SCHEMA]).await.unwrap();
    std::fs::write(folder.path().join("db.backup"), "half of it").unwrap();
    let error = store.snapshot("SELECT 1").await.unwrap_err();
    assert!(matches!(error, SnapshotError::Busy), "{error:?}");
    let again = Store::open(&url, &[SCHEMA]).await.unwrap();
    again.snapshot("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn postgres_is_copied_by_its_own_means() {
    for store in testing::stores(&[SCHEMA]).await {
        if store.kind() == Kind::Postgres {
            let error = store.snapshot("SELECT 1").await.unwrap_err();
            assert!(matches!(error, SnapshotError::Elsewhere), "{error:?}");
        }
    }
}
