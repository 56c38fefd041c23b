//! What `Match` blocks tell connections apart by, and for each of them a connection to ask sshd about. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::network::{example, network};

/// So many connections are asked about.
const MOST: usize = 32;

/// Where nobody comes from: of documentation (RFC 5737, RFC 3849), the first that no block names.
const NOWHERE: [&str; 4] = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"];

/// What all `Match` blocks together look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Criteria {
    /// Some look at who it is: each account is to be asked for.
    pub(super) who: bool,
    /// Those that look at where a connection comes from or arrives.
    blocks: Vec<Block>,
    /// The ports that sshd listens on.
    ports: BTreeSet<u16>,
    /// What cannot be looked into.
    pub(super) unknown: BTreeSet<String>,
}

/// The patterns of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Block([Vec<String>; 5]);

/// Which of the five patterns of a block.
const ADDRESS: usize = 0;
const HOST: usize = 1;
const LOCAL_ADDRESS: usize = 2;
const LOCAL_PORT: usize = 3;
const DOMAIN: usize = 4;

/// How sshd calls them in `Match`, and a person in a sentence.
const NAMES: [(&str, &str); 5] = [
    ("address", "from"),
    ("host", "from host"),
    ("localaddress", "at"),
    ("localport", "at port"),
    ("rdomain", "in routing domain"),
];

/// A connection that sshd is asked about; what is `None` is as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Connection([Option<String>; 5]);

impl Criteria {
    /// Takes in what stands behind a `Match`.
    pub(super) fn add(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let mut words = split(&text).into_iter();
        let mut block = Block::default();
        while let Some(word) = words.next() {
            let word = word.to_ascii_lowercase();
            match word.as_str() {
                "all" => continue,
                "invalid-user" => {
                    self.who = true;
                    continue;
                }
                _ => {}
            }
            let value = words.next().unwrap_or_default();
            let place = NAMES.iter().position(|(name, _)| *name == word);
            match place.and_then(|place| block.0.get_mut(place)) {
                Some(patterns) => patterns.extend(elements(&value)),
                None if word == "user" || word == "group" => self.who = true,
                None => {
                    self.unknown.insert(format!("Match {word}"));
                }
            }
        }
        if block != Block::default() {
            self.blocks.push(block);
        }
    }

    /// Takes in a port that sshd listens on.
    pub(super) fn listens(&mut self, port: u16) {
        self.ports.insert(port);
    }

    /// Something that cannot be looked into.
    pub(super) fn pass(&mut self, what: String) {
        self.unknown.insert(what);
    }

    /// The usual connection.
    pub(super) fn usual(&self) -> Connection {
        let networks = self.networks();
        let named = |text: &&&str| {
            let address = text.parse::<IpAddr>();
            let inside = |it: &IpNet| address.as_ref().is_ok_and(|address| it.contains(address));
            networks.iter().any(|it| it.prefix_len() > 0 && inside(it))
        };
        let address = NOWHERE.iter().find(|it| !named(it)).unwrap_or(&NOWHERE[0]);
        let port = self.ports.first().copied().unwrap_or(22);
        let domain = self.blocks.iter().any(|it| !it.0[DOMAIN].is_empty());
        Connection([
            Some((*address).to_owned()),
            // Without `UseDNS`, which nobody has, it is the address.
            Some((*address).to_owned()),
            Some("192.0.2.254".to_owned()),
            Some(port.to_string()),
            // Old ones do not know the word.
            domain.then(String::new),
        ])
    }

    /// Connections of which each block may say something else, by what a person would call them; and
    /// what cannot be asked about.
    pub(super) fn unusual(&self) -> (Vec<(String, Connection)>, BTreeSet<String>) {
        let (mut all, mut unknown) = (Vec::new(), self.unknown.clone());
        let (networks, usual) = (self.networks(), self.usual());
        let mut known = BTreeSet::from([usual.clone()]);
        let ports = self.ports.iter().map(|port| {
            let mut block = Block::default();
            block.0[LOCAL_PORT].push(port.to_string());
            block
        });
        let any_port = self.blocks.iter().any(|it| !it.0[LOCAL_PORT].is_empty());
        let ports = ports.filter(|_| any_port);
        for block in self.blocks.iter().cloned().chain(ports) {
            let most = block.0.iter().map(Vec::len).max().unwrap_or(0);
            for turn in 0..most {
                match block.connection(turn, &networks, &usual) {
                    Ok((name, one)) if known.insert(one.clone()) => all.push((name, one)),
                    Ok(_) => {}
                    Err(what) => {
                        unknown.insert(what);
                    }
                }
            }
        }
        if all.len() > MOST {
            unknown.insert(format!("{} more conditions of Match", all.len() - MOST));
            all.truncate(MOST);
        }
        (all, unknown)
    }

    fn networks(&self) -> Vec<IpNet> {
        let blocks = self.blocks.iter();
        let named = blocks.flat_map(|it| it.0[ADDRESS].iter().chain(&it.0[LOCAL_ADDRESS]));
        named.filter_map(|text| network(text)).collect()
    }
}

impl Block {
    /// The connection that has the pattern of this turn of each kind, and what it is called.
    fn connection(
        &self,
        turn: usize,
        networks: &[IpNet],
        usual: &Connection,
    ) -> Result<(String, Connection), String> {
        let (mut called, mut connection) = (Vec::new(), usual.clone());
        let places = self.0.iter().zip(&mut connection.0).zip(NAMES);
        for (place, ((patterns, value), (word, spoken))) in places.enumerate() {
            let Some(pattern) = patterns.get(turn % patterns.len().max(1)) else {
                continue;
            };
            let found = match place {
                ADDRESS | LOCAL_ADDRESS => example(pattern, networks),
                HOST | DOMAIN => Some(pattern.replace(['*', '?'], "a")),
                _ => pattern.parse::<u16>().ok().map(|port| port.to_string()),
            };
            // What would be read as something else cannot be asked.
            let found = found.filter(|it| !it.contains(',') && !it.is_empty());
            let found = found.ok_or_else(|| format!("Match {word} {pattern}"))?;
            called.push(format!("{spoken} {pattern}"));
            *value = Some(found);
        }
        Ok((called.join(" "), connection))
    }
}

