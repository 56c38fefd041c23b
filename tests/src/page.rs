//! The commands of a page of `docs/`, so that page and test cannot part.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What a reader is told to do: one block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where: the word after `sh` in the first line of the block.
    pub place: String,
    /// The commands, as they stand there.
    pub script: String,
}

/// The steps of a page, in their order.
pub fn steps(page: &str) -> Result<Vec<Step>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(page);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(read(&text))
}

fn read(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some(place) = kind.strip_prefix("sh ") {
            steps.push(Step {
                place: place.to_owned(),
                script: block.join("\n"),
            });
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_commands_and_leaves_what_is_shown() {
        let page = "Do\n```sh host\na\nb\n```\nIt says\n```text\nc\n```\n```sh collector\nd\n```\n";
        let step = |place: &str, script: &str| Step {
            place: place.to_owned(),
            script: script.to_owned(),
        };
        assert_eq!(read(page), [step("host", "a\nb"), step("collector", "d")]);
    }
}
