//! Whether this host's sshd shows the certificates that it should: it is asked, and left before anybody signs in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use russh::Preferred;
use russh::client::{Config, Handler, connect_stream};
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKeyOrCertificate};
use tokio::sync::mpsc;
use tokio::time::timeout;
use watchward_enforcer::keys::TRACER;
use watchward_protocol::proof::{Question, TRIES};

use super::door::{self, Asking, PATIENCE};
use super::{places, source, ways};
use crate::own::Own;
use crate::uplink::Asked;

/// Says whether sshd shows one of these certificates for each kind that they are of; why not.
pub type Presents = Arc<dyn Fn(Vec<Vec<u8>>) -> Look + Send + Sync>;

/// An answer to come.
type Look = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Asks sshd where the reader of keys says that it listens.
pub fn presents(keys: mpsc::Sender<Asked>, own: Own) -> Presents {
    Arc::new(move |certificates| {
        let (keys, own) = (keys.clone(), own.clone());
        Box::pin(async move { look(certificates, &keys, &own).await })
    })
}

async fn look(
    certificates: Vec<Vec<u8>>,
    keys: &mpsc::Sender<Asked>,
    own: &Own,
) -> Result<(), String> {
    let mut kinds: BTreeMap<String, (Algorithm, Vec<Vec<u8>>)> = BTreeMap::new();
    for wire in certificates {
        let read = Certificate::from_bytes(&wire);
        let algorithm = match read.map(|it| it.algorithm()) {
            Ok(Algorithm::Rsa { .. }) => Algorithm::Rsa {
                hash: Some(HashAlg::Sha512),
            },
            Ok(other) => other,
            // Whoever holds it has said what is wrong with it.
            Err(_) => continue,
        };
        let of_kind = kinds.entry(algorithm.to_string());
        of_kind.or_insert((algorithm, Vec::new())).1.push(wire);
    }
    if kinds.is_empty() {
        return Ok(());
    }
    // Only where sshd listens is asked for.
    let nobody = Question {
        keys: vec![TRACER.to_vec()],
        accounts: vec!["root".into()],
    };
    let listens = ways(&nobody, keys).await?.listens;
    let at = places(&listens).into_iter().next();
    let at = at.ok_or("sshd's configuration names no place where it listens")?;
    for (kind, (algorithm, known)) in kinds {
        let shown = shown(at, own, algorithm).await?;
        if !known.contains(&shown) {
            return Err(format!("sshd does not show its certificate for {kind}"));
        }
    }
    Ok(())
}

/// What sshd shows to who takes certificates of this kind.
async fn shown(at: SocketAddr, own: &Own, algorithm: Algorithm) -> Result<Vec<u8>, String> {
    let asking = Asking {
        at,
        source: source(at.ip()).map(|from| (from, 0).into()),
        own,
        host_keys: &[],
        tries: TRIES,
        whose: "this host's",
    };
    let (stream, _call) = match timeout(PATIENCE, asking.connect()).await {
        Ok(connected) => connected.map_err(|error| format!("sshd does not answer: {error:#}"))?,
        Err(_) => return Err("sshd does not answer in time".to_owned()),
    };
    let preferred = Preferred {
        key: Cow::Owned(vec![algorithm.clone()]),
        host_key_certificates: Cow::Owned(vec![algorithm]),
        ..Preferred::DEFAULT
    };
    let config = Config {
        preferred,
        ..door::config()
    };
    let seen = Seen::default();
    let shown = Arc::clone(&seen.0);
    // It ends as soon as something was shown.
    let _ended = timeout(PATIENCE, connect_stream(Arc::new(config), stream, seen)).await;
    Ok(shown.get().cloned().unwrap_or_default())
}

/// Notes the certificate that is shown, and goes.
#[derive(Default)]
struct Seen(Arc<OnceLock<Vec<u8>>>);

impl Handler for Seen {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        if let PublicKeyOrCertificate::Certificate(certificate) = shown
            && let Ok(wire) = certificate.to_bytes()
        {
            let _once = self.0.set(wire);
        }
        Ok(false)
    }
}
