//! Whether a unit of systemd is active, asked over D-Bus.

use watchward_protocol::checks::systemd::Config;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

use super::Found;

/// The connection to systemd, made when it is first needed and again when it was lost.
#[derive(Debug, Default)]
pub(super) struct Bus(tokio::sync::Mutex<Option<Connection>>);

impl Bus {
    async fn list(&self, unit: &str) -> zbus::Result<Vec<Listed>> {
        let connection = self.connection().await?;
        let answer = ask(&connection, unit).await;
        if matches!(answer, Err(zbus::Error::InputOutput(_))) {
            *self.0.lock().await = None;
        }
        answer
    }

    async fn connection(&self) -> zbus::Result<Connection> {
        let mut held = self.0.lock().await;
        if let Some(connection) = held.as_ref() {
            return Ok(connection.clone());
        }
        let connection = Connection::system().await?;
        Ok(held.insert(connection).clone())
    }
}

/// What `ListUnitsByNames` of `org.freedesktop.systemd1.Manager` (systemd 230 and later) says of a
/// unit: name, description, load state, active state, sub-state, and what is of no matter here.
type Listed = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

const SYSTEMD: &str = "org.freedesktop.systemd1";

async fn ask(connection: &Connection, unit: &str) -> zbus::Result<Vec<Listed>> {
    let answer = connection
        .call_method(
            Some(SYSTEMD),
            "/org/freedesktop/systemd1",
            Some("org.freedesktop.systemd1.Manager"),
            "ListUnitsByNames",
            &[unit].as_slice(),
        )
        .await?;
    answer.body().deserialize()
}

/// Why a service failed: `exit-code`, `signal`, `oom-kill`, ...
async fn result(connection: &Connection, path: &OwnedObjectPath) -> zbus::Result<String> {
    let answer = connection
        .call_method(
            Some(SYSTEMD),
            path,
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &("org.freedesktop.systemd1.Service", "Result"),
        )
        .await?;
    let value: OwnedVariant = answer.body().deserialize()?;
    String::try_from(value)
}

/// Asks after one unit.
pub(super) async fn check(config: &Config, bus: &Bus) -> Found {
    let unit = config.unit.as_str();
    let listed = match bus.list(unit).await {
        Ok(listed) => listed,
        Err(error) => return Found::unknown(format!("systemd does not answer: {error}")),
    };
    let Some((_, _, load, active, sub, _, path, ..)) = listed.into_iter().next() else {
        return Found::failed(format!("systemd knows no unit {unit}"));
    };
    match (load.as_str(), active.as_str()) {
        ("not-found", _) => Found::failed(format!("there is no unit {unit}")),
        ("masked", _) => Found::failed(format!("{unit} is masked")),
        (_, "active" | "reloading" | "refreshing") => {
            Found::passed(format!("{unit} is {active} ({sub})"))
        }
        (_, "failed") => {
            let why = match bus.connection().await {
                Ok(connection) => result(&connection, &path).await.unwrap_or(sub),
                Err(_) => sub,
            };
            Found::failed(format!("{unit} is failed ({why})"))
        }
        _ => Found::failed(format!("{unit} is {active} ({sub})")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use watchward_protocol::health::Verdict;
    use zbus::connection::Builder;
    use zbus::{Guid, ObjectPath};

    use super::*;

    /// Stands in for systemd.
    struct Manager;

    #[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
    impl Manager {
        fn list_units_by_names(&self, names: Vec<String>) -> Vec<Listed> {
            let states = |name: &str| match name {
                "nginx.service" => ("loaded", "active", "running"),
                "backup.service" => ("loaded", "failed", "failed"),
                "quiet.service" => ("loaded", "inactive", "dead"),
                _ => ("not-found", "inactive", "dead"),
            };
            let path = OwnedObjectPath::from(ObjectPath::from_static_str_unchecked("/unit"));
            let list = |name: String| {
                let (load, active, sub) = states(&name);
                let [load, active, sub] = [load, active, sub].map(str::to_owned);
                let (none, job) = (String::new(), path.clone());
                (
                    name,
                    none.clone(),
                    load,
                    active,
                    sub,
                    none.clone(),
                    path.clone(),
                    0,
                    none,
                    job,
                )
            };
            names.into_iter().map(list).collect()
        }
    }

    struct Service;

    #[zbus::interface(name = "org.freedesktop.systemd1.Service")]
    impl Service {
        #[zbus(property)]
        fn result(&self) -> &str {
            "exit-code"
        }
    }

    async fn found(bus: &Bus, unit: &str) -> Found {
        let config = toml::from_str(&format!("unit = {unit:?}")).unwrap();
        check(&config, bus).await
    }

    #[tokio::test]
    async fn tells_what_systemd_says_of_a_unit() {
        let (here, there) = UnixStream::pair().unwrap();
        let server = Builder::unix_stream(there)
            .server(Guid::generate())
            .p2p()
            .serve_at("/org/freedesktop/systemd1", Manager)
            .serve_at("/unit", Service)
            .build();
        let client = Builder::unix_stream(here).p2p().build();
        let (server, client) = tokio::join!(server, client);
        let (server, bus) = (server.unwrap(), Bus::default());
        *bus.0.lock().await = Some(client.unwrap());
        for (unit, verdict, detail) in [
            (
                "nginx.service",
                Verdict::Passed,
                "nginx.service is active (running)",
            ),
            (
                "backup.service",
                Verdict::Failed,
                "backup.service is failed (exit-code)",
            ),
            (
                "quiet.service",
                Verdict::Failed,
                "quiet.service is inactive (dead)",
            ),
            (
                "none.service",
                Verdict::Failed,
                "there is no unit none.service",
            ),
        ] {
            let found = found(&bus, unit).await;
            assert_eq!((found.verdict, found.detail.as_str()), (verdict, detail));
        }
        drop(server);
    }
}
