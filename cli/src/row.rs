//! One object of the collector's JSON, read leniently: a newer collector may say more.

use serde_json::Value;

use crate::screen::{clock, moment};

/// One object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a>(&'a Value);

impl<'a> Row<'a> {
    pub(crate) fn of(value: &'a Value) -> Self {
        Self(value)
    }

    /// All of it.
    pub(crate) fn value(self) -> &'a Value {
        self.0
    }

    /// The objects of a list, wherever the answer has it: bare, or as its only list.
    pub(crate) fn all(answer: &'a Value) -> impl DoubleEndedIterator<Item = Self> {
        let list = match answer {
            Value::Object(fields) => fields.values().find_map(Value::as_array),
            Value::Array(list) => Some(list),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        list.into_iter().flatten().map(Self)
    }

    /// The objects of the list in this field.
    pub(crate) fn list(self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter().flatten().map(Self)
    }

    /// The text in this field; empty if there is none.
    pub(crate) fn text(self, name: &str) -> String {
        match self.0.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(yes)) => yes.to_string(),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
        }
    }

    /// These fields as parameters of a question, as far as they say something.
    pub(crate) fn query<'n>(self, names: &[&'n str]) -> Vec<(&'n str, String)> {
        let said = names.iter().map(|name| (*name, self.text(name)));
        said.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The text in this field; a dash if there is none.
    pub(crate) fn cell(self, name: &str) -> String {
        let text = self.text(name);
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    }

    /// The texts in the list in this field.
    pub(crate) fn texts(self, name: &str) -> Vec<String> {
        let list = self.0.get(name).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    /// The whole number in this field.
    pub(crate) fn number(self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// The moment in this field, in UTC.
    pub(crate) fn moment(self, name: &str) -> String {
        moment(self.number(name))
    }

    /// The time of day in this field, in UTC.
    pub(crate) fn clock(self, name: &str) -> String {
        clock(self.number(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_is_there_and_a_dash_for_what_is_not() {
        let answer = json!([{"host": "web1", "port": 22, "user": null}]);
        let row = Row::all(&answer).next().unwrap();
        assert_eq!(
            (row.cell("host"), row.cell("port")),
            ("web1".into(), "22".into())
        );
        assert_eq!(
            (row.cell("user"), row.cell("more")),
            ("-".into(), "-".into())
        );
    }

    #[test]
    fn finds_the_list_in_a_page() {
        let answer = json!({"next": 7, "events": [{"host": "web1"}]});
        assert_eq!(Row::all(&answer).count(), 1);
    }
}
