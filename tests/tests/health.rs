//! Room `health`: a unit that stops is told, and told to be over when it runs again.

use anyhow::Result;
use watchward_tests::site::play;

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
