//! The house stands as `docs/architecture.md` says: imports point down, siblings never meet, files stay small; and
//! what the docs link is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Every module, from the top down; those of one line are siblings. A module may name those further
/// down.
const COLLECTOR: &[&[&str]] = &[
    &[
        "main",
        "arguments",
        "lib",
        "audit",
        "backup",
        "config",
        "guessed",
        "letters",
        "live",
        "reload",
        "report",
        "ruling",
        "shown",
    ],
    &["access", "health", "hosts", "keys", "restriction"],
    &["alerting"],
    &["metrics"],
    &["intake", "policy", "web"],
    &["people"],
    &["sealing"],
    &["asked", "store"],
];
const AGENT: &[&[&str]] = &[
    &["main", "arguments", "lib", "config"],
    &[
        "access",
        "health",
        "hosts",
        "identities",
        "keys",
        "peers",
        "proof",
        "reach",
        "restriction",
    ],
    &["uplink"],
    &["spool"],
    &["findings", "kept", "logins", "own", "sockets", "witness"],
];

/// The files that may name what is generated from the `.proto` contract.
const SPEAK_THE_WIRE: &[&str] = &[
    "protocol/src/wire",
    "agent/src/uplink",
    "collector/src/intake",
];

const LONGEST_FILE: usize = 400;

const ENFORCER: &str = "agent/enforcer/src";
const LARGEST_ENFORCER: usize = 3_400;

#[test]
fn imports_point_down_and_siblings_never_meet() -> Result<()> {
    let mut wrong = Vec::new();
    for (house, levels) in [("collector/src", COLLECTOR), ("agent/src", AGENT)] {
        for file in sources(&[house])? {
            let Some(module) = module(&file) else {
                continue;
            };
            if !levels.iter().any(|level| level.contains(&module.as_str())) {
                wrong.push(format!("{}: `{module}` is not ranked here", file.display()));
            }
            for named in named_modules(&code(&file)?) {
                if named != module && !may_name(levels, &module, &named) {
                    wrong.push(format!("{}: `{module}` names `{named}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn only_three_places_speak_the_wire() -> Result<()> {
    let all = sources(&["protocol", "daemon", "agent", "collector", "cli"])?;
    let mut wrong = Vec::new();
    for file in all {
        let may = SPEAK_THE_WIRE
            .iter()
            .any(|place| file.to_string_lossy().starts_with(place));
        if !may && code(&file)?.contains("wire::v1") {
            wrong.push(file);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn files_are_small_and_say_what_they_are_for() -> Result<()> {
    let mut wrong = Vec::new();
    for file in sources(&["protocol", "daemon", "agent", "collector", "cli", "tests"])? {
        let text = read(&file)?;
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!("{} has {lines} lines", file.display()));
        }
        if !text.starts_with("//! ") {
            wrong.push(format!("{} does not open with `//!`", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn every_link_of_the_docs_leads_somewhere() -> Result<()> {
    let top = top()?;
    let mut pages = vec![top.join("README.md")];
    let docs = fs::read_dir(top.join("docs"))?.map(|entry| Ok(entry?.path()));
    pages.extend(docs.collect::<Result<Vec<_>>>()?);
    pages.retain(|page| page.extension().is_some_and(|it| it == "md"));
    let mut links = 0;
    for page in &pages {
        let text = prose(&read(page)?);
        let targets = text.split("](").skip(1);
        let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => page.clone(),
                file => page.with_file_name(file),
            };
            let leads = file.exists() && (heading.is_empty() || anchors(&file)?.contains(heading));
            ensure!(leads, "{}: {target}", page.display());
            links += 1;
        }
    }
    ensure!(links > 50, "{links} links");
    Ok(())
}

/// A page without what stands between fences.
fn prose(text: &str) -> String {
    let parts = text.split("```").step_by(2);
    parts.collect()
}

/// The names by which the headings of a page can be linked.
fn anchors(page: &Path) -> Result<BTreeSet<String>> {
    let text = prose(&read(page)?);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let name = |line: &str| -> String {
        let line = line.trim_start_matches('#').trim().to_lowercase();
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let kept = line.chars().filter(kept);
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    Ok(headings.map(name).collect())
}

#[test]
fn what_may_change_the_firewall_does_not_grow() -> Result<()> {
    // Not counted: tests, the second role, and the client, which is in the agent's program alone.
    let apart = ["tests", "keys", "client.rs"].map(|it| Path::new(ENFORCER).join(it));
    let mut all = sources(&[ENFORCER])?;
    all.retain(|file| !apart.iter().any(|it| file.starts_with(it)));
    let mut lines = 0;
    for file in all {
        let code = code(&file)?;
        let own = code.split("#[cfg(test)]").next().unwrap_or_default();
        lines += own.lines().filter(|line| !line.trim().is_empty()).count();
    }
    ensure!(
        lines <= LARGEST_ENFORCER,
        "{ENFORCER} has {lines} lines of code: whoever trusts it has to read them all"
    );
    Ok(())
}

#[test]
fn this_test_sees_a_wrong_import() {
    let code = "use crate::{\n    health::{judge, Status},\n    store::Tx,\n};\ncrate::hosts::x();";
    let named: Vec<_> = named_modules(code).into_iter().collect();
    assert_eq!(named, ["health", "hosts", "store"]);
    assert!(!may_name(COLLECTOR, "access", "health"), "siblings");
    assert!(!may_name(COLLECTOR, "store", "access"), "upwards");
    assert!(!may_name(COLLECTOR, "unheard_of", "store"), "not ranked");
    assert!(!may_name(COLLECTOR, "access", "unheard_of"), "not ranked");
    assert!(may_name(COLLECTOR, "access", "alerting"));
    assert!(may_name(COLLECTOR, "lib", "access"));
}

/// What the list does not know has no place yet.
fn may_name(levels: &[&[&str]], from: &str, to: &str) -> bool {
    let level = |name: &str| levels.iter().position(|level| level.contains(&name));
    match (level(from), level(to)) {
        (Some(from), Some(to)) => to > from || to == 0 && from == 0,
        (None, _) | (_, None) => false,
    }
}

/// The first names after `crate::`, also those of a group in braces.
fn named_modules(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => named.extend(outer_names(group)),
            None => named.extend(first_name(rest)),
        }
    }
    named
}

fn outer_names(group: &str) -> BTreeSet<String> {
    let (mut depth, mut names, mut start) = (1, BTreeSet::new(), true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => start = true,
            _ if start && depth == 1 && character.is_alphabetic() => {
                names.extend(first_name(&group[at..]));
                start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// A module's name; types, which begin with a capital, are of the crate's door.
fn first_name(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .take_while(|it| it.is_alphanumeric() || *it == '_')
        .collect();
    name.starts_with(char::is_lowercase).then_some(name)
}

/// The module that a file of a crate belongs to: the first name under `src/`.
fn module(file: &Path) -> Option<String> {
    let mut parts = file.iter().skip_while(|part| *part != "src").skip(1);
    Some(
        Path::new(parts.next()?)
            .file_stem()?
            .to_string_lossy()
            .into_owned(),
    )
}

/// A file without its comments, where names are links for readers.
fn code(file: &Path) -> Result<String> {
    let text = read(file)?;
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn sources(members: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for member in members {
        walk(Path::new(member), &mut found)?;
    }
    ensure!(!found.is_empty(), "no sources in {members:?}");
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(top()?.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    Ok(fs::read_to_string(top()?.join(file))?)
}

fn top() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("tests/ is a folder of the house")
}
