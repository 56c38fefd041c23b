//! What sshd's configuration says of who may come in, as it is told. Pure.

use watchward_protocol::restriction::{LONGEST_SETTING, MOST_SETTINGS, Setting, Sshd};
use watchward_protocol::text::Foreign;

use super::layout::Layout;

/// What says who may come in, by what, and what is written of that. Beware: what names algorithms is
/// not here, for it changes with each version of OpenSSH.
const NAMES: [&str; 42] = [
    "Port",
    "ListenAddress",
    "AllowUsers",
    "DenyUsers",
    "AllowGroups",
    "DenyGroups",
    "PermitRootLogin",
    "AuthenticationMethods",
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "PubkeyAuthentication",
    "PermitEmptyPasswords",
    "HostbasedAuthentication",
    "HostbasedUsesNameFromPacketOnly",
    "GSSAPIAuthentication",
    "KerberosAuthentication",
    "IgnoreRhosts",
    "AuthorizedKeysFile",
    "AuthorizedKeysCommand",
    "AuthorizedKeysCommandUser",
    "AuthorizedPrincipalsFile",
    "AuthorizedPrincipalsCommand",
    "AuthorizedPrincipalsCommandUser",
    "TrustedUserCAKeys",
    "RevokedKeys",
    "PubkeyAuthOptions",
    "StrictModes",
    "UsePAM",
    "UseDNS",
    "MaxAuthTries",
    "LoginGraceTime",
    "RefuseConnection",
    "PermitUserEnvironment",
    "PermitTunnel",
    "GatewayPorts",
    "AllowTcpForwarding",
    "AllowStreamLocalForwarding",
    "DisableForwarding",
    "ForceCommand",
    "ChrootDirectory",
    "LogLevel",
    "SyslogFacility",
];

/// The name that older versions have for another.
const OLD: (&[u8], &str) = (
    b"challengeresponseauthentication",
    "KbdInteractiveAuthentication",
);

/// From what `sshd -T` says of nobody in particular, and from what stands in `Match` blocks.
pub(super) fn read(said: &[u8], layout: &Layout) -> Sshd {
    let general = said.split(|byte| *byte == b'\n').filter_map(|line| {
        let end = line.iter().position(|byte| *byte == b' ')?;
        let (name, value) = line.split_at(end);
        setting(None, name, value)
    });
    let blocks = layout.blocks.iter();
    let blocks = blocks.filter_map(|(block, name, value)| setting(Some(block), name, value));
    let mut settings: Vec<Setting> = Vec::new();
    let mut omitted = 0_u32;
    for one in general.chain(blocks) {
        if settings.contains(&one) {
            continue;
        }
        match settings.len() < MOST_SETTINGS {
            true => settings.push(one),
            false => omitted = omitted.saturating_add(1),
        }
    }
    Sshd { settings, omitted }
}

fn setting(block: Option<&Vec<u8>>, name: &[u8], value: &[u8]) -> Option<Setting> {
    let known = NAMES.iter().copied();
    let mut known = known.filter(|known| known.as_bytes().eq_ignore_ascii_case(name));
    let old = || name.eq_ignore_ascii_case(OLD.0).then_some(OLD.1);
    Some(Setting {
        block: block.map(|block| cut(block)),
        name: known.next().or_else(old)?.to_owned(),
        value: cut(value.trim_ascii()),
    })
}

fn cut(text: &[u8]) -> Foreign {
    text.get(..LONGEST_SETTING).unwrap_or(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sshd: &Sshd) -> Vec<String> {
        let one = |it: &Setting| match &it.block {
            Some(block) => format!("{block}: {} {}", it.name, it.value),
            None => format!("{} {}", it.name, it.value),
        };
        sshd.settings.iter().map(one).collect()
    }

    #[test]
    fn what_says_who_may_come_in_is_told_by_the_names_of_the_manual() {
        let said = b"port 22\nlistenaddress 0.0.0.0:22\nciphers a,b\npermitrootlogin no\n\
            challengeresponseauthentication no\nkbdinteractiveauthentication no\n\
            allowusers zoe\nallowusers ann@10.0.0.*\nx11forwarding yes\n";
        let block = |name: &str, value: &str| {
            let parts = ["User git", name, value];
            let [block, name, value] = parts.map(|it| it.as_bytes().to_vec());
            (block, name, value)
        };
        let layout = Layout {
            blocks: vec![block("forcecommand", "/bin/x"), block("Banner", "none")],
            ..Layout::default()
        };
        let expected = [
            "Port 22",
            "ListenAddress 0.0.0.0:22",
            "PermitRootLogin no",
            "KbdInteractiveAuthentication no",
            "AllowUsers zoe",
            "AllowUsers ann@10.0.0.*",
            "User git: ForceCommand /bin/x",
        ];
        assert_eq!(shown(&read(said, &layout)), expected);
    }

    #[test]
    fn too_many_are_counted() {
        let said: String = (0..300).map(|it| format!("allowusers u{it}\n")).collect();
        let sshd = read(said.as_bytes(), &Layout::default());
        assert_eq!((sshd.settings.len(), sshd.omitted), (256, 44));
        let long = format!("allowusers {}", "x".repeat(9999));
        let sshd = read(long.as_bytes(), &Layout::default());
        assert_eq!(sshd.settings[0].value.as_bytes().len(), LONGEST_SETTING);
    }
}
