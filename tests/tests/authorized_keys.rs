//! What opens an account, by us and by a real sshd: many strange files, and both say the same of each.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use jiff::tz::TimeZone;
use watchward_agent::keys::authorized::{Line, bare, line, principal};
use watchward_tests::host::Host;
use watchward_tests::network::Network;
use watchward_tests::ready::{notice, scenario};
use watchward_tests::ssh;

/// The zone of the host: where clocks are put forward in summer.
const ZONE: &str = "Europe/Berlin";

/// Asks sshd about each of the cases whether it would take the key. Nobody logs in: the client has
/// only the public key, and sshd says whether it would take a signature by it.
const ASK: &str = r#"
cd /root/cases
for file in *; do
    cp $file /etc/ssh/cases
    said=$(ssh -v -F none -o BatchMode=yes -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i /root/public/key.pub \
        case@127.0.0.1 true 2>&1 </dev/null || true)
    case $said in *'Server accepts key'*) echo $file yes ;; *) echo $file no ;; esac
done
"#;

#[test]
fn a_real_sshd_takes_the_keys_that_we_say_it_takes() -> Result<()> {
    scenario("strange authorized_keys files", || {
        let network = Network::new()?;
        let host = Host::boot(&network, "oracle")?;
        let keys = prepare(&host)?;
        let zone = TimeZone::get(ZONE)?;
        let mut cases = known(&keys);
        cases.extend(mixed(&keys, 250));
        for (number, text) in cases.iter().enumerate() {
            host.write(&format!("/root/cases/{number:04}"), text, 0o644)?;
        }
        let said = answers(&host.sh(ASK)?)?;
        let (mut taken, mut wrong) = (0, Vec::new());
        for (number, text) in cases.iter().enumerate() {
            let real = said.get(&number).context("a case without an answer")?;
            taken += usize::from(*real);
            if *real != opens(text, &keys.fingerprint, &zone) {
                wrong.push(format!("sshd: {real}: {}", text.escape_ascii()));
            }
        }
        notice(&format!(
            "{} files, in {taken} of them the key is taken",
            cases.len()
        ));
        assert!(wrong.is_empty(), "{wrong:#?}");
        ensure!(
            taken > 40 && taken + 40 < cases.len(),
            "{taken} taken: a test of nothing"
        );
        Ok(())
    })
}

