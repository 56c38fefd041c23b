//! Who is shut out of every host, in buckets: one ban more costs hosts one of them, not all.

use std::sync::Arc;

use watchward_protocol::restriction::Bans;

/// The bans that every host is ordered, each bucket a whole in itself.
///
/// A bucket that did not change is the same [`Arc`] as before, so that what to say to a thousand
/// hosts is found by comparing pointers.
#[derive(Clone, Debug)]
pub struct Buckets(Vec<Arc<Bans>>);

impl Default for Buckets {
    /// Nobody is shut out.
    fn default() -> Self {
        let empty = |bucket| Bans {
            bucket,
            bans: Vec::new(),
            lifted: Vec::new(),
        };
        Self((0..=u8::MAX).map(|it| Arc::new(empty(it))).collect())
    }
}

impl Buckets {
    /// The same with these buckets in place of what they were, and how many of them differ.
    #[must_use]
    pub fn with(&self, buckets: impl IntoIterator<Item = Bans>) -> (Self, usize) {
        let (mut all, mut changed) = (self.0.clone(), 0);
        for bucket in buckets {
            let known = all.get_mut(usize::from(bucket.bucket));
            if let Some(known) = known.filter(|known| ***known != bucket) {
                *known = Arc::new(bucket);
                changed += 1;
            }
        }
        (Self(all), changed)
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Arc<Bans>] {
        &self.0
    }

    /// Those that are not what was said before; all, where nothing was said.
    pub(super) fn news<'a>(
        &'a self,
        said: Option<&'a Self>,
    ) -> impl Iterator<Item = &'a Arc<Bans>> + use<'a> {
        let said = said.map_or(&[][..], |said| &said.0);
        let is_new = move |at: usize, bucket: &Arc<Bans>| {
            let before = said.get(at);
            !before.is_some_and(|before| Arc::ptr_eq(before, bucket))
        };
        let all = self.0.iter().enumerate();
        all.filter(move |(at, bucket)| is_new(*at, bucket))
            .map(|(_, bucket)| bucket)
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::restriction::{Ban, bucket};
    use watchward_protocol::time::Timestamp;

    use super::*;

    fn one(net: &str) -> Bans {
        let net = net.parse().unwrap();
        Bans {
            bucket: bucket(&net),
            bans: vec![Ban {
                net,
                until: Timestamp::from_micros(7),
            }],
            lifted: Vec::new(),
        }
    }

    #[test]
    fn only_a_bucket_that_differs_is_said_again() {
        let before = Buckets::default();
        assert_eq!(before.news(None).count(), 256, "each is said at first");
        let bans = one("203.0.113.7/32");
        let (after, changed) = before.with([bans.clone()]);
        let news: Vec<_> = after.news(Some(&before)).collect();
        assert_eq!((changed, news), (1, vec![&Arc::new(bans.clone())]));
        let (again, changed) = after.with([bans]);
        assert_eq!((changed, again.news(Some(&after)).count()), (0, 0));
    }
}
