//! The overview: what every room has to say about what is wrong now.

use askama::Template;

use super::page::{self, Frame, page};
use super::visitor::{Part, Tile, Visitor};
use crate::people::Needs;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    tiles: Vec<Tile>,
    parts: Vec<Part>,
}

pub(super) async fn show(visitor: Visitor) -> page::Answer {
    let mut parts = Vec::new();
    let mut tiles = Vec::new();
    let all = visitor.shell.overview.iter();
    for (_, tell) in all.filter(|(needs, _)| visitor.may(*needs)) {
        let mut part = tell(visitor.clone()).await?;
        tiles.append(&mut part.tiles);
        parts.push(part);
    }
    page(&Overview {
        frame: visitor.frame("Overview"),
        tiles,
        parts,
    })
}
