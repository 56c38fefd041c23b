//! One's second factors: codes from a phone, set up by one of them and given up by one; and security keys.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use qrcode::{Color, QrCode};
use serde::Deserialize;
use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;

use super::guard::{FACTOR, KEY};
use super::page::{self, Frame, page, see};
use super::pages::Pages;
use super::visitor::Visitor;
use crate::people::{Checked, Having, Needs, People, Removed, SecurityKey};

/// The pages.
pub(super) fn pages(people: People) -> Pages {
    Pages::new()
        .get(FACTOR, Needs::Own, show)
        .post(FACTOR, Needs::Own, enrol)
        .post("/people/second-factor/renew", Needs::Own, renew)
        .post(KEY, Needs::Own, add_key)
        .post("/people/second-factor/key/remove", Needs::Own, remove_key)
        .with_state(people)
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct Page {
    frame: Frame,
    trouble: String,
    /// Since when codes from a phone count.
    phone: Option<Timestamp>,
    keys: Vec<SecurityKey>,
    /// How many recovery codes are left.
    recovery: i64,
    /// Codes from a phone to be set up.
    offer: Option<(Secret, Qr)>,
    /// What a browser asks a new security key.
    question: Option<String>,
    /// Whether browsers ask for security keys here at all.
    takes_keys: bool,
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
    let having = people.factor(&visitor.session, visitor.now).await?;
    let status = match trouble.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let question = people.ask_new_key(&visitor.session, visitor.now).await?;
    let mut shown = of(visitor.frame("Second factor"), having)?;
    (shown.trouble, shown.question) = (trouble, question);
    shown.takes_keys = people.takes_security_keys();
    Ok((status, page(&shown)?).into_response())
}

fn of(frame: Frame, having: Having) -> anyhow::Result<Page> {
    let offer = having.offer.map(|offer| {
        let qr = Qr::of(offer.uri.reveal())?;
        anyhow::Ok((offer.words, qr))
    });
    Ok(Page {
        frame,
        trouble: String::new(),
        phone: having.phone,
        keys: having.keys,
        recovery: having.recovery,
        offer: offer.transpose()?,
        question: None,
        takes_keys: false,
        codes: Vec::new(),
    })
}

/// The recovery codes, for the only time.
fn recovery(visitor: &Visitor, codes: Vec<Secret>) -> page::Answer {
    let mut frame = visitor.frame("Second factor");
    frame.must_enrol = false;
    let mut shown = of(frame, Having::default())?;
    shown.codes = codes;
    page(&shown)
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
        Checked::Right(codes) => recovery(&visitor, codes),
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

#[derive(Deserialize)]
struct Touched {
    #[serde(default)]
    name: String,
    /// What the browser says of the key, as JSON.
    #[serde(default)]
    answer: String,
}

async fn add_key(
    State(people): State<People>,
    visitor: Visitor,
    Form(touched): Form<Touched>,
) -> page::Answer {
    let (session, address) = (&visitor.session, visitor.address);
    let told = (touched.name.as_str(), touched.answer.as_str());
    let checked = people.add_key(session, told, address, visitor.now);
    match checked.await? {
        Checked::Right(codes) if codes.is_empty() => see(FACTOR),
        Checked::Right(codes) => recovery(&visitor, codes),
        Checked::Wrong => again(&people, &visitor, NOT_ADDED.to_owned()).await,
        Checked::Later(wait) => again(&people, &visitor, page::patience(wait)).await,
    }
}

const NOT_ADDED: &str = "That key was not added: please try again, just after you signed in.";

#[derive(Deserialize)]
struct Which {
    id: i64,
}

async fn remove_key(
    State(people): State<People>,
    visitor: Visitor,
    Form(which): Form<Which>,
) -> page::Answer {
    let (session, address) = (&visitor.session, visitor.address);
    let removed = people.remove_key(session, which.id, address, visitor.now);
    let trouble = match removed.await? {
        Removed::Done => return see(FACTOR),
        Removed::Stale => "Please sign out and in again: keys are changed just after that.",
        Removed::Last => "It is your only second factor: set up another one first.",
    };
    again(&people, &visitor, trouble.to_owned()).await
}
