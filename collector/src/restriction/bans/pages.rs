//! The page of bans: who is shut out of all hosts, why, until when, and what people can do about it.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use watchward_daemon::config::Live;
use watchward_protocol::restriction::Veto;

use super::api::{Asked, Room, Shown, shown};
use super::wish::{Lifting, NewBan, Unfit};
use super::{Spread, people};
use crate::asked::{Addresses, Moment};
use crate::people::Needs;
use crate::restriction::policy::Policy;
use crate::store::Store;
use crate::web::{Answer, Frame, Pages, Visitor, page, see};

/// How many bans are shown.
const MOST: u32 = 500;

/// The page, and its entry in the navigation.
pub fn pages(store: Store, policy: Live<Policy>, spread: Spread) -> Pages {
    Pages::new()
        .entry("/bans", "Bans")
        .get("/bans", Needs::See, list)
        .post("/bans", Needs::Ban, add)
        .post("/bans/lift", Needs::Ban, lift)
        .post("/bans/pin", Needs::Ban, pin)
        .with_state(Room {
            store,
            policy,
            spread,
        })
}

/// What the page shows, and the fields of its forms: every one is a text, and may be empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    /// Only those that this host decided.
    host: String,
    /// Only those that this address is in.
    address: String,
    /// Also those that are over.
    ended: String,
    net: String,
    until: String,
    reason: String,
    even_so: String,
}

#[derive(Template)]
#[template(path = "restriction/bans.html")]
struct Page {
    frame: Frame,
    typed: Typed,
    trouble: String,
    bans: Vec<Shown>,
    /// Whether there may be more.
    more: bool,
}

async fn list(State(room): State<Room>, Query(typed): Query<Typed>, visitor: Visitor) -> Answer {
    show(&room, &visitor, typed, String::new()).await
}

async fn show(room: &Room, visitor: &Visitor, typed: Typed, mut trouble: String) -> Answer {
    let mut asked = Asked {
        host: said(&typed.host),
        ended: Some(!typed.ended.is_empty()),
        limit: Some(MOST),
        ..Asked::default()
    };
    match said(&typed.address).map(Addresses::try_from).transpose() {
        Ok(address) => asked.address = address,
        Err(why) => trouble = why.to_owned(),
    }
    let bans = shown(&room.store, asked, visitor.now).await?;
    page(&Page {
        frame: visitor.frame("Bans"),
        typed,
        trouble,
        more: bans.len() >= MOST as usize,
        bans,
    })
}

/// `POST /bans`: in the name of whoever is signed in.
async fn add(State(room): State<Room>, visitor: Visitor, Form(typed): Form<Typed>) -> Answer {
    let author = &visitor.session.name;
    let trouble = match wanted(&typed, &visitor) {
        Err(unfit) => unfit,
        Ok(new) => {
            let policy = room.policy.now();
            let by = (author.as_str(), &policy.networks);
            match people::add(&room.store, new, by, visitor.now).await? {
                Ok(_) => return done(&room),
                Err(unfit) => unfit,
            }
        }
    };
    again(&room, &visitor, typed, trouble).await
}

/// `POST /bans/lift`.
async fn lift(State(room): State<Room>, visitor: Visitor, Form(typed): Form<Typed>) -> Answer {
    let author = &visitor.session.name;
    let wish = |net| Lifting {
        net,
        reason: typed.reason.clone(),
        even_so: !typed.even_so.is_empty(),
    };
    let lifted = match net(&typed).map(wish) {
        Ok(wish) => people::lift(&room.store, wish, author, visitor.now).await?,
        Err(unfit) => Err(unfit),
    };
    match lifted {
        Ok(_) => done(&room),
        Err(unfit) => again(&room, &visitor, typed, unfit).await,
    }
}

/// `POST /bans/pin`.
async fn pin(State(room): State<Room>, visitor: Visitor, Form(typed): Form<Typed>) -> Answer {
    let wish = net(&typed).and_then(|net| Ok((net, until(&typed, &visitor)?)));
    let pinned = match wish {
        Ok((net, until)) => {
            let by = (visitor.session.name.as_str(), until);
            people::pin(&room.store, net, by, visitor.now).await?
        }
        Err(unfit) => Err(unfit),
    };
    match pinned {
        Ok(_) => done(&room),
        Err(unfit) => again(&room, &visitor, typed, unfit).await,
    }
}

fn done(room: &Room) -> Answer {
    room.spread.changed();
    see("/bans")
}

/// The page again, with what was typed and what is wrong with it.
async fn again(room: &Room, visitor: &Visitor, typed: Typed, unfit: Unfit) -> Answer {
    let trouble = format!("This cannot be done: {unfit}.");
    let again = show(room, visitor, typed, trouble).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response())
}

fn wanted(typed: &Typed, visitor: &Visitor) -> Result<NewBan, Unfit> {
    Ok(NewBan {
        net: net(typed)?,
        until: until(typed, visitor)?,
        reason: typed.reason.clone(),
        even_so: !typed.even_so.is_empty(),
        from: visitor.address,
    })
}

fn net(typed: &Typed) -> Result<ipnet::IpNet, Unfit> {
    let net = Addresses::try_from(typed.net.trim().to_owned());
    net.map(|Addresses(net)| net)
        .map_err(|why| Unfit(why.to_owned()))
}

fn until(typed: &Typed, visitor: &Visitor) -> Result<watchward_protocol::time::Timestamp, Unfit> {
    const EXPECTED: &str = "say a span such as 2h or 3d, a day such as 2026-11-21, or a moment such as \
         2026-11-21T08:00:00Z";
    let moment = Moment::try_from(typed.until.trim().to_owned());
    let moment = moment.map_err(|_| Unfit(EXPECTED.to_owned()))?;
    Ok(moment.after(visitor.now))
}

fn said(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Why a host does not hold a ban, in words for people.
pub(in crate::restriction) fn why_not(why: Veto) -> &'static str {
    match why {
        Veto::Own => "it is the host itself",
        Veto::Gateway => "it is the host's way out",
        Veto::Resolver => "it tells the host where names are",
        Veto::Collector => "it is the collector",
        Veto::Guard => "the host's guard file says never",
        Veto::Vouched => "somebody came in from there by key a short while ago",
        Veto::Wide => "it is more than the guard file allows at once",
        Veto::Budget => "there were too many in that minute",
        Veto::Full => "there are as many as there may be",
        Veto::Reserved => "nobody comes from there: it is for this link, or for many at once",
        Veto::Unable => "the host's guard file, or its kernel, cannot be used",
        Veto::Unknown => "a reason that only a newer program knows",
    }
}

impl Page {
    fn why_not(why: &Veto) -> &'static str {
        why_not(*why)
    }

    /// By whom a ban was decided.
    fn by(ban: &Shown) -> String {
        let hosts = ban.hosts.join(", ");
        match (&ban.author, hosts.is_empty()) {
            (Some(author), true) => author.clone(),
            (Some(author), false) => format!("{hosts}; {author}"),
            (None, _) => hosts,
        }
    }
}
