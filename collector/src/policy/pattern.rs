//! Names of hosts with `*`, which stands for any characters or none. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A host's name, or names with `*`, such as `web-*`. Case does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// A text that no host's name could be like.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no host's name, which has letters, digits, \"-\", \".\" and \"_\"; \"*\" stands for any \
     of them"
)]
pub struct NotAPattern(String);

impl Pattern {
    /// The only name that it stands for, in lower case; `None` if it stands for many.
    pub(super) fn only(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&self.0)
    }

    /// Whether it stands for this name, which is in lower case.
    pub(super) fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let inner = name.strip_prefix(first);
        let Some(mut inner) = inner.and_then(|inner| inner.strip_suffix(last)) else {
            return false;
        };
        middle.split('*').all(|part| {
            let found = inner.find(part).and_then(|at| inner.get(at + part.len()..));
            found.map(|after| inner = after).is_some()
        })
    }

    /// Whether some name is like both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        meets(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl TryFrom<String> for Pattern {
    type Error = NotAPattern;

    fn try_from(text: String) -> Result<Self, NotAPattern> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte);
        let fits = (1..=253).contains(&text.len()) && text.bytes().all(plain);
        if fits {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotAPattern(text))
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether some text is like both, where a `*` in either stands for anything. Takes time by the
/// product of their lengths and no more, however many stars there are.
fn meets(one: &[u8], other: &[u8]) -> bool {
    // reach[j]: what came of `one` so far and the first j of `other` have a text in common.
    let mut reach = vec![true];
    reach.extend(other.iter().scan(true, |all, byte| {
        *all &= *byte == b'*';
        Some(*all)
    }));
    for mine in one {
        let (mut next, mut before) = (Vec::with_capacity(reach.len()), None);
        for (at, above) in reach.iter().enumerate() {
            let theirs = at.checked_sub(1).and_then(|at| other.get(at));
            let left = next.last() == Some(&true);
            let reached = match (mine, theirs) {
                (b'*', _) => *above || left,
                (_, Some(b'*')) => *above || left,
                (_, Some(theirs)) => before == Some(true) && mine == theirs,
                (_, None) => false,
            };
            next.push(reached);
            before = Some(*above);
        }
        reach = next;
    }
    reach.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (text, like, unlike) in [
            ("web-*", "web-1", "web"),
            ("web-*", "web-", "db-1"),
            ("*.example.org", "shop.example.org", "example.org"),
            ("Shop.Example.org", "shop.example.org", "xshop.example.org"),
            ("a*b*c", "a1b2b3c", "acb"),
            ("*", "anything", ""),
        ] {
            assert!(pattern(text).matches(like), "{text} and {like}");
            if !unlike.is_empty() {
                assert!(!pattern(text).matches(unlike), "{text} and {unlike}");
            }
        }
    }

    #[test]
    fn what_no_host_is_called_is_refused() {
        for text in ["", "web 1", "web?", "[abc]", "ü", "a/b", &"a".repeat(254)] {
            assert!(
                Pattern::try_from(text.to_owned()).is_err(),
                "{text:?} was taken"
            );
        }
    }

    /// The simplest there is: a star stands for nothing, or for one and itself again.
    fn model(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => model(rest, name),
            (Some((b'*', rest)), Some((_, names))) => model(rest, name) || model(pattern, names),
            (Some((one, rest)), Some((other, names))) => one == other && model(rest, names),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matches_as_the_model_says(text in "[ab*]{1,8}", name in "[ab]{1,8}") {
            let expected = model(text.as_bytes(), name.as_bytes());
            prop_assert_eq!(pattern(&text).matches(&name), expected);
        }

        #[test]
        fn two_meet_if_some_name_is_like_both(one in "[ab*]{1,4}", other in "[ab*]{1,4}") {
            // Two patterns without stars of n and m letters meet, if at all, in n + m letters.
            let names = (0_u32..9).flat_map(|length| (0..1_u32 << length).map(move |bits| {
                (0..length).map(|at| if bits >> at & 1 == 1 { 'a' } else { 'b' }).collect::<String>()
            }));
            let both = |name: String| model(one.as_bytes(), name.as_bytes())
                && model(other.as_bytes(), name.as_bytes());
            let expected = names.into_iter().any(both);
            prop_assert_eq!(pattern(&one).meets(&pattern(&other)), expected);
            prop_assert_eq!(pattern(&other).meets(&pattern(&one)), expected);
        }
    }
}
