//! Signatures as OpenSSH's own ssh-keygen makes them, and what comes of each that is not right.

use std::fs;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};

use super::*;

const TEXT: &str = "[networks]\noffice = [\"192.0.2.0/24\"]\n";

fn at(day: &str) -> Timestamp {
    let moment: jiff::Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
    Timestamp::from_micros(moment.as_microsecond())
}

/// A key of ssh-keygen's in a folder; its public line.
fn key(folder: &Path, name: &str, kind: &[&str]) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", name, "-f"])
        .arg(folder.join(name))
        .args(kind)
        .status();
    assert!(made.unwrap().success());
    fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap()
}

/// What `ssh-keygen -Y sign` makes of a text.
fn sign(folder: &Path, name: &str, (text, namespace): (&str, &str), more: &[&str]) -> String {
    let file = folder.join("policy.toml");
    fs::write(&file, text).unwrap();
    let _ = fs::remove_file(folder.join("policy.toml.sig"));
    let made = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .arg(folder.join(name))
        .args(more)
        .arg(&file)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    fs::read_to_string(folder.join("policy.toml.sig")).unwrap()
}

#[test]
fn who_signed_is_known_for_every_kind_of_key() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, kind) in [
        ("ada", &["-t", "ed25519"][..]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("p521", &["-t", "ecdsa", "-b", "521"]),
    ] {
        let line = key(folder, name, kind);
        let signers = Signers::parse(&format!("# us\n\n{name} {line}")).unwrap();
        for hash in ["sha512", "sha256"] {
            // Numbers on a curve are shorter than they may be once in a while.
            for turn in 0..8 {
                let text = format!("{TEXT}# {turn}\n");
                let option = format!("hashalg={hash}");
                let armored = sign(folder, name, (&text, NAMESPACE), &["-O", &option]);
                assert_eq!(
                    signers.who(&text, &armored, at("2027-01-01")),
                    Ok(name.into())
                );
                let other = signers.who(&format!("{text}\n"), &armored, at("2027-01-01"));
                assert_eq!(other, Err(Untrusted::Wrong), "{name}");
            }
        }
    }
}

#[test]
fn a_signature_of_somebody_else_or_for_something_else_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (ada, eve) = (
        key(folder, "ada", &["-t", "ed25519"]),
        key(folder, "eve", &["-t", "ed25519"]),
    );
    let signers = Signers::parse(&format!("ada {ada}")).unwrap();
    let now = at("2027-01-01");
    let by_eve = sign(folder, "eve", (TEXT, NAMESPACE), &[]);
    let stranger = signers.who(TEXT, &by_eve, now).unwrap_err();
    assert!(matches!(stranger, Untrusted::Stranger(_)), "{stranger}");
    let for_git = sign(folder, "ada", (TEXT, "git"), &[]);
    let elsewhere = Err(Untrusted::Elsewhere("git".to_owned()));
    assert_eq!(signers.who(TEXT, &for_git, now), elsewhere);

    let right = sign(folder, "ada", (TEXT, NAMESPACE), &[]);
    for wrong in [
        "",
        "-----BEGIN SSH SIGNATURE-----",
        "x",
        &right[..right.len() / 2],
    ] {
        assert_eq!(
            signers.who(TEXT, wrong, now),
            Err(Untrusted::NotOne),
            "{wrong}"
        );
    }
    // However it is broken, it is not taken.
    let body: Vec<_> = right.lines().collect();
    let bytes = STANDARD.decode(body[1..body.len() - 1].concat()).unwrap();
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 1;
        let armored = format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(&broken));
        assert!(signers.who(TEXT, &armored, now).is_err(), "byte {at}");
    }
    let _ = eve;
}

#[test]
fn signers_have_times_and_purposes() {
    let folder = tempfile::tempdir().unwrap();
    let line = key(folder.path(), "ada", &["-t", "ed25519"]);
    let armored = sign(folder.path(), "ada", (TEXT, NAMESPACE), &[]);
    let with = |options: &str| Signers::parse(&format!("ada@example.org {options} {line}"));
    let now = at("2027-01-15");
    for (options, may) in [
        ("", true),
        ("namespaces=\"git,watchward-policy\"", true),
        ("namespaces=\"watchward-*\"", true),
        ("namespaces=\"git\"", false),
        (
            "valid-after=\"20270101\",valid-before=\"20270131235959Z\"",
            true,
        ),
        ("valid-after=\"202702010000\"", false),
        ("namespaces=\"*\",valid-before=\"20270115\"", false),
    ] {
        let who = with(options).unwrap().who(TEXT, &armored, now);
        let name = "ada@example.org".to_owned();
        let expected = if may {
            Ok(name)
        } else {
            Err(Untrusted::NotNow(name))
        };
        assert_eq!(who, expected, "{options}");
    }
    for wrong in ["cert-authority", "valid-after=\"soon\"", "namespace=\"x\""] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(
            error.starts_with("line 1 of the file of signers: "),
            "{error}"
        );
    }
    assert!(Signers::parse("ada ssh-ed25519 no!key").is_err());
    assert!(Signers::parse("ada").is_err());
}

