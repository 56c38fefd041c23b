//! What sshd shows of itself: certificates of its keys, and keys of ours beside its own or in their place.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::folder::{Folder, SHOWN, Whole, absent, sync};
use super::hand::Hand;
use super::krl::Header;
use super::request::{Digest, Shown};
use super::{key, list};
use crate::frame::Framed as _;

/// What sshd is told of it, and the files that this names.
#[derive(Debug, Default)]
struct Composed {
    told: String,
    certificates: BTreeMap<String, String>,
    /// Why something is left out.
    left_out: Option<String>,
}

impl Shown {
    /// Which order it is; none: that sshd shows what it would without us.
    pub fn digest(&self) -> Option<Digest> {
        let is_something = !self.certificates.is_empty() || !self.serials.is_empty();
        let frame = self.encode().ok()?;
        is_something.then(|| list::digest(&frame))
    }
}

/// Which order a drop-in is of.
pub(super) fn ordered(whole: &Whole) -> Option<Digest> {
    let line = whole.shown().lines().next()?.strip_prefix(SHOWN)?;
    list::read_fingerprint(line)
}

impl Hand {
    /// Puts on trial what sshd shows of itself; what is revoked and what opens stays as it is.
    pub(super) fn show(&mut self, shown: &Shown, seconds: u32) -> Result<(), String> {
        self.back()?;
        self.may_show(seconds)?;
        self.sshd_is_ready()?;
        self.folder.clear();
        let nothing = || Whole::nothing(self.folder.text(None));
        let before = self.whole.clone().unwrap_or_else(nothing);
        let composed = self.compose_shown(shown)?;
        let whole = Whole {
            certificates: composed.certificates,
            told: before.plain().to_owned() + &composed.told,
            ..before
        };
        let generation = Header::read(&whole.revoked).unwrap_or_default().generation;
        self.try_whole(whole, (generation, seconds))?;
        self.left_out.shown = composed.left_out;
        Ok(())
    }

    fn may_show(&self, seconds: u32) -> Result<(), String> {
        let trouble = self.guarded.trouble.clone();
        trouble.map_or(Ok(()), Err)?;
        let guard = &self.guarded.guard.keys;
        if !guard.host {
            return Err(
                "the guard file of this host does not let sshd show anything else of \
                itself: put `host = true` into `[keys]`"
                    .to_owned(),
            );
        }
        match (1..=guard.longest_trial.seconds()).contains(&seconds) {
            true => Ok(()),
            false => Err("it may not be tried for so long".to_owned()),
        }
    }

    /// What sshd is told, and with which files. A certificate that it could not show is left out.
    fn compose_shown(&self, shown: &Shown) -> Result<Composed, String> {
        let Some(digest) = shown.digest() else {
            return Ok(Composed::default());
        };
        let mut composed = Composed {
            told: format!("{SHOWN}{}\n", list::fingerprint(&digest)),
            ..Composed::default()
        };
        let files = self.shown_keys(shown)?;
        if !shown.serials.is_empty() {
            for file in &files {
                composed.told += &format!("HostKey {file}\n");
            }
        }
        let keys: Vec<_> = files
            .iter()
            .filter_map(|it| public(Path::new(it)))
            .collect();
        for one in &shown.certificates {
            match text(&one.wire, &keys) {
                Ok((name, text)) => {
                    let file = self.folder.certificate(&name);
                    composed.told += &format!("HostCertificate {file}\n");
                    composed.certificates.insert(name, text);
                }
                Err(why) => composed.left_out = Some(why.to_owned()),
            }
        }
        Ok(composed)
    }

    /// The files of the keys that sshd is to show; those of ours are made.
    fn shown_keys(&self, shown: &Shown) -> Result<Vec<String>, String> {
        let drop_in = &self.folder.drop_in;
        let make = |serial: &u32| {
            let make = |file: &Path| self.programs.make_key(file, &format!("watchward-{serial}"));
            let key = self.folder.make_host_key(*serial, make)?;
            Ok(key.display().to_string())
        };
        let ours: Vec<String> = shown
            .serials
            .iter()
            .map(make)
            .collect::<Result<_, String>>()?;
        if let Some(first) = ours.first() {
            // One line takes away what sshd has without any; beside others it stands.
            let said = self
                .programs
                .host_keys(drop_in, &format!("HostKey {first}\n"))?;
            if let Some(other) = said.iter().find(|it| *it != first) {
                return Err(format!(
                    "sshd's configuration has a line `HostKey {other}`: take it away, or its keys \
                     cannot be replaced"
                ));
            }
        }
        let mut files = match shown.own {
            true => self.programs.host_keys(drop_in, "")?,
            false => Vec::new(),
        };
        files.retain(|it| Path::new(it).exists());
        files.extend(ours);
        Ok(files)
    }
}

impl Folder {
    /// A certificate that sshd shows, as sshd is told of it.
    fn certificate(&self, name: &str) -> String {
        self.now.join("host").join(name).display().to_string()
    }

