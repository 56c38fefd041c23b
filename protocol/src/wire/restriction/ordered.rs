//! What is ordered: gates, bans and probes.

use super::{LONGEST, micros, net, port};
use crate::restriction::{
    Ban, Bans, Exception, Gate, Gates, Lift, MOST_BANS, MOST_EXCEPTIONS, MOST_GATES, MOST_NETWORKS,
    MOST_PORTS, MOST_PROBES, Ports, Probes,
};
use crate::span::Span;
use crate::time::Timestamp;
use crate::wire::{Malformed, NAME, v1};

impl From<&Gates> for v1::Gates {
    fn from(gates: &Gates) -> Self {
        Self {
            generation: gates.generation,
            put_back: gates.put_back,
            gates: gates.gates.iter().map(Into::into).collect(),
        }
    }
}

/// Beware: one gate that cannot be understood refuses all: half of them are not what was ordered.
impl TryFrom<v1::Gates> for Gates {
    type Error = Malformed;

    fn try_from(wire: v1::Gates) -> Result<Self, Malformed> {
        at_most(wire.gates.len(), MOST_GATES)?;
        let sum = |of: fn(&v1::Gate) -> usize| wire.gates.iter().map(of).sum();
        at_most(sum(|gate| gate.from.len()), MOST_NETWORKS)?;
        at_most(sum(|gate| gate.exceptions.len()), MOST_EXCEPTIONS)?;
        let gates: Result<_, _> = wire.gates.into_iter().map(TryInto::try_into).collect();
        Ok(Self {
            generation: wire.generation,
            put_back: wire.put_back,
            gates: gates?,
        })
    }
}

impl From<&Gate> for v1::Gate {
    fn from(gate: &Gate) -> Self {
        let exception = |one: &Exception| v1::gate::Exception {
            from: Some(one.from.into()),
            until: one.until.as_micros(),
        };
        let ports = |ports: &Ports| v1::gate::Ports {
            transport: v1::Transport::from(ports.transport).into(),
            first: ports.first.into(),
            last: ports.last.into(),
        };
        Self {
            name: gate.name.clone(),
            mode: v1::Mode::from(gate.mode).into(),
            ports: gate.ports.iter().map(ports).collect(),
            from: gate.from.iter().map(|net| (*net).into()).collect(),
            exceptions: gate.exceptions.iter().map(exception).collect(),
        }
    }
}

impl TryFrom<v1::Gate> for Gate {
    type Error = Malformed;

    fn try_from(wire: v1::Gate) -> Result<Self, Malformed> {
        let mode = v1::Mode::try_from(wire.mode).map_err(|_| Malformed("mode of a gate"))?;
        at_most(wire.ports.len(), MOST_PORTS)?;
        at_most(wire.name.len(), NAME)?;
        let ports: Result<_, _> = wire.ports.into_iter().map(ports).collect();
        let from: Result<_, _> = wire.from.into_iter().map(|one| net(Some(one))).collect();
        let exceptions: Result<_, _> = wire.exceptions.into_iter().map(exception).collect();
        Ok(Self {
            name: wire.name,
            mode: mode.into(),
            ports: ports?,
            from: from?,
            exceptions: exceptions?,
        })
    }
}

fn ports(wire: v1::gate::Ports) -> Result<Ports, Malformed> {
    let ports = Ports {
        transport: wire.transport().try_into()?,
        first: port(wire.first)?,
        last: port(wire.last)?,
    };
    match 0 < ports.first && ports.first <= ports.last {
        true => Ok(ports),
        false => Err(Malformed("range of ports")),
    }
}

fn exception(wire: v1::gate::Exception) -> Result<Exception, Malformed> {
    Ok(Exception {
        from: net(wire.from)?,
        until: Timestamp::from_micros(wire.until),
    })
}

impl From<&Bans> for v1::Bans {
    fn from(bans: &Bans) -> Self {
        let ban = |ban: &Ban| v1::bans::Ban {
            net: Some(ban.net.into()),
            until: ban.until.as_micros(),
        };
        let lift = |lift: &Lift| v1::bans::Lift {
            net: Some(lift.net.into()),
            at: lift.at.as_micros(),
        };
        Self {
            bucket: bans.bucket.into(),
            bans: bans.bans.iter().map(ban).collect(),
            lifted: bans.lifted.iter().map(lift).collect(),
        }
    }
}

impl TryFrom<v1::Bans> for Bans {
    type Error = Malformed;

    fn try_from(wire: v1::Bans) -> Result<Self, Malformed> {
        at_most(wire.bans.len(), MOST_BANS)?;
        at_most(wire.lifted.len(), MOST_BANS)?;
        let bans = wire.bans.into_iter().map(|ban| {
            Ok(Ban {
                net: net(ban.net)?,
                until: Timestamp::from_micros(ban.until),
            })
        });
        let lifted = wire.lifted.into_iter().map(|lift| {
            Ok(Lift {
                net: net(lift.net)?,
                at: Timestamp::from_micros(lift.at),
            })
        });
        Ok(Self {
            bucket: u8::try_from(wire.bucket).map_err(|_| Malformed("bucket of bans"))?,
            bans: bans.collect::<Result<_, Malformed>>()?,
            lifted: lifted.collect::<Result<_, Malformed>>()?,
        })
    }
}

impl From<&Probes> for v1::Probes {
    fn from(probes: &Probes) -> Self {
        Self {
            every: micros(probes.every.duration()),
            probes: probes.probes.iter().map(|one| (*one).into()).collect(),
        }
    }
}

impl TryFrom<v1::Probes> for Probes {
    type Error = Malformed;

    fn try_from(wire: v1::Probes) -> Result<Self, Malformed> {
        at_most(wire.probes.len(), MOST_PROBES)?;
        let seconds = (wire.every / 1_000_000).clamp(1, LONGEST.as_secs());
        let probes: Result<_, _> = wire.probes.into_iter().map(TryInto::try_into).collect();
        Ok(Self {
            every: Span::seconds(seconds),
            probes: probes?,
        })
    }
}

fn at_most(count: usize, most: usize) -> Result<(), Malformed> {
    match count <= most {
        true => Ok(()),
        false => Err(Malformed("order: it is too large")),
    }
}