/// The same question for names in `AuthorizedPrincipalsFile` and for files of authorities, with a
/// certificate and a real login.
#[test]
fn a_real_sshd_takes_the_certificates_that_we_say_it_takes() -> Result<()> {
    scenario("strange files of authorities and principals", || {
        let network = Network::new()?;
        let host = Host::boot(&network, "authorities")?;
        let keys = prepare(&host)?;
        host.sh(
            "cd /root/public; ssh-keygen -q -t ed25519 -N '' -f ca -C ca
             ssh-keygen -q -t ed25519 -N '' -f user; ssh-keygen -q -s ca -I id -n web user.pub
             printf 'TrustedUserCAKeys /etc/ssh/trusted\nAuthorizedPrincipalsFile /etc/ssh/names\n' \
                >> /etc/ssh/sshd_config.d/tests.conf; systemctl restart ssh",
        )?;
        let authority = host.sh("cat /root/public/ca.pub")?;
        let authority = authority.trim();
        let names: Vec<String> = PRINCIPALS.iter().map(|it| (*it).to_owned()).collect();
        let files = authorities(authority, &keys);
        let login = "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no \
            -o UserKnownHostsFile=/dev/null -i /root/public/user case@127.0.0.1 true";
        let mut wrong = Vec::new();
        for name in &names {
            host.write("/etc/ssh/trusted", authority.as_bytes(), 0o644)?;
            host.write("/etc/ssh/names", name.as_bytes(), 0o644)?;
            let (real, ours) = (host.try_sh(login)?, names_web(name.as_bytes()));
            if real != ours {
                wrong.push(format!("sshd: {real}: names {name:?}"));
            }
        }
        for file in &files {
            host.write("/etc/ssh/trusted", file.as_bytes(), 0o644)?;
            host.write("/etc/ssh/names", b"web\n", 0o644)?;
            let (real, ours) = (host.try_sh(login)?, trusts(file.as_bytes(), authority));
            if real != ours {
                wrong.push(format!("sshd: {real}: authorities {file:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    })
}

const PRINCIPALS: [&str; 14] = [
    "web\n",
    "  web \t\n",
    "web",
    "# web\n",
    "other\nweb # mine\n",
    "restrict web\n",
    "restrict,from=\"127.0.0.1\"  web\n",
    "from=\"127.0.0.1#\" web\n",
    "cert-authority web\n",
    "principals=\"web\" web\n",
    "web other\n",
    "web\r\n",
    "expiry-time=\"20010101Z\" web\n",
    "restrict\tweb\n",
];

fn authorities(authority: &str, keys: &Keys) -> Vec<String> {
    let other = &keys.text;
    let small = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDGQwTzmYfIpAb7OPQX5rnHgW5LRMDh6a0pLBpsWFsrXDdCAFHVbOMoXuCLoeYLcJWzzRf5jkkTQAjVnhNQZKZf";
    vec![
        format!("{authority}\n"),
        format!("# one\n\n \t{authority}"),
        format!("{other}\n{authority}\n"),
        format!("rubbish\n{authority}\n"),
        format!("{other}\r\n\r\n{authority}\r\n"),
        format!("{other}\r\n{authority}\r\n"),
        format!("restrict {authority}\n"),
        format!("{small}\n{authority}\n"),
        format!("{}\n{authority}\n", keys.certificate),
        format!("{other} {}\n{authority}\n", "x".repeat(70_000)),
    ]
}

/// Whether this file names `web`, for a login from this host and now.
fn names_web(file: &[u8]) -> bool {
    let lines = file.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter_map(|line| principal(line, &TimeZone::UTC).ok()?)
        .any(|found| {
            let elsewhere = found.options.to_string().contains('#');
            found.name == "web".into() && found.not_after.is_none() && !elsewhere
        })
}

fn trusts(file: &[u8], authority: &str) -> bool {
    let Line::Key(wanted) = bare(authority.as_bytes()) else {
        return false;
    };
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        match bare(line) {
            Line::Key(found) if found.key == wanted.key => return true,
            Line::Refused(refusal) if !refusal.skipped => return false,
            Line::Nothing | Line::Key(_) | Line::Refused(_) => {}
        }
    }
    false
}

/// What the cases are made of.
struct Keys {
    /// The key that is asked for, as `TYPE BASE64`, and its fingerprint.
    text: String,
    fingerprint: String,
    /// Another one, and a certificate for the first.
    other: String,
    certificate: String,
}

fn prepare(host: &Host) -> Result<Keys> {
    ssh::allow_many_tries(host)?;
    host.sh(&format!(
        "useradd -m -p '*' case; mkdir -p /root/cases /root/public
         ln -sf /usr/share/zoneinfo/{ZONE} /etc/localtime
         cd /root/public; ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -q -t rsa -N '' -f other
         ssh-keygen -q -s other -I id -n case key.pub; mv key private
         echo 'AuthorizedKeysFile /etc/ssh/cases' >> /etc/ssh/sshd_config.d/tests.conf
         systemctl restart ssh"
    ))?;
    let two = |file: &str| -> Result<String> {
        let text = host.sh(&format!("cut -d' ' -f1,2 /root/public/{file}"))?;
        Ok(text.trim().to_owned())
    };
    let listed = host.sh("ssh-keygen -lf /root/public/key.pub")?;
    let fingerprint = listed.split(' ').nth(1).context("no fingerprint")?;
    Ok(Keys {
        text: two("key.pub")?,
        fingerprint: fingerprint.to_owned(),
        other: two("other.pub")?,
        certificate: two("key-cert.pub")?,
    })
}

/// Whether we say that the key opens an account with this file.
fn opens(file: &[u8], fingerprint: &str, zone: &TimeZone) -> bool {
    let now = jiff::Timestamp::now().as_microsecond();
    let lines = file.split_inclusive(|byte| *byte == b'\n');
    lines.map(|text| line(text, zone)).any(|found| match found {
        Line::Key(key) => {
            let valid = key.not_after.is_none_or(|end| end.as_micros() >= now);
            key.key.fingerprint == fingerprint && !key.authority && valid
        }
        Line::Nothing | Line::Refused(_) => false,
    })
}

fn answers(text: &str) -> Result<BTreeMap<usize, bool>> {
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let (number, answer) = line.split_once(' ').context("a strange answer")?;
        all.insert(number.parse()?, answer == "yes");
    }
    Ok(all)
}

/// What people write, and what would go unseen if it were read in another way.
fn known(keys: &Keys) -> Vec<Vec<u8>> {
    let (key, other) = (&keys.text, &keys.other);
    let (kind, blob) = key.split_once(' ').unwrap_or_default();
    let (start, end) = blob.split_at(blob.len() / 2);
    let mut cases = vec![
        format!("{key}\n"),
        format!("{key}"),
        format!(" \t {key} a b c\r\n"),
        format!("{kind}\t \t{blob}\tcomment\n"),
        format!("#{key}\n"),
        format!("\u{b}{key}\n"),
        format!("rubbish\n\r\n\n{other}\n{key}\n"),
        format!("{key}\0 x\n"),
        format!("{kind} {start}\0{end}\n"),
        format!("{kind} {start}\r{end}\n"),
        format!("{kind} {start}\u{b}{end}\n"),
        format!("{kind} {start} {end}\n"),
        format!("{kind} {blob}====\n"),
        format!("{kind} {blob}AAAA\n"),
        format!("{kind} {start}\n"),
        format!("{} {blob}\n", kind.to_uppercase()),
        format!("ssh-rsa {blob}\n"),
        format!("{kind} {}\n", other.split(' ').nth(1).unwrap_or_default()),
        format!("{kind} {kind} {blob}\n"),
        format!("{}\n", keys.certificate),
        format!("cert-authority {key}\n"),
        format!("environment=\"X={}\" {key}\n", "x".repeat(70_000)),
        format!("{other} {}\n{key}\n", "x".repeat(70_000)),
        format!("{key} {}\n", "#".repeat(200_000)),
    ];
    cases.extend(OPTIONS.iter().map(|options| format!("{options} {key} x\n")));
    cases.extend(
        TIMES
            .iter()
            .map(|time| format!("expiry-time=\"{time}\" {key}\n")),
    );
    cases.into_iter().map(String::into_bytes).collect()
}

const TIMES: [&str; 16] = [
    "20990101",
    "20990101Z",
    "209901011200",
    "20990101120060",
    "20990101120062",
    "20010101Z",
    "20990231Z",
    "20991301Z",
    "2099010124Z",
    "2099",
    "19700101Z",
    "2099 1 1",
    "99990101",
    "",
    "20990101z",
    "20990101120000UTC",
];

const OPTIONS: [&str; 42] = [
    "restrict",
    "Restrict,NO-PTY",
    "no-restrict",
    "no-cert-authority",
    "pty,",
    ",pty",
    ",,",
    "pty,,user-rc",
    "ptyx",
    "pty x",
    "command=\"a b\"",
    "command=\"a \\\" # b\"",
    "command=\"a\\\\\"",
    "command=\"a\\\\\\\"\"",
    "command=a",
    "command=\"a\"b",
    "command=\"a",
    "command =\"a\"",
    "COMMAND=\"a\"",
    "command=\"a\",command=\"a\"",
    "restrict,command=\"\",no-X11-forwarding",
    "from=\"127.0.0.1\"",
    "from=\"127.0.0.0/8,!192.0.2.1\"",
    "principals=\"a\"",
    "environment=\"A=b\"",
    "environment=\"A\"",
    "environment=\"=b\"",
    "environment=\"A-B=c\"",
    "environment=\"A=b\",environment=\"A=b\"",
    "permitopen=\"a:1\"",
    "permitopen=\"a\"",
    "permitopen=\"a:0\"",
    "permitopen=\"a:65536\"",
    "permitopen=\"[::1]:22\",permitopen=\"a/*\"",
    "permitopen=\"[::1]\"",
    "permitlisten=\"8080\"",
    "permitlisten=\"a:ssh\"",
    "permitlisten=\"\"",
    "tunnel=\"1\"",
    "tunnel=\"any\"",
    "tunnel=\"x\"",
    "no-touch-required,verify-required",
];

/// Pieces put together at random, and the key at the end.
fn mixed(keys: &Keys, count: usize) -> Vec<Vec<u8>> {
    let (kind, blob) = keys.text.split_once(' ').unwrap_or_default();
    let pieces: [&[u8]; 26] = [
        b" ",
        b"\t",
        b",",
        b"\"",
        b"\\",
        b"\\\"",
        b"=",
        b"#",
        b"\r",
        b"\n",
        b"\0",
        b"restrict",
        b"no-pty",
        b"command=\"",
        b"environment=\"A=",
        b"permitopen=\"x:1\"",
        b"tunnel=\"1\"",
        b"x",
        b"cert-authority",
        b"\xff",
        b" restrict ",
        b"\",",
        b"user-rc,",
        b"ssh-rsa ",
        kind.as_bytes(),
        blob.as_bytes(),
    ];
    let mut chance = 7_u64;
    let mut next = |below: usize| {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(chance >> 40).unwrap_or_default() % below
    };
    let mut make = || {
        let mut text = Vec::new();
        for _ in 0..next(7) {
            text.extend_from_slice(pieces.get(next(pieces.len())).copied().unwrap_or_default());
        }
        let before: &[u8] = if next(3) == 0 { b"" } else { b" " };
        [&text[..], before, keys.text.as_bytes(), b"\n"].concat()
    };
    (0..count).map(|_| make()).collect()
}
