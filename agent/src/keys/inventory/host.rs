//! What the host itself is known by, and what is wrong with what all its accounts have in common.

use std::collections::BTreeSet;
use std::path::PathBuf;

use watchward_protocol::keys::Means;

use super::file::{each_line, of_key, trusted};
use crate::keys::accounts::Accounts;
use crate::keys::authorized::{Line, bare, certificate};
use crate::keys::holding::{Holding, opening};
use crate::keys::open::Whose;
use crate::keys::sshd::Said;

/// Looks at what sshd shows to clients. `files` are those that matter.
pub(super) fn look(accounts: &Accounts, said: &Said, files: &mut BTreeSet<PathBuf>) -> Holding {
    let mut holding = Holding::default();
    said.troubles
        .iter()
        .cloned()
        .for_each(|it| holding.trouble(it));
    if accounts.omitted > 0 {
        holding.trouble(format!(
            "{} more accounts are not looked at",
            accounts.omitted
        ));
    }
    let Some(settings) = &said.general else {
        return holding;
    };
    if let Some(path) = &settings.authorities {
        trusted(path, &mut holding, |_| {});
    }
    for path in &settings.host_keys {
        // Only the public half: nobody but sshd has to see the other.
        let mut public = path.clone().into_os_string();
        public.push(".pub");
        let public = PathBuf::from(public);
        files.insert(public.clone());
        each_line(
            &public,
            Whose::Hosts,
            &mut holding,
            |text, number, holding| {
                if let Line::Key(key) = bare(text) {
                    holding.add(of_key(Means::HostKey, &public, number, *key));
                }
                true
            },
        );
    }
    for path in &settings.host_certificates {
        files.insert(path.clone());
        each_line(path, Whose::Hosts, &mut holding, |text, number, holding| {
            if let Some(found) = certificate(text) {
                let mut one = opening(Means::HostCertificate, path, number);
                one.key = Some(found.key);
                one.comment = found.id;
                one.principals = found.principals;
                (one.not_before, one.not_after) = (found.not_before, found.not_after);
                holding.add(one);
            }
            true
        });
    }
    holding
}
