//! Who gets in, or tries to: reads what the host's servers log, and understands it.

pub mod sshd;
