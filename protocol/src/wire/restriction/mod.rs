//! Who may reach a host from where, as it travels: networks, ports and probes here, the rest beside.

mod ordered;
#[cfg(test)]
mod tests;
mod told;

use std::time::Duration;

use ipnet::IpNet;

use super::{Malformed, address, bytes, ip, v1};
use crate::restriction::{Mode, Probe, Transport};

/// The longest time that is taken.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

fn port(port: u32) -> Result<u16, Malformed> {
    u16::try_from(port).map_err(|_| Malformed("port"))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn span(micros: u64) -> Duration {
    Duration::from_micros(micros).min(LONGEST)
}

impl From<IpNet> for v1::Network {
    fn from(net: IpNet) -> Self {
        Self {
            address: match net {
                IpNet::V4(net) => net.network().octets().to_vec(),
                IpNet::V6(net) => net.network().octets().to_vec(),
            },
            length: net.prefix_len().into(),
        }
    }
}

/// Beware: bits beyond the prefix are refused, for who wrote them meant something else.
pub(super) fn net(wire: Option<v1::Network>) -> Result<IpNet, Malformed> {
    const WRONG: Malformed = Malformed("network");
    let wire = wire.ok_or(WRONG)?;
    let length = u8::try_from(wire.length).map_err(|_| WRONG)?;
    let net = IpNet::new(ip(&wire.address)?, length).map_err(|_| WRONG)?;
    match net.trunc() == net {
        true => Ok(net),
        false => Err(WRONG),
    }
}

impl From<Transport> for v1::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self::Tcp,
            Transport::Udp => Self::Udp,
        }
    }
}

impl TryFrom<v1::Transport> for Transport {
    type Error = Malformed;

    fn try_from(wire: v1::Transport) -> Result<Self, Malformed> {
        match wire {
            v1::Transport::Tcp => Ok(Self::Tcp),
            v1::Transport::Udp => Ok(Self::Udp),
            v1::Transport::Unspecified => Err(Malformed("transport")),
        }
    }
}

impl From<Mode> for v1::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Watch => Self::Watch,
            Mode::Enforce => Self::Enforce,
        }
    }
}

impl From<v1::Mode> for Mode {
    fn from(wire: v1::Mode) -> Self {
        match wire {
            v1::Mode::Watch => Self::Watch,
            v1::Mode::Enforce => Self::Enforce,
        }
    }
}

impl From<Probe> for v1::Probe {
    fn from(probe: Probe) -> Self {
        Self {
            address: bytes(probe.address),
            transport: v1::Transport::from(probe.transport).into(),
            port: probe.port.into(),
            ssh: probe.ssh,
        }
    }
}

impl TryFrom<v1::Probe> for Probe {
    type Error = Malformed;

    fn try_from(wire: v1::Probe) -> Result<Self, Malformed> {
        Ok(Self {
            address: address(&wire.address)?,
            transport: wire.transport().try_into()?,
            port: port(wire.port)?,
            ssh: wire.ssh,
        })
    }
}
