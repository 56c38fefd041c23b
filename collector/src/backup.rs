//! A backup for the operator's command: the database as it stands at one moment, while all goes on.

use std::fs::File;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use tokio::io::AsyncReadExt;

use crate::keys;
use crate::store::{SnapshotError, Store};
use crate::web::{Problem, Who};

/// How much is read and sent at a time.
const PIECE: usize = 256 * 1024;

/// `GET /v1/backup`.
pub fn routes(store: Store) -> Router {
    Router::new()
        .route("/v1/backup", get(backup))
        .with_state(store)
}

async fn backup(State(store): State<Store>, Who(by): Who) -> Result<Response, Problem> {
    let copy = store.snapshot(keys::OF_A_COPY).await.map_err(explained)?;
    let bytes = copy.metadata()?.len();
    tracing::info!(bytes, by, "a backup was made");
    // Whoever reads can tell by its length whether it came whole.
    let head = [
        (CONTENT_TYPE, "application/vnd.sqlite3".to_owned()),
        (CONTENT_LENGTH, bytes.to_string()),
    ];
    Ok((head, pieces(copy)).into_response())
}

fn explained(error: SnapshotError) -> Problem {
    match error {
        SnapshotError::Elsewhere => Problem::refused(
            "everything is kept in PostgreSQL: back that up with pg_dump, as docs/backup.md says",
        ),
        SnapshotError::Busy => {
            Problem::refused("another backup is being made: try again when it is there")
        }
        SnapshotError::Unwritable { .. } | SnapshotError::Database(_) => error.into(),
    }
}

fn pieces(copy: File) -> Body {
    let copy = tokio::fs::File::from_std(copy);
    Body::from_stream(stream::unfold(copy, async |mut copy| {
        let mut piece = vec![0; PIECE];
        match copy.read(&mut piece).await {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok::<_, io::Error>(Bytes::from(piece)), copy))
            }
            Err(error) => Some((Err(error), copy)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt;

    use super::*;
    use crate::store::{Kind, Schema, testing};

    const SCHEMA: Schema = Schema {
        room: "sample",
        steps: &["CREATE TABLE sample (id {id}, body {bytes} NOT NULL)"],
    };

    #[tokio::test]
    async fn a_backup_comes_whole_and_postgres_has_its_own_way() {
        for store in testing::stores(&[SCHEMA, keys::SCHEMA]).await {
            let mut tx = store.begin().await.unwrap();
            sqlx::query("INSERT INTO sample (body) VALUES ($1)")
                .bind(vec![7_u8; 3 * PIECE])
                .execute(&mut *tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            let asked = Request::get("/v1/backup").body(Body::empty()).unwrap();
            let answer = routes(store.clone()).oneshot(asked).await.unwrap();
            let (head, body) = answer.into_parts();
            let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
            if store.kind() == Kind::Postgres {
                assert_eq!(head.status, StatusCode::BAD_REQUEST);
                assert!(String::from_utf8_lossy(&body).contains("pg_dump"));
                continue;
            }
            assert!(body.starts_with(b"SQLite format 3\0"));
            assert!(body.len() > 3 * PIECE);
            let length = head.headers[CONTENT_LENGTH].to_str().unwrap();
            assert_eq!(length, body.len().to_string());
        }
    }
}
