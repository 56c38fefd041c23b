//! The shell that rooms' paths are served in: pages for people, and a Unix socket for the
//! operator's command.
//!
//! # How a room adds a page
//!
//! In the room's `pages.rs`, which is the only place with its HTML (`hosts/pages.rs` is a finished
//! example):
//!
//! 1. **A path.** `pub fn pages(store: Store) -> Pages` names each path with
//!    [`Pages::get`] or, for what is done there, [`Pages::post`], says there what it [`Needs`] of
//!    whoever asks, and hands it the room's state. `lib.rs` adds it to the [`Site`]. What needs nobody
//!    who has signed in says so with [`Pages::open_get`]. One table in `shown/tests` has every path
//!    against every role: add yours.
//! 2. **An entry in the navigation**: [`Pages::entry`], with the place it has there.
//! 3. **A template**, `collector/templates/ROOM/NAME.html`, which begins with
//!    `{% extends "layout.html" %}` and fills the blocks `main` and, if need be, `tools`. Its struct
//!    has a field `frame: Frame`, which [`Visitor::frame`] gives. Everything in `{{ }}` is escaped;
//!    what a stranger typed is besides shown through `Foreign`'s `Display`, never as it came. No
//!    style and no script stands in a page: the policy forbids it. Tables are `class="cards"`, each
//!    cell with a `data-label`, so that they fit a phone; a state is a word with
//!    `class="state good|bad|warn|dim"`, never a colour alone; a time is `frame.time(at)`.
//! 4. **A function that reads**, in the room's `rows`, the only SQL, the same that its `api.rs` uses.
//! 5. **The handler** takes a [`Visitor`] and returns [`Answer`]: [`page()`] renders, `?` on any error
//!    logs it and shows a page that says so, [`Sorry::missing`] is a 404. What changes something is a
//!    `POST` of a form and answers with [`see`]; requests from elsewhere never reach it.
//!
//! A room that has something to say on the overview adds [`Pages::overview`], and on the page of one
//! host [`Pages::about_host`]: a function that returns a [`Part`]. A button that not everybody may
//! press is shown where [`Frame::may`] says so.
//!
//! [`Needs`]: crate::people::Needs

mod account;
mod account_api;
mod admin;
mod assets;
mod body;
mod code;
mod config;
mod doors;
mod factor;
mod forbidden;
mod guard;
mod listen;
mod moment;
mod overview;
mod page;
mod pages;
mod parameters;
mod patient;
mod places;
mod problem;
mod site;
mod spark;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod visitor;
mod welcome;

pub use account_api::routes as account_routes;
pub use admin::{Admin, Who, start as start_admin};
pub use assets::Assets;
pub use body::Body;
pub use config::{Config, PublicUrl};
pub use guard::Guest;
pub use moment::Moment;
pub use page::{Answer, Entry, Frame, Html, Sorry, Tone, page, patience, see};
pub use pages::{Declared, Pages};
pub use parameters::Parameters;
pub use problem::Problem;
pub use site::Site;
pub use spark::Spark;
pub use visitor::{Part, Tell, TellOfHost, Tile, Visitor};
