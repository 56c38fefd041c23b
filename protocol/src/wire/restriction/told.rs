//! What a host tells. What is too much is cut, not refused.

use std::net::IpAddr;

use super::{micros, net, port, span};
use crate::restriction::{
    Banned, Drift, GateHeld, Holding, LONGEST_SETTING, Listener, MOST_GATES, MOST_SETTINGS, News,
    Phase, Probed, Reached, Restriction, Setting, Sshd, Veto, Vetoed,
};
use crate::text::Foreign;
use crate::time::Timestamp;
use crate::wire::{Malformed, NAME, address, bytes, cut, short, text, v1};
use v1::holding as wire;

/// How many lines of a ban's evidence are taken, and how much of each, in bytes.
const LINES: usize = 8;
const LINE: usize = 1024;
/// How many of those whom a gate turned away are taken.
const TURNED_AWAY: usize = 64;
/// How many of a host's own addresses are taken.
const ADDRESSES: usize = 256;
/// How many vetoes are taken.
const VETOES: usize = 1024;
/// How much is taken of what listens.
const LISTENERS: usize = 4096;
/// The longest greeting, in bytes: RFC 4253, section 4.2.
const BANNER: usize = 255;

impl From<Restriction> for v1::Restriction {
    fn from(told: Restriction) -> Self {
        use v1::restriction::News as Wire;
        let news = match told.news {
            News::Banned(banned) => Wire::Banned(banned.into()),
            News::Holding(holding) => Wire::Holding(holding.into()),
            News::Drift(Drift { what, put_back }) => Wire::Drift(v1::Drift { what, put_back }),
            News::Listening(listeners) => Wire::Listening(v1::Listening {
                listeners: listeners.into_iter().map(Into::into).collect(),
            }),
            News::Probed(probed) => Wire::Probed(probed.into()),
            News::Sshd(sshd) => Wire::Sshd(sshd.into()),
        };
        Self {
            at: told.at.as_micros(),
            news: Some(news),
        }
    }
}

impl TryFrom<v1::Restriction> for Restriction {
    type Error = Malformed;

    fn try_from(told: v1::Restriction) -> Result<Self, Malformed> {
        use v1::restriction::News as Wire;
        let news = match told.news.ok_or(Malformed("news of restrictions"))? {
            Wire::Banned(banned) => News::Banned(banned.try_into()?),
            Wire::Holding(holding) => News::Holding(holding.into()),
            Wire::Drift(drift) => News::Drift(Drift {
                what: text(drift.what),
                put_back: drift.put_back,
            }),
            Wire::Listening(listening) => {
                let listeners = listening.listeners.into_iter().take(LISTENERS);
                let listeners: Result<_, _> = listeners.map(TryInto::try_into).collect();
                News::Listening(listeners?)
            }
            Wire::Probed(probed) => News::Probed(probed.try_into()?),
            Wire::Sshd(sshd) => News::Sshd(sshd.into()),
        };
        Ok(Self {
            at: Timestamp::from_micros(told.at),
            news,
        })
    }
}

impl From<Banned> for v1::Banned {
    fn from(banned: Banned) -> Self {
        Self {
            net: Some(banned.net.into()),
            until: banned.until.as_micros(),
            tries: banned.tries,
            accounts: banned.accounts,
            within: micros(banned.within),
            times: banned.times,
            lines: banned.lines.into_iter().map(Foreign::into_bytes).collect(),
        }
    }
}

impl TryFrom<v1::Banned> for Banned {
    type Error = Malformed;

    fn try_from(wire: v1::Banned) -> Result<Self, Malformed> {
        let lines = wire.lines.into_iter().take(LINES);
        Ok(Self {
            net: net(wire.net)?,
            until: Timestamp::from_micros(wire.until),
            tries: wire.tries,
            accounts: wire.accounts,
            within: span(wire.within),
            times: wire.times,
            lines: lines.map(|line| cut(line, LINE)).collect(),
        })
    }
}

impl From<Holding> for v1::Holding {
    fn from(holding: Holding) -> Self {
        let phase = match holding.phase {
            Phase::Open => wire::Phase::Open,
            Phase::Trial => wire::Phase::Trial,
            Phase::Held => wire::Phase::Held,
            Phase::Refused => wire::Phase::Refused,
            Phase::Undone => wire::Phase::Undone,
        };
        Self {
            enforcer: holding.enforcer,
            phase: phase.into(),
            generation: holding.generation,
            why: holding.why,
            gates: holding.gates.into_iter().map(Into::into).collect(),
            bans: holding.bans,
            vetoed: holding.vetoed.into_iter().map(Into::into).collect(),
            addresses: holding.addresses.into_iter().map(bytes).collect(),
            trouble: holding.trouble,
        }
    }
}

/// What cannot be understood of a list is left out of it.
impl From<v1::Holding> for Holding {
    fn from(wire: v1::Holding) -> Self {
        let phase = match wire.phase() {
            wire::Phase::Open => Phase::Open,
            wire::Phase::Trial => Phase::Trial,
            wire::Phase::Held => Phase::Held,
            wire::Phase::Refused => Phase::Refused,
            wire::Phase::Undone => Phase::Undone,
        };
        let vetoed = wire.vetoed.into_iter().take(VETOES);
        Self {
            enforcer: wire.enforcer.map(|version| short(version, NAME)),
            addresses: wire
                .addresses
                .iter()
                .take(ADDRESSES)
                .filter_map(known)
                .collect(),
            phase,
            generation: wire.generation,
            why: text(wire.why),
            trouble: text(wire.trouble),
            gates: wire
                .gates
                .into_iter()
                .take(MOST_GATES)
                .map(Into::into)
                .collect(),
            bans: wire.bans,
            vetoed: vetoed.filter_map(|one| one.try_into().ok()).collect(),
        }
    }
}

