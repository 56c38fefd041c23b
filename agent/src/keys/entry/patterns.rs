//! sshd's patterns, as its `match.c` and `addrmatch.c` read them. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether a text is one that a pattern of `*` and `?` means.
pub(super) fn fits(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut with, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(with) {
            Some(b'*') => {
                star = Some((with, at));
                with += 1;
            }
            Some(byte) if *byte == b'?' || text.get(at) == Some(byte) => {
                (at, with) = (at + 1, with + 1)
            }
            _ => match star {
                Some((place, begun)) => {
                    star = Some((place, begun + 1));
                    (at, with) = (begun + 1, place + 1);
                }
                None => return false,
            },
        }
    }
    let rest = pattern.get(with..).unwrap_or_default();
    rest.iter().all(|byte| *byte == b'*')
}

/// Whether an address is one that a list means, as `from=` and what stands behind `@` are read: by
/// address, network or wildcard, where `!` excepts. What makes no sense in it means nobody.
pub(super) fn means(address: IpAddr, list: &[u8]) -> bool {
    let address = address.to_canonical();
    let text = address.to_string();
    let (mut by_address, mut by_name) = (false, false);
    for part in list.split(|byte| *byte == b',') {
        let part = part.trim_ascii();
        let (except, part) = match part.strip_prefix(b"!") {
            Some(part) => (true, part),
            None => (false, part),
        };
        if part.is_empty() {
            return false;
        }
        let wild = fits(text.as_bytes(), &part.to_ascii_lowercase());
        let found = match network(part) {
            Network::One(net) => net.contains(&address),
            Network::Wrong => return false,
            Network::None => wild,
        };
        if (found || wild) && except {
            return false;
        }
        by_address |= found;
        by_name |= wild;
    }
    by_address || by_name
}

enum Network {
    One(IpNet),
    /// It has bits behind its length, or more of them than there are.
    Wrong,
    None,
}

fn network(part: &[u8]) -> Network {
    let Ok(part) = std::str::from_utf8(part) else {
        return Network::None;
    };
    let (address, length) = match part.split_once('/') {
        Some((address, length)) => match length.parse::<u8>() {
            Ok(length) if length <= 128 => (address, Some(length)),
            _ => return Network::None,
        },
        None => (part, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Network::None;
    };
    let Some(length) = length else {
        return Network::One(address.into());
    };
    match IpNet::new(address, length) {
        Ok(net) if net.network() == address => Network::One(net),
        _ => Network::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_mean_what_sshd_takes_them_for() {
        for (list, meant) in [
            ("10.0.0.7", true),
            ("10.0.0.0/8", true),
            ("10.0.0.1/8", false),
            ("10.0.0.1/8,10.0.0.7", false),
            ("10.0.*", true),
            ("10.0.0.?", true),
            ("*,!10.0.0.7", false),
            ("!10.0.0.8,*", true),
            ("!10.0.0.8", false),
            ("192.0.2.1,10.0.0.0/24", true),
            ("*.example.net", false),
            ("", false),
            ("10.0.0.7,", false),
            ("2001:db8::/32", false),
        ] {
            let address = "10.0.0.7".parse().unwrap();
            assert_eq!(means(address, list.as_bytes()), meant, "{list}");
        }
        assert!(means("2001:db8::7".parse().unwrap(), b"2001:db8::/32"));
    }

    #[test]
    fn wildcards_fit() {
        for (text, pattern, so) in [
            ("zoe", "zoe", true),
            ("zoe", "z*", true),
            ("zoe", "*e", true),
            ("zoe", "?oe", true),
            ("zoe", "zo", false),
            ("zoe", "zoe?", false),
            ("aXbXc", "a*X*c", true),
            ("", "*", true),
            ("", "?", false),
        ] {
            assert_eq!(
                fits(text.as_bytes(), pattern.as_bytes()),
                so,
                "{text} {pattern}"
            );
        }
    }
}
