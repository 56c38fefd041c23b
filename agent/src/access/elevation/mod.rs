//! One message of sudo or su: bytes in, what it says out. Pure.
//!
//! Both run as root and write what the host's own account database says of who asks. What a user
//! chooses, and can dress up as anything, are the folder they stand in and the command: fields
//! behind these are taken only where there is no second way to read the line.

mod json;
mod pam;
mod su;
mod sudo;

pub use su::parse as su;
pub use sudo::parse as sudo;

#[cfg(test)]
mod tests;
