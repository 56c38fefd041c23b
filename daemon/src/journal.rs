//! Says events to systemd's journal: in words, with all that belongs to them, and as fields to search by.

use std::fmt::{self, Write};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use watchward_protocol::text::escaped_once;

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// A value is cut after so many bytes: all of an event must fit into one datagram.
const LONGEST: usize = 8 * 1024;
/// How long a journal that does not read may hold up a program, each time.
const PATIENCE: Duration = Duration::from_millis(200);

/// The way to the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: UnixDatagram,
    to: PathBuf,
    program: String,
}

impl Journal {
    /// To this machine's journal, as this program.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(crate) fn new(program: String) -> io::Result<Self> {
        Self::at(Path::new(SOCKET), program)
    }

    fn at(socket: &Path, program: String) -> io::Result<Self> {
        let journal = Self {
            socket: UnixDatagram::unbound()?,
            to: socket.to_owned(),
            program,
        };
        journal.socket.set_write_timeout(Some(PATIENCE))?;
        // An empty one is passed over, and tells whether somebody listens.
        journal.socket.send_to(&[], &journal.to)?;
        Ok(journal)
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let about = event.metadata();
        let mut entry = Entry::default();
        entry.put("PRIORITY", priority(*about.level()));
        entry.put("SYSLOG_IDENTIFIER", &self.program);
        entry.put("TARGET", about.target());
        if let (Some(file), Some(line)) = (about.file(), about.line()) {
            entry.put("CODE_FILE", file);
            entry.put("CODE_LINE", &line.to_string());
        }
        entry.put("MESSAGE", &said.in_words());
        for (name, value) in &said.fields {
            entry.put(&format!("F_{}", field(name)), value);
        }
        // There is nowhere else to say it.
        let _ = self.socket.send_to(&entry.0, &self.to);
    }
}

/// As syslog(3) counts: "notice" is what is usual and worth to be told.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "5",
        Level::DEBUG => "6",
        Level::TRACE => "7",
    }
}

/// A name as the journal has them: `host.id` is `HOST_ID`.
fn field(name: &str) -> String {
    let known = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' => letter.to_ascii_uppercase(),
        _ => '_',
    };
    name.chars().map(known).collect()
}

/// What an event says.
#[derive(Debug, Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Said {
    /// All of it for a person. Of what has several lines each begins with a blank, so that none can
    /// be taken for an event of its own.
    fn in_words(&self) -> String {
        let mut words = plain(&self.message).replace('\n', "\n    ");
        let (short, long): (Vec<_>, Vec<_>) = self
            .fields
            .iter()
            .partition(|(_, value)| !value.contains('\n'));
        for (name, value) in short {
            let value = plain(value);
            let quoted = value.is_empty() || value.contains([' ', '"', '=']);
            let _ = match quoted {
                true => write!(words, " {name}=\"{}\"", value.replace('"', "\\\"")),
                false => write!(words, " {name}={value}"),
            };
        }
        for (name, value) in long {
            if *name != "error" {
                let _ = write!(words, "\n  {name}:");
            }
            for line in value.lines() {
                let _ = write!(words, "\n    {}", plain(line));
            }
        }
        words
    }

    fn take(&mut self, field: &Field, mut value: String) {
        value.truncate(value.floor_char_boundary(LONGEST));
        value.truncate(value.trim_end().len());
        match field.name() {
            "message" => self.message = value,
            // Where a line of somebody else's code stands.
            name if name.starts_with("log.") => {}
            name => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }
}

/// Text in which strangers' words cannot do anything to a terminal. Backslashes stay: what was
/// escaped before must not be escaped again.
fn plain(text: &str) -> String {
    let lines = text.split('\n').map(escaped_once);
    lines.collect::<Vec<_>>().join("\n")
}

/// What is sent: fields, each with its length, for values may have several lines
/// (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
#[derive(Debug, Default)]
struct Entry(Vec<u8>);

impl Entry {
    fn put(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'\n');
        self.0
            .extend_from_slice(&(value.len() as u64).to_le_bytes());
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What the journal hears while something is said.
    fn heard(say: impl FnOnce()) -> HashMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::at(&path, "watchward".to_owned()).unwrap();
        let mut datagram = vec![0; 256 * 1024];
        assert_eq!(journald.recv(&mut datagram).unwrap(), 0);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(journal), say);
        let length = journald.recv(&mut datagram).unwrap();
        let mut rest = &datagram[..length];
        let mut fields = HashMap::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let (name, value) = rest.split_at(end);
            let (size, value) = value[1..].split_at(8);
            let size = u64::from_le_bytes(size.try_into().unwrap());
            let size = usize::try_from(size).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            fields.insert(text(name), text(&value[..size]));
            assert_eq!(value[size], b'\n');
            rest = &value[size + 1..];
        }
        fields
    }

    #[test]
    fn fields_are_in_the_message_and_beside_it() {
        let fields = heard(|| {
            tracing::info!(host.id = 7, file = %"/etc/a b", name = "web", "it is \"there\"");
        });
        assert_eq!(
            fields["MESSAGE"],
            "it is \"there\" host.id=7 file=\"/etc/a b\" name=web"
        );
        assert_eq!(
            (&*fields["F_HOST_ID"], &*fields["F_FILE"]),
            ("7", "/etc/a b")
        );
        assert_eq!(fields["PRIORITY"], "5");
        assert_eq!(fields["SYSLOG_IDENTIFIER"], "watchward");
        assert_eq!(fields["CODE_FILE"], file!());
    }

    #[test]
    fn an_error_of_several_lines_stands_below() {
        let error = toml::from_str::<HashMap<String, u8>>("a = 1\nb = \"x\"\n").unwrap_err();
        let fields = heard(|| {
            tracing::error!(%error, task = "reload", "not used");
        });
        let lines: Vec<&str> = fields["MESSAGE"].lines().collect();
        assert_eq!(lines[0], "not used task=reload");
        assert!(lines.contains(&"    2 | b = \"x\""), "{lines:?}");
        assert!(lines.contains(&"      |     ^^^"), "{lines:?}");
        assert_eq!(fields["F_ERROR"], error.to_string().trim_end());
    }

    #[test]
    fn what_strangers_say_cannot_look_like_something_else() {
        let error = "no\u{1b}[2J\nNov 22 sshd: Accepted\r\u{202e}";
        let shown = watchward_protocol::text::escaped("eve\u{7}");
        let fields = heard(|| tracing::warn!(error, shown, user = "a\u{9b}b", "refused"));
        assert_eq!(
            fields["MESSAGE"],
            "refused shown=eve\\u{7} user=a\\u{9b}b\n    no\\u{1b}[2J\n    Nov 22 sshd: \
             Accepted\\r\\u{202e}"
        );
        assert_eq!(fields["F_ERROR"], error);
    }

    #[test]
    fn what_is_long_is_cut_and_sent() {
        let fields = heard(|| tracing::warn!(text = "ü".repeat(1_000_000), "long"));
        assert_eq!(fields["F_TEXT"].len(), LONGEST);
    }
}
