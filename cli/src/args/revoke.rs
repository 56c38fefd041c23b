//! What can be asked about revoking keys.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// A key, such as SHA256:... or the file with its public half, such as laptop.pub (- reads it from
    /// the input); a peer of WireGuard, by its public key; or a person of the policy, with all their
    /// keys, certificates and peers
    #[arg(value_name = "KEY|PERSON", required_unless_present = "serial")]
    pub(crate) what: Option<String>,
    /// The certificate with this serial, as `watchward authority certificates` lists it
    #[arg(long, conflicts_with = "what", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) serial: Option<u32>,
    /// Why, for whoever reads it later; asked for on a terminal
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Do not ask whether it is meant
    #[arg(long)]
    pub(crate) yes: bool,
    /// Also where it leaves an account without a way in
    #[arg(long)]
    pub(crate) even_so: bool,
    /// Do not wait for what hosts make of it
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Receipt {
    /// The key that was revoked, such as SHA256:... or the file with its public half; or the number of its
    /// receipt
    #[arg(value_name = "KEY", required_unless_present = "public_key")]
    pub(crate) key: Option<String>,
    /// Print what receipts of this collector are verified with, to be kept elsewhere
    #[arg(long, conflicts_with = "key")]
    pub(crate) public_key: bool,
}

#[derive(Debug, clap::Args)]
#[command(arg = super::no_socket())]
pub(crate) struct Verify {
    /// The file of the receipt or the report; - reads it from the input
    pub(crate) receipt: PathBuf,
    /// The file with the collector's public key: `watchward receipt --public-key` prints it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
}
