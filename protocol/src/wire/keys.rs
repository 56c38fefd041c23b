//! What opens accounts.

use super::{Malformed, NAME, cut, short, v1};
use crate::keys::{Effect, Holder, Keys, Means, Opening, PublicKey, Trouble};
use crate::text::Foreign;
use crate::time::Timestamp;

impl From<Keys> for v1::Keys {
    fn from(keys: Keys) -> Self {
        use v1::keys::{Accounts, Holder as Wire};
        let holder = match keys.holder {
            Holder::Account(name) => Wire::Account(name.into_bytes()),
            Holder::Host(accounts) => Wire::Host(Accounts {
                names: accounts.into_iter().map(Foreign::into_bytes).collect(),
            }),
        };
        Self {
            at: keys.at.as_micros(),
            holder: Some(holder),
            openings: keys.openings.into_iter().map(Into::into).collect(),
            omitted: keys.omitted,
            troubles: Vec::new(),
            found: keys.troubles.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Keys> for Keys {
    type Error = Malformed;

    fn try_from(wire: v1::Keys) -> Result<Self, Malformed> {
        use v1::keys::Holder as Wire;
        let name = |name| cut(name, Opening::LONGEST_TEXT);
        let holder = match wire.holder.ok_or(Malformed("holder of keys"))? {
            Wire::Account(account) => Holder::Account(name(account)),
            Wire::Host(host) => Holder::Host(
                host.names
                    .into_iter()
                    .take(Keys::MOST_ACCOUNTS)
                    .map(name)
                    .collect(),
            ),
        };
        let told = wire.openings.len();
        let openings = wire.openings.into_iter().take(Keys::MOST_OPENINGS);
        // One by means that only a newer program knows is one more that was left out.
        let openings: Vec<_> = openings.filter_map(opening).collect();
        let more = u32::try_from(told - openings.len()).unwrap_or(u32::MAX);
        let plain = wire.troubles.into_iter().map(|text| v1::keys::Trouble {
            text,
            ..Default::default()
        });
        let troubles = wire
            .found
            .into_iter()
            .chain(plain)
            .take(Keys::MOST_TROUBLES);
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            holder,
            openings,
            omitted: wire.omitted.saturating_add(more),
            troubles: troubles.map(Into::into).collect(),
        })
    }
}

impl From<Trouble> for v1::keys::Trouble {
    fn from(trouble: Trouble) -> Self {
        use v1::keys::trouble::Effect as Wire;
        let effect = match trouble.effect {
            Effect::Unread => Wire::Unread,
            Effect::PassedOver => Wire::PassedOver,
            Effect::Beyond => Wire::Beyond,
            Effect::Unknown => Wire::Unspecified,
        };
        Self {
            effect: effect.into(),
            file: trouble.file,
            text: trouble.text,
        }
    }
}

impl From<v1::keys::Trouble> for Trouble {
    fn from(wire: v1::keys::Trouble) -> Self {
        use v1::keys::trouble::Effect as Wire;
        let effect = match wire.effect() {
            Wire::Unread => Effect::Unread,
            Wire::PassedOver => Effect::PassedOver,
            Wire::Beyond => Effect::Beyond,
            Wire::Unspecified => Effect::Unknown,
        };
        Self {
            effect,
            file: wire.file.map(|file| short(file, Opening::LONGEST_TEXT)),
            text: short(wire.text, Opening::LONGEST_TEXT),
        }
    }
}

impl From<Opening> for v1::keys::Opening {
    fn from(opening: Opening) -> Self {
        use v1::keys::Means as Wire;
        let means = match opening.means {
            Means::AuthorizedKey => Wire::AuthorizedKey,
            Means::Authority => Wire::Authority,
            Means::Principals => Wire::Principals,
            Means::Command => Wire::Command,
            Means::HostKey => Wire::HostKey,
            Means::HostCertificate => Wire::HostCertificate,
            Means::AgentCertificate => Wire::AgentCertificate,
            Means::PrincipalsCommand => Wire::PrincipalsCommand,
        };
        let key = |PublicKey {
                       kind,
                       bits,
                       fingerprint,
                       wire,
                   }| v1::keys::PublicKey {
            kind,
            bits,
            fingerprint,
            wire,
        };
        let principals = opening.principals.into_iter();
        Self {
            means: means.into(),
            key: opening.key.map(key),
            file: opening.file,
            line: opening.line,
            comment: opening.comment.into_bytes(),
            options: opening.options.into_bytes(),
            principals: principals.map(Foreign::into_bytes).collect(),
            not_before: opening.not_before.map(Timestamp::as_micros),
            not_after: opening.not_after.map(Timestamp::as_micros),
            condition: opening.condition,
        }
    }
}

/// An opening; none if it is by means that are not known.
fn opening(wire: v1::keys::Opening) -> Option<Opening> {
    use v1::keys::Means as Wire;
    let means = match wire.means() {
        Wire::AuthorizedKey => Means::AuthorizedKey,
        Wire::Authority => Means::Authority,
        Wire::Principals => Means::Principals,
        Wire::Command => Means::Command,
        Wire::HostKey => Means::HostKey,
        Wire::HostCertificate => Means::HostCertificate,
        Wire::AgentCertificate => Means::AgentCertificate,
        Wire::PrincipalsCommand => Means::PrincipalsCommand,
        Wire::Unspecified => return None,
    };
    let key = |key: v1::keys::PublicKey| PublicKey {
        kind: short(key.kind, NAME),
        bits: key.bits,
        fingerprint: short(key.fingerprint, NAME),
        wire: Some(key.wire)
            .filter(|wire| wire.len() <= PublicKey::LONGEST_WIRE)
            .unwrap_or_default(),
    };
    let principals = wire.principals.into_iter().take(Opening::MOST_PRINCIPALS);
    Some(Opening {
        means,
        key: wire.key.map(key),
        file: short(wire.file, Opening::LONGEST_TEXT),
        line: wire.line,
        comment: cut(wire.comment, Opening::LONGEST_TEXT),
        options: cut(wire.options, Opening::LONGEST_TEXT),
        principals: principals
            .map(|name| cut(name, Opening::LONGEST_TEXT))
            .collect(),
        not_before: wire.not_before.map(Timestamp::from_micros),
        not_after: wire.not_after.map(Timestamp::from_micros),
        condition: wire
            .condition
            .map(|text| short(text, Opening::LONGEST_TEXT)),
    })
}
