//! From where the operator has come to this machine, if it was by SSH.

use std::fs;
use std::net::IpAddr;

/// How many programs are looked through, from this one upwards.
const DEEP: usize = 32;

/// The address, as sshd has told this program or, where `sudo` has taken that away, one of those
/// above it.
pub(super) fn address() -> Option<IpAddr> {
    let told = std::env::var("SSH_CONNECTION").ok();
    told.as_deref().and_then(first).or_else(above)
}

fn above() -> Option<IpAddr> {
    let mut program = "self".to_owned();
    for _ in 0..DEEP {
        let about = fs::read_to_string(format!("/proc/{program}/status")).ok()?;
        program = parent(&about)?;
        // That of others can be read by root alone; what cannot be read says nothing.
        let told = fs::read(format!("/proc/{program}/environ")).unwrap_or_default();
        if let Some(address) = among(&told) {
            return Some(address);
        }
    }
    None
}

/// The number of the parent, in proc_pid_status(5).
fn parent(status: &str) -> Option<String> {
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:"))?.trim();
    (parent != "0").then(|| parent.to_owned())
}

fn among(environment: &[u8]) -> Option<IpAddr> {
    let mut all = environment.split(|byte| *byte == 0);
    let told = all.find_map(|one| one.strip_prefix(b"SSH_CONNECTION="))?;
    first(std::str::from_utf8(told).ok()?)
}

/// The address of the client: `203.0.113.7 50000 192.0.2.1 22` (ssh(1)).
fn first(told: &str) -> Option<IpAddr> {
    told.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sshd_told_is_found() {
        let expected: IpAddr = "2001:db8::7".parse().unwrap();
        assert_eq!(first("2001:db8::7 50000 2001:db8::1 22"), Some(expected));
        let environment = b"HOME=/root\0SSH_CONNECTION=2001:db8::7 5 ::1 22\0X=1\0";
        assert_eq!(among(environment), Some(expected));
        assert_eq!(among(b"HOME=/root\0"), None);
        assert_eq!(parent("Name:\tx\nPPid:\t12\n").as_deref(), Some("12"));
        assert_eq!(parent("Name:\tx\nPPid:\t0\n"), None);
    }
}
