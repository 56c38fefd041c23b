//! A signature on a policy, made here by OpenSSH's own program, which knows keys, agents and hardware.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// What the signature is for.
const NAMESPACE: &str = "watchward-policy";

/// Signs a text with the key of this file.
pub(super) fn sign(text: &str, key: &Path) -> anyhow::Result<String> {
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run ssh-keygen, which signs")?;
    let written = child
        .stdin
        .take()
        .map(|mut input| input.write_all(text.as_bytes()));
    let made = child.wait_with_output().context("ssh-keygen went away")?;
    ensure!(
        made.status.success(),
        "ssh-keygen did not sign with {}",
        key.display()
    );
    written.transpose().context("ssh-keygen does not read")?;
    String::from_utf8(made.stdout).context("ssh-keygen made no signature")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_with_a_key_and_says_when_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status();
        assert!(made.unwrap().success());
        let signature = sign("[networks]\n", &key).unwrap();
        assert!(
            signature.starts_with("-----BEGIN SSH SIGNATURE-----"),
            "{signature}"
        );
        let error = sign("", &folder.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("did not sign with"), "{error}");
    }
}