fn known(bytes: impl AsRef<[u8]>) -> Option<IpAddr> {
    address(bytes.as_ref()).ok()
}

impl From<GateHeld> for wire::Gate {
    fn from(gate: GateHeld) -> Self {
        Self {
            name: gate.name,
            mode: v1::Mode::from(gate.mode).into(),
            turned_away: gate.turned_away,
            from: gate.from.into_iter().map(bytes).collect(),
        }
    }
}

impl From<wire::Gate> for GateHeld {
    fn from(wire: wire::Gate) -> Self {
        let mode = wire.mode().into();
        let from = wire.from.iter().take(TURNED_AWAY).filter_map(known);
        Self {
            name: short(wire.name, NAME),
            mode,
            turned_away: wire.turned_away,
            from: from.collect(),
        }
    }
}

impl From<Vetoed> for wire::Vetoed {
    fn from(vetoed: Vetoed) -> Self {
        use wire::vetoed::Why;
        let why = match vetoed.why {
            Veto::Own => Why::Own,
            Veto::Gateway => Why::Gateway,
            Veto::Resolver => Why::Resolver,
            Veto::Collector => Why::Collector,
            Veto::Guard => Why::Guard,
            Veto::Vouched => Why::Vouched,
            Veto::Wide => Why::Wide,
            Veto::Budget => Why::Budget,
            Veto::Full => Why::Full,
            Veto::Reserved => Why::Reserved,
            Veto::Unable => Why::Unable,
            Veto::Unknown => Why::Unspecified,
        };
        Self {
            net: Some(vetoed.net.into()),
            why: why.into(),
        }
    }
}

impl TryFrom<wire::Vetoed> for Vetoed {
    type Error = Malformed;

    fn try_from(wire: wire::Vetoed) -> Result<Self, Malformed> {
        use wire::vetoed::Why;
        let why = match wire.why() {
            Why::Own => Veto::Own,
            Why::Gateway => Veto::Gateway,
            Why::Resolver => Veto::Resolver,
            Why::Collector => Veto::Collector,
            Why::Guard => Veto::Guard,
            Why::Vouched => Veto::Vouched,
            Why::Wide => Veto::Wide,
            Why::Budget => Veto::Budget,
            Why::Full => Veto::Full,
            Why::Reserved => Veto::Reserved,
            Why::Unable => Veto::Unable,
            Why::Unspecified => Veto::Unknown,
        };
        let net = net(wire.net)?;
        Ok(Self { net, why })
    }
}

impl From<Listener> for v1::listening::Listener {
    fn from(listener: Listener) -> Self {
        Self {
            transport: v1::Transport::from(listener.transport).into(),
            address: bytes(listener.address),
            port: listener.port.into(),
            program: listener.program,
        }
    }
}

impl TryFrom<v1::listening::Listener> for Listener {
    type Error = Malformed;

    fn try_from(wire: v1::listening::Listener) -> Result<Self, Malformed> {
        Ok(Self {
            transport: wire.transport().try_into()?,
            address: address(&wire.address)?,
            port: port(wire.port)?,
            program: wire.program.map(|program| short(program, NAME)),
        })
    }
}

impl From<Probed> for v1::Probed {
    fn from(probed: Probed) -> Self {
        use v1::probed::Reached as Wire;
        let reached = match probed.reached {
            Reached::Open => Wire::Answered,
            Reached::Refused => Wire::TurnedAway,
            Reached::Silent => Wire::Silent,
            Reached::Unreachable => Wire::Unreachable,
        };
        Self {
            probe: Some(probed.probe.into()),
            reached: reached.into(),
            banner: probed.banner.map(Foreign::into_bytes),
            took: micros(probed.took),
            from: probed.from.map(bytes),
        }
    }
}

impl TryFrom<v1::Probed> for Probed {
    type Error = Malformed;

    fn try_from(wire: v1::Probed) -> Result<Self, Malformed> {
        use v1::probed::Reached as Wire;
        let reached = match wire.reached() {
            Wire::Answered => Reached::Open,
            Wire::TurnedAway => Reached::Refused,
            Wire::Silent => Reached::Silent,
            Wire::Unreachable => Reached::Unreachable,
            Wire::Unspecified => return Err(Malformed("end of a probe")),
        };
        Ok(Self {
            probe: wire.probe.ok_or(Malformed("probe"))?.try_into()?,
            reached,
            banner: wire.banner.map(|banner| cut(banner, BANNER)),
            took: span(wire.took),
            from: wire.from.as_ref().and_then(known),
        })
    }
}

impl From<Sshd> for v1::Sshd {
    fn from(sshd: Sshd) -> Self {
        let setting = |one: Setting| v1::sshd::Setting {
            block: one.block.map(Foreign::into_bytes),
            name: one.name,
            value: one.value.into_bytes(),
        };
        Self {
            settings: sshd.settings.into_iter().map(setting).collect(),
            omitted: sshd.omitted,
        }
    }
}

impl From<v1::Sshd> for Sshd {
    fn from(wire: v1::Sshd) -> Self {
        let setting = |one: v1::sshd::Setting| Setting {
            block: one.block.map(|block| cut(block, LONGEST_SETTING)),
            name: short(one.name, NAME),
            value: cut(one.value, LONGEST_SETTING),
        };
        let settings = wire.settings.into_iter().take(MOST_SETTINGS);
        Self {
            settings: settings.map(setting).collect(),
            omitted: wire.omitted,
        }
    }
}
