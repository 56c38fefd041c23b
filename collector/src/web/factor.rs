//! One's second factor: set up by a code of it, and given up by one.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use qrcode::{Color, QrCode};
use serde::Deserialize;
use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;

use super::guard::FACTOR;
use super::page::{self, Frame, page, see};
use super::pages::Pages;
use super::visitor::Visitor;
use crate::people::{Checked, Having, Needs, People};

/// The pages.
pub(super) fn pages(people: People) -> Pages {
    Pages::new()
        .get(FACTOR, Needs::Own, show)
        .post(FACTOR, Needs::Own, enrol)
        .post("/people/second-factor/renew", Needs::Own, renew)
        .with_state(people)
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct Page {
    frame: Frame,
    trouble: String,
    /// Since when there is one, and how many recovery codes are left.
    having: Option<(Timestamp, i64)>,
    /// One to be set up.
    offer: Option<(Secret, Qr)>,
    /// The recovery codes, shown once.
    codes: Vec<Secret>,
}

/// A QR code as a drawing.
struct Qr {
    /// How many squares it is wide, with the white frame that readers need.
    width: usize,
    /// Every dark square.
    path: String,
}

impl Qr {
    /// The white frame's width.
    const QUIET: usize = 4;

    fn of(text: &str) -> anyhow::Result<Self> {
        let code = QrCode::new(text.as_bytes())?;
        let mut path = String::new();
        for (place, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                let (x, y) = (place % code.width(), place / code.width());
                let (x, y) = (x + Self::QUIET, y + Self::QUIET);
                path.push_str(&format!("M{x} {y}h1v1h-1z"));
            }
        }
        let width = code.width() + 2 * Self::QUIET;
        Ok(Self { width, path })
    }
}

async fn show(State(people): State<People>, visitor: Visitor) -> page::Answer {
    again(&people, &visitor, String::new()).await
}

async fn again(people: &People, visitor: &Visitor, trouble: String) -> page::Answer {
    let (having, offer) = match people.factor(&visitor.session).await? {
        Having::One(since, left) => (Some((since, left)), None),
        Having::Offer(offer) => {
            let qr = Qr::of(offer.uri.reveal())?;
            (None, Some((offer.words, qr)))
        }
    };
    let status = match trouble.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let shown = page(&Page {
        frame: visitor.frame("Second factor"),
        trouble,
        having,
        offer,
        codes: Vec::new(),
    })?;
    Ok((status, shown).into_response())
}

#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    code: String,
}

const WRONG: &str =
    "That is not the code of this moment, or it was used before: wait for the next.";

async fn enrol(
    State(people): State<People>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> page::Answer {
    let (session, address) = (&visitor.session, visitor.address);
    let checked = people.enrol(session, &typed.code, address, visitor.now);
    match checked.await? {
        Checked::Right(codes) => {
            let mut frame = visitor.frame("Second factor");
            frame.must_enrol = false;
            page(&Page {
                frame,
                trouble: String::new(),
                having: None,
                offer: None,
                codes,
            })
        }
        Checked::Wrong => again(&people, &visitor, WRONG.to_owned()).await,
        Checked::Later(wait) => again(&people, &visitor, page::patience(wait)).await,
    }
}

async fn renew(
    State(people): State<People>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> page::Answer {
    let (session, address) = (&visitor.session, visitor.address);
    let checked = people.unenrol(session, &typed.code, address, visitor.now);
    match checked.await? {
        Checked::Right(()) => see(FACTOR),
        Checked::Wrong => again(&people, &visitor, WRONG.to_owned()).await,
        Checked::Later(wait) => again(&people, &visitor, page::patience(wait)).await,
    }
}
