//! The style and the script of the pages: part of the program, each under a name that its content
//! gives it, so that browsers keep it for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Where they lie.
pub(super) const FOLDER: &str = "/assets/";

/// The path of each, with its content's hash.
#[derive(Debug)]
pub struct Assets {
    /// The one style.
    pub style: String,
    /// The one script.
    pub script: String,
    /// The one picture.
    pub icon: String,
}

const STYLE: &str = include_str!("../../assets/watchward.css");
const SCRIPT: &str = include_str!("../../assets/watchward.js");
const ICON: &str = include_str!("../../assets/watchward.svg");

/// The path of each.
pub(super) static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: format!("{FOLDER}{}.css", hash(STYLE)),
    script: format!("{FOLDER}{}.js", hash(SCRIPT)),
    icon: format!("{FOLDER}{}.svg", hash(ICON)),
});

fn hash(content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// One of them.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let all = [
        (&ASSETS.style, "text/css; charset=utf-8", STYLE),
        (&ASSETS.script, "text/javascript; charset=utf-8", SCRIPT),
        (&ASSETS.icon, "image/svg+xml", ICON),
    ];
    let found = all
        .into_iter()
        .find(|(path, _, _)| path.strip_prefix(FOLDER) == Some(name.as_str()));
    let Some((_, kind, content)) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{name}\"");
    let known = headers.get(IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    let kept = [
        (CACHE_CONTROL, "private, max-age=31536000, immutable"),
        (ETAG, tag.as_str()),
    ];
    if known == Some(tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(CONTENT_TYPE, kind)], content).into_response()
}
