//! The table `[sealing]`.

use serde::{Deserialize, Serialize};
use watchward_daemon::secret::SecretFile;

/// The table `[sealing]`: what the secrets in the database are sealed with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The file with the master key, 32 bytes in Base64; `master.key` beside the certificate
    /// authority if it is not named, made at the first start. With several lines the first seals, and
    /// each opens what it has sealed.
    pub master_key: Option<SecretFile>,
    /// The file with a passphrase that the master key is made from, if there is no `master_key`.
    pub passphrase_file: Option<SecretFile>,
}
