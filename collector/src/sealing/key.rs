//! A master key: AES-256-GCM, under an id that says nothing of it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use argon2::Argon2;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use watchward_daemon::secret::Secret;
use zeroize::Zeroizing;

/// The key itself.
pub(super) type Bytes = Zeroizing<[u8; 32]>;

/// How short a passphrase may not be, in characters.
const SHORTEST: usize = 20;

pub(super) struct Key {
    id: [u8; 4],
    /// `None` if the provider does not take a key of 32 bytes, which it does.
    aead: Option<LessSafeKey>,
}

impl Key {
    pub(super) fn new(bytes: &Bytes) -> Self {
        let mut id = Sha256::new();
        id.update(b"the id of a watchward master key");
        id.update(bytes.as_slice());
        let mut four = [0; 4];
        for (to, from) in four.iter_mut().zip(id.finalize()) {
            *to = from;
        }
        let aead = UnboundKey::new(&AES_256_GCM, bytes.as_slice());
        Self {
            id: four,
            aead: aead.ok().map(LessSafeKey::new),
        }
    }

    pub(super) const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// A random nonce, and the secret sealed for `what` with its tag.
    pub(super) fn seal(&self, what: &str, secret: &[u8]) -> anyhow::Result<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = secret.to_vec();
        let aead = self
            .aead
            .as_ref()
            .context("the master key cannot be used")?;
        let unique = Nonce::assume_unique_for_key(nonce);
        aead.seal_in_place_append_tag(unique, Aad::from(what.as_bytes()), &mut sealed)
            .map_err(|_| anyhow!("cannot seal"))?;
        Ok([nonce.to_vec(), sealed].concat())
    }

    /// The secret, unless it was sealed for something else or was changed.
    pub(super) fn open(&self, what: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut secret = Zeroizing::new(sealed.to_vec());
        let unique = Nonce::assume_unique_for_key(*nonce);
        let about = Aad::from(what.as_bytes());
        let opened = self
            .aead
            .as_ref()?
            .open_in_place(unique, about, &mut secret);
        let length = opened.ok()?.len();
        secret.truncate(length);
        Some(secret)
    }
}

/// A key's id as people read it.
pub(super) fn words(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

/// The keys of a file: a line each; what begins with `#` is a remark.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Key>> {
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let decoded = STANDARD.decode(line).map(Zeroizing::new);
        let decoded = decoded.ok().context("a master key is 32 bytes in Base64")?;
        let bytes = <[u8; 32]>::try_from(decoded.as_slice());
        let bytes = bytes.ok().context("a master key is 32 bytes in Base64")?;
        keys.push(Key::new(&Zeroizing::new(bytes)));
    }
    ensure!(!keys.is_empty(), "there is no master key in it");
    Ok(keys)
}

/// The keys of this file, which is made if it is not there.
pub(super) fn beside(path: &Path) -> anyhow::Result<Vec<Key>> {
    let named = || path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path).with_context(named)?,
        Err(error) => return Err(error).with_context(named),
    };
    parse(&text).with_context(named)
}

/// Makes a file with a new key, whole or not at all. Of two who make it at once, both use the first.
fn make(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    let text = Zeroizing::new(format!("{}\n", STANDARD.encode(bytes.as_slice())));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension(format!("unfinished-{:08x}", rand::random::<u32>()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let placed = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match placed {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Ok(Zeroizing::new(fs::read_to_string(path)?));
        }
        placed => placed?,
    }
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    tracing::info!(file = %path.display(), "made a master key: keep a copy of it apart from backups");
    Ok(text)
}

/// The key that a passphrase makes (Argon2id), with 64 MiB, so that guessing is dear.
pub(super) async fn from_passphrase(passphrase: Secret, salt: Vec<u8>) -> anyhow::Result<Key> {
    ensure!(
        passphrase.reveal().chars().count() >= SHORTEST,
        "[sealing] passphrase_file: a passphrase has at least {SHORTEST} characters"
    );
    tokio::task::spawn_blocking(move || {
        let params = argon2::Params::new(64 << 10, 3, 1, Some(32)).map_err(|it| anyhow!("{it}"))?;
        let argon = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut bytes = Zeroizing::new([0; 32]);
        argon
            .hash_password_into(passphrase.reveal().as_bytes(), &salt, bytes.as_mut_slice())
            .map_err(|it| anyhow!("{it}"))?;
        Ok(Key::new(&bytes))
    })
    .await?
}
