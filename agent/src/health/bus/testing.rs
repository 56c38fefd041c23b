//! Stands in for systemd on a connection of its own.

use std::os::unix::net::UnixStream;

use zbus::connection::Builder;
use zbus::{Guid, ObjectPath};

use super::*;

/// A unit that the stand-in knows.
#[derive(Clone, Debug, Default)]
pub(in crate::health) struct Listing {
    name: String,
    states: [String; 3],
    result: String,
    timer: Times,
}

/// What the stand-in says of a timer, in microseconds of UTC.
#[derive(Clone, Debug, Default)]
pub(in crate::health) struct Times {
    pub(in crate::health) service: String,
    pub(in crate::health) since: u64,
    pub(in crate::health) last: u64,
    pub(in crate::health) next: u64,
}

impl Listing {
    /// Load state, active state and sub-state.
    pub(in crate::health) fn of(name: &str, states: [&str; 3]) -> Self {
        Self {
            name: name.to_owned(),
            states: states.map(str::to_owned),
            result: "success".to_owned(),
            timer: Times::default(),
        }
    }

    pub(in crate::health) fn ended(self, result: &str) -> Self {
        let result = result.to_owned();
        Self { result, ..self }
    }

    pub(in crate::health) fn timed(self, timer: Times) -> Self {
        Self { timer, ..self }
    }

    /// Object paths take few letters.
    fn path(name: &str) -> OwnedObjectPath {
        let plain = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        ObjectPath::try_from(format!("/unit/{plain}"))
            .unwrap()
            .into()
    }
}

/// The stand-in, and a connection to it.
#[derive(Debug)]
pub(in crate::health) struct Systemd {
    pub(in crate::health) bus: Bus,
    _server: Connection,
}

impl Systemd {
    pub(in crate::health) async fn with(units: Vec<Listing>) -> Self {
        let (here, there) = UnixStream::pair().unwrap();
        let mut server = Builder::unix_stream(there)
            .server(Guid::generate())
            .p2p()
            .serve_at("/org/freedesktop/systemd1", Manager(units.clone()));
        for unit in units {
            let path = Listing::path(&unit.name);
            server = server
                .serve_at(path.clone(), Service(unit.clone()))
                .serve_at(path.clone(), Timer(unit.clone()))
                .serve_at(path, AnyUnit(unit));
        }
        let client = Builder::unix_stream(here).p2p().build();
        let (server, client) = tokio::join!(server.build(), client);
        let bus = Bus::default();
        *bus.0.lock().await = Some(client.unwrap());
        Self {
            bus,
            _server: server.unwrap(),
        }
    }
}

struct Manager(Vec<Listing>);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn list_units_by_names(&self, names: Vec<String>) -> Vec<Listed> {
        let list = |name: String| {
            let known = self.0.iter().find(|unit| unit.name == name);
            let unknown = || Listing::of(&name, ["not-found", "inactive", "dead"]);
            let [load, active, sub] = known.cloned().unwrap_or_else(unknown).states;
            let (none, path) = (String::new(), Listing::path(&name));
            let (job, job_path) = (none.clone(), path.clone());
            (
                name,
                none.clone(),
                load,
                active,
                sub,
                none,
                path,
                0,
                job,
                job_path,
            )
        };
        names.into_iter().map(list).collect()
    }
}

struct Service(Listing);

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property)]
    fn result(&self) -> &str {
        &self.0.result
    }
}

struct Timer(Listing);

#[zbus::interface(name = "org.freedesktop.systemd1.Timer")]
impl Timer {
    #[zbus(property)]
    fn unit(&self) -> &str {
        &self.0.timer.service
    }

    #[zbus(property, name = "LastTriggerUSec")]
    fn last(&self) -> u64 {
        self.0.timer.last
    }

    #[zbus(property, name = "NextElapseUSecRealtime")]
    fn next(&self) -> u64 {
        self.0.timer.next
    }
}

struct AnyUnit(Listing);

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl AnyUnit {
    #[zbus(property)]
    fn active_enter_timestamp(&self) -> u64 {
        self.0.timer.since
    }
}
