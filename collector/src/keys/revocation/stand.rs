//! How a host stands with a revocation: what it said last, held against that. Pure.

use watchward_protocol::receipt::Stand;

use crate::keys::rows::reached::Holding;

/// How a host stands with what was ordered with this generation. `silent` is whether it is not heard;
/// a host that was is told at once.
pub(in crate::keys) fn stand(generation: u64, silent: bool, holding: Option<&Holding>) -> Stand {
    let unheard = |otherwise| match silent {
        true => Stand::Pending,
        false => otherwise,
    };
    let Some(holding) = holding else {
        return unheard(Stand::Mute);
    };
    if !holding.has_role {
        return unheard(Stand::Mute);
    }
    if holding.trouble.is_some() {
        return unheard(Stand::Refused);
    }
    match holding.generation {
        Some(held) if held >= generation => Stand::Held,
        Some(_) | None => unheard(Stand::Waiting),
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::hosts::HostId;
    use watchward_protocol::time::Timestamp;

    use super::*;

    #[test]
    fn a_host_holds_what_is_no_newer_than_what_it_says() {
        let of = |generation: Option<u64>, trouble: Option<&str>| Holding {
            host: HostId::from_bytes([1; 16]),
            name: "web".into(),
            at: Timestamp::default(),
            generation,
            revoked: 1,
            trouble: trouble.map(str::to_owned),
            managed: 0,
            unmanaged: None,
            has_role: trouble != Some("nobody"),
            told: None,
            unknown_sessions: Vec::new(),
        };
        for (holding, heard, silent) in [
            (None, Stand::Mute, Stand::Pending),
            (Some(of(None, None)), Stand::Waiting, Stand::Pending),
            (Some(of(Some(6), None)), Stand::Waiting, Stand::Pending),
            (Some(of(None, Some("nobody"))), Stand::Mute, Stand::Pending),
            (Some(of(Some(7), None)), Stand::Held, Stand::Held),
            (Some(of(Some(8), None)), Stand::Held, Stand::Held),
            (
                Some(of(Some(7), Some("no"))),
                Stand::Refused,
                Stand::Pending,
            ),
        ] {
            assert_eq!(stand(7, false, holding.as_ref()), heard, "{holding:?}");
            assert_eq!(stand(7, true, holding.as_ref()), silent, "{holding:?}");
        }
    }
}
