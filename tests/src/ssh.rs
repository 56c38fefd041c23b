//! Logs in from one host to another, rightly or wrongly, with the real ssh client.

use anyhow::Result;

use crate::host::Host;

/// What every try has in common: nobody is asked, and nobody's known hosts are touched.
const OPTIONS: &str = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR -o ConnectTimeout=20 -o NumberOfPasswordPrompts=1";

/// Makes an account with this password, and a home.
pub fn add_user(host: &Host, user: &str, password: &str) -> Result<()> {
    host.sh(&format!(
        "useradd -m -s /bin/bash {user}; echo '{user}:{password}' | chpasswd"
    ))
    .map(drop)
}

/// Makes a key on `from` that opens `user` on `to`, and gives its fingerprint: `SHA256:...`.
pub fn add_key(from: &Host, user: &str, to: &Host) -> Result<String> {
    let public = from.sh(
        "mkdir -p -m 700 .ssh; test -f .ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
         cat .ssh/id_ed25519.pub",
    )?;
    to.sh(&format!(
        "install -d -m 700 -o {user} -g {user} /home/{user}/.ssh
         echo '{}' >> /home/{user}/.ssh/authorized_keys",
        public.trim()
    ))?;
    let listed = from.sh("ssh-keygen -lf .ssh/id_ed25519.pub")?;
    Ok(listed
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned())
}

/// Whether the password opens the account; one connection, one try.
pub fn password(from: &Host, to: &Host, user: &str, password: &str) -> Result<bool> {
    from.try_sh(&format!(
        "sshpass -p '{password}' ssh {OPTIONS} -o PreferredAuthentications=password \
         -l '{user}' {} true",
        to.address()
    ))
}

/// Whether the key that [`add_key`] made opens the account.
pub fn key(from: &Host, to: &Host, user: &str) -> Result<bool> {
    from.try_sh(&format!(
        "ssh {OPTIONS} -o BatchMode=yes -i .ssh/id_ed25519 -l '{user}' {} true",
        to.address()
    ))
}
