//! What plugins write, as Debian's do, as the guidelines say, and as nobody should.

use proptest::prelude::*;

use super::*;

fn one(text: &str) -> Measured {
    let mut all = measurements(text);
    assert_eq!(all.len(), 1, "{text}: {all:?}");
    all.remove(0)
}

#[test]
fn what_debians_plugins_write_is_read() {
    let written = read(
        "DISK OK - free space: / 3326 MiB (56% inode=73%);| /=2643MiB;5948;5958;0;5968\n\
         /boot 68 MiB (69%);\n/home 69357 MiB (27%); | /boot=68MB;88;93;0;98\n\
         'my disk'=69357MB;253404;253409;0;253414\n",
    );
    assert_eq!(
        written.text,
        "DISK OK - free space: / 3326 MiB (56% inode=73%);"
    );
    let seen: Vec<_> = written
        .measured
        .iter()
        .map(|one| (one.label.as_str(), one.number, one.unit.as_str()))
        .collect();
    let expected = [
        ("/", 2643.0, "MiB"),
        ("/boot", 68.0, "MB"),
        ("my disk", 69357.0, "MB"),
    ];
    assert_eq!(seen, expected);
    let load = read("OK - load average: 0.00, 0.01|load1=0.000;5.000;10.000;0; load5=0.010;4;6;0;");
    assert_eq!(load.measured.len(), 2);
    assert_eq!(load.measured[0].limits.least, Some(0.0));
    let ping =
        read("PING OK - RTA = 0.05 ms|rta=0.047000ms;100.000000;500.000000;0.000000 pl=0%;20;60;0");
    assert_eq!(ping.measured[0].unit, "ms");
    assert_eq!(
        (ping.measured[1].number, ping.measured[1].unit.as_str()),
        (0.0, "%")
    );
}

#[test]
fn labels_values_and_units_are_read_as_the_guidelines_say() {
    for (text, label, number, unit) in [
        ("a=1", "a", 1.0, ""),
        (
            "'it''s = \"my\" disk'=-1.5KB;;",
            "it's = \"my\" disk",
            -1.5,
            "KB",
        ),
        ("''''=1c", "'", 1.0, "c"),
        ("size=12us;1;2;3;4", "size", 12.0, "us"),
        ("tiny=1.5e-05s", "tiny", 1.5e-5, "s"),
        ("charge=2e", "charge", 2.0, "e"),
        ("comma=1,5%", "comma", 1.5, "%"),
        ("a.b/c:d=+7MB", "a.b/c:d", 7.0, "MB"),
    ] {
        let one = one(text);
        assert_eq!(
            (one.label.as_str(), one.number, one.unit.as_str()),
            (label, number, unit)
        );
    }
}

#[test]
fn what_is_malformed_is_left_out_and_the_rest_is_read() {
    let all = measurements("noise =1 a=U b=x 'open c=1;;; d='2' =3 e=1..2 f=5 g=NaN h=inf");
    let labels: Vec<_> = all.iter().map(|one| one.label.as_str()).collect();
    assert_eq!(labels, ["c", "f"]);
}

#[test]
fn ranges_mean_what_the_guidelines_say() {
    for (range, within, beyond) in [
        ("10", vec![0.0, 5.0, 10.0], vec![-1.0, 10.1]),
        ("10:", vec![10.0, 1e9], vec![9.9]),
        ("~:10", vec![-1e9, 10.0], vec![10.1]),
        ("10:20", vec![10.0, 20.0], vec![9.0, 21.0]),
        ("@10:20", vec![9.9, 20.1], vec![10.0, 20.0]),
    ] {
        let read = super::range(range).unwrap();
        assert_eq!(Shown(read).to_string(), range);
        assert!(
            within.into_iter().all(|number| !read.alerts(number)),
            "{range}"
        );
        assert!(
            beyond.into_iter().all(|number| read.alerts(number)),
            "{range}"
        );
    }
    for text in ["", ":", "a", "20:10", "@", "1:2:3", "~"] {
        assert_eq!(range(text), None, "{text:?}");
    }
    let load = one("load1=7;5;10;0;");
    assert_eq!(load.beyond(), range("5"));
    assert_eq!(one("load1=11;5;10;0;").beyond(), range("10"));
}

proptest! {
    #[test]
    fn whatever_a_plugin_writes_is_read_to_its_end(text in any::<String>()) {
        let written = read(&text);
        prop_assert!(written.measured.iter().all(|one| one.number.is_finite()));
        prop_assert!(written.measured.iter().all(|one| !one.label.is_empty()));
    }

    #[test]
    fn what_is_almost_perfdata_is_read_to_its_end(text in "[a'=;:@~0-9.,eE%| \n-]{0,80}") {
        read(&text);
    }

    #[test]
    fn what_was_written_is_what_is_read(
        measured in proptest::collection::vec((any::<String>(), -1e12..1e12f64, "(|%|s|us|ms|B|KB|MB|TB|c)"), 1..8),
    ) {
        let measured: Vec<_> = measured.into_iter().filter(|(label, ..)| !label.is_empty()).collect();
        let perfdata: Vec<_> = measured
            .iter()
            .map(|(label, number, unit)| format!("'{}'={number}{unit};1:2;@3;0;9", label.replace('\'', "''")))
            .collect();
        let all = measurements(&perfdata.join(" "));
        prop_assert_eq!(all.len(), measured.len());
        for (one, (label, number, unit)) in all.iter().zip(measured) {
            prop_assert_eq!((&one.label, one.number, &one.unit), (&label, number, &unit));
            prop_assert_eq!(one.limits.warning, range("1:2"));
            prop_assert_eq!((one.limits.least, one.limits.most), (Some(0.0), Some(9.0)));
        }
    }
}
