//! Somebody who has signed in, for the tests of others.

use watchward_daemon::clock;
use watchward_daemon::secret::Secret;

use super::rows::{account, session};
use super::{Config, People, Roles, SecondFactor, password};

/// Without a second factor.
pub(crate) fn one_factor() -> Config {
    Config {
        second_factor: SecondFactor::Optional,
        ..Config::default()
    }
}

/// Begins a session of somebody of this name, whose account is made if there is none: its secret.
pub(crate) async fn session(people: &People, name: &str, roles: &Roles) -> Secret {
    let now = clock::now();
    let mut tx = people.store.begin().await.unwrap();
    let made = account::add(&mut tx, (name, roles), "none", (now, now)).await;
    let number = match made.unwrap() {
        Some(number) => {
            let own = account::set_password(&mut tx, number, "none", (now, None));
            own.await.unwrap();
            number
        }
        None => {
            let login = account::login(&mut *tx, name).await.unwrap();
            login.unwrap().account
        }
    };
    let secret = password::secret();
    let hash = password::session_hash(secret.reveal());
    session::begin(&mut tx, &hash, number, now).await.unwrap();
    tx.commit().await.unwrap();
    secret
}
