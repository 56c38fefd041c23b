//! Orders.

use std::sync::Arc;

use prost::Message;

use super::{Malformed, NAME, v1};
use crate::checks::Ordered;
use crate::order::{LONGEST_SETTINGS, MOST_CHECKS, Order};

/// An order's bytes, as an agent keeps them.
pub fn encode_order(order: Order) -> Vec<u8> {
    v1::Order::from(order).encode_to_vec()
}

/// The order in these bytes; none if it is of a kind that this program does not know.
///
/// # Errors
/// They are no order.
pub fn decode_order(bytes: &[u8]) -> Result<Option<Order>, Malformed> {
    let wire = v1::Order::decode(bytes).map_err(|_| Malformed("order"))?;
    order(wire)
}

/// The order that this is; none if it is of a kind that this program does not know.
///
/// # Errors
/// It is larger than an order may be.
pub fn order(wire: v1::Order) -> Result<Option<Order>, Malformed> {
    use v1::order::Order as Wire;
    let Some(order) = wire.order else {
        return Ok(None);
    };
    Ok(Some(match order {
        Wire::Checks(checks) => Order::Checks(self::checks(checks)?),
        Wire::Gates(gates) => Order::Gates(Arc::new(gates.try_into()?)),
        Wire::Bans(bans) => Order::Bans(Arc::new(bans.try_into()?)),
        Wire::Probes(probes) => Order::Probes(Arc::new(probes.try_into()?)),
        Wire::Instruments(told) => Order::Instruments(Arc::new(told.try_into()?)),
        Wire::Identities(all) => Order::Identities(Arc::new(all.try_into()?)),
        Wire::HostKeys(all) => Order::HostKeys(Arc::new(all.try_into()?)),
    }))
}

fn checks(wire: v1::Checks) -> Result<Vec<Ordered>, Malformed> {
    if wire.checks.len() > MOST_CHECKS {
        return Err(Malformed("order: too many checks"));
    }
    wire.checks.into_iter().map(TryInto::try_into).collect()
}

impl From<Order> for v1::Order {
    fn from(order: Order) -> Self {
        use v1::order::Order as Wire;
        let order = match order {
            Order::Checks(checks) => Wire::Checks(v1::Checks {
                checks: checks.into_iter().map(Into::into).collect(),
            }),
            Order::Gates(gates) => Wire::Gates((&*gates).into()),
            Order::Bans(bans) => Wire::Bans((&*bans).into()),
            Order::Probes(probes) => Wire::Probes((&*probes).into()),
            Order::Instruments(told) => Wire::Instruments((&*told).into()),
            Order::Identities(all) => Wire::Identities((&*all).into()),
            Order::HostKeys(all) => Wire::HostKeys((&*all).into()),
        };
        Self { order: Some(order) }
    }
}

impl From<Ordered> for v1::Check {
    fn from(check: Ordered) -> Self {
        let Ordered {
            kind,
            name,
            settings,
        } = check;
        Self {
            kind,
            name,
            settings,
        }
    }
}

impl TryFrom<v1::Check> for Ordered {
    type Error = Malformed;

    fn try_from(wire: v1::Check) -> Result<Self, Malformed> {
        let v1::Check {
            kind,
            name,
            settings,
        } = wire;
        if kind.len() > NAME || name.len() > NAME || settings.len() > LONGEST_SETTINGS {
            return Err(Malformed("order: a check that is too long"));
        }
        Ok(Self {
            kind,
            name,
            settings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: usize) -> Ordered {
        Ordered {
            kind: "tcp".to_owned(),
            name: "postgres".to_owned(),
            settings: "#".repeat(settings),
        }
    }

    #[test]
    fn an_order_is_the_same_after_its_travel() {
        for checks in [vec![], vec![check(0), check(LONGEST_SETTINGS)]] {
            let order = Order::Checks(checks);
            let bytes = encode_order(order.clone());
            assert_eq!(decode_order(&bytes).unwrap(), Some(order));
        }
    }

    #[test]
    fn what_is_too_much_is_refused_and_what_is_unknown_is_none() {
        for checks in [
            vec![check(LONGEST_SETTINGS + 1)],
            vec![check(0); MOST_CHECKS + 1],
        ] {
            let bytes = encode_order(Order::Checks(checks));
            assert!(decode_order(&bytes).is_err());
        }
        // A field that this version does not have: number 15, two bytes.
        assert_eq!(decode_order(b"\x7a\x02ab").unwrap(), None);
    }
}
