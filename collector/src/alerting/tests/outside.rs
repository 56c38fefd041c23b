//! A mail server and a gateway, and a configuration that names them.

use super::gateway::Gateway;
use super::mailbox::Mailbox;
use super::*;

/// Both servers, and a configuration that names them.
pub(super) struct Outside {
    pub(super) mail: Mailbox,
    pub(super) sms: Gateway,
    pub(super) config: Config,
    _folder: tempfile::TempDir,
}

pub(super) fn outside() -> Outside {
    let folder = tempfile::tempdir().unwrap();
    let (mail, sms) = (Mailbox::open(), Gateway::open());
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret\n").unwrap();
    let mut config = impatient(folder.path());
    config.smtp = Some(Smtp {
        host: "127.0.0.1".to_owned().try_into().unwrap(),
        port: mail.address.port().try_into().ok(),
        tls: Tls::None,
        user: None,
        password_file: None,
        from: "Watchward <watchward@example.org>"
            .to_owned()
            .try_into()
            .unwrap(),
        ca_file: None,
    });
    config.sms = Some(Sms {
        account: "AC1".to_owned().try_into().unwrap(),
        key: None,
        secret_file: secret.into(),
        from: Some("+12025550100".to_owned().try_into().unwrap()),
        messaging_service: None,
        base_url: format!("http://{}", sms.address).try_into().unwrap(),
    });
    config.contacts = vec![contact("ann", Threshold::Critical)];
    Outside {
        mail,
        sms,
        config,
        _folder: folder,
    }
}
