//! What is ordered, as the role takes it: keys by their digests, and in parts. Pure.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};
use watchward_enforcer::keys::{Certificate, Digest, Line, MOST_STAGED, Revoked};
use watchward_protocol::access::AccessEvent;
use watchward_protocol::instruments::{self, Instruments, Managed, Opens};

/// How many bytes of keys and ids one part has at most: a frame has room for twice as much.
const LARGEST_PART: usize = 96 << 10;

/// What is revoked.
#[derive(Debug, Default)]
pub(super) struct List {
    all: Vec<Revoked>,
    /// How much of it each part has.
    parts: Vec<usize>,
    keys: HashSet<Digest>,
    /// What the host's guard leaves out of it.
    spared: HashSet<Digest>,
}

/// What opened a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opener {
    pub(super) key: Digest,
    pub(super) certificate: Option<Certificate>,
}

impl List {
    pub(super) fn of(order: &Instruments) -> Self {
        let mut list = Self::default();
        let mut room = 0;
        for one in &order.revoked {
            let (one, size) = (revoked(one), one.size());
            if let Revoked::Key(digest) = one {
                list.keys.insert(digest);
            }
            match list.parts.last_mut() {
                Some(part) if *part < MOST_STAGED && size <= room => {
                    *part += 1;
                    room -= size;
                }
                Some(_) | None => {
                    list.parts.push(1);
                    room = LARGEST_PART.saturating_sub(size);
                }
            }
            list.all.push(one);
        }
        if list.parts.is_empty() {
            list.parts.push(0);
        }
        list
    }

    /// Its parts, and whether it is the first.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&[Revoked], bool)> {
        let mut start = 0;
        self.parts.iter().enumerate().map(move |(at, length)| {
            let part = self.all.get(start..start + length).unwrap_or_default();
            start += length;
            (part, at == 0)
        })
    }

    /// Leaves out what the guard of this host never has revoked, itself or by what it signed.
    pub(super) fn spare(&mut self, keys: &[Digest]) {
        self.spared = keys.iter().copied().collect();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn has(&self, key: &Digest) -> bool {
        self.keys.contains(key) && !self.spared.contains(key)
    }

    /// Whether it names this key.
    pub(super) fn names(&self, fingerprint: &str) -> bool {
        digest_of(fingerprint).is_some_and(|it| self.has(&it))
    }

    /// Whether it names this key, as on the wire.
    pub(super) fn names_key(&self, key: &[u8]) -> bool {
        self.has(&digest(key))
    }

    /// Whether it revokes what opened a session.
    pub(super) fn revokes(&self, opener: &Opener) -> bool {
        let certificate = opener.certificate.as_ref();
        let certificate = certificate.filter(|it| !self.spared.contains(&it.authority));
        let signed = certificate.is_some_and(|it| self.has(&it.authority));
        let by = |one: &Revoked| match (one, certificate) {
            (
                Revoked::Serials {
                    authority,
                    first,
                    last,
                },
                Some(it),
            ) => digest(authority) == it.authority && (*first..=*last).contains(&it.serial),
            (Revoked::Id { authority, id }, Some(it)) => {
                digest(authority) == it.authority && id.as_bytes() == it.id
            }
            (Revoked::Key(_), _) | (_, None) => false,
        };
        self.has(&opener.key) || signed || self.all.iter().any(by)
    }
}

/// That some keys are never revoked.
pub(super) fn spared(keys: &[Digest]) -> Option<String> {
    let named: Vec<String> = keys
        .iter()
        .map(|it| format!("SHA256:{}", STANDARD_NO_PAD.encode(it)))
        .collect();
    (!named.is_empty()).then(|| {
        format!(
            "{} is never revoked, as the guard file of this host says; all else that was ordered holds",
            named.join(", ")
        )
    })
}

/// Lines that open accounts, in parts that fit.
pub(super) fn lines(order: &Instruments) -> Vec<Vec<Line>> {
    let (mut parts, mut room) = (Vec::<Vec<Line>>::new(), 0);
    for one in &order.managed {
        let (line, size) = (line(one), one.size());
        match parts.last_mut() {
            Some(part) if size <= room => {
                part.push(line);
                room -= size;
            }
            Some(_) | None => {
                parts.push(vec![line]);
                room = LARGEST_PART.saturating_sub(size);
            }
        }
    }
    parts
}

fn line(managed: &Managed) -> Line {
    let Managed {
        account,
        opens,
        from,
        until,
        forwarding,
    } = managed.clone();
    let (key, principals) = match opens {
        Opens::Key(key) => (key, Vec::new()),
        Opens::Authority { key, principals } => (key, principals),
    };
    Line {
        account,
        key,
        principals,
        from,
        // What is from before 1970 is over.
        until: until.map(|it| u64::try_from(it.as_micros() / 1_000_000).unwrap_or(0)),
        forwarding,
    }
}

impl Opener {
    /// What opened the session that sshd said this of; none: no key.
    pub(super) fn of(login: &AccessEvent) -> Option<Self> {
        let certificate = login.certificate.as_ref().and_then(|it| {
            Some(Certificate {
                authority: digest_of(it.authority.as_deref()?)?,
                serial: it.serial.unwrap_or(0),
                id: it.id.as_bytes().to_vec(),
            })
        });
        Some(Self {
            key: digest_of(&login.key.as_ref()?.fingerprint)?,
            certificate,
        })
    }
}

fn revoked(one: &instruments::Revoked) -> Revoked {
    match one.clone() {
        instruments::Revoked::Key(key) => Revoked::Key(digest(&key)),
        instruments::Revoked::Fingerprint(digest) => Revoked::Key(digest),
        instruments::Revoked::Serials {
            authority,
            first,
            last,
        } => Revoked::Serials {
            authority,
            first,
            last,
        },
        instruments::Revoked::Id { authority, id } => Revoked::Id { authority, id },
    }
}

fn digest(key: &[u8]) -> Digest {
    Sha256::digest(key).into()
}

fn digest_of(fingerprint: &str) -> Option<Digest> {
    let encoded = fingerprint.strip_prefix("SHA256:")?;
    STANDARD_NO_PAD.decode(encoded).ok()?.try_into().ok()
}
