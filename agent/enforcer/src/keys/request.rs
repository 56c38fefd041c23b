//! What the agent may ask of the role that tells sshd about keys, and what it answers: a closed set.

use crate::frame::{self, Malformed, fields, kinds};

/// How much one [`Request::Stage`] may bring.
pub const MOST_STAGED: usize = 1_000;
/// How much may be revoked in all.
pub const MOST_REVOKED: usize = 20_000;
/// How many bytes the keys of authorities and the ids of certificates may have in all.
pub const LARGEST: usize = 2 << 20;
/// How many authorities there may be whose certificates are revoked by serial or by id.
pub const MOST_AUTHORITIES: usize = 16;

/// SHA-256 of a public key as SSH writes it on the wire.
pub type Digest = [u8; 32];

/// One request. Each has one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What is held? Answered with `Holding`.
    Hello,
    /// Take this down for the next `Try`. Answered with `Done` or `Refused`.
    Stage {
        /// What was taken down before is forgotten.
        first: bool,
        /// Some more of it.
        revoked: Vec<Revoked>,
    },
    /// Have sshd refuse all that was taken down, and nothing else; after so many seconds what it
    /// refused before again, unless this is confirmed. Answered with `Done` or `Refused`.
    Try {
        /// Which it is: not older than the one that holds.
        generation: u64,
        /// For how long; not longer than the guard lets it.
        seconds: u32,
    },
    /// What is on trial holds from now on. Answered with `Done` or `Refused`.
    Confirm {
        /// Which.
        generation: u64,
    },
    /// Have that hold again which held before the trial. Answered with `Done` or `Refused`.
    Back,
    /// End a session that was opened with something which is revoked, with all its processes.
    /// Answered with `Done`, `Gone` or `Refused`.
    End(Session),
}

/// Something that sshd refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// A key, its certificates, and whatever it signed.
    Key(Digest),
    /// Certificates of an authority, by their serials.
    Serials {
        /// The authority's public key as on the wire.
        authority: Vec<u8>,
        /// From 1.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Certificates of an authority, by their id.
    Id {
        /// The authority's public key as on the wire.
        authority: Vec<u8>,
        /// Printable ASCII without `#`, and no space at either end.
        id: String,
    },
}

/// A session of sshd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its process that watches over it.
    pub pid: u32,
    /// When that began, in ticks since the start of the machine: field 22 of `/proc/PID/stat`.
    pub started: u64,
    /// The key that opened it; of a certificate: its key.
    pub key: Digest,
    /// The certificate that opened it.
    pub certificate: Option<Certificate>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The key of its authority.
    pub authority: Digest,
    /// Its serial.
    pub serial: u64,
    /// Its id, as it is written.
    pub id: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so.
    Done,
    /// It is not done; why, in a sentence.
    Refused(String),
    /// What is held.
    Holding(Holding),
    /// That session was over already.
    Gone,
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Of which version the role is.
    pub version: String,
    /// What is in force: sshd looks at it. None: sshd is told nothing by Watchward.
    pub force: Option<Force>,
    /// How many seconds are left to confirm it; none: it is confirmed.
    pub trial: Option<u32>,
    /// Whether the role knows each single thing of it. After it started it does not, until it is
    /// said again: no session ends meanwhile.
    pub known: bool,
    /// What a third hand did since this was asked last, and was put back.
    pub meddled: Option<String>,
    /// Why nothing can be done, in a sentence; empty where all is well.
    pub trouble: String,
    /// How long a trial may last, in seconds.
    pub longest_trial: u32,
}

/// A list of revocations in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Force {
    /// Which.
    pub generation: u64,
    /// How many it names.
    pub revoked: u32,
    /// SHA-256 of the file.
    pub digest: Digest,
}

impl Request {
    /// As a frame.
    ///
    /// # Errors
    /// There is more of something than may be.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        frame::Framed::encode(self)
    }

    /// What a frame says.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        frame::Framed::decode(bytes)
    }
}

impl Answer {
    /// What a frame says.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        frame::Framed::decode(bytes)
    }
}

kinds!(Request {
    1 => Hello,
    2 => Stage { first, revoked },
    3 => Try { generation, seconds },
    4 => Confirm { generation },
    5 => Back,
    6 => End(session),
});
kinds!(Revoked {
    1 => Key(digest),
    2 => Serials { authority, first, last },
    3 => Id { authority, id },
} most MOST_STAGED;);
fields!(Session {
    pid,
    started,
    key,
    certificate
});
fields!(Certificate {
    authority,
    serial,
    id
});
kinds!(Answer {
    1 => Done,
    2 => Refused(why),
    3 => Holding(holding),
    4 => Gone,
});
fields!(Holding {
    version,
    force,
    trial,
    known,
    meddled,
    trouble,
    longest_trial
});
fields!(Force {
    generation,
    revoked,
    digest
});
