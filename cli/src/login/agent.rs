//! The ssh-agent of whoever logs in (draft-ietf-sshm-ssh-agent), which keeps the key and forgets it in time.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::key::{Key, string};

/// `SSH_AGENTC_ADD_ID_CONSTRAINED`
const ADD: u8 = 25;
/// `SSH_AGENT_CONSTRAIN_LIFETIME`
const LIFETIME: u8 = 1;
/// `SSH_AGENT_SUCCESS`
const SUCCESS: u8 = 6;
/// `SSH_AGENTC_REQUEST_IDENTITIES`, and `SSH_AGENT_IDENTITIES_ANSWER`
const LIST: u8 = 11;
const LISTED: u8 = 12;
/// `SSH_AGENTC_REMOVE_IDENTITY`
const REMOVE: u8 = 18;
/// So long a login takes from when it asks for keys until one of them signs.
const MOMENT: Duration = Duration::from_secs(5);
/// No answer is longer, in bytes.
const LONGEST: u32 = 1 << 20;

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

    /// Has it keep a key with its certificate, as a line of a `-cert.pub` file, for so many seconds. What
    /// it has under this comment is to be [forgotten](Before::forget) then: sshd bears few keys that open
    /// nothing.
    pub(super) fn keep(
        mut self,
        key: &Key,
        certificate: &str,
        comment: &str,
        seconds: u32,
    ) -> anyhow::Result<Before> {
        let mut words = certificate.split(' ');
        let (Some(kind), Some(text)) = (words.next(), words.next()) else {
            bail!("the collector's answer is no certificate");
        };
        let blob = STANDARD
            .decode(text)
            .context("the collector's answer is no certificate")?;
        let before = self.ask(&[LIST])?;
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
        ensure!(
            self.ask(&message)? == [SUCCESS],
            "the ssh-agent does not take the certificate: is it locked (ssh-add -X)?"
        );
        let before = listed(&before, comment.as_bytes()).unwrap_or_default();
        Ok(Before {
            blobs: before.into_iter().map(<[u8]>::to_vec).collect(),
            agent: self,
        })
    }

    fn ask(&mut self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut answer = || -> io::Result<Vec<u8>> {
            self.0.write_all(&Zeroizing::new(string(message)))?;
            let mut length = [0; 4];
            self.0.read_exact(&mut length)?;
            let length = u32::from_be_bytes(length).min(LONGEST);
            let mut answer = vec![0; usize::try_from(length).unwrap_or(0)];
            self.0.read_exact(&mut answer)?;
            Ok(answer)
        };
        answer().context("the ssh-agent does not answer")
    }
}

/// What an agent had before.
#[derive(Debug)]
#[must_use]
pub(super) struct Before {
    agent: Agent,
    blobs: Vec<Vec<u8>>,
}

impl Before {
    /// Has it removed, once no login counts on it any more: whoever has asked for the keys there are is
    /// about to have something signed by one of them.
    pub(super) async fn forget(mut self) {
        if !self.blobs.is_empty() {
            sleep(MOMENT).await;
        }
        for old in &self.blobs {
            // If it stays, it is over in some hours all the same.
            let _stays = self.agent.ask(&[&[REMOVE][..], &string(old)].concat());
        }
    }
}

/// What the agent has under this comment.
fn listed<'a>(answer: &'a [u8], comment: &[u8]) -> Option<Vec<&'a [u8]>> {
    let (_count, mut rest) = answer.strip_prefix(&[LISTED])?.split_first_chunk::<4>()?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (blob, more) = first(rest)?;
        let (of, more) = first(more)?;
        found.extend((of == comment).then_some(blob));
        rest = more;
    }
    Some(found)
}

/// The first string, and what follows it.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn one(blob: &[u8], comment: &[u8]) -> Vec<u8> {
        [string(blob), string(comment)].concat()
    }

    /// What an agent of its own is asked for, one kind after the other.
    fn asked_of(mut stream: UnixStream) -> Vec<u8> {
        let mut kinds = Vec::new();
        let mut length = [0; 4];
        while stream.read_exact(&mut length).is_ok() {
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
            let mut asked = vec![0; length];
            stream.read_exact(&mut asked).unwrap();
            kinds.push(asked[0]);
            let answer = match asked[0] {
                LIST => [
                    &[LISTED, 0, 0, 0, 1][..],
                    &one(b"old", b"watchward ada@here"),
                ]
                .concat(),
                _ => vec![SUCCESS],
            };
            stream.write_all(&string(&answer)).unwrap();
        }
        kinds
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_that_has_begun_finds_the_key_of_before() {
        let (own, other) = UnixStream::pair().unwrap();
        let agent = std::thread::spawn(|| asked_of(other));
        let key = Key::new().unwrap();
        let begun = Instant::now();
        let before = Agent(own).keep(&key, "kind AAAA", "watchward ada@here", 9);
        before.unwrap().forget().await;
        assert_eq!(begun.elapsed(), MOMENT);
        assert_eq!(agent.join().unwrap(), [LIST, ADD, REMOVE]);
    }

    #[test]
    fn only_what_has_this_comment_is_found() {
        let all = [
            &[LISTED, 0, 0, 0, 3][..],
            &one(b"a", b"watchward ada@here"),
            &one(b"b", b"ada@laptop"),
            &one(b"c", b"watchward ada@here"),
        ]
        .concat();
        let found = listed(&all, b"watchward ada@here").unwrap();
        assert_eq!(found, [b"a", b"c"]);
        for cut in 5..all.len() {
            let cut = all.get(..cut).unwrap();
            assert!(listed(cut, b"x").is_none_or(|found| found.is_empty()));
        }
        assert_eq!(listed(&[5], b"x"), None);
    }
}
