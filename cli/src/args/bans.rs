//! What can be asked about bans, and done about them.

use clap::Subcommand;
use watchward_protocol::span::Span;

use super::span;

#[derive(Debug, clap::Args)]
pub(crate) struct Bans {
    /// Only those that this host decided
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only those of this address, or of networks that meet this one, such as 203.0.113.0/24
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// Also those that are over
    #[arg(long)]
    pub(crate) ended: bool,
    /// Also some of the lines of the log that led to each
    #[arg(long)]
    pub(crate) lines: bool,
    /// At most so many, the latest
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ban {
    /// Shut somebody out of every host
    Add {
        /// The address or the network, such as 203.0.113.7; an IPv6 address stands for its /64
        net: String,
        /// For how long, such as 1d; 400 days at most
        #[arg(long = "for", value_name = "SPAN", value_parser = span)]
        span: Span,
        /// Why, for those who wonder
        #[arg(long)]
        reason: String,
        /// Also where you are yourself, the collector, a network of the policy, or wider than /24
        /// (IPv6: /56)
        #[arg(long)]
        even_so: bool,
    },
    /// Let somebody in again everywhere: it ends every ban that meets this network
    Lift {
        /// The address or the network
        net: String,
        /// Why the ban was wrong, for those who wonder
        #[arg(long)]
        reason: String,
        /// Also many at once: those within what is wider than /24 (IPv6: /56)
        #[arg(long)]
        even_so: bool,
    },
    /// Have a ban end at a moment, whatever its source does until then
    Pin {
        /// The address or the network, as `watchward bans` shows it
        net: String,
        /// When: a day such as 2026-12-24 (its end, in UTC), a moment such as 2026-12-24T00:00:00Z, or a
        /// span such as 30d
        #[arg(long, value_name = "WHEN")]
        until: String,
    },
}
