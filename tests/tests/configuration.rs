//! `docs/configuration.md` has every key of the shipped files: its second half is made of them.
//!
//! `UPDATE_PAGES=1 cargo test -p watchward-tests --test configuration` writes it anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

const FILES: [&str; 4] = ["agent.toml", "guard.toml", "collector.toml", "policy.toml"];
const MARK: &str =
    "<!-- What follows is made of the files under config/ by tests/tests/configuration.rs. -->\n";

#[test]
fn the_page_has_every_key() -> Result<()> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = top.join("docs/configuration.md");
    let page = fs::read_to_string(&path)?;
    let (by_hand, made) = page.split_once(MARK).context("the page has no mark")?;
    let mut wanted = String::new();
    for file in FILES {
        let shipped = fs::read_to_string(top.join("config").join(file))?;
        describe(file, &shipped, &mut wanted)?;
    }
    if std::env::var_os("UPDATE_PAGES").is_some() {
        fs::write(&path, format!("{by_hand}{MARK}{wanted}"))?;
        return Ok(());
    }
    ensure!(
        made == wanted,
        "docs/configuration.md is not what the shipped files say. Write it anew:\n\
         UPDATE_PAGES=1 cargo test -p watchward-tests --test configuration"
    );
    Ok(())
}

#[test]
fn comments_and_keys_become_a_list() -> Result<()> {
    let mut made = String::new();
    let shipped = "# All.\n\n# A table.\n[a]\n# One, and\n# another.\nb = 1\nc = [\n  2,\n]\n\n\
                   # An example.\n#[d.NAME]\n#e = 3\n";
    describe("x.toml", shipped, &mut made)?;
    let wanted = "\n## x.toml\n\nAll.\n\n### `[a]`\n\nA table.\n\n* `b = 1`  \n  `c = [ 2, ]`  \n  \
                  One, and another.\n\n### `[d.NAME]`\n\nAn example.\n\n* `e = 3` (an example)\n";
    assert_eq!(made, wanted);
    Ok(())
}

/// A file as a chapter: its tables as sections, its keys as a list, its comments as what is said.
fn describe(file: &str, shipped: &str, page: &mut String) -> Result<()> {
    write!(page, "\n## {file}\n")?;
    let mut chapter = Chapter {
        page,
        said: Vec::new(),
        keys: Vec::new(),
        meaning: String::new(),
    };
    let mut lines = shipped.lines();
    while let Some(line) = lines.next() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if let Some(comment) = line.strip_prefix("# ") {
            chapter.comment(comment)?;
        } else if bare.is_empty() {
            chapter.rest()?;
        } else if bare.starts_with('[') {
            chapter.table(bare)?;
        } else {
            let mut key = bare.to_owned();
            while key.matches('[').count() > key.matches(']').count() {
                let next = lines.next().context("a list without an end")?;
                key = format!("{key} {}", next.strip_prefix('#').unwrap_or(next).trim());
            }
            chapter.key(&key, line.starts_with('#'));
        }
    }
    chapter.rest()
}

/// A chapter that is being written.
struct Chapter<'a> {
    page: &'a mut String,
    /// A comment that belongs to what follows.
    said: Vec<String>,
    /// Keys that one comment speaks of.
    keys: Vec<String>,
    meaning: String,
}

impl Chapter<'_> {
    fn comment(&mut self, text: &str) -> Result<()> {
        self.end_keys()?;
        self.said.push(text.to_owned());
        Ok(())
    }

    fn key(&mut self, key: &str, example: bool) {
        if self.keys.is_empty() {
            self.meaning = std::mem::take(&mut self.said).join(" ");
        }
        let note = if example { " (an example)" } else { "" };
        self.keys.push(format!("`{key}`{note}"));
    }

    fn table(&mut self, name: &str) -> Result<()> {
        self.end_keys()?;
        write!(self.page, "\n### `{name}`\n")?;
        self.rest()
    }

    /// A comment that no key follows is a paragraph.
    fn rest(&mut self) -> Result<()> {
        self.end_keys()?;
        let said = std::mem::take(&mut self.said).join(" ");
        if !said.is_empty() {
            write!(self.page, "\n{said}\n")?;
        }
        Ok(())
    }

    fn end_keys(&mut self) -> Result<()> {
        let keys = std::mem::take(&mut self.keys);
        if keys.is_empty() {
            return Ok(());
        }
        let mut lines = keys;
        let meaning = std::mem::take(&mut self.meaning);
        if !meaning.is_empty() {
            lines.push(meaning);
        }
        write!(self.page, "\n* {}\n", lines.join("  \n  "))?;
        Ok(())
    }
}
