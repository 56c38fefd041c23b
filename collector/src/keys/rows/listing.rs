//! Openings as they are listed: by what they are asked for, a page at a time.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Arguments, AssertSqlSafe, Row};
use watchward_protocol::time::Timestamp;

use super::opening::kept;
use super::whose;
use crate::keys::reading::{Counts, Listed, State, Wanted};
use crate::store::Store;

/// What has come to its end by itself; `$1` is now.
const ENDED: &str = "(means IN (0, 1) AND not_after IS NOT NULL AND not_after <= $1)";

/// A page of what is wanted.
pub(in crate::keys) async fn list(store: &Store, wanted: &Wanted) -> sqlx::Result<Vec<Listed>> {
    let question = Question::of(wanted);
    if let Some(error) = question.error {
        return Err(sqlx::Error::Encode(error));
    }
    let rows = sqlx::query_with(AssertSqlSafe(question.text), question.arguments)
        .fetch_all(store.read())
        .await?;
    rows.iter().map(|row| listed(row, wanted.now)).collect()
}

/// A question's text, put together from fixed parts, and what is bound to it.
struct Question {
    text: String,
    arguments: AnyArguments,
    error: Option<sqlx::error::BoxDynError>,
}

impl Question {
    fn of(wanted: &Wanted) -> Self {
        let mut question = Self {
            text: "SELECT * FROM keys_opening WHERE $1 = $1".to_owned(),
            arguments: AnyArguments::default(),
            error: None,
        };
        question.bind(wanted.now.as_micros());
        question.add("host_name = ", wanted.host.clone());
        let account = wanted.account.clone();
        question.add("holder = ", account.map(String::into_bytes));
        question.add("fingerprint = ", wanted.fingerprint.clone());
        question.state(wanted);
        if let Some(since) = wanted.unused_since {
            question.also("means IN (0, 1, 3)");
            question.add("COALESCE(used_at, first_at) < ", Some(since.as_micros()));
        }
        question.add(
            "(host_name, holder, id) > \
             (SELECT host_name, holder, id FROM keys_opening WHERE id = ",
            wanted.after,
        );
        if wanted.after.is_some() {
            question.text.push(')');
        }
        question
            .text
            .push_str(" ORDER BY host_name, holder, id LIMIT ");
        let place = question.bind(i64::from(wanted.limit));
        question.text.push_str(&place);
        question
    }

    fn state(&mut self, wanted: &Wanted) {
        match wanted.state {
            Some(State::Gone) => return self.also("gone_at IS NOT NULL"),
            None if wanted.gone => return,
            None => {}
            Some(State::New) => self.also("is_new = 1"),
            Some(State::Weak) => self.also("weak IS NOT NULL"),
            Some(State::Overdue) => self.also(&format!("due_at <= $1 AND NOT {ENDED}")),
            Some(State::Due) => self.also("warn_at <= $1 AND due_at > $1"),
        }
        self.also("gone_at IS NULL");
    }

    /// Adds a condition, if there is a value for it.
    fn add<V>(&mut self, condition: &'static str, value: Option<V>)
    where
        V: for<'v> sqlx::Encode<'v, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        if let Some(value) = value {
            let place = self.bind(value);
            self.also(&format!("{condition}{place}"));
        }
    }

    fn also(&mut self, condition: &str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    fn bind<V>(&mut self, value: V) -> String
    where
        V: for<'v> sqlx::Encode<'v, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        if let Err(error) = self.arguments.add(value) {
            self.error = Some(error);
        }
        format!("${}", self.arguments.len())
    }
}

fn listed(row: &AnyRow, now: Timestamp) -> sqlx::Result<Listed> {
    let kept = kept(row)?;
    Ok(Listed {
        id: kept.id,
        host: row.try_get("host_name")?,
        account: whose(row.try_get("holder")?).account().cloned(),
        copies: kept.copies,
        new: kept.new,
        widened: kept.widened(),
        was: kept.was.clone(),
        first_at: kept.first_at,
        seen_at: kept.seen_at,
        gone_at: kept.gone_at,
        due_at: kept.due_at,
        ended: kept.has_ended(now),
        weak: kept.weak,
        opening: kept.opening,
        used_at: super::maybe_stamp(row, "used_at")?,
        used_from: row.try_get("used_from")?,
        uses: row.try_get::<i64, _>("uses")?.unsigned_abs(),
    })
}

/// How many there are of what stands.
pub(in crate::keys) async fn counts(store: &Store, now: Timestamp) -> sqlx::Result<Counts> {
    let text = format!(
        "SELECT COUNT(*), COUNT(DISTINCT host), COUNT(DISTINCT fingerprint), \
         COUNT(CASE WHEN is_new = 1 THEN 1 END), COUNT(CASE WHEN weak IS NOT NULL THEN 1 END), \
         COUNT(CASE WHEN warn_at <= $1 AND due_at > $1 THEN 1 END), \
         COUNT(CASE WHEN due_at <= $1 AND NOT {ENDED} THEN 1 END) \
         FROM keys_opening WHERE gone_at IS NULL"
    );
    let row = sqlx::query(AssertSqlSafe(text))
        .bind(now.as_micros())
        .fetch_one(store.read())
        .await?;
    Ok(Counts {
        all: row.try_get(0)?,
        hosts: row.try_get(1)?,
        keys: row.try_get(2)?,
        new: row.try_get(3)?,
        weak: row.try_get(4)?,
        due: row.try_get(5)?,
        overdue: row.try_get(6)?,
    })
}
