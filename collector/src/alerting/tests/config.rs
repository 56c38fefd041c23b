//! What a configuration may say, and what is refused at the line that says it.

use super::*;

/// Reads a table as it stands in the collector's configuration.
fn read(text: &str) -> Result<Config, String> {
    #[derive(serde::Deserialize)]
    struct Whole {
        alerting: Config,
    }
    let text = text
        .replace("[[", "((")
        .replace('[', "[alerting.")
        .replace("((", "[[alerting.");
    let whole = toml::from_str(&format!("[alerting]\n{text}"));
    whole
        .map(|whole: Whole| whole.alerting)
        .map_err(|error| error.to_string())
}

const CONTACT: &str = "[[contacts]]\nname = \"Ann\"\nemail = \"ann@example.org\"\n";

#[test]
fn a_whole_configuration_is_read() {
    let config = read(
        "folder = \"/tmp/messages\"\n\
         [pace]\nfirst_retry = \"1s\"\n\
         [smtp]\nhost = \"smtp.example.org\"\nuser = \"watchward\"\n\
         password_file = \"/etc/watchward/smtp\"\nfrom = \"Watchward <w@example.org>\"\n\
         [sms]\naccount = \"AC1\"\nkey = \"SK1\"\nsecret_file = \"/etc/watchward/sms\"\n\
         messaging_service = \"MG1\"\n\
         [[contacts]]\nname = \"Ann\"\nemail = \"ann@example.org\"\nphone = \"+491701234567\"\n\
         by_email = \"warning\"\nby_sms = \"never\"\n",
    )
    .unwrap();
    let smtp = config.smtp.as_ref().unwrap();
    assert_eq!((smtp.tls, smtp.port()), (Tls::Starttls, 587));
    assert_eq!(config.contacts[0].by_sms, Threshold::Never);
    assert_eq!(config.notice(), None);
    let written = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&written).unwrap(), config);
}

#[test]
fn nothing_configured_is_the_default_and_says_exactly_what_to_write() {
    let config = read("").unwrap();
    assert_eq!(config, Config::default());
    let notice = config.notice().unwrap();
    let example = notice.split_once("\n\n").unwrap().1;
    let example = example.replace("AC...", "AC1").replace("alerting.", "");
    let followed = read(&example).unwrap();
    assert_eq!(
        followed.notice(),
        None,
        "the notice's own example is enough"
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_line_and_caret() {
    let smtp = "[smtp]\nhost = \"h\"\nfrom = \"w@example.org\"\n";
    let sms = "[sms]\naccount = \"AC1\"\nsecret_file = \"f\"\n";
    let cases = [
        (
            format!("{CONTACT}phone = \"0170 123\"\n"),
            "expected a phone number",
        ),
        (
            "[[contacts]]\nname = \"Ann\"\nemail = \"ann\"\n".to_owned(),
            "expected an email",
        ),
        (
            "[[contacts]]\nname = \"Ann\"\n".to_owned(),
            "needs an email or a phone",
        ),
        (format!("{CONTACT}{CONTACT}"), "the same name"),
        (
            format!("{CONTACT}by_mail = \"info\"\n"),
            "unknown field `by_mail`",
        ),
        (smtp.to_owned(), "say who is told"),
        (format!("{CONTACT}{smtp}user = \"w\"\n"), "belong together"),
        (
            format!("{CONTACT}{smtp}tls = \"none\"\nuser = \"w\"\npassword_file = \"p\"\n"),
            "in the clear",
        ),
        (format!("{CONTACT}{sms}"), "exactly one of"),
        (
            format!("{CONTACT}{sms}from = \"+12025550100\"\nbase_url = \"http://example.org\"\n"),
            "expected a URL",
        ),
        (
            format!("{CONTACT}[smtp]\nhost = \"h:25/\"\n"),
            "expected a host name",
        ),
        (
            "[pace]\nfirst_retry = \"2m\"\n".to_owned(),
            "longer than longest_retry",
        ),
        (
            format!("{CONTACT}[pace]\ntimeout = \"soon\"\n"),
            "expected a span of time",
        ),
    ];
    for (text, expected) in cases {
        let error = read(&text).unwrap_err();
        assert!(error.contains(expected), "{error}\nfor\n{text}");
        assert!(
            error.contains("line ") && error.contains('^'),
            "{error}\nfor\n{text}"
        );
    }
}
