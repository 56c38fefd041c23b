//! Certificates of people and of hosts as OpenSSH has them (PROTOCOL.certkeys, `-cert-v01@openssh.com`), for those
//! types of key that are strong enough. Pure.

use ipnet::IpNet;

use crate::keys::proof::Offered;

/// The longest name of a certificate, in bytes. sshd writes it into its line of a login, which it
/// cuts at 1,024.
const LONGEST_ID: usize = 100;

/// How many networks a certificate may be bound to.
pub(super) const MOST_NETWORKS: usize = 200;

/// A key that a certificate can be made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certifiable<'a> {
    /// The type that its certificate has.
    kind: &'static str,
    /// What follows the type.
    fields: &'a [u8],
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub(super) struct Terms<'a> {
    pub(super) serial: u64,
    /// What sshd logs it as.
    pub(super) id: String,
    pub(super) principals: &'a [String],
    /// From when and until when, in seconds of UTC.
    pub(super) valid: (u64, u64),
    pub(super) whom: Whom<'a>,
}

/// Whose key it is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whom<'a> {
    Person {
        /// From where alone it opens anything; from everywhere, if there is none.
        from: &'a [IpNet],
        /// Whether ports may be forwarded through a connection.
        forwarding: bool,
    },
    Host,
}

impl<'a> Certifiable<'a> {
    /// The key, if it is of a type that is taken, and whole.
    pub(super) fn of(key: &'a Offered) -> Option<Self> {
        let parts = strings(&key.wire)?;
        if parts.first() != Some(&key.kind.as_bytes()) {
            return None;
        }
        let (kind, fits) = match (key.kind.as_str(), parts.as_slice()) {
            ("ssh-ed25519", [_, point]) => ("ssh-ed25519", point.len() == 32),
            ("sk-ssh-ed25519@openssh.com", [_, point, _]) => ("sk-ssh-ed25519", point.len() == 32),
            ("sk-ecdsa-sha2-nistp256@openssh.com", [_, b"nistp256", point, _]) => {
                ("sk-ecdsa-sha2-nistp256", point.len() == 65)
            }
            ("ecdsa-sha2-nistp256", [_, b"nistp256", point]) => {
                ("ecdsa-sha2-nistp256", point.len() == 65)
            }
            ("ecdsa-sha2-nistp384", [_, b"nistp384", point]) => {
                ("ecdsa-sha2-nistp384", point.len() == 97)
            }
            ("ecdsa-sha2-nistp521", [_, b"nistp521", point]) => {
                ("ecdsa-sha2-nistp521", point.len() == 133)
            }
            _ => return None,
        };
        let fields = key.wire.get(4 + key.kind.len()..)?;
        fits.then_some(Self { kind, fields })
    }

    /// The type of its certificate.
    pub(super) fn kind(&self) -> String {
        format!("{}-cert-v01@openssh.com", self.kind)
    }
}

/// What an authority signs.
pub(super) fn body(
    key: Certifiable<'_>,
    terms: &Terms<'_>,
    (authority, nonce): (&[u8], [u8; 32]),
) -> Vec<u8> {
    let (kind, critical, extensions): (u32, _, _) = match terms.whom {
        Whom::Person { from, forwarding } => (1, critical(from), extensions(forwarding)),
        Whom::Host => (2, Vec::new(), Vec::new()),
    };
    let mut body = Vec::new();
    string(&mut body, key.kind().as_bytes());
    string(&mut body, &nonce);
    body.extend(key.fields);
    body.extend(terms.serial.to_be_bytes());
    body.extend(kind.to_be_bytes());
    let id = terms.id.get(..LONGEST_ID).unwrap_or(&terms.id);
    string(&mut body, id.as_bytes());
    let mut principals = Vec::new();
    for principal in terms.principals {
        string(&mut principals, principal.as_bytes());
    }
    string(&mut body, &principals);
    body.extend(terms.valid.0.to_be_bytes());
    body.extend(terms.valid.1.to_be_bytes());
    string(&mut body, &critical);
    string(&mut body, &extensions);
    string(&mut body, b"");
    string(&mut body, authority);
    body
}

/// The certificate: what was signed, and the signature of an Ed25519 key.
pub(super) fn signed(mut body: Vec<u8>, signature: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    string(&mut whole, b"ssh-ed25519");
    string(&mut whole, signature);
    string(&mut body, &whole);
    body
}

/// An Ed25519 key as it is on the wire (RFC 8709).
pub(super) fn ed25519(point: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    string(&mut wire, b"ssh-ed25519");
    string(&mut wire, point);
    wire
}

/// What must be kept for the certificate to count: an sshd that does not know it refuses.
fn critical(from: &[IpNet]) -> Vec<u8> {
    let mut options = Vec::new();
    if !from.is_empty() {
        let nets: Vec<String> = from.iter().map(ToString::to_string).collect();
        let mut value = Vec::new();
        string(&mut value, nets.join(",").as_bytes());
        string(&mut options, b"source-address");
        string(&mut options, &value);
    }
    options
}

/// What is permitted beyond running a command. By name, in their order; each has no value.
fn extensions(forwarding: bool) -> Vec<u8> {
    let mut options = Vec::new();
    let forward = forwarding.then_some("permit-port-forwarding");
    for name in forward.into_iter().chain(["permit-pty"]) {
        string(&mut options, name.as_bytes());
        string(&mut options, b"");
    }
    options
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "nothing here is longer than a key, a name or a few networks"
)]
fn string(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend((bytes.len() as u32).to_be_bytes());
    to.extend(bytes);
}

/// All strings that these bytes are, if they are nothing else.
fn strings(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (one, rest) = rest.split_at_checked(length)?;
        all.push(one);
        bytes = rest;
    }
    Some(all)
}
