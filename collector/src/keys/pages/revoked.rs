//! The page of the keys that are revoked, and the receipts of what was done about each.

use askama::Template;
use axum::extract::{Query, State as Shared};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use watchward_daemon::clock;
use watchward_protocol::receipt::{Host, Receipt, Stand};

use super::{Has, Which};
use crate::keys::proof::{self, ShownRevoked};
use crate::keys::rows::revoked::Which::Last;
use crate::web::{Answer, Frame, Sorry, Tone, Visitor, page};

#[derive(Template)]
#[template(path = "keys/revoked.html")]
struct RevokedKeys {
    frame: Frame,
    sentence: String,
    tone: Tone,
    keys: Vec<Line>,
}

/// A key, and the paths of its page and its receipt.
struct Line {
    key: ShownRevoked,
    path: String,
    receipt: String,
}

pub(super) async fn all(Shared(has): Shared<Has>, visitor: Visitor) -> Answer {
    let keys = proof::list(&has.store, clock::now()).await?;
    let (sentence, is_proven) = proof::sentence(&keys);
    let lines = keys.into_iter().map(|key| Line {
        path: super::path(&key.fingerprint),
        receipt: path(&key.fingerprint),
        key,
    });
    page(&RevokedKeys {
        frame: visitor.frame("Revoked keys"),
        keys: lines.collect(),
        sentence,
        tone: if is_proven { Tone::Good } else { Tone::Warn },
    })
}

/// What was done about a key, as its page shows it.
pub(super) struct Shown {
    pub(super) receipt: Receipt,
    pub(super) path: String,
}

impl Shown {
    pub(super) fn new(receipt: Receipt, fingerprint: &str) -> Self {
        Self {
            receipt,
            path: path(fingerprint),
        }
    }

    /// How a host stands.
    pub(super) fn tone(host: &Host) -> Tone {
        match host.stand {
            Stand::Mute if host.has_no_door() => Tone::Dim,
            Stand::Held => Tone::Good,
            Stand::Waiting | Stand::Pending => Tone::Warn,
            Stand::Refused | Stand::Mute => Tone::Bad,
        }
    }
}

/// `GET /keys/receipt`: the receipt itself, signed, to keep.
pub(super) async fn receipt(Shared(has): Shared<Has>, Query(which): Query<Which>) -> Answer {
    let sources = has.desk.sources();
    let found = sources
        .receipt(Last(&which.fingerprint), clock::now())
        .await?;
    let receipt = found.ok_or_else(|| Sorry::missing("No such key is revoked."))?;
    let text = sources.signer.sign(&receipt);
    let text = text.map_err(|why| anyhow::anyhow!(why))?;
    let plain = which
        .fingerprint
        .chars()
        .filter(char::is_ascii_alphanumeric);
    let short: String = plain.skip("SHA256".len()).take(12).collect();
    let name = format!("attachment; filename=\"receipt-{short}.json\"");
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CONTENT_DISPOSITION, name),
    ];
    Ok((headers, text).into_response())
}

/// Where a receipt is.
fn path(fingerprint: &str) -> String {
    super::path(fingerprint).replacen("/keys/one?", "/keys/receipt?", 1)
}
