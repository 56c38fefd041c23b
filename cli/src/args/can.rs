//! What can be asked about who could get in.

use std::net::IpAddr;

/// What is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Can {
    /// The account, and the host as `watchward hosts` names it
    #[arg(value_name = "ACCOUNT@HOST", value_parser = whom)]
    pub(crate) whom: Whom,
    /// From where it would come
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: IpAddr,
    /// To which port; that of SSH, unless given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
}

/// An account of a host.
#[derive(Clone, Debug)]
pub(crate) struct Whom {
    pub(crate) account: String,
    pub(crate) host: String,
}

fn whom(text: &str) -> Result<Whom, &'static str> {
    match text.rsplit_once('@') {
        Some((account, host)) if !account.is_empty() && !host.is_empty() => Ok(Whom {
            account: account.to_owned(),
            host: host.to_owned(),
        }),
        _ => Err("expected an account and a host, such as root@db-3"),
    }
}