/// A string as SSH writes it.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

/// A positive number as SSH writes it.
fn number(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap();
    let sign: &[u8] = if bytes[first] >= 0x80 { &[0] } else { &[] };
    string(&[sign, &bytes[first..]].concat())
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A hardware key: its kind, its public half, and what signs.
struct Token {
    kind: &'static str,
    public: Vec<u8>,
    sign: Sign,
}

/// What the key is for, as OpenSSH has it by default.
const APPLICATION: &[u8] = b"ssh:";

fn ed25519_token() -> Token {
    let pair = Ed25519KeyPair::generate().unwrap();
    let kind = "sk-ssh-ed25519@openssh.com";
    let point = string(pair.public_key().as_ref());
    Token {
        kind,
        public: [string(kind.as_bytes()), point, string(APPLICATION)].concat(),
        sign: Box::new(move |said| pair.sign(said).as_ref().to_vec()),
    }
}

fn ecdsa_token() -> Token {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let kind = "sk-ecdsa-sha2-nistp256@openssh.com";
    let point = string(pair.public_key().as_ref());
    let curve = string(b"nistp256");
    Token {
        kind,
        public: [string(kind.as_bytes()), curve, point, string(APPLICATION)].concat(),
        sign: Box::new(move |said| {
            let made = pair.sign(&SystemRandom::new(), said).unwrap();
            let (r, s) = made.as_ref().split_at(32);
            [number(r), number(s)].concat()
        }),
    }
}

impl Token {
    /// A signature with these flags, by PROTOCOL.sshsig and PROTOCOL.u2f of OpenSSH. `claimed` are the
    /// flags that it says it has.
    fn sign(&self, text: &str, (flags, claimed): (u8, u8)) -> String {
        let (counter, hash) = (7_u32.to_be_bytes(), string(b"sha512"));
        let about = [string(NAMESPACE.as_bytes()), string(b""), hash].concat();
        let signed = [b"SSHSIG", &about[..], &string(&Sha512::digest(text))].concat();
        let (service, message) = (Sha256::digest(APPLICATION), Sha256::digest(&signed));
        let said = [&service[..], &[flags], &counter, &message].concat();
        let signature = string(&(self.sign)(&said));
        let signature = [
            &string(self.kind.as_bytes())[..],
            &signature,
            &[claimed],
            &counter,
        ];
        let key = string(&self.public);
        let whole = [
            b"SSHSIG",
            &1_u32.to_be_bytes()[..],
            &key,
            &about,
            &string(&signature.concat()),
        ];
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(whole.concat()))
    }
}

#[test]
fn a_hardware_key_signs_only_when_somebody_touched_it() {
    const TOUCHED: u8 = 1;
    const VERIFIED: u8 = 4;
    let now = at("2027-01-01");
    // Numbers on a curve are shorter than they may be once in a while.
    for turn in 0..16 {
        for token in [ed25519_token(), ecdsa_token()] {
            let line = format!("ada {} {}", token.kind, STANDARD.encode(&token.public));
            let signers = Signers::parse(&line).unwrap();
            let text = format!("{TEXT}# {turn}\n");
            for flags in [TOUCHED, TOUCHED | VERIFIED] {
                let made = token.sign(&text, (flags, flags));
                assert_eq!(signers.who(&text, &made, now), Ok("ada".to_owned()));
                assert_eq!(signers.who(TEXT, &made, now), Err(Untrusted::Wrong));
            }
            for flags in [(0, 0), (VERIFIED, VERIFIED), (0, TOUCHED)] {
                let made = token.sign(&text, flags);
                let who = signers.who(&text, &made, now);
                assert_eq!(who, Err(Untrusted::Wrong), "{} {flags:?}", token.kind);
            }
        }
    }
}