    /// Has a key of ours exist that sshd can show: made aside by this, whole or not at all.
    fn make_host_key(
        &self,
        serial: u32,
        make: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<PathBuf, String> {
        let all = self.own.join("host");
        let (home, next) = (all.join(serial.to_string()), all.join("next"));
        let key = home.join("key");
        if home.is_dir() {
            return Ok(key);
        }
        let failed = |error: io::Error| format!("{}: {error}", home.display());
        let prepared = absent(fs::remove_dir_all(&next)).and_then(|()| fs::create_dir_all(&next));
        prepared.map_err(failed)?;
        make(&next.join("key"))?;
        let name = || {
            for folder in [&all, &next] {
                fs::set_permissions(folder, Permissions::from_mode(0o711))?;
            }
            fs::set_permissions(next.join("key.pub"), Permissions::from_mode(0o644))?;
            rustix::fs::syncfs(File::open(&next)?)?;
            fs::rename(&next, &home)?;
            sync(&home)
        };
        name().map_err(failed).map(|()| key)
    }

    /// Takes away every key of ours that none of these tells sshd of.
    pub(super) fn clear_host_keys(&self, wholes: &[PathBuf]) {
        let told = wholes.iter().map(|it| fs::read_to_string(it.join("told")));
        let told: String = told.flatten().collect();
        let homes = fs::read_dir(self.own.join("host")).into_iter().flatten();
        for home in homes.flatten().map(|it| it.path()) {
            if !told.contains(&format!("HostKey {}/", home.display())) {
                // What stays is tried again the next time.
                let _gone = fs::remove_dir_all(home);
            }
        }
    }
}

/// The public half of a host key, as on the wire.
fn public(file: &Path) -> Option<Vec<u8>> {
    let line = fs::read_to_string(format!("{}.pub", file.display())).ok()?;
    STANDARD.decode(line.split_ascii_whitespace().nth(1)?).ok()
}

/// The name and the text of the file of a certificate, if sshd can show it with one of these keys.
fn text(wire: &[u8], keys: &[Vec<u8>]) -> Result<(String, String), &'static str> {
    let (kind, plain) = certified(wire).ok_or("what should be a host's certificate is none")?;
    if !keys.contains(&plain) {
        return Err("a certificate is for a key that sshd on this host does not show");
    }
    let digest = list::digest(&plain);
    let hex = digest.iter().take(8).map(|it| format!("{it:02x}"));
    let name = format!("{}-cert.pub", hex.collect::<String>());
    Ok((
        name,
        format!("{kind} {} watchward\n", STANDARD.encode(wire)),
    ))
}

/// The kind of a certificate of a host, and the key that it is for, as on the wire (OpenSSH's
/// PROTOCOL.certkeys). One that names no host would count for every one.
fn certified(wire: &[u8]) -> Option<(String, Vec<u8>)> {
    const HOST: &[u8] = &2u32.to_be_bytes();
    let (kind, rest) = string(wire)?;
    let kind = std::str::from_utf8(kind).ok()?;
    let plain = kind.strip_suffix("-cert-v01@openssh.com")?;
    let (_nonce, fields) = string(rest)?;
    let count = match plain {
        "ssh-ed25519" => 1,
        "ssh-rsa" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => 2,
        _ => return None,
    };
    let mut rest = fields;
    for _ in 0..count {
        rest = string(rest)?.1;
    }
    let own = fields.strip_suffix(rest)?;
    let (_serial, rest) = rest.split_at_checked(8)?;
    let (_id, rest) = string(rest.strip_prefix(HOST)?)?;
    let (principals, _) = string(rest)?;
    let length = u32::try_from(plain.len()).ok()?.to_be_bytes();
    let wire = [&length[..], plain.as_bytes(), own].concat();
    let fits = !principals.is_empty() && key::line(&wire).is_some();
    fits.then(|| (kind.to_owned(), wire))
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_certificate_of_a_host_is_taken_for_its_own_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let make = "for kind in ed25519 ecdsa rsa; do ssh-keygen -q -t $kind -N '' -f $kind; done
            ssh-keygen -q -t ed25519 -N '' -f ca
            ssh-keygen -q -s ca -h -I web -n web,web.example.org ed25519.pub ecdsa.pub rsa.pub
            for it in person nobody; do cp ed25519.pub $it.pub; done
            ssh-keygen -q -s ca -I web -n web person.pub; ssh-keygen -q -s ca -h -I web nobody.pub";
        let mut shell = Command::new("/bin/sh");
        let done = shell.args(["-ec", make]).current_dir(folder.path());
        assert!(done.status().unwrap().success());
        let wire = |name: &str| public(&folder.path().join(name)).unwrap();
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let certificate = wire(&format!("{kind}-cert"));
            let (name, line) = text(&certificate, &[wire("ca"), wire(kind)]).unwrap();
            assert!(name.ends_with("-cert.pub"));
            let written = fs::read_to_string(folder.path().join(format!("{kind}-cert.pub")));
            let words = |it: &str| it.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&line), words(&written.unwrap()));
            assert!(text(&certificate, &[wire("ca")]).is_err(), "another's key");
        }
        for wrong in ["person-cert", "nobody-cert", "ed25519"] {
            assert!(text(&wire(wrong), &[wire("ed25519")]).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = certified(&bytes);
            let kind = b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com\0\0\0\0";
            let _ = certified(&[&kind[..], &bytes].concat());
        }
    }
}