impl Connection {
    /// The same from this address, to this port where it is said.
    pub(super) fn from(mut self, from: IpAddr, port: Option<u16>) -> Self {
        let [address, host, _, to, _] = &mut self.0;
        *address = Some(from.to_string());
        *host = Some(from.to_string());
        if let Some(port) = port {
            *to = Some(port.to_string());
        }
        self
    }

    /// What `sshd -T -C` is asked for somebody who connects so.
    pub(super) fn question(&self, user: &str) -> String {
        let [address, host, at, port, domain] = &self.0;
        let words = [
            ("addr", address),
            ("host", host),
            ("laddr", at),
            ("lport", port),
            ("rdomain", domain),
        ];
        let mut question = format!("user={user}");
        for (word, value) in words {
            if let Some(value) = value {
                question.push_str(&format!(",{word}={value}"));
            }
        }
        question
    }
}

/// The elements of a list of patterns; of those that are excepted, what they except.
fn elements(list: &str) -> impl Iterator<Item = String> {
    let parts = list.split(',').map(str::trim);
    let parts = parts.map(|it| it.strip_prefix('!').unwrap_or(it));
    parts.filter(|it| !it.is_empty()).map(str::to_owned)
}

/// Words between blanks or `=`, or in quotes, up to a comment.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start_matches([' ', '\t', '=']);
        if rest.is_empty() || rest.starts_with('#') {
            return words;
        }
        let (word, more) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find([' ', '\t', '=']).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criteria(blocks: &[&str]) -> Criteria {
        let mut criteria = Criteria::default();
        blocks.iter().for_each(|it| criteria.add(it.as_bytes()));
        criteria
    }

    /// What would be asked of `zoe`, by what it is called.
    fn asked(blocks: &[&str]) -> Vec<(String, String)> {
        let (all, _) = criteria(blocks).unusual();
        let all = all.into_iter();
        all.map(|(name, one)| (name, one.question("zoe"))).collect()
    }

    #[test]
    fn who_it_is_and_where_from_are_told_apart() {
        for (block, who, origin) in [
            ("all", false, false),
            ("User a,b Group c", true, false),
            ("Group=c", true, false),
            ("invalid-user", true, false),
            ("invalid-user Address 10.0.0.1", true, true),
            ("User=a LocalPort 22 # Address 10.0.0.1", true, true),
            ("address \"192.0.2.0/24\"", false, true),
        ] {
            let found = criteria(&[block]);
            assert_eq!(
                (found.who, !found.blocks.is_empty()),
                (who, origin),
                "{block}"
            );
        }
        assert_eq!(
            criteria(&["Version x"]).unknown,
            BTreeSet::from(["Match version".to_owned()])
        );
    }

    #[test]
    fn each_pattern_has_a_connection_that_it_means() {
        assert_eq!(criteria(&["User a"]).unusual().0, []);
        let usual = criteria(&["Address 192.0.2.0/24"]).usual();
        assert_eq!(
            usual.question("zoe"),
            "user=zoe,addr=198.51.100.1,host=198.51.100.1,laddr=192.0.2.254,lport=22"
        );
        let found = asked(&["Address 10.0.0.0/8,!10.0.0.0/24,192.168.*"]);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["from 10.0.0.0/8", "from 10.0.0.0/24", "from 192.168.*"]
        );
        let has = |at: usize, what: &str| assert!(found[at].1.contains(what), "{:?}", found[at]);
        has(0, "addr=10.128.0.1,");
        has(1, "addr=10.0.0.1,");
        has(2, "addr=192.168.1.1,");
    }

    #[test]
    fn conditions_of_one_block_are_asked_together() {
        let found = asked(&["Address 10.0.0.1 LocalPort 2222 Host *.example.com RDomain vrf-a"]);
        let [(name, question)] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(
            name,
            "from 10.0.0.1 from host *.example.com at port 2222 in routing domain vrf-a"
        );
        assert_eq!(
            question,
            "user=zoe,addr=10.0.0.1,host=a.example.com,laddr=192.0.2.254,lport=2222,rdomain=vrf-a"
        );
    }

    #[test]
    fn every_port_that_sshd_listens_on_is_asked_where_ports_matter() {
        let mut found = criteria(&["LocalPort 22"]);
        found.listens(22);
        found.listens(2222);
        let names: Vec<_> = found.unusual().0.into_iter().map(|it| it.0).collect();
        assert_eq!(names, ["at port 2222"], "22 is the usual one");
        assert_eq!(criteria(&["User a"]).unusual().0, []);
    }

    #[test]
    fn what_cannot_be_asked_is_said() {
        let (all, unknown) = criteria(&["Address 10.*.?.x,somewhere LocalPort ssh"]).unusual();
        assert_eq!(all, []);
        assert_eq!(unknown.len(), 2, "{unknown:?}");
        let many: Vec<_> = (0..100)
            .map(|it| format!("Address 10.0.{it}.0/24"))
            .collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let (all, unknown) = criteria(&many).unusual();
        assert_eq!(all.len(), 32);
        assert!(
            unknown.first().unwrap().starts_with("68 more"),
            "{unknown:?}"
        );
    }
}
