//! `[health.file.NAME]`: a file that should be there, fresh, and neither too large nor too small.

use super::pace::{Pace, paced};
use super::path::{AbsolutePath, Size};
use crate::span::Span;

paced! {
    Pace::USUAL.every(Span::minutes(1));
    /// A file that should be as it is said.
    pub struct Config {
        /// The file. Of a folder, or where the last part has `*` or `?`, the newest file counts.
        pub path: AbsolutePath,
        /// Whether it should be there at all.
        #[serde(default = "there")]
        pub exists: bool,
        /// It fails when it was last written longer ago.
        pub max_age: Option<Span>,
        /// It fails when it was written more recently: something should have left it alone.
        pub min_age: Option<Span>,
        /// It fails when it is larger.
        pub max_size: Option<Size>,
        /// It fails when it is smaller.
        pub min_size: Option<Size>,
    }
}

fn there() -> bool {
    true
}
