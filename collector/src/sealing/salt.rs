//! The salt of a passphrase: one for each database, so that one guess counts for one.

use crate::store::{Schema, Store};

/// The salt's table, which has one row.
pub const SCHEMA: Schema = Schema {
    room: "sealing",
    steps: &["CREATE TABLE sealing_salt (number BIGINT PRIMARY KEY, salt {bytes} NOT NULL)"],
};

/// The salt; drawn when it is first asked for.
pub(super) async fn salt(store: &Store) -> sqlx::Result<Vec<u8>> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "INSERT INTO sealing_salt (number, salt) VALUES (1, $1) ON CONFLICT (number) DO NOTHING",
    )
    .bind(rand::random::<[u8; 16]>().to_vec())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    sqlx::query_scalar("SELECT salt FROM sealing_salt WHERE number = 1")
        .fetch_one(store.read())
        .await
}
