//! What opens each account on this host: everything that sshd would take, and what the host is known by.

pub mod authorized;
