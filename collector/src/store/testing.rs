//! Fresh databases for tests: one of each kind, so that every storage test runs on both.

use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::{Schema, Store};

/// A store of its own for one test, gone with it.
#[derive(Debug)]
pub(crate) struct Fresh {
    store: Store,
    url: String,
    schemas: Vec<Schema>,
    _folder: Option<TempDir>,
}

impl Deref for Fresh {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Fresh {
    /// Opens the same database once more, as a collector does that starts again.
    pub(crate) async fn reopen(&self) -> Store {
        Store::open(&self.url, &self.schemas).await.unwrap()
    }

    /// Opens the same database once more with these tables, as a newer version does.
    pub(crate) async fn upgrade(&self, schemas: &[Schema]) -> Store {
        Store::open(&self.url, schemas).await.unwrap()
    }
}

/// An empty store of each kind, with these tables. Without PostgreSQL's programs on this machine it
/// is SQLite alone, and a notice says so.
///
/// ```ignore
/// for store in testing::stores(&[SCHEMA]).await {
///     // the same test on both
/// }
/// ```
pub(crate) async fn stores(schemas: &[Schema]) -> Vec<Fresh> {
    let mut all = vec![sqlite(schemas).await];
    all.extend(postgres(schemas).await);
    all
}

async fn sqlite(schemas: &[Schema]) -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("db").display());
    fresh(url, schemas, Some(folder)).await
}

async fn postgres(schemas: &[Schema]) -> Option<Fresh> {
    static MADE: Mutex<u32> = Mutex::const_new(0);
    let cluster = cluster()?;
    let at = |name: &str| {
        let socket = cluster.socket.display();
        format!("postgres://postgres@localhost/{name}?host={socket}")
    };
    sqlx::any::install_default_drivers();
    let mut made = MADE.lock().await;
    *made += 1;
    let name = format!("test_{made}");
    let mut connection = AnyConnection::connect(&at("postgres")).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    drop(made);
    Some(fresh(at(&name), schemas, None).await)
}

async fn fresh(url: String, schemas: &[Schema], folder: Option<TempDir>) -> Fresh {
    Fresh {
        store: Store::open(&url, schemas).await.unwrap(),
        url,
        schemas: schemas.to_vec(),
        _folder: folder,
    }
}

/// A PostgreSQL server of this test process, without a port.
struct Cluster {
    socket: PathBuf,
    /// Its standard input is what keeps the server alive: see [`SERVE`].
    _child: Child,
}

fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER
        .get_or_init(|| {
            let Some(programs) = programs() else {
                eprintln!("skipped on PostgreSQL: its programs are not on this machine");
                return None;
            };
            Some(start(&programs))
        })
        .as_ref()
}

fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut all: Vec<_> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    all.sort();
    all.pop()
}

/// Serves until standard input closes, which the end of the test process does, however it ends.
const SERVE: &str = r#"
cd /; folder=$(mktemp -d /tmp/watchward-test.XXXXXX) || exit 1
"$1/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C -N >"$folder/log" 2>&1 \
    || { cat "$folder/log" >&2; rm -rf "$folder"; exit 1; }
"$1/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off \
    -c max_connections=400 -c shared_buffers=16MB </dev/null >"$folder/log" 2>&1 &
until "$1/pg_isready" -q -h "$folder"; do
    kill -0 $! 2>/dev/null || { cat "$folder/log" >&2; rm -rf "$folder"; exit 1; }
    sleep 0.1
done
echo "$folder"; exec >/dev/null 2>&1
cat; kill -INT $!; wait $!; rm -rf "$folder"
"#;

fn start(programs: &Path) -> Cluster {
    // PostgreSQL refuses to run as root.
    let root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if root { "runuser" } else { "sh" });
    if root {
        command.args(["-u", "postgres", "--", "sh"]);
    }
    command.args(["-c", SERVE, "sh"]).arg(programs);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut socket = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut socket)
        .unwrap();
    assert!(!socket.is_empty(), "PostgreSQL did not start");
    Cluster {
        socket: PathBuf::from(socket.trim_end()),
        _child: child,
    }
}
