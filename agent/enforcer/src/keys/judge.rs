//! Whether the guard of this host lets a list be tried. Pure.

use crate::guard::Keys;

/// Which list is to be tried, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) generation: u64,
    pub(super) seconds: u32,
}

/// Whether a list may be tried where another holds; why not. `now` is what the host's clock shows,
/// in microseconds since 1970, as generations may be counted.
pub(super) fn judge(wish: Wish, guard: &Keys, held: Option<u64>, now: u64) -> Result<(), String> {
    if !guard.revoke {
        return Err("the guard file of this host says `revoke = false`".to_owned());
    }
    let longest = guard.longest_trial.seconds();
    if wish.seconds == 0 || wish.seconds > longest {
        return Err(format!(
            "a list may be tried for {longest} seconds at the most"
        ));
    }
    // Or one of the far future would keep out all that come after it.
    if wish.generation > now.saturating_add(HOUR) {
        return Err("the list is of the future: look at the collector's clock".to_owned());
    }
    match held.filter(|held| *held > wish.generation) {
        Some(held) => Err(format!("list {held} holds, which is newer")),
        None => Ok(()),
    }
}

const HOUR: u64 = 3600 * 1_000_000;
