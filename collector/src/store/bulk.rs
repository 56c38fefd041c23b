//! Many rows in one statement: a list of VALUES whose text is built once for each length.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::error::BoxDynError;
use sqlx::{Arguments, AssertSqlSafe, Encode, Type};

use super::{Kind, Tx};

/// A statement around a list of VALUES.
///
/// Nothing that came from outside may be in its text; what varies is bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bulk<'a> {
    /// The text before the list.
    pub(crate) before: &'a str,
    /// How many values a row of the list has.
    pub(crate) columns: usize,
    /// The text after the list.
    pub(crate) after: &'a str,
}

/// Lengths of a list, from the longest. Few, because the database keeps each text prepared.
const LENGTHS: [usize; 4] = [128, 16, 4, 1];

impl Bulk<'_> {
    /// Runs it for all items, in as few statements as there must be.
    pub(crate) async fn execute<T: Sync>(
        &self,
        tx: &mut Tx,
        items: &[T],
        bind: impl Fn(&T, &mut Values) + Sync,
    ) -> sqlx::Result<()> {
        let kind = kind(tx);
        let mut text = None;
        for part in parts(items) {
            let (sql, values) = self.statement(kind, &mut text, part, &bind)?;
            sqlx::query_with(AssertSqlSafe(sql), values)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }

    /// Runs it for all items, in as few statements as there must be, and gathers what they return.
    pub(crate) async fn fetch<T: Sync>(
        &self,
        tx: &mut Tx,
        items: &[T],
        bind: impl Fn(&T, &mut Values) + Sync,
    ) -> sqlx::Result<Vec<AnyRow>> {
        let kind = kind(tx);
        let mut text = None;
        let mut rows = Vec::new();
        for part in parts(items) {
            let (sql, values) = self.statement(kind, &mut text, part, &bind)?;
            let found = sqlx::query_with(AssertSqlSafe(sql), values)
                .fetch_all(&mut **tx)
                .await?;
            rows.extend(found);
        }
        Ok(rows)
    }

    fn statement<T>(
        &self,
        kind: Kind,
        text: &mut Option<(usize, Arc<str>)>,
        part: &[T],
        bind: impl Fn(&T, &mut Values),
    ) -> sqlx::Result<(Arc<str>, AnyArguments)> {
        let sql = match text {
            Some((length, sql)) if *length == part.len() => sql.clone(),
            _ => {
                let sql: Arc<str> = self.text(kind, part.len()).into();
                *text = Some((part.len(), sql.clone()));
                sql
            }
        };
        let mut values = Values::default();
        values.bound.reserve(part.len() * self.columns, 0);
        for item in part {
            bind(item, &mut values);
        }
        debug_assert_eq!(
            values.bound.len(),
            part.len() * self.columns,
            "{}",
            self.before
        );
        match values.error {
            Some(error) => Err(sqlx::Error::Encode(error)),
            None => Ok((sql, values.bound)),
        }
    }

    fn text(&self, kind: Kind, length: usize) -> String {
        let mut text = String::from(self.before);
        for row in 0..length {
            text.push_str(if row == 0 { "(" } else { "),(" });
            for column in 0..self.columns {
                if column > 0 {
                    text.push(',');
                }
                match kind {
                    // Beware: SQLite looks named parameters up one by one, each time.
                    Kind::Sqlite => text.push('?'),
                    Kind::Postgres => {
                        let _ = write!(text, "${}", row * self.columns + column + 1);
                    }
                }
            }
        }
        text.push(')');
        text.push_str(self.after);
        text
    }
}

/// The values of the rows, in the order of their columns.
#[derive(Default)]
pub(crate) struct Values {
    bound: AnyArguments,
    error: Option<BoxDynError>,
}

impl Values {
    /// Adds a number, or none.
    pub(crate) fn number(&mut self, number: impl Into<Option<i64>>) -> &mut Self {
        self.add(number.into())
    }

    /// Adds a text, or none. Beware: PostgreSQL refuses the character NUL in a text.
    pub(crate) fn text<'t>(&mut self, text: impl Into<Option<&'t str>>) -> &mut Self {
        self.add(text.into().map(|text| without_nul(text).into_owned()))
    }

    /// Adds bytes, or none.
    pub(crate) fn bytes<'b>(&mut self, bytes: impl Into<Option<&'b [u8]>>) -> &mut Self {
        self.add(bytes.into().map(<[u8]>::to_vec))
    }

    fn add<'v, V: Encode<'v, sqlx::Any> + Type<sqlx::Any>>(&mut self, value: V) -> &mut Self {
        if let Err(error) = self.bound.add(value) {
            self.error = Some(error);
        }
        self
    }
}

/// The text without the one character that PostgreSQL refuses.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn parts<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = LENGTHS.into_iter().find(|length| *length <= items.len())?;
        let (part, rest) = items.split_at_checked(length)?;
        items = rest;
        Some(part)
    })
}

fn kind(tx: &Tx) -> Kind {
    if tx.backend_name() == "SQLite" {
        Kind::Sqlite
    } else {
        Kind::Postgres
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::store::{Schema, testing};

    const SCHEMA: Schema = Schema {
        room: "sample",
        steps: &["CREATE TABLE sample (number BIGINT NOT NULL, note TEXT, body {bytes})"],
    };

    #[test]
    fn leaves_nothing_out() {
        let items: Vec<_> = (0..1_003).collect();
        let all: Vec<_> = parts(&items).flatten().copied().collect();
        assert_eq!(all, items);
        assert_eq!(parts(&items).count(), 7 + 6 + 2 + 3);
    }

    #[tokio::test]
    async fn writes_and_finds_rows_on_both() {
        let items: Vec<i64> = (0..300).collect();
        for store in testing::stores(&[SCHEMA]).await {
            let mut tx = store.begin().await.unwrap();
            Bulk {
                before: "INSERT INTO sample (number, note, body) VALUES ",
                columns: 3,
                after: "",
            }
            .execute(&mut tx, &items, |item, values| {
                values.number(*item).text("a\0b").bytes(None);
            })
            .await
            .unwrap();
            let found = Bulk {
                before: "WITH wanted (number) AS (VALUES ",
                columns: 1,
                after: ") SELECT sample.number, note FROM sample, wanted \
                    WHERE sample.number = wanted.number",
            }
            .fetch(&mut tx, &items[100..], |item, values| {
                values.number(*item);
            })
            .await
            .unwrap();
            assert_eq!(found.len(), 200);
            assert_eq!(found[0].get::<String, _>(1), "a\u{fffd}b");
        }
    }
}
