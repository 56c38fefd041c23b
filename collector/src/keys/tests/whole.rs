//! What a host tells is the whole of what is: whatever came before, and however often it is repeated.

use std::time::Duration;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::keys::inventory::{Inventory, Whose};
use crate::keys::judge::{self, About, Trouble};

fn empty() -> Inventory {
    Inventory {
        host: host(1),
        listed_at: None,
        holders: BTreeMap::new(),
        openings: BTreeMap::new(),
        notes: Vec::new(),
        retired: Vec::new(),
    }
}

const ACCOUNTS: [&str; 3] = ["root", "bob", "deploy"];

/// One report: of an account with these keys, or of the host with these accounts.
#[derive(Clone, Debug)]
enum Said {
    Account(usize, BTreeSet<char>),
    Host(BTreeSet<usize>),
}

fn said() -> impl Strategy<Value = Said> {
    let letters = proptest::collection::btree_set(proptest::char::range('a', 'f'), 0..6);
    let accounts = proptest::collection::btree_set(0..ACCOUNTS.len(), 0..=ACCOUNTS.len());
    prop_oneof![
        3 => (0..ACCOUNTS.len(), letters).prop_map(|(account, keys)| Said::Account(account, keys)),
        1 => accounts.prop_map(Said::Host),
    ]
}

/// What is said, a minute apart.
fn reports(all: &[Said]) -> Vec<Heard<Keys>> {
    let one = |(seq, said): (i64, &Said)| match said {
        Said::Account(account, letters) => {
            let openings: Vec<_> = letters.iter().map(|letter| key(*letter)).collect();
            let holder = Holder::Account(ACCOUNTS[*account].into());
            heard(1, seq.unsigned_abs(), seq * 60, holder, &openings)
        }
        Said::Host(accounts) => {
            let names: Vec<_> = accounts.iter().map(|account| ACCOUNTS[*account]).collect();
            itself(seq.unsigned_abs(), seq * 60, &names, &[])
        }
    };
    (1..).zip(all).map(one).collect()
}

/// What opens which account, by what stands.
fn stands(inventory: &Inventory) -> BTreeSet<(String, String)> {
    let live = inventory
        .openings
        .iter()
        .filter(|(_, kept)| kept.gone_at.is_none());
    live.map(|((whose, _), kept)| {
        let account = whose.account().map(Foreign::to_string).unwrap_or_default();
        (
            account,
            kept.opening.key.as_ref().unwrap().fingerprint.clone(),
        )
    })
    .collect()
}

/// The same, by what was said.
fn should_stand(all: &[Said]) -> BTreeSet<(String, String)> {
    let mut accounts: BTreeMap<usize, BTreeSet<char>> = BTreeMap::new();
    for said in all {
        match said {
            Said::Account(account, letters) => {
                accounts.insert(*account, letters.clone());
            }
            Said::Host(listed) => accounts.retain(|account, _| listed.contains(account)),
        }
    }
    let pairs = accounts.iter().flat_map(|(account, letters)| {
        let pair = |letter: &char| (ACCOUNTS[*account].to_owned(), fingerprint(*letter));
        letters.iter().map(pair).collect::<Vec<_>>()
    });
    pairs.collect()
}

fn numbered(inventory: &mut Inventory) {
    for (id, kept) in (1..).zip(inventory.openings.values_mut()) {
        kept.id = id;
    }
}

proptest! {
    #[test]
    fn what_stands_is_what_was_said_last(all in proptest::collection::vec(said(), 0..20)) {
        let mut inventory = empty();
        for report in reports(&all) {
            inventory.hear(&report, report.report.at);
        }
        prop_assert_eq!(stands(&inventory), should_stand(&all));
    }

    #[test]
    fn repeats_change_nothing(
        all in proptest::collection::vec(said(), 1..12),
        repeats in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..12),
    ) {
        let reports = reports(&all);
        let mut once = empty();
        for report in &reports {
            once.hear(report, report.report.at);
        }
        // A report may be repeated anywhere after it came, as long as its account is listed.
        let mut with_repeats = empty();
        for (place, report) in reports.iter().enumerate() {
            with_repeats.hear(report, report.report.at);
            for (where_to, which) in &repeats {
                let which = &reports[which.index(place + 1)];
                let known = match &which.report.holder {
                    Holder::Account(name) => Whose::Account(name.clone()),
                    Holder::Host(_) => Whose::Host,
                };
                if where_to.index(reports.len()) == place && with_repeats.holders.contains_key(&known) {
                    with_repeats.hear(which, report.report.at);
                }
            }
        }
        prop_assert_eq!(&once.openings, &with_repeats.openings);
        prop_assert_eq!(&once.holders, &with_repeats.holders);
        prop_assert_eq!(&once.notes, &with_repeats.notes);
    }

    #[test]
    fn whatever_was_accepted_is_no_news_and_all_else_that_came_later_is(
        all in proptest::collection::vec(said(), 1..20),
        accepted in proptest::char::range('a', 'f'),
    ) {
        let mut inventory = empty();
        let mut first_look = true;
        let mut seen = BTreeSet::new();
        for report in reports(&all) {
            inventory.hear(&report, report.report.at);
            first_look &= inventory.listed_at.is_none_or(|listed| report.report.at <= listed + Duration::from_secs(60));
            if first_look {
                seen.extend(stands(&inventory));
            }
        }
        numbered(&mut inventory);
        inventory.accept("ada", |_, kept| kept.opening.key.as_ref().unwrap().fingerprint == fingerprint(accepted));
        judge::mark(&mut inventory, &Policy::default(), at(2000));
        let judged = judge::judge(&inventory, &[], &Policy::default(), at(2000));
        let told = judged.troubles.get(&Trouble::New).cloned().unwrap_or_default();
        let news: BTreeSet<_> = stands(&inventory)
            .into_iter()
            .filter(|one| one.1 != fingerprint(accepted) && !seen.contains(one))
            .collect();
        let told: BTreeSet<_> = inventory
            .openings
            .iter()
            .filter(|(_, kept)| told.contains(&About::Opening(kept.id)))
            .map(|((whose, _), kept)| (whose.account().unwrap().to_string(), kept.opening.key.as_ref().unwrap().fingerprint.clone()))
            .collect();
        prop_assert_eq!(told, news);
    }
}
