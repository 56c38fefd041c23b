//! Whatever is written, rotated, stopped and killed, in whatever order: every line once.

use proptest::prelude::*;

use super::Bench;
use crate::access::logfile::tail::GRACE;

#[derive(Clone, Copy, Debug)]
enum Act {
    Write(u8),
    WriteToOld,
    Read,
    Restart,
    Crash,
    Rotate,
    Wait,
}

/// How rotated files are named.
#[derive(Clone, Copy, Debug)]
enum Names {
    Numbered,
    Dated(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1u8..60).prop_map(Act::Write),
        1 => Just(Act::WriteToOld),
        4 => Just(Act::Read),
        2 => Just(Act::Restart),
        1 => Just(Act::Crash),
        2 => Just(Act::Rotate),
        1 => Just(Act::Wait),
    ];
    prop::collection::vec(act, 1..60)
}

fn rotate(bench: &mut Bench, names: &mut Names) {
    match names {
        Names::Dated(day) => {
            *day += 1;
            bench.rename("", &format!("-{day}"));
        }
        Names::Numbered => {
            for number in (1..60).rev() {
                if bench.path(&format!(".{number}")).exists() {
                    bench.rename(&format!(".{number}"), &format!(".{}", number + 1));
                }
            }
            bench.rename("", ".1");
        }
    }
    bench.create();
}

/// A writer that has not yet been told to open the new file. After the grace its lines would be
/// lost, by design.
fn write_to_old(bench: &mut Bench, names: Names) {
    let old = match names {
        Names::Dated(day) => bench.path(&format!("-{day}")),
        Names::Numbered => bench.path(".1"),
    };
    if bench.tail.files.len() > 1 && old.exists() {
        bench.write_to(&old);
        bench.read();
    }
}

/// Killed between reading and keeping.
fn crash(bench: &mut Bench) {
    let (read, kept) = (bench.read.clone(), bench.kept.clone());
    bench.read();
    (bench.read, bench.kept) = (read, kept);
    bench.restart();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Only the order of lines that are written to both files of a rotation may differ.
    #[test]
    fn every_line_once(acts in acts(), dated in any::<bool>()) {
        let mut bench = Bench::new();
        let mut names = if dated { Names::Dated(20_261_100) } else { Names::Numbered };
        for act in acts {
            match act {
                Act::Write(count) => bench.write(count.into()),
                Act::WriteToOld => write_to_old(&mut bench, names),
                Act::Read => bench.read(),
                Act::Restart => bench.restart(),
                Act::Crash => crash(&mut bench),
                Act::Rotate => rotate(&mut bench, &mut names),
                Act::Wait => bench.later += GRACE,
            }
        }
        bench.read();
        bench.read.sort();
        let mut expected = bench.numbers();
        expected.sort();
        prop_assert_eq!(&bench.read, &expected);
        prop_assert_eq!(&bench.gaps, &[]);
    }
}
