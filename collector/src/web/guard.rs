//! The gate: nobody passes who has not signed in, except where a path says so. And the headers that
//! every answer leaves with.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use watchward_daemon::clock;
use watchward_daemon::secret::Secret;

use super::assets;
use super::config::Config;
use super::forbidden;
use super::page::Sorry;
use super::pages::Declared;
use super::visitor::{Shell, Visitor};
use crate::people::{Needs, Session};

/// Where one signs in, and out.
pub(super) const SIGN_IN: &str = "/sign-in";
pub(super) const SIGN_OUT: &str = "/sign-out";

/// Where one changes one's password: the only place for somebody with a one-time password.
pub(super) const PASSWORD: &str = "/people/password";

/// Where one sets up a second factor: the only place for somebody who must have one, and has none.
pub(super) const FACTOR: &str = "/people/second-factor";

/// Where a security key is added, as one's second factor.
pub(super) const KEY: &str = "/people/second-factor/key";

/// Nothing but what comes from here, nothing written into a page, and no page in another's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(&str, &str); 5] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    // Beware: with `no-referrer` browsers send `Origin: null`, and forms would be refused.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Who may pass, and what they carry.
#[derive(Clone)]
pub(super) struct Gate {
    shell: Arc<Shell>,
    open: Arc<[&'static str]>,
    secure: bool,
    behind_proxy: bool,
}

impl Gate {
    pub(super) fn new(shell: Arc<Shell>, routes: &[Declared], config: &Config) -> Self {
        let open = routes.iter().filter(|route| route.needs.is_none());
        Self {
            shell,
            open: open.map(|route| route.path).collect(),
            secure: config.is_secure(),
            behind_proxy: config.behind_proxy,
        }
    }

    fn is_open(&self, path: &str) -> bool {
        self.open.contains(&path) || path.starts_with(assets::FOLDER)
    }

    /// Where a request comes from, as far as that can be known.
    fn address(&self, request: &Request) -> Option<IpAddr> {
        let from = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        (!self.behind_proxy).then(|| from.0.ip().to_canonical())
    }
}

/// Somebody who asks, signed in or not.
#[derive(Clone)]
pub struct Guest {
    pub(super) address: Option<IpAddr>,
    pub(super) shell: Arc<Shell>,
    pub(super) pass: Pass,
}

impl Guest {
    /// From where; `None` behind a proxy, where nobody can say.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

/// The cookie that a session is carried in.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    secure: bool,
}

impl Pass {
    /// Beware: without TLS, which is only on this machine, not every browser keeps a cookie that is
    /// marked as secure.
    fn name(self) -> &'static str {
        match self.secure {
            true => "__Host-watchward",
            false => "watchward",
        }
    }

    /// The cookie with this session's secret.
    pub(super) fn holding(self, secret: &Secret) -> Cookie<'static> {
        Cookie::build((self.name(), secret.reveal().to_owned()))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .same_site(SameSite::Lax)
            .build()
    }

    /// The cookie with what an invitation's link carries, so that it is in no address.
    pub(super) fn inviting(self, token: &Secret) -> Cookie<'static> {
        let mut cookie = self.holding(token);
        cookie.set_name(self.invitation());
        cookie
    }

    /// The cookie that takes an invitation's place when it is used.
    pub(super) fn uninviting(self) -> Cookie<'static> {
        let mut cookie = self.inviting(&Secret::from(String::new()));
        cookie.make_removal();
        cookie
    }

    fn invitation(self) -> &'static str {
        match self.secure {
            true => "__Host-watchward-invitation",
            false => "watchward-invitation",
        }
    }

    /// What an invitation's link carried.
    pub(super) fn invited(self, headers: &HeaderMap) -> Option<Secret> {
        let jar = CookieJar::from_headers(headers);
        let cookie = jar.get(self.invitation())?;
        Some(Secret::from(cookie.value().to_owned()))
    }

    /// The cookie that takes the other's place when it is over.
    pub(super) fn over(self) -> Cookie<'static> {
        let mut cookie = self.holding(&Secret::from(String::new()));
        cookie.make_removal();
        cookie
    }

    pub(super) fn held(self, headers: &HeaderMap) -> Option<Secret> {
        let jar = CookieJar::from_headers(headers);
        let cookie = jar.get(self.name())?;
        Some(Secret::from(cookie.value().to_owned()))
    }
}

/// Lets those pass who may.
pub(super) async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let address = gate.address(&request);
    let pass = Pass {
        secure: gate.secure,
    };
    let guest = Guest {
        address,
        shell: gate.shell.clone(),
        pass,
    };
    request.extensions_mut().insert(guest);
    let path = request.uri().path().to_owned();
    if gate.is_open(&path) {
        return next.run(request).await;
    }
    let now = clock::now();
    let session = match pass.held(request.headers()) {
        Some(secret) => gate.shell.people.session(secret.reveal(), now).await,
        None => Ok(None),
    };
    match session {
        Err(error) => Sorry::from(error).into_response(),
        Ok(None) => to_the_door(&request),
        Ok(Some(session)) if session.must_change && path != PASSWORD && path != SIGN_OUT => {
            Redirect::to(PASSWORD).into_response()
        }
        Ok(Some(session)) if session.must_enrol && !before_enrolling(&session, &path) => {
            Redirect::to(FACTOR).into_response()
        }
        Ok(Some(session)) => {
            request.extensions_mut().insert(Visitor {
                session,
                address,
                now,
                needs: Needs::Own,
                shell: gate.shell,
                path,
            });
            next.run(request).await
        }
    }
}

/// Where somebody may go who has no second factor yet.
fn before_enrolling(session: &Session, path: &str) -> bool {
    [FACTOR, KEY, SIGN_OUT].contains(&path) || (session.must_change && path == PASSWORD)
}

/// Lets those on who may. It stands before each page, where the page is declared with this path.
pub(super) async fn need(
    State((needs, declared)): State<(Needs, &'static str)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(visitor) = request.extensions_mut().get_mut::<Visitor>() else {
        return to_the_door(&request);
    };
    visitor.needs = needs;
    if visitor.may(needs) {
        return next.run(request).await;
    }
    let visitor = visitor.clone();
    forbidden::answer(&visitor, declared).await.into_response()
}

/// A person is sent to the door and comes back from there; a script hears that it may not.
fn to_the_door(request: &Request) -> Response {
    let mode = request.headers().get("sec-fetch-mode");
    let is_person = mode.is_none_or(|mode| mode == "navigate");
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !(is_person && reads) {
        return Sorry::because(StatusCode::UNAUTHORIZED, "Please sign in.").into_response();
    }
    Redirect::to(&door(request.uri())).into_response()
}

fn door(wanted: &Uri) -> String {
    let wanted = wanted.path_and_query().map_or("/", |it| it.as_str());
    if wanted == "/" {
        return SIGN_IN.to_owned();
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", wanted);
    format!("{SIGN_IN}?{}", query.finish())
}

/// Dresses every answer in its headers.
pub(super) async fn dress(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        headers.insert(name, HeaderValue::from_static(value));
    }
    if gate.secure {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert("strict-transport-security", year);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
