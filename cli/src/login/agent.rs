//! The ssh-agent of whoever logs in (draft-ietf-sshm-ssh-agent), which keeps the key and forgets it in time.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::key::{Key, string};

/// `SSH_AGENTC_ADD_ID_CONSTRAINED`
const ADD: u8 = 25;
/// `SSH_AGENT_CONSTRAIN_LIFETIME`
const LIFETIME: u8 = 1;
/// `SSH_AGENT_SUCCESS`
const SUCCESS: u8 = 6;

/// An agent that listens.
#[derive(Debug)]
pub(super) struct Agent(UnixStream);

impl Agent {
    /// The one that `SSH_AUTH_SOCK` names.
    pub(super) fn find() -> anyhow::Result<Self> {
        const START: &str = "start one with: eval \"$(ssh-agent)\"";
        let path = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
        let Some(path) = path else {
            bail!(
                "no ssh-agent runs (SSH_AUTH_SOCK is not set), which is to keep the certificate; {START}"
            );
        };
        let stream = UnixStream::connect(&path)
            .with_context(|| format!("no ssh-agent listens at {}; {START}", path.display()))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(stream))
    }

    /// Has it keep a key with its certificate, as a line of a `-cert.pub` file, for so many seconds.
    pub(super) fn add(
        mut self,
        key: &Key,
        certificate: &str,
        comment: &str,
        seconds: u32,
    ) -> anyhow::Result<()> {
        let mut words = certificate.split(' ');
        let (Some(kind), Some(text)) = (words.next(), words.next()) else {
            bail!("the collector's answer is no certificate");
        };
        let blob = STANDARD
            .decode(text)
            .context("the collector's answer is no certificate")?;
        let message = Zeroizing::new(
            [
                &[ADD][..],
                &string(kind.as_bytes()),
                &string(&blob),
                &key.halves(),
                &string(comment.as_bytes()),
                &[LIFETIME],
                &seconds.to_be_bytes(),
            ]
            .concat(),
        );
        self.0.write_all(&Zeroizing::new(string(&message)))?;
        let mut answer = [0; 5];
        self.0
            .read_exact(&mut answer)
            .context("the ssh-agent does not answer")?;
        let [_, _, _, _, said] = answer;
        ensure!(
            said == SUCCESS,
            "the ssh-agent does not take the certificate: is it locked (ssh-add -X)?"
        );
        Ok(())
    }
}
