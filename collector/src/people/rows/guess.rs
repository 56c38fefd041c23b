//! Who gave wrong codes, one after another.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::super::guessing::Guessed;
use super::event::Event;
use super::time;
use crate::store::Tx;

/// Accounts for which at least so many wrong codes came since then, and no right one among them;
/// those that were told of before do not count again.
pub(in crate::people) async fn guessed(
    tx: &mut Tx,
    least: i64,
    since: Timestamp,
) -> sqlx::Result<Vec<Guessed>> {
    let rows = sqlx::query(
        "SELECT w.account, w.name, COUNT(*) AS tries, MIN(w.at) AS first \
         FROM people_event w WHERE w.event = $1 AND w.at > $2 AND w.id > COALESCE( \
         (SELECT MAX(e.id) FROM people_event e \
          WHERE e.account = w.account AND e.event IN ($3, $4)), 0) \
         GROUP BY w.account, w.name HAVING COUNT(*) >= $5 ORDER BY w.account",
    )
    .bind(Event::WrongCode.words())
    .bind(since.as_micros())
    .bind(Event::SignedIn.words())
    .bind(Event::Guessed.words())
    .bind(least)
    .fetch_all(&mut **tx)
    .await?;
    let guessed = |row: &AnyRow| {
        Ok(Guessed {
            account: row.try_get("account")?,
            name: row.try_get("name")?,
            tries: row.try_get("tries")?,
            since: time(row, "first")?,
        })
    };
    rows.iter().map(guessed).collect()
}

/// The names of those that were told of since then, and for which no wrong code came after `calm`.
pub(in crate::people) async fn calm(
    tx: &mut Tx,
    since: Timestamp,
    calm: Timestamp,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT DISTINCT g.name FROM people_event g WHERE g.event = $1 AND g.at > $2 \
         AND NOT EXISTS (SELECT 1 FROM people_event w \
         WHERE w.account = g.account AND w.event IN ($1, $3) AND w.at > $4) ORDER BY g.name",
    )
    .bind(Event::Guessed.words())
    .bind(since.as_micros())
    .bind(Event::WrongCode.words())
    .bind(calm.as_micros())
    .fetch_all(&mut **tx)
    .await
}
