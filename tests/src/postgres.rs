//! A PostgreSQL cluster that lives as long as a test: on loopback, run as the user `postgres`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::run::run;
use crate::undo::{Folder, Undo};
use crate::wait::{SOON, until};

/// A running cluster.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    port: u16,
    server: Child,
    undo: Option<Undo>,
    databases: AtomicU32,
    _folder: Folder,
}

impl Postgres {
    /// Makes a cluster and waits until it answers.
    pub fn start() -> Result<Self> {
        let programs = programs()?;
        let folder = Folder::new("watchward-postgres-")?;
        let owner = owner()?;
        std::os::unix::fs::chown(folder.path(), owner.map(|it| it.0), owner.map(|it| it.1))?;
        let cluster = folder.path().join("cluster");

        let mut initdb = as_owner(&programs.join("initdb"), owner, folder.path());
        run(initdb
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"])
            .arg(&cluster))?;
        let port = free_port()?;
        let log = fs::File::create(folder.path().join("log"))?;
        let mut server = as_owner(&programs.join("postgres"), owner, folder.path());
        server
            .arg("-D")
            .arg(&cluster)
            .args(["-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
        ] {
            server.args(["-c", setting]);
        }
        let server = server
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let stop = format!(
            "kill -QUIT {}; rm -rf {}",
            server.id(),
            folder.path().display()
        );
        let undo = Some(Undo::promise(stop)?);
        let databases = AtomicU32::new(1);
        let cluster = Self {
            programs,
            port,
            server,
            undo,
            databases,
            _folder: folder,
        };
        until("PostgreSQL answers", SOON, || {
            run(cluster.tool("pg_isready").args(["-U", "postgres"])).map(Some)
        })?;
        Ok(cluster)
    }

    /// A new, empty database, as the URL that a configuration names.
    pub fn database(&self) -> Result<String> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        run(self.tool("createdb").args(["-U", "postgres", &name]))?;
        Ok(format!(
            "postgres://postgres@127.0.0.1:{}/{name}",
            self.port
        ))
    }

    fn tool(&self, name: &str) -> Command {
        let mut tool = Command::new(self.programs.join(name));
        tool.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        tool
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.undo.take());
        let _gone = self.server.wait();
    }
}

/// Where Debian has the newest release's programs.
fn programs() -> Result<PathBuf> {
    let releases = fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let mut found: Vec<PathBuf> = releases
        .filter_map(|release| Some(release.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    found.sort();
    found
        .pop()
        .context("no PostgreSQL server under /usr/lib/postgresql")
}

/// User and group of the account `postgres` when we are root, for PostgreSQL refuses to be.
fn owner() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let id = |what| {
        anyhow::Ok(
            run(Command::new("id").args([what, "postgres"]))?
                .trim()
                .parse()?,
        )
    };
    Ok(Some((id("-u")?, id("-g")?)))
}

fn as_owner(program: &Path, owner: Option<(u32, u32)>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_answers() {
        let cluster = Postgres::start().unwrap();
        let url = cluster.database().unwrap();
        let psql = cluster.programs.join("psql");
        let answer = run(Command::new(psql).args([&url, "-Atc", "select 6 * 7"])).unwrap();
        assert_eq!(answer.trim(), "42");
    }
}
