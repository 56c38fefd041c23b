//! What can be asked about who got in.

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(crate) struct Access {
    /// Only on this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only as this user
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Only from this address, or from this network, such as 10.0.0.0/8
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// Only what this server said
    #[arg(long)]
    pub(crate) service: Option<Service>,
    /// Only with this address inside a VPN
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tunnel: Option<std::net::IpAddr>,
    /// Only what ended so
    #[arg(long)]
    pub(crate) outcome: Option<Outcome>,
    /// Only tries, and not every line that tells of one
    #[arg(long)]
    pub(crate) attempts: bool,
    /// Only what came from outside the permitted networks, as it was judged when it came
    #[arg(long, conflicts_with_all = ["attempts", "follow", "service", "tunnel"])]
    pub(crate) outside: bool,
    /// What could not be seen: gaps in what hosts told, from when to when, how many events, and why
    #[arg(long, conflicts_with_all = [
        "user", "address", "service", "tunnel", "outcome", "attempts", "outside", "since", "follow",
    ])]
    pub(crate) gaps: bool,
    /// Only since then: a span such as 2h, or a moment such as 2026-11-21T03:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// At most so many, the newest
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    // As the policy calls it.
    #[value(alias = "ssh")]
    Sshd,
    Sudo,
    Su,
    Openvpn,
    Wireguard,
}

impl Service {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Sudo => "sudo",
            Self::Su => "su",
            Self::Openvpn => "openvpn",
            Self::Wireguard => "wireguard",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    Success,
    Failure,
    Unknown,
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_for_the_ssh_server_are_taken() {
        for word in ["sshd", "ssh"] {
            assert_eq!(Service::from_str(word, false), Ok(Service::Sshd));
        }
    }
}
