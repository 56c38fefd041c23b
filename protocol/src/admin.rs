//! What the operator's command says to the collector besides what it asks.

/// The header that names who called the command by `sudo`: the kernel tells the collector only of
/// root.
pub const SUDO_USER: &str = "watchward-sudo-user";
