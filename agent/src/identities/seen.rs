//! What there is of identities, seen by whoever may not make them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use russh::keys::PublicKey;
use watchward_protocol::identities::{Holding, Identities, Identity, Made, is_name};

use super::keeping::{current, names, public, serials};

/// What there is of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) keys: Vec<Made>,
    pub(super) using: u32,
    pub(super) trouble: Option<String>,
}

/// What there is of all that are ordered, and of others that should not be there. What is not as it was
/// ordered is a trouble only when it is late.
pub(super) fn look(
    (folder, troubles): (&Path, &Path),
    ordered: &Identities,
    late: bool,
) -> BTreeMap<String, Seen> {
    let mut all = BTreeMap::new();
    let there = names(folder).unwrap_or_default();
    for name in there.into_iter().filter(|it| is_name(it)) {
        let seen = one(folder, &name);
        all.insert(name, seen);
    }
    for identity in &ordered.identities {
        all.entry(identity.name.clone()).or_default();
    }
    for (name, seen) in &mut all {
        let identity = ordered.identities.iter().find(|it| it.name == *name);
        let said = fs::read_to_string(troubles.join(name)).ok();
        let missing = || missing(identity, seen).filter(|_| late);
        if let Some(why) = said.filter(|it| !it.is_empty()).or_else(missing) {
            seen.trouble = Some(why);
        }
    }
    all
}

fn one(folder: &Path, name: &str) -> Seen {
    let home = folder.join(name);
    let mut seen = Seen::default();
    let serials = match serials(&home) {
        Ok(serials) => serials,
        Err(error) => {
            seen.trouble = Some(format!("{} cannot be read: {error}", home.display()));
            return seen;
        }
    };
    for serial in serials.into_iter().take(Holding::MOST) {
        let text = fs::read_to_string(public(&home, serial));
        let key = text.ok().and_then(|it| PublicKey::from_openssh(&it).ok());
        match key.and_then(|key| key.to_bytes().ok()) {
            Some(key) => seen.keys.push(Made { serial, key }),
            None => seen.trouble = Some(format!("key {serial} cannot be read")),
        }
    }
    seen.using = current(&home).unwrap_or_default();
    seen
}

/// What is not as it was ordered.
fn missing(identity: Option<&Identity>, seen: &Seen) -> Option<String> {
    const WHO: &str = "watchward-agent-identities.service should do that";
    let Some(identity) = identity else {
        return Some(format!("it is not destroyed: {WHO}"));
    };
    let has = |serial: &u32| seen.keys.iter().any(|it| it.serial == *serial);
    let using = identity.using;
    if let Some(serial) = identity.serials.iter().find(|it| !has(it)) {
        return Some(format!("key {serial} is not made: {WHO}"));
    }
    if using != seen.using {
        return Some(format!("programs do not use key {using}: {WHO}"));
    }
    let wanted = |it: &&Made| !identity.serials.contains(&it.serial);
    let extra = seen.keys.iter().find(wanted)?;
    Some(format!("key {} is not destroyed: {WHO}", extra.serial))
}
