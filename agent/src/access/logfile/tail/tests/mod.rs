//! Rotations with real files: nothing missing, nothing twice.

use std::fs::{self, OpenOptions};
use std::io::Write;

use watchward_daemon::clock;

use super::*;

mod bench;
mod random;

use bench::Bench;

#[test]
fn the_first_start_begins_at_the_end() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn renamed_and_created_while_both_are_written_to() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.rename("", ".1");
    bench.write_to(&bench.path(".1"));
    bench.read();
    bench.create();
    bench.read();
    bench.write_to(&bench.path(".1"));
    bench.read();
    bench.write(2);
    bench.all_is_read_once();
    bench.later = GRACE;
    bench.read();
    assert_eq!(
        bench.tail.position().marks.len(),
        1,
        "the old file is let go of"
    );
    bench.write(1);
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn a_last_line_without_its_newline_is_read_when_its_file_is_let_go_of() {
    let mut bench = Bench::new();
    bench.write(1);
    OpenOptions::new()
        .append(true)
        .open(&bench.log)
        .unwrap()
        .write_all(b"line 1")
        .unwrap();
    bench.read();
    bench.rename("", ".1");
    bench.create();
    bench.read();
    bench.later = GRACE;
    bench.read();
    assert_eq!(bench.read, ["line 0", "line 1"]);
}

#[test]
fn deleted_and_created() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    fs::remove_file(&bench.log).unwrap();
    bench.read();
    bench.create();
    bench.write(3);
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn deleted_and_created_while_stopped_is_a_gap() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    fs::remove_file(&bench.log).unwrap();
    bench.write(5);
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps.len(), 1);
    assert_eq!(bench.gaps[0].why, GONE);
}

#[test]
fn rotated_three_times_while_stopped() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.write(2);
    for _ in 0..3 {
        for (from, to) in [(".2", ".3"), (".1", ".2"), ("", ".1")] {
            if bench.path(from).exists() {
                bench.rename(from, to);
            }
        }
        bench.create();
        bench.write(4);
    }
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn rotated_by_date_while_stopped() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    for date in ["-20261119", "-20261120", "-20261121-1795230245"] {
        bench.write(2);
        bench.rename("", date);
        bench.create();
    }
    bench.write(1);
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn compressed_while_stopped_is_a_gap_and_the_rest_is_read() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.rename("", ".2.gz");
    bench.write(2);
    bench.rename("", ".1");
    bench.write(2);
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps.len(), 1);
}

#[test]
fn cut_off_after_a_copy_goes_on_in_the_copy() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.write(2);
    bench.copytruncate(".1");
    bench.read();
    bench.write(1);
    bench.all_is_read_once();
    assert_eq!(
        bench.gaps.len(),
        1,
        "what came between copy and cut is not known"
    );
    assert_eq!(bench.gaps[0].why, CUT);
}

#[test]
fn cut_off_and_grown_past_the_place_is_noticed() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.copytruncate(".1");
    bench.write(10);
    bench.all_is_read_once();
    assert_eq!(bench.gaps.len(), 1);
}

#[test]
fn cut_off_while_stopped() {
    for grown in [0, 1, 20] {
        let mut bench = Bench::new();
        bench.write(3);
        bench.read();
        bench.write(2);
        bench.copytruncate("-20261121");
        bench.write(grown);
        bench.restart();
        bench.all_is_read_once();
        assert_eq!(bench.gaps.len(), 1);
    }
}

#[test]
fn cut_off_twice_while_stopped_and_empty_in_between() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.copytruncate("-20261120");
    bench.read();
    bench.later = GRACE;
    bench.read();
    // Files are born by a clock that is a few milliseconds late.
    bench.kept.at = bench.kept.at - Duration::from_secs(1);
    let early = bench.path("-20261120");
    fs::remove_file(early).unwrap();
    bench.write(2);
    bench.copytruncate("-20261121");
    bench.restart();
    bench.write(1);
    bench.all_is_read_once();
    assert_eq!(bench.gaps.len(), 2, "one for each cut");
}

#[test]
fn a_hole_of_zeros_before_a_line_is_skipped() {
    let mut bench = Bench::new();
    let mut writer = OpenOptions::new().write(true).open(&bench.log).unwrap();
    writer.set_len(0).unwrap();
    bench.read();
    writer.set_len(100_000).unwrap();
    bench.write(2);
    writer.flush().unwrap();
    bench.all_is_read_once();
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    // As if the file system had given the same numbers to a new file, and knew no birth.
    let words = serde_json::to_string(&bench.kept).unwrap();
    fs::write(&bench.log, "").unwrap();
    bench.write(30);
    bench.kept = serde_json::from_str(&words).unwrap();
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps.len(), 1);
}

#[test]
fn a_log_that_comes_later_is_read_from_its_start() {
    let mut bench = Bench::new();
    fs::remove_file(&bench.log).unwrap();
    bench.tail = Tail::first(&bench.log, clock::now()).unwrap();
    bench.read();
    bench.restart();
    bench.write(2);
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn a_line_too_long_is_cut_and_costs_no_memory() {
    let mut bench = Bench::new();
    bench.write(1);
    let long = "x".repeat(3_000_000);
    let mut writer = OpenOptions::new().append(true).open(&bench.log).unwrap();
    writer.write_all(&long.as_bytes()[..1_000_000]).unwrap();
    bench.read();
    writer.write_all(&long.as_bytes()[1_000_000..]).unwrap();
    bench.read();
    bench.restart();
    writer.write_all(b"\nline 1\n").unwrap();
    bench.written = 2;
    bench.read();
    assert_eq!(bench.read.len(), 3);
    assert_eq!(
        bench.read.remove(1),
        long[..super::super::generation::LONGEST]
    );
    bench.all_is_read_once();
}

#[test]
fn bytes_stay_as_they_are() {
    let mut bench = Bench::new();
    let mut lines = Vec::new();
    OpenOptions::new()
        .append(true)
        .open(&bench.log)
        .unwrap()
        .write_all(b"a\xff\x00b\r\n\n\r\nlast\n")
        .unwrap();
    let (moment, mut buffer) = (bench.moment(), Vec::new());
    let mut line = |line: &[u8]| lines.push(line.to_vec());
    bench.tail.advance(moment, &mut buffer, &mut line).unwrap();
    assert_eq!(lines, [&b"a\xff\x00b"[..], b"", b"", b"last"]);
}

#[test]
fn a_writer_may_stop_at_any_byte_and_so_may_we() {
    let text: Vec<u8> = (0..40)
        .flat_map(|number| format!("line {number}\n").into_bytes())
        .collect();
    let mut bench = Bench::new();
    bench.written = 40;
    let mut writer = OpenOptions::new().append(true).open(&bench.log).unwrap();
    for byte in text {
        writer.write_all(&[byte]).unwrap();
        bench.read();
        bench.restart();
    }
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}
