//! What every room relies on, on both databases.

use super::{Schema, testing};

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
