//! What tells sshd, asks it and ends its sessions does so with another release of OpenSSH, too: on Debian 13 whoever serves a connection is a program of its own.

use anyhow::Result;
use watchward_tests::root::Release::Thirteen;

use super::{managed, proof, revocation, revoke};

#[test]
fn on_debian_13_a_revoked_key_opens_nothing_and_its_session_ends() -> Result<()> {
    revocation::revoked_on(Thirteen)
}

#[test]
fn on_debian_13_a_lost_laptop_opens_nothing_and_the_receipt_proves_it() -> Result<()> {
    revoke::lost_laptop(Thirteen)
}

#[test]
fn on_debian_13_a_managed_key_opens_from_where_and_until_when_it_should() -> Result<()> {
    managed::key_on(Thirteen)
}

#[test]
fn on_debian_13_a_managed_authority_opens_for_its_principals() -> Result<()> {
    managed::authority_on(Thirteen)
}

#[test]
fn on_debian_13_a_file_that_a_match_block_keeps_for_some_opens_nobody_else() -> Result<()> {
    managed::match_block_on(Thirteen)
}

#[test]
fn on_debian_13_a_key_is_asked_about_and_nobody_is_accused_of_asking() -> Result<()> {
    proof::proven_on(Thirteen)
}
