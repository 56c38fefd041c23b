//! What `sshd -T -C` says of who may come in at all, and by which means. Pure.

use std::collections::BTreeSet;

/// What applies to one account from one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) allow_users: Vec<Vec<u8>>,
    pub(super) deny_users: Vec<Vec<u8>>,
    pub(super) allow_groups: Vec<Vec<u8>>,
    pub(super) deny_groups: Vec<Vec<u8>>,
    /// `yes`, `no`, `without-password` or `forced-commands-only`.
    pub(super) root: String,
    pub(super) password: bool,
    pub(super) interactive: bool,
    pub(super) keys: bool,
    /// Means that only others know of: Kerberos, other hosts.
    pub(super) others: Vec<&'static str>,
    pub(super) pam: bool,
    pub(super) names: bool,
    /// Each a way in, with all the means that it takes.
    pub(super) methods: Vec<Vec<String>>,
    pub(super) ports: BTreeSet<u16>,
}

impl Rules {
    pub(super) fn read(text: &[u8]) -> Self {
        let mut rules = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let end = line.iter().position(|byte| *byte == b' ');
            let (keyword, value) = line.split_at(end.unwrap_or(line.len()));
            rules.line(keyword, value.trim_ascii());
        }
        rules
    }

    fn line(&mut self, keyword: &[u8], value: &[u8]) {
        let yes = value == b"yes";
        let word = || String::from_utf8_lossy(value).into_owned();
        let words = || value.split(|byte| *byte == b' ').map(<[u8]>::to_vec);
        match keyword {
            b"allowusers" => self.allow_users.extend(words()),
            b"denyusers" => self.deny_users.extend(words()),
            b"allowgroups" => self.allow_groups.extend(words()),
            b"denygroups" => self.deny_groups.extend(words()),
            b"permitrootlogin" => self.root = word(),
            b"passwordauthentication" => self.password = yes,
            b"kbdinteractiveauthentication" | b"challengeresponseauthentication" => {
                self.interactive |= yes;
            }
            b"pubkeyauthentication" => self.keys = yes,
            b"gssapiauthentication" if yes => self.others.push("gssapi-with-mic"),
            b"hostbasedauthentication" if yes => self.others.push("hostbased"),
            b"usepam" => self.pam = yes,
            b"usedns" => self.names = yes,
            b"port" => self.ports.extend(word().parse::<u16>().ok()),
            b"listenaddress" => {
                let word = word();
                let port = word
                    .rsplit_once(':')
                    .and_then(|(_, port)| port.parse().ok());
                self.ports.extend::<Option<u16>>(port);
            }
            b"authenticationmethods" if value != b"any" => {
                let method = |it: &str| it.split(':').next().unwrap_or_default().to_owned();
                let ways = word();
                let ways = ways
                    .split(' ')
                    .map(|way| way.split(',').map(method).collect());
                self.methods.extend(ways);
            }
            _ => {}
        }
    }

    /// The ways in.
    pub(super) fn ways(&self) -> Vec<Vec<String>> {
        if !self.methods.is_empty() {
            return self.methods.clone();
        }
        let own = ["publickey", "password", "keyboard-interactive"];
        let all = own.iter().chain(&self.others);
        all.map(|it| vec![(*it).to_owned()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_sshd_says() {
        let rules = Rules::read(
            b"port 22\nport 2222\nlistenaddress [::]:2200\nallowusers zoe\nallowusers a@10.0.0.*\n\
              permitrootlogin without-password\npasswordauthentication no\nusepam yes\n\
              pubkeyauthentication yes\nauthenticationmethods publickey,password keyboard-interactive:pam\n",
        );
        assert_eq!(rules.allow_users, [&b"zoe"[..], b"a@10.0.0.*"]);
        assert_eq!(rules.ports, BTreeSet::from([22, 2222, 2200]));
        let ways = [vec!["publickey", "password"], vec!["keyboard-interactive"]];
        assert_eq!(
            rules.ways(),
            ways.map(|it| it.into_iter().map(str::to_owned).collect::<Vec<_>>())
        );
        assert_eq!(
            (rules.root.as_str(), rules.password, rules.pam),
            ("without-password", false, true)
        );
        assert_eq!(Rules::read(b"authenticationmethods any\n").ways().len(), 3);
    }
}
