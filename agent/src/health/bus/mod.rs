//! Asks systemd over D-Bus, on one connection for all checks.

use zbus::{Connection, OwnedObjectPath, OwnedVariant};

#[cfg(test)]
pub(super) mod testing;

/// The connection to systemd, made when it is first needed and again when it was lost.
#[derive(Debug, Default)]
pub(super) struct Bus(tokio::sync::Mutex<Option<Connection>>);

impl Bus {
    /// What systemd knows of a unit; nothing, if it never heard of it.
    pub(super) async fn unit(&self, name: &str) -> zbus::Result<Option<Unit>> {
        let connection = self.connection().await?;
        let answer = ask(&connection, name).await;
        self.forget_if_lost(&answer).await;
        Ok(answer?.into_iter().next().map(Unit::from))
    }

    /// A property of a unit, such as `Result` of `org.freedesktop.systemd1.Service`.
    pub(super) async fn property<T>(&self, unit: &Unit, kind: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedVariant, Error: Into<zbus::Error>>,
    {
        let connection = self.connection().await?;
        let interface = format!("{SYSTEMD}.{kind}");
        let answer = property(&connection, &unit.path, &interface, name).await;
        self.forget_if_lost(&answer).await;
        T::try_from(answer?).map_err(Into::into)
    }

    async fn forget_if_lost<T>(&self, answer: &zbus::Result<T>) {
        if matches!(answer, Err(zbus::Error::InputOutput(_))) {
            *self.0.lock().await = None;
        }
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

/// A unit as systemd lists it.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// `loaded`, `not-found`, `masked`, ...
    pub(super) load: String,
    /// `active`, `inactive`, `failed`, ...
    pub(super) active: String,
    /// What that means for its kind: `running`, `waiting`, `dead`, ...
    pub(super) sub: String,
    path: OwnedObjectPath,
}

impl From<Listed> for Unit {
    fn from((_, _, load, active, sub, _, path, ..): Listed) -> Self {
        Self {
            load,
            active,
            sub,
            path,
        }
    }
}

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

async fn property(
    connection: &Connection,
    path: &OwnedObjectPath,
    interface: &str,
    name: &str,
) -> zbus::Result<OwnedVariant> {
    let answer = connection
        .call_method(
            Some(SYSTEMD),
            path,
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &(interface, name),
        )
        .await?;
    answer.body().deserialize()
}
