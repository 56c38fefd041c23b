//! What a host's sshd shows of itself to whoever logs in: certificates of its keys, and keys of ours.

/// What there should be of that on a host: all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeys {
    /// Certificates of keys that the host has, each as SSH writes it on the wire; at most
    /// [`MOST_CERTIFICATES`](Self::MOST_CERTIFICATES).
    pub certificates: Vec<Vec<u8>>,
    /// Which keys of ours there should be, from 1 and rising, at most
    /// [`MOST_SERIALS`](Self::MOST_SERIALS): one that is missing is made on the host, one that is not
    /// named is destroyed.
    pub serials: Vec<u32>,
    /// Whether sshd shows the keys of the host's own configuration, too, and before those. Their files
    /// stay either way.
    pub own: bool,
}

impl Default for HostKeys {
    /// What a host shows of whom nothing is ordered.
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            serials: Vec::new(),
            own: true,
        }
    }
}

impl HostKeys {
    /// How many certificates a host can have.
    pub const MOST_CERTIFICATES: usize = 16;
    /// The longest, in bytes.
    pub const LONGEST_CERTIFICATE: usize = 8 << 10;
    /// How many keys of ours a host can have at once: the old and the new.
    pub const MOST_SERIALS: usize = 2;
    /// Where the files of it stand on a host. Only its root writes there.
    pub const FOLDER: &str = "/etc/ssh/watchward/";

    /// The file of a key of ours that anybody may read.
    pub fn public_file(serial: u32) -> String {
        format!("{}host/{serial}/key.pub", Self::FOLDER)
    }

    /// Whether a host can hold it, and has a key left to show.
    pub fn sound(&self) -> bool {
        let fits = |it: &Vec<u8>| (1..=Self::LONGEST_CERTIFICATE).contains(&it.len());
        let few = self.certificates.len() <= Self::MOST_CERTIFICATES
            && self.serials.len() <= Self::MOST_SERIALS;
        let rising = self.serials.is_sorted_by(|one, next| one < next);
        let is_shown = self.own || !self.serials.is_empty();
        few && rising
            && is_shown
            && !self.serials.contains(&0)
            && self.certificates.iter().all(fits)
    }
}
