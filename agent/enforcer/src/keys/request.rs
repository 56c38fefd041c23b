//! What the agent may ask of the role that tells sshd about keys, and what it answers: a closed set.

use ipnet::IpNet;

use crate::frame::{self, Malformed, fields, kinds};

/// How much one [`Request::Stage`] may bring.
pub const MOST_STAGED: usize = 1_000;
/// How much may be revoked in all.
pub const MOST_REVOKED: usize = 20_000;
/// How many bytes the keys of authorities and the ids of certificates may have in all.
pub const LARGEST: usize = 2 << 20;
/// How many authorities there may be whose certificates are revoked by serial or by id.
pub const MOST_AUTHORITIES: usize = 16;

/// How many lines may open accounts in all, and how many one [`Request::Open`] may bring.
pub const MOST_LINES: usize = 2_000;
/// How many bytes those may have in all.
pub(super) const LARGEST_LINES: usize = 1 << 20;
/// From how many networks a line may open.
pub(super) const MOST_NETS: usize = 64;
/// For how many principals.
pub(super) const MOST_PRINCIPALS: usize = 64;

/// How many processes one [`Answer::Processes`] has.
pub(super) const MOST_PROCESSES: usize = 4_096;

/// How many certificates sshd may show.
const MOST_CERTIFICATES: usize = 16;

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
    /// Take these lines down besides, which open accounts. Answered with `Done`.
    Open(Vec<Line>),
    /// Have sshd refuse all that was taken down, and nothing else, and take the keys of its lines;
    /// after so many seconds what held before again, unless this is confirmed. A line that cannot be
    /// held is left out. Answered with `Done` or `Refused`.
    Try {
        /// Which it is: not older than the one that holds.
        generation: u64,
        /// For how long; not longer than the guard lets it.
        seconds: u32,
    },
    /// Have sshd show this of itself, and nothing else; after so many seconds what it showed before
    /// again, unless the list that holds is confirmed. A certificate that it could not show is left out.
    /// Answered with `Done` or `Refused`.
    Show {
        /// All of it.
        shown: Shown,
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
    /// Which processes of a user began since then, wherever they run? Answered with `Processes`.
    Since {
        /// The user's number.
        user: u32,
        /// In ticks since the start of the machine.
        started: u64,
    },
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

/// A line that opens an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The account's name.
    pub account: String,
    /// The key that opens it or, where there are principals, whose certificates for them do; as on
    /// the wire.
    pub key: Vec<u8>,
    /// For which principals; none: the key itself opens.
    pub principals: Vec<String>,
    /// From where alone; none: from everywhere.
    pub from: Vec<IpNet>,
    /// Until when, in seconds since 1970.
    pub until: Option<u64>,
    /// Whether it lets connections be forwarded.
    pub forwarding: bool,
}

/// What sshd shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Certificates of its keys.
    pub certificates: Vec<HostCertificate>,
    /// Keys of ours: one that is missing is made, one that is not named is destroyed.
    pub serials: Vec<u32>,
    /// Whether sshd shows the keys of its own configuration, too, and before those.
    pub own: bool,
}

/// A certificate that sshd shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCertificate {
    /// As on the wire.
    pub wire: Vec<u8>,
}

/// A session of sshd. What opened it the role finds out by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its process that watches over it.
    pub pid: u32,
    /// When that began, in ticks since the start of the machine: field 22 of `/proc/PID/stat`.
    pub started: u64,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it began, in ticks since the start of the machine.
    pub started: u64,
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
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Answer {
    /// It is so.
    Done,
    /// It is not done; why, in a sentence.
    Refused(String),
    /// What is held.
    Holding(Holding),
    /// That session was over already.
    Gone,
    /// These; where there are more, some of them.
    Processes(Vec<Process>),
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
    /// How many lines are in force that open accounts.
    pub opened: u32,
    /// Why not all of those that were said are, in a sentence; empty where they are.
    pub unopened: String,
    /// Which order of what sshd shows of itself is in force; none: sshd shows what it would by itself.
    pub shown: Option<Digest>,
    /// Why not all of that is, in a sentence; empty where it is.
    pub unshown: String,
    /// Keys that are never revoked and were left out, some of them where there are many.
    pub spared: Vec<Digest>,
    /// Whether the guard lets a list be after which no key opens anything.
    pub may_close: bool,
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
    7 => Open(lines),
    8 => Show { shown, seconds },
    9 => Since { user, started },
});
kinds!(Revoked {
    1 => Key(digest),
    2 => Serials { authority, first, last },
    3 => Id { authority, id },
} most MOST_STAGED;);
fields!(Line {
    account,
    key,
    principals,
    from,
    until,
    forwarding
} most MOST_LINES;);
fields!(Shown {
    certificates,
    serials,
    own
});
fields!(HostCertificate { wire } most MOST_CERTIFICATES;);
fields!(Session { pid, started });
kinds!(Answer {
    1 => Done,
    2 => Refused(why),
    3 => Holding(holding),
    4 => Gone,
    5 => Processes(processes),
});
fields!(Process { pid, started } most MOST_PROCESSES;);
fields!(Holding {
    version,
    force,
    trial,
    known,
    meddled,
    trouble,
    longest_trial,
    opened,
    unopened,
    shown,
    unshown,
    spared,
    may_close
});
fields!(Force {
    generation,
    revoked,
    digest
});
