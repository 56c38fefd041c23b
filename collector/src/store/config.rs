//! Which database, and how to get in.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use url::Url;
use watchward_daemon::secret::SecretFile;

use super::Kind;

/// The table `[store]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `sqlite:///path/to/file`, or `postgres://user@host/name` when one collector is not enough.
    pub database: Database,
    /// The file with PostgreSQL's password, if it wants one.
    pub password_file: Option<SecretFile>,
}

impl Config {
    /// The whole URL, password included.
    ///
    /// # Errors
    /// The password's file cannot be read.
    pub fn url(&self) -> anyhow::Result<String> {
        let Some(file) = &self.password_file else {
            return Ok(self.database.0.clone());
        };
        let mut url = Url::parse(&self.database.0)?;
        let password = file.read()?;
        url.set_password(Some(password.reveal()))
            .ok()
            .context("this database has no password")?;
        Ok(url.into())
    }
}

/// A database's URL, without a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Database(String);

impl Default for Database {
    fn default() -> Self {
        Self("sqlite:///var/lib/watchward/collector.db".to_owned())
    }
}

impl TryFrom<String> for Database {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str =
            "expected \"sqlite:///path/to/file\" or \"postgres://user@host/name\"";
        let kind = Kind::of(&text).ok_or(EXPECTED)?;
        let path = text.strip_prefix("sqlite://").unwrap_or(&text);
        if kind == Kind::Sqlite && (path.is_empty() || path == text) {
            return Err(EXPECTED);
        }
        if Url::parse(&text).is_ok_and(|url| url.password().is_some()) {
            return Err("the password belongs in a file of its own: see password_file");
        }
        Ok(Self(text))
    }
}

impl From<Database> for String {
    fn from(database: Database) -> Self {
        database.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_comes_from_its_file_and_never_from_the_configuration() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s/e@cret\n").unwrap();
        let database = Database::try_from("postgres://ward@db.example/watch".to_owned()).unwrap();
        let password_file = Some(file.path().to_owned().into());
        let url = Config {
            database,
            password_file,
        }
        .url()
        .unwrap();
        assert_eq!(url, "postgres://ward:s%2Fe%40cret@db.example/watch");
        assert!(Database::try_from("postgres://ward:pw@db.example/watch".to_owned()).is_err());
    }

    #[test]
    fn other_databases_are_refused() {
        for bad in ["", "mysql://x/y", "sqlite:", "/var/lib/x.db"] {
            assert!(
                Database::try_from(bad.to_owned()).is_err(),
                "{bad:?} was taken"
            );
        }
    }
}
