//! A copy of the database as it stands at one moment, made while everything goes on.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, Connection, Executor};

use super::{Kind, Store};

/// What a copy is called until it is whole: the database's name, and this.
const ENDING: &str = ".backup";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// PostgreSQL keeps everything, and has ways of its own.
    #[error("everything is kept in PostgreSQL")]
    Elsewhere,
    /// One is being made already.
    #[error("another copy is being made")]
    Busy,
    /// The copy cannot be written.
    #[error("cannot write {}", file.display())]
    Unwritable {
        /// Where it was to be.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database cannot be read, or there is no room beside it.
    #[error("cannot copy the database")]
    Database(#[from] sqlx::Error),
}

impl Store {
    /// Copies a SQLite database as one transaction sees it, has the copy differ by this, and opens it. It
    /// has no name any more: it is gone when the file is closed. Beside the database there must be room
    /// for it.
    ///
    /// # Errors
    /// The database is PostgreSQL's, another copy is being made, or there is no room.
    pub async fn snapshot(&self, differs: &'static str) -> Result<File, SnapshotError> {
        if self.kind == Kind::Postgres {
            return Err(SnapshotError::Elsewhere);
        }
        let main = "SELECT file FROM pragma_database_list WHERE name = 'main'";
        let main: String = sqlx::query_scalar(main).fetch_one(&self.read).await?;
        let copy = Copy::claim(beside(&main))?;
        // It takes the empty file that is there, and so its mode.
        sqlx::query("VACUUM INTO $1")
            .bind(copy.0.to_string_lossy().into_owned())
            .execute(&self.read)
            .await?;
        let url = format!("sqlite://{}", copy.0.display());
        let mut copied = AnyConnection::connect(&url).await?;
        copied.execute(differs).await?;
        copied.close().await?;
        File::open(&copy.0).map_err(|source| copy.unwritable(source))
    }
}

/// Takes away what a collector left that was killed while it copied.
pub(super) fn tidy(database: &Path) {
    let _seldom_there = fs::remove_file(beside(&database.to_string_lossy()));
}

fn beside(database: &str) -> PathBuf {
    PathBuf::from(format!("{database}{ENDING}"))
}

/// A copy that still has a name.
struct Copy(PathBuf);

impl Copy {
    fn claim(file: PathBuf) -> Result<Self, SnapshotError> {
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(&file) {
            Ok(_empty) => Ok(Self(file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(SnapshotError::Busy),
            Err(source) => Err(SnapshotError::Unwritable { file, source }),
        }
    }

    fn unwritable(&self, source: io::Error) -> SnapshotError {
        let file = self.0.clone();
        SnapshotError::Unwritable { file, source }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}
