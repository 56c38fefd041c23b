//! All that the programs do works from inside the units as they are shipped, and the units are tight.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::ready::scenario;
use watchward_tests::run::run;
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until, until_seen};

use super::ground::{AGENT, COLLECTOR, Ground};

/// The most that `systemd-analyze security` may say of a unit.
const EXPOSURE: f32 = 1.5;

/// Checks of every kind that an agent knows, and plugins of Debian's.
const CHECKS: &str = r#"
[health.host]
interval = "2s"
[health.systemd.ssh]
unit = "ssh.service"
interval = "2s"
[health.timer.beat]
unit = "beat.timer"
max_age = "1m"
interval = "2s"
[health.process.journald]
name = "systemd-journald"
interval = "2s"
[health.file.hostname]
path = "/etc/host*me"
interval = "2s"
[health.tcp.ssh]
address = "127.0.0.1:22"
interval = "2s"
[health.tls.shop]
address = "127.0.0.1:8443"
server_name = "shop.test"
ca_file = "/usr/local/share/ca-certificates/shop.crt"
interval = "2s"
[health.http.shop]
url = "https://shop.test:8443/"
interval = "2s"
[health.dns.shop]
name = "shop.test"
server = "127.0.0.1:5353"
expect = ["127.0.0.1"]
interval = "2s"
[health.icmp.collector]
host = "collector.example.net"
packets = 2
interval = "2s"
[health.command.disk]
command = ["/usr/lib/nagios/plugins/check_disk", "-w", "1%", "-c", "1%", "-p", "/"]
interval = "2s"
[health.command.load]
command = ["/usr/lib/nagios/plugins/check_load", "-w", "9999,9999,9999", "-c", "9999,9999,9999"]
interval = "2s"
[health.command.processes]
command = ["/usr/lib/nagios/plugins/check_procs", "-c", "1:", "-C", "rsyslogd"]
interval = "2s"
[health.command.ssh]
command = ["/usr/lib/nagios/plugins/check_ssh", "127.0.0.1"]
interval = "2s"
"#;

/// What they are called.
const NAMES: &[&str] = &[
    "host.memory",
    "host.disk /",
    "systemd.ssh",
    "timer.beat",
    "process.journald",
    "file.hostname",
    "tcp.ssh",
    "tls.shop",
    "http.shop",
    "dns.shop",
    "icmp.collector",
    "command.disk",
    "command.load",
    "command.processes",
    "command.ssh",
];

/// What is checked: a timer that runs each second, and a server with a name and a certificate.
const SHOP: &str = r#"
printf '[Service]\nType=oneshot\nExecStart=/bin/true\n' > /etc/systemd/system/beat.service
printf '[Timer]\nOnActiveSec=1s\nOnUnitActiveSec=1s\nAccuracySec=100ms\n' > /etc/systemd/system/beat.timer
systemctl daemon-reload
systemctl start beat.timer
echo 127.0.0.1 shop.test >> /etc/hosts
cd /etc/ssl
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
ca=/usr/local/share/ca-certificates/shop.crt
openssl req -x509 $key -keyout ca.key -out $ca -subj '/CN=Our CA' -days 3650
openssl req $key -keyout shop.key -out shop.csr -subj /CN=shop.test
openssl x509 -req -in shop.csr -CA $ca -CAkey ca.key -CAcreateserial -days 365 \
    -extfile <(echo subjectAltName=DNS:shop.test) -out shop.pem
update-ca-certificates
systemd-run -q --unit shop openssl s_server -www -quiet -accept 8443 -key /etc/ssl/shop.key \
    -cert /etc/ssl/shop.pem -cert_chain $ca
systemd-run -q --unit shop-dns perl -e "$1"
"#;

/// Answers each question with 127.0.0.1.
const DNS: &str = r#"
    use IO::Socket::INET;
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1:5353', Proto => 'udp') or die;
    while ($socket->recv(my $asked, 512)) {
        my $end = index($asked, "\0", 12) + 5;
        my $head = substr($asked, 0, 2) . pack('n5', 0x8180, 1, 1, 0, 0);
        my $answer = pack('n3NnC4', 0xc00c, 1, 1, 60, 4, 127, 0, 0, 1);
        $socket->send($head . substr($asked, 12, $end - 12) . $answer);
    }
"#;

