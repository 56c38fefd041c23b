//! What somebody is told who may not: which roles may, and who can give them one.

use askama::Template;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::page::{Answer, Frame, page};
use super::visitor::Visitor;
use crate::people::Role;

#[derive(Template)]
#[template(path = "forbidden.html")]
struct Forbidden {
    frame: Frame,
    /// The roles that may.
    roles: Vec<Role>,
    administrators: Vec<String>,
}

/// Says so, to somebody who has signed in. What is kept of it is the path as it was declared: of
/// those there are a few, while of paths that somebody makes up there is no end.
pub(super) async fn answer(visitor: &Visitor, declared: &str) -> Answer {
    let (session, address) = (&visitor.session, visitor.address);
    let people = visitor.people();
    people
        .refuse(session, declared, address, visitor.now)
        .await?;
    let shown = page(&Forbidden {
        frame: visitor.frame("Not for you"),
        roles: visitor.needs.roles().collect(),
        administrators: people.administrators().await?,
    })?;
    Ok((StatusCode::FORBIDDEN, shown).into_response())
}
