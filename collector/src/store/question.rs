//! A SELECT put together from fixed parts, for what may or may not be asked; values are bound.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Arguments, AssertSqlSafe};

use super::Store;

/// Conditions that all must hold, and what is bound to them.
#[derive(Default)]
pub(crate) struct Question {
    conditions: String,
    arguments: AnyArguments,
    error: Option<sqlx::error::BoxDynError>,
}

impl Question {
    /// Adds a condition such as `host_name = `, if there is a value for it.
    pub(crate) fn add<V>(&mut self, condition: &'static str, value: Option<V>)
    where
        V: for<'v> sqlx::Encode<'v, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        let Some(value) = value else { return };
        self.add_fixed(Some(condition));
        self.bind(value);
    }

    /// Adds a condition around a value, such as `id IN (SELECT .. WHERE name = ` and `)`, if there
    /// is one.
    pub(crate) fn add_around<V>(
        &mut self,
        (before, after): (&'static str, &'static str),
        value: Option<V>,
    ) where
        V: for<'v> sqlx::Encode<'v, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        if value.is_some() {
            self.add(before, value);
            self.conditions.push_str(after);
        }
    }

    /// Adds a condition that needs no value, if there is one.
    pub(crate) fn add_fixed(&mut self, condition: Option<&'static str>) {
        let Some(condition) = condition else { return };
        let first = self.conditions.is_empty();
        self.conditions
            .push_str(if first { " WHERE " } else { " AND " });
        self.conditions.push_str(condition);
    }

    /// Adds that two columns together, such as `(judged_at, id)`, come before these two numbers, if
    /// there are any.
    pub(crate) fn add_before(&mut self, columns: &'static str, place: Option<(i64, i64)>) {
        let Some((first, second)) = place else { return };
        self.add(columns, Some(first));
        // `add` has written `(a, b) < ($1`.
        self.conditions.push_str(", ");
        self.bind(second);
        self.conditions.push(')');
    }

    /// What it finds, at most so many rows: `select` is the text before the conditions, `order`
    /// the text between them and ` LIMIT`.
    pub(crate) async fn ask(
        mut self,
        store: &Store,
        (select, order): (&'static str, &'static str),
        limit: i64,
    ) -> sqlx::Result<Vec<AnyRow>> {
        self.conditions.push_str(order);
        self.conditions.push_str(" LIMIT ");
        self.bind(limit);
        if let Some(error) = self.error {
            return Err(sqlx::Error::Encode(error));
        }
        let sql = format!("{select}{}", self.conditions);
        sqlx::query_with(AssertSqlSafe(sql), self.arguments)
            .fetch_all(store.read())
            .await
    }

    fn bind<V>(&mut self, value: V)
    where
        V: for<'v> sqlx::Encode<'v, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        if let Err(error) = self.arguments.add(value) {
            self.error = Some(error);
        }
        self.conditions.push('$');
        self.conditions.push_str(&self.arguments.len().to_string());
    }
}