#[test]
fn everything_works_from_inside_the_units() -> Result<()> {
    scenario("the units as they are shipped", || {
        let ground = Ground::enrolled()?;
        for (host, unit) in [(&ground.host, AGENT), (&ground.centre, COLLECTOR)] {
            is_tight(host, unit)?;
        }
        is_tight(&ground.host, "watchward-agent-keys")?;
        is_tight(&ground.host, "watchward-agent-identities")?;
        reads_who_gets_in(&ground).with_context(|| ground.logs())?;
        checks(&ground).with_context(|| ground.logs())?;
        reads_text_logs(&ground).with_context(|| ground.logs())?;
        is_monitored(&ground).with_context(|| ground.logs())?;
        let reload =
            "systemctl reload watchward-collector; systemctl is-active watchward-collector";
        ground.centre.sh(reload).map(drop)
    })
}

/// As its file stands, and as systemd has loaded it.
pub(crate) fn is_tight(host: &Host, unit: &str) -> Result<()> {
    let file = format!("/usr/lib/systemd/system/{unit}.service");
    for asked in [format!("--offline=true {file}"), format!("{unit}.service")] {
        let said = host.sh(&format!("systemd-analyze security --no-pager {asked}"))?;
        let mut lines = said.lines().rev();
        let score = lines.find(|line| line.contains("Overall exposure"));
        let score = score.and_then(|line| line.split(": ").nth(1));
        let score = score.and_then(|score| score.split(' ').next());
        let score: f32 = score.context("no score")?.parse()?;
        ensure!(score <= EXPOSURE, "{unit}: {score}\n{said}");
    }
    Ok(())
}

fn reads_who_gets_in(ground: &Ground) -> Result<()> {
    ssh::add_user(&ground.host, "alice", "correct")?;
    let tried = ssh::password(&ground.centre, &ground.host, "alice", "wrong")?;
    ensure!(!tried, "a wrong password opens");
    until("the failed login is there", SOON, || {
        Ok((ground.failures()? > 0).then_some(()))
    })
}

fn checks(ground: &Ground) -> Result<()> {
    run(&mut ground.host.command(&["bash", "-euc", SHOP, "shop", DNS])?)?;
    ground.configure(CHECKS)?;
    until("the reader of keys reads it as well", SOON, || {
        let log = "journalctl -u watchward-agent-keys -o cat --no-pager";
        let log = ground.host.sh(log)?;
        Ok(log.contains("Reloaded").then_some(()))
    })?;
    let look = || Ok(not_up(&ground.list("health")?));
    until_seen("every check is up", SOON * 2, look, Vec::is_empty).map(drop)
}

/// Those that are not up, with what was found.
fn not_up(seen: &[Value]) -> Vec<String> {
    let of = |name: &str| seen.iter().find(|it| it["check"] == name);
    let names = NAMES.iter().map(|name| (name, of(name)));
    let others = names.filter(|(_, found)| found.is_none_or(|it| it["state"] != "up"));
    let words = others.map(|(name, found)| found.map_or((*name).to_owned(), Value::to_string));
    words.collect()
}

/// Which only the group adm may do.
fn reads_text_logs(ground: &Ground) -> Result<()> {
    ground.configure("[access]\nsource = \"files\"\n")?;
    let watched = |hosts: &Vec<Value>| {
        let findings = hosts.first().and_then(|host| host["findings"].as_array());
        findings
            .into_iter()
            .flatten()
            .any(|it| it["subject"] == "access: /var/log/auth.log" && it["state"] == "watched")
    };
    let hosts = || ground.list("hosts");
    until_seen("auth.log is watched", SOON, hosts, watched).map(drop)
}

fn is_monitored(ground: &Ground) -> Result<()> {
    let ask = |path: &str| {
        ground.centre.sh(&format!(
            "exec 3<>/dev/tcp/127.0.0.1/7080
             printf 'GET {path} HTTP/1.0\r\nHost: 127.0.0.1:7080\r\n\r\n' >&3
             cat <&3"
        ))
    };
    for path in ["/-/healthy", "/-/ready"] {
        let said = ask(path)?;
        ensure!(said.starts_with("HTTP/1.0 200"), "{path}: {said}");
    }
    let numbers = ask("/metrics")?;
    for number in [
        "watchward_agents_connected 1",
        "watchward_hosts{state=\"heard\"} 1",
        "watchward_database_up 1",
    ] {
        ensure!(numbers.contains(number), "no {number}: {numbers}");
    }
    Ok(())
}
