//! How a network lies in a row: its first and its last address, and its length.

use ipnet::IpNet;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::store::value::{address, fixed, sixteen};

/// Its first and its last address.
pub(in crate::restriction) fn range(net: &IpNet) -> ([u8; 16], [u8; 16]) {
    (sixteen(net.network()), sixteen(net.broadcast()))
}

/// The network in the columns `net` and `prefix`.
pub(in crate::restriction) fn net(row: &AnyRow) -> sqlx::Result<IpNet> {
    let network = address(fixed(row.try_get("net")?)?);
    let length: i64 = row.try_get("prefix")?;
    let length = u8::try_from(length).map_err(|error| sqlx::Error::Decode(error.into()))?;
    IpNet::new(network, length).map_err(|error| sqlx::Error::Decode(error.into()))
}
