//! What the host itself is known by, and what is wrong with what all its accounts have in common.

use std::path::PathBuf;

use watchward_protocol::keys::Holder;

use super::file::Kind;
use super::{Looked, View};
use crate::keys::holding::Holding;
use crate::keys::open::Whose;
use crate::keys::watch::Wanted;

/// Looks at what sshd shows to clients. A host without sshd has nothing to show and no account that
/// sshd opens.
pub(super) fn look(view: &View<'_>) -> Looked {
    let mut wanted = Wanted::default();
    let mut holding = Holding::default();
    let names = view.accounts.list.iter().map(|it| it.name.clone());
    let Some(answer) = &view.said.general else {
        let keys = holding.told(Holder::Host(Vec::new()), view.now);
        return (Some(keys), wanted);
    };
    for trouble in &view.said.troubles {
        holding.unread(None, trouble.clone());
    }
    let omitted = view.accounts.omitted;
    if omitted > 0 {
        let what = format!("{omitted} more accounts are not looked at");
        holding.unread(None, what);
    }
    let settings = &answer.always;
    let sometimes = answer.sometimes.iter().map(|(_, it)| it);
    for settings in sometimes.chain([settings]) {
        if let Some(path) = &settings.authorities {
            // Its keys are of the accounts; here it is only what is wrong with it.
            let mut elsewhere = Holding::default();
            view.file(Kind::Authorities, path, Whose::Hosts, &mut elsewhere);
            holding.complain(&elsewhere);
        }
    }
    let mut complete = true;
    for path in &settings.host_keys {
        // Only the public half: nobody but sshd has to see the other.
        let mut public = path.clone().into_os_string();
        public.push(".pub");
        let public = PathBuf::from(public);
        complete &= view.file(Kind::HostKey, &public, Whose::Hosts, &mut holding);
        wanted.files.insert(public);
    }
    for path in &settings.host_certificates {
        complete &= view.file(Kind::HostCertificate, path, Whose::Hosts, &mut holding);
        wanted.files.insert(path.clone());
    }
    let holder = Holder::Host(names.collect());
    let keys = complete.then(|| holding.told(holder, view.now));
    (keys, wanted)
}
