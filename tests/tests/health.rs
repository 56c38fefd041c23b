//! Room `health`: what is not well is told, and told to be over; plugins run as Debian ships them.

use anyhow::Result;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until};

const CHECK: &str = "
[health.systemd.shop]
unit = \"shop.service\"
interval = \"1s\"
failures = 2
";

const SHOP: &[u8] = b"[Service]\nExecStart=/bin/sleep infinity\n";

#[test]
fn a_stopped_unit_is_told_and_its_return_as_well() -> Result<()> {
    play("a unit stops and starts", "", |site| {
        let web = site.boot("web")?;
        web.write("/etc/systemd/system/shop.service", SHOP, 0o644)?;
        web.sh("systemctl daemon-reload; systemctl start shop")?;
        site.watch(&web, CHECK)?;

        web.sh("systemctl stop shop")?;
        let told = site.told_until("the shop is down", |told| told.of(&["shop"]) == (1, 1))?;
        assert_eq!(told.of(&["web"]), (1, 1), "{told:#?}");
        web.sh("systemctl start shop")?;
        let told = site.told_until("the shop is back", |told| told.of(&["shop"]) == (2, 2))?;
        assert_eq!(told.mails.len(), 2, "{told:#?}");
        for mail in site.mail.delivered()? {
            assert_eq!(mail.header("to"), watchward_tests::site::MAILBOX);
        }
        for sms in site.gateway.taken() {
            assert_eq!(sms.to, watchward_tests::site::PHONE);
        }
        Ok(())
    })
}

/// Debian's plugins, each with what should be found: how it stands, words of its detail, and a
/// measurement that is kept.
const PLUGINS: &str = r#"
[health.command.disk]
command = ["/usr/lib/nagios/plugins/check_disk", "-w", "1%", "-c", "1%", "-p", "/"]
interval = "1s"
[health.command.load]
command = ["/usr/lib/nagios/plugins/check_load", "-w", "9999,9999,9999", "-c", "9999,9999,9999"]
interval = "1s"
[health.command.ping]
command = ["/usr/lib/nagios/plugins/check_ping", "-H", "127.0.0.1", "-w", "1000,50%", "-c", "2000,90%", "-p", "1"]
interval = "1s"
[health.command.full]
command = ["/usr/lib/nagios/plugins/check_disk", "-w", "100%", "-p", "/"]
interval = "1s"
[health.command.confused]
command = ["/usr/lib/nagios/plugins/check_disk", "--no-such-option"]
interval = "1s"
[health.command.hangs]
command = ["/usr/local/bin/check_hangs"]
interval = "10m"
timeout = "1s"
failures = 1
"#;

/// Never ends, like the child that it leaves in the background.
const HANGS: &[u8] = b"#!/bin/bash\ntouch /run/hangs\nsleep 1234567 &\nsleep 1234567\n";

#[test]
fn debians_plugins_are_run_as_they_are() -> Result<()> {
    play("Nagios plugins", "", |site| {
        let web = site.boot("web")?;
        web.write("/usr/local/bin/check_hangs", HANGS, 0o755)?;
        site.watch(&web, PLUGINS)?;
        for (check, state, words) in [
            ("command.disk", "up", "DISK OK - free space: /"),
            ("command.load", "up", "load average: "),
            ("command.ping", "up", "PING OK - Packet loss = 0%"),
            (
                "command.full",
                "down",
                "WARNING: DISK WARNING - free space: /",
            ),
            ("command.confused", "unknown", "Unknown argument"),
            (
                "command.hangs",
                "unknown",
                "check_hangs did not end within 1s and was killed",
            ),
        ] {
            site.check_until(check, state, words)?;
        }
        for measured in [
            "\"name\":\"/\"",
            "\"name\":\"load15\"",
            "\"name\":\"rta\"",
            "\"name\":\"pl\"",
        ] {
            site.collector.until_kept(measured)?;
        }
        until("nothing is left of the plugin that hung", SOON, || {
            Ok((!web.try_sh("pgrep -f '[s]leep 1234567'")?).then_some(()))
        })?;
        assert!(web.try_sh("test -e /run/hangs")?, "it did run");
        Ok(())
    })
}

/// A certificate by an authority of its own that is valid for one week, and a server that shows it.
const SHOP_TLS: &str = "
cd /etc/ssl
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
openssl req -x509 $key -keyout ca.key -out our-ca.pem -subj '/CN=Our CA' -days 3650
openssl req $key -keyout shop.key -out shop.csr -subj '/CN=shop.test'
openssl x509 -req -in shop.csr -CA our-ca.pem -CAkey ca.key -CAcreateserial -days 7 \
    -extfile <(echo subjectAltName=DNS:shop.test) -out shop.pem
systemd-run -q --unit shop-tls openssl s_server -accept 8443 -cert /etc/ssl/shop.pem \
    -key /etc/ssl/shop.key -cert_chain /etc/ssl/our-ca.pem -quiet
";

#[test]
fn a_certificate_that_expires_soon_is_told() -> Result<()> {
    play("certificates", "", |site| {
        let web = site.boot("web")?;
        web.sh(SHOP_TLS)?;
        web.write(
            "/etc/ssl/mail.pem",
            site.mail.certificate().as_bytes(),
            0o644,
        )?;
        let mail = site.mail.address();
        let shop = "address = \"127.0.0.1:8443\"\ninterval = \"1s\"\nserver_name";
        let ours = "ca_file = \"/etc/ssl/our-ca.pem\"";
        let checks = format!(
            "[health.tls.shop]\n{shop} = \"shop.test\"\n{ours}\n\
             [health.tls.later]\n{shop} = \"shop.test\"\n{ours}\nwarn = \"5d\"\n\
             [health.tls.named]\n{shop} = \"mall.test\"\n{ours}\nwarn = \"5d\"\n\
             [health.tls.strange]\n{shop} = \"shop.test\"\nwarn = \"5d\"\n\
             [health.tls.mail]\naddress = \"{mail}:25\"\nstarttls = \"smtp\"\ninterval = \"1s\"\n\
             ca_file = \"/etc/ssl/mail.pem\"\n"
        );
        site.watch(&web, &checks)?;
        for (check, state, words) in [
            (
                "tls.shop",
                "down",
                "certificate of 127.0.0.1:8443 expires in 6 days (",
            ),
            (
                "tls.later",
                "up",
                "certificate of 127.0.0.1:8443 is valid for 6 days (until ",
            ),
            ("tls.named", "down", "is for shop.test, not for mall.test"),
            (
                "tls.strange",
                "down",
                "no authority that this host trusts vouches for",
            ),
            ("tls.mail", "up", ":25 is valid for "),
        ] {
            site.check_until(check, state, words)?;
        }
        let told = site.told_until("it is told", |told| told.of(&["expires in 6 days"]).0 > 0)?;
        assert_eq!(told.of(&["tls.later"]), (0, 0), "{told:#?}");
        site.collector.until_kept("\"name\":\"expires\"")
    })
}
