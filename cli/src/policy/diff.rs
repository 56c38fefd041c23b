//! Which lines differ between two versions of the policy.

use serde_json::{Value, json};

use super::shown;
use crate::row::Row;
use crate::screen::{Screen, Tone};

/// A line of the one text, of the other, or of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Gone(&'a str),
    New(&'a str),
    Same(&'a str),
}

/// How many lines are shown around those that differ.
const AROUND: usize = 3;

/// Shows what differs between two versions.
pub(super) fn show((from, to): (&Value, &Value), screen: &mut Screen) -> anyhow::Result<()> {
    let (from, to) = (Row::of(from), Row::of(to));
    let (old, new) = (from.text("text"), to.text("text"));
    let lines = compare(&old, &new);
    if screen.is_for_programs() {
        let of = |wanted: fn(&Line<'_>) -> Option<String>| -> Vec<String> {
            lines.iter().filter_map(wanted).collect()
        };
        let gone = of(|line| match line {
            Line::Gone(text) => Some((*text).to_owned()),
            Line::New(_) | Line::Same(_) => None,
        });
        let new = of(|line| match line {
            Line::New(text) => Some((*text).to_owned()),
            Line::Gone(_) | Line::Same(_) => None,
        });
        let (from, to) = (from.number("number"), to.number("number"));
        return Ok(screen.json(&json!({"from": from, "to": to, "gone": gone, "new": new}))?);
    }
    if old == new {
        return Ok(screen.line("They say the same.")?);
    }
    let mut skipped = false;
    for (at, line) in lines.iter().enumerate() {
        if !is_near(&lines, at) {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            let mark = screen.paint(Tone::Dim, "...");
            screen.line(&mark)?;
        }
        let text = match line {
            Line::Gone(text) => screen.paint(Tone::Bad, &format!("-{}", shown(text))),
            Line::New(text) => screen.paint(Tone::Good, &format!("+{}", shown(text))),
            Line::Same(text) => format!(" {}", shown(text)),
        };
        screen.line(&text)?;
    }
    Ok(())
}

/// Whether a line differs, or stands near one that does.
fn is_near(lines: &[Line<'_>], at: usize) -> bool {
    let near = lines.get(at.saturating_sub(AROUND)..lines.len().min(at + AROUND + 1));
    let mut near = near.unwrap_or_default().iter();
    near.any(|line| !matches!(line, Line::Same(_)))
}

/// The lines of both, with as many in common as there can be. Takes time and room by the product of
/// those that differ; what both begin and end with costs nothing.
fn compare<'a>(old: &'a str, new: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = |(one, other): &(&&str, &&str)| one == other;
    let head = old.iter().zip(&new).take_while(same).count();
    let (rest_old, rest_new) = (
        old.get(head..).unwrap_or_default(),
        new.get(head..).unwrap_or_default(),
    );
    let tail = rest_old.iter().rev().zip(rest_new.iter().rev());
    let tail = tail.take_while(same).count();
    let middle = |all: &[&'a str]| {
        let end = all.len().saturating_sub(tail);
        all.get(..end).unwrap_or_default().to_vec()
    };
    let (one, other) = (middle(rest_old), middle(rest_new));
    let mut lines: Vec<_> = old.iter().take(head).map(|line| Line::Same(line)).collect();
    lines.extend(middle_of(&one, &other));
    let after = old.iter().skip(old.len() - tail);
    lines.extend(after.map(|line| Line::Same(line)));
    lines
}

fn middle_of<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    // longest[i][j]: how many lines old[i..] and new[j..] have in common.
    let mut longest = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    let look = |table: &Vec<Vec<u32>>, i: usize, j: usize| -> u32 {
        table
            .get(i)
            .and_then(|row| row.get(j))
            .copied()
            .unwrap_or(0)
    };
    for (i, mine) in old.iter().enumerate().rev() {
        for (j, theirs) in new.iter().enumerate().rev() {
            let best = match mine == theirs {
                true => look(&longest, i + 1, j + 1) + 1,
                false => look(&longest, i + 1, j).max(look(&longest, i, j + 1)),
            };
            if let Some(place) = longest.get_mut(i).and_then(|row| row.get_mut(j)) {
                *place = best;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        lines.push(match (old.get(i), new.get(j)) {
            (Some(mine), Some(theirs)) if mine == theirs => {
                (i, j) = (i + 1, j + 1);
                Line::Same(mine)
            }
            (Some(mine), theirs)
                if theirs.is_none() || look(&longest, i + 1, j) >= look(&longest, i, j + 1) =>
            {
                i += 1;
                Line::Gone(mine)
            }
            (_, Some(theirs)) => {
                j += 1;
                Line::New(theirs)
            }
            (_, None) => return lines,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_stays() {
        let lines = compare("a\nb\nc\nd\ne", "a\nc\nx\nd\ne\nf");
        let expected = [
            Line::Same("a"),
            Line::Gone("b"),
            Line::Same("c"),
            Line::New("x"),
            Line::Same("d"),
            Line::Same("e"),
            Line::New("f"),
        ];
        assert_eq!(lines, expected);
        assert_eq!(compare("a", ""), [Line::Gone("a")]);
        assert_eq!(compare("", "a"), [Line::New("a")]);
        assert_eq!(compare("a\na", "a"), [Line::Same("a"), Line::Gone("a")]);
    }

    #[test]
    fn each_text_can_be_read_out_of_the_comparison() {
        // Every pair of short texts of three letters.
        let texts: Vec<String> = (0..81_u32)
            .map(|number| {
                let letter = |at: u32| ["a\n", "b\n", "c\n"][(number / 3_u32.pow(at) % 3) as usize];
                (0..4).map(letter).collect()
            })
            .collect();
        for old in &texts {
            for new in &texts {
                let lines = compare(old, new);
                let read = |keep: fn(&Line<'_>) -> bool| -> String {
                    let kept = lines.iter().filter(|line| keep(line));
                    kept.map(|line| match line {
                        Line::Gone(text) | Line::New(text) | Line::Same(text) => {
                            format!("{text}\n")
                        }
                    })
                    .collect()
                };
                assert_eq!(&read(|line| !matches!(line, Line::New(_))), old);
                assert_eq!(&read(|line| !matches!(line, Line::Gone(_))), new);
            }
        }
    }
}
