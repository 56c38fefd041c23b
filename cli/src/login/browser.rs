//! Signing in by a browser: it is told where to go, and what the page gives is pasted back.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use url::Url;

use super::key::Key;
use super::prompt::Prompt;

/// Asks whoever sits here to sign in on the page, and takes what it gives.
pub(super) fn ask(url: &Url, key: &Key) -> anyhow::Result<Value> {
    let mut page = url
        .join("certificate")
        .context("this is no page of a collector")?;
    page.query_pairs_mut().append_pair("key", &key.line());
    let mut prompt = Prompt::open()?;
    prompt.tell(&format!(
        "Open this in a browser, sign in, and look for {}:\n\n  {page}\n",
        key.fingerprint()
    ))?;
    let pasted =
        prompt.pasted("Paste what the page gives you (nothing is shown), and press Enter: ")?;
    read(&pasted).context("that is not what the page gives: take all of it, from its field")
}

fn read(pasted: &str) -> anyhow::Result<Value> {
    let json = URL_SAFE_NO_PAD.decode(pasted.trim())?;
    Ok(serde_json::from_slice(&json)?)
}
