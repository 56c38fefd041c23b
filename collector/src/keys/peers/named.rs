//! Who comes by WireGuard: a peer is known by its key alone, and the policy says whose that is, and where
//! it may stand. Pure.

use std::borrow::Cow;

use watchward_protocol::access::{AccessEvent, Service};

use crate::intake::Heard;
use crate::keys::Policy;

/// The same events, those of peers with the name that the policy has for them.
pub fn named<'a>(
    heard: &'a [Heard<AccessEvent>],
    policy: &Policy,
) -> Cow<'a, [Heard<AccessEvent>]> {
    let called = |one: &Heard<AccessEvent>| {
        let event = &one.report;
        let key = event
            .key
            .as_ref()
            .filter(|_| event.service == Service::WireGuard)?;
        let known = policy.peering(&key.fingerprint)?;
        // Any host can say that a peer was there: elsewhere than where it may stand, it is nobody's.
        let name = known.may_stand(&one.host.name).then(|| known.called())?;
        (!name.is_empty()).then_some(name)
    };
    if !heard.iter().any(|one| called(one).is_some()) {
        return Cow::Borrowed(heard);
    }
    let mut heard = heard.to_vec();
    for one in &mut heard {
        if let (Some(name), Some(user)) = (called(one), &mut one.report.user) {
            user.name = name.as_str().into();
        }
    }
    Cow::Owned(heard)
}
