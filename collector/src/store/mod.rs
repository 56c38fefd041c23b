//! Where everything is kept: SQLite by default, PostgreSQL by URL, one SQL text for both.

pub(crate) mod bulk;
mod config;
pub(crate) mod deadline;
pub(crate) mod question;
mod schema;
mod snapshot;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod timer;
pub(crate) mod turn;
pub(crate) mod value;

use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, Executor};

pub use config::{Config, Database};
pub use deadline::Deadlines;
pub use schema::Schema;
pub use snapshot::SnapshotError;

/// A transaction. What is judged, raised and kept together commits together.
pub type Tx = sqlx::Transaction<'static, sqlx::Any>;

/// The database.
///
/// One SQL text serves both kinds: parameters are `$1`, columns TEXT, BIGINT or bytes, booleans 0
/// and 1, times microseconds, addresses 16 bytes (IPv4 mapped into IPv6).
#[derive(Clone, Debug)]
pub struct Store {
    kind: Kind,
    write: AnyPool,
    read: AnyPool,
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file; this process is its only user.
    Sqlite,
    /// A server; other collectors may use it too.
    Postgres,
}

impl Kind {
    /// Which database a URL names, by its scheme.
    fn of(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }
}

impl Store {
    /// Opens `sqlite:///path/to/file` (created if missing) or `postgres://...`, and brings its
    /// tables to the shape that `schemas` say.
    ///
    /// # Errors
    /// The URL names neither, the database cannot be opened, or a newer version has written it.
    pub async fn open(url: &str, schemas: &[Schema]) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let kind = Kind::of(url).context("the database is neither SQLite nor PostgreSQL")?;
        if kind == Kind::Sqlite {
            prepare(url)?;
        }
        let store = match kind {
            Kind::Sqlite => {
                let url = format!("{url}{}mode=rwc", if url.contains('?') { "&" } else { "?" });
                let write = pool(kind, &url, 1).await?;
                Self {
                    kind,
                    write,
                    read: pool(kind, &url, 4).await?,
                }
            }
            Kind::Postgres => {
                let both = pool(kind, url, 8).await?;
                Self {
                    kind,
                    write: both.clone(),
                    read: both,
                }
            }
        };
        schema::bring(&store, schemas).await?;
        Ok(store)
    }

    /// Which database it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Begins a transaction that writes. On SQLite there is one at a time.
    ///
    /// # Errors
    /// The database is not there, or busy for ten seconds.
    pub async fn begin(&self) -> sqlx::Result<Tx> {
        match self.kind {
            Kind::Sqlite => self.write.begin_with("BEGIN IMMEDIATE").await,
            Kind::Postgres => self.write.begin().await,
        }
    }

    /// Measures how large the database is, for monitoring.
    ///
    /// # Errors
    /// The database's.
    pub async fn measure(&self) -> sqlx::Result<()> {
        let bytes: i64 = sqlx::query_scalar(match self.kind {
            Kind::Sqlite => {
                "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
            }
            Kind::Postgres => "SELECT pg_database_size(current_database())",
        })
        .fetch_one(&self.read)
        .await?;
        metrics::gauge!("watchward_database_bytes").set(bytes as f64);
        Ok(())
    }

    /// Connections for reading.
    pub fn read(&self) -> &AnyPool {
        &self.read
    }
}

async fn pool(kind: Kind, url: &str, connections: u32) -> anyhow::Result<AnyPool> {
    let options = AnyConnectOptions::from_str(url).context("the database's URL")?;
    AnyPoolOptions::new()
        .max_connections(connections)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if kind == Kind::Sqlite {
                    connection.execute(SQLITE).await?;
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await
        .context("cannot open the database")
}

/// Makes the folder that the database's file lies in, and takes away what does not belong there.
fn prepare(url: &str) -> anyhow::Result<()> {
    let path = url
        .trim_start_matches("sqlite://")
        .split('?')
        .next()
        .unwrap_or_default();
    let path = Path::new(path);
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    snapshot::tidy(path);
    Ok(())
}

/// A cache of 32 MiB and a log that is copied back each 32 MiB, because a flood scatters over its
/// indexes: with SQLite's 2 and 4 MiB the same pages are read and written again and again.
const SQLITE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; \
    PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 8192";
