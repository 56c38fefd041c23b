//! Whether somebody came from where they may: pure.

use std::net::IpAddr;

use watchward_protocol::access::{AccessEvent, Action, Outcome};
use watchward_protocol::time::Timestamp;

use super::policy::{Place, Policy};
use super::services::Service;
use crate::intake::{Heard, Position};

/// Somebody who came, with where they may come from.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a> {
    /// What was heard.
    pub(super) heard: &'a Heard<AccessEvent>,
    /// Where the report stands.
    pub(super) at: Position,
    /// When it happened, as far as that can be believed.
    pub(super) judged_at: Timestamp,
    /// What they came to.
    pub(super) service: Service,
    /// From where.
    pub(super) address: IpAddr,
    /// Whether they got in.
    pub(super) login: bool,
    /// Whether they may come from there.
    pub(super) place: Place<'a>,
}

impl Seen<'_> {
    /// Whether it is what the room is there for.
    pub(super) fn is_login_from_outside(&self) -> bool {
        self.login && matches!(self.place, Place::Outside(_))
    }
}

/// Looks at an event. Every login is worth keeping, and every try from outside; what has no address
/// (`sudo`, a console) came from nowhere.
pub(super) fn look<'a>(
    heard: &'a Heard<AccessEvent>,
    policy: &'a Policy,
    now: Timestamp,
) -> Option<Seen<'a>> {
    let event = &heard.report;
    let login = match (event.outcome, event.action) {
        (Outcome::Success, Action::Authentication) => true,
        (Outcome::Failure, _) if event.attempt => false,
        _ => return None,
    };
    let address = event.peer?.address.to_canonical();
    let service = Service::of(event.service)?;
    // A log may be ahead of its host, and a host ahead of the collector.
    let judged_at = event.at.min(heard.kept_at).min(now);
    let place = policy
        .table
        .place((&heard.host.name, service.name()), address, judged_at);
    if !login && !matches!(place, Place::Outside(_)) {
        return None;
    }
    Some(Seen {
        heard,
        at: (heard.host.id, heard.lane, heard.epoch, heard.seq),
        judged_at,
        service,
        address,
        login,
        place,
    })
}
