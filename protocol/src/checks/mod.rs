//! Checks as they are configured: on a host in `agent.toml`, or ordered by the collector.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::MapAccess;
use serde::{Deserialize, Serialize};

mod address;
pub mod command;
pub mod dns;
pub mod file;
pub mod host;
pub mod http;
pub mod icmp;
mod name;
mod ordered;
mod pace;
mod path;
pub mod process;
pub mod systemd;
pub mod tcp;
pub mod timer;
pub mod tls;

pub use address::{Address, Host, NotAHost, NotAnAddress};
pub use name::{Name, NotAName};
pub use ordered::{NotUnderstood, NotWritten, Ordered};
pub use pace::{Interval, Pace, TooOften};
pub use path::{AbsolutePath, NotAPath, NotASize, Size};

/// Defines what there is of each kind, from one list: its name here, its name in a file, what it is.
macro_rules! kinds {
    ($($kind:ident $module:ident $about:literal)*) => {
        /// Checks by kind and name, each as `[health.KIND.NAME]` in `agent.toml`.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Checks {
            $(#[doc = $about] pub $module: BTreeMap<Name, $module::Config>,)*
        }

        /// What a check can look at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $about] $kind,)*
        }

        /// A check of any kind.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Check {
            $(#[doc = $about] $kind($module::Config),)*
        }

        impl Kind {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The word for it in a file: the `tcp` in `[health.tcp.NAME]`.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($module),)*
                }
            }

            /// The check of this kind with these settings, in TOML.
            fn read(self, settings: &str) -> Result<Check, toml::de::Error> {
                Ok(match self {
                    $(Self::$kind => Check::$kind(toml::from_str(settings)?),)*
                })
            }
        }

        impl Check {
            /// What kind it is of.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }

            /// How often it runs, and what counts.
            pub const fn pace(&self) -> Pace {
                match self {
                    $(Self::$kind(config) => config.pace(),)*
                }
            }
        }

        impl Checks {
            /// Each of them with its name.
            pub fn all(&self) -> Vec<(Name, Check)> {
                let mut all = Vec::new();
                $(for (name, config) in &self.$module {
                    all.push((name.clone(), Check::$kind(config.clone())));
                })*
                all
            }

            /// Takes the checks of one kind out of a file that is being read, for a table that has
            /// other keys beside the kinds: serde's `flatten` would lose the place of a mistake.
            ///
            /// # Errors
            /// What the file says of a check makes no sense.
            pub fn read<'de, M: MapAccess<'de>>(
                &mut self,
                kind: Kind,
                file: &mut M,
            ) -> Result<(), M::Error> {
                match kind {
                    $(Kind::$kind => self.$module = file.next_value()?,)*
                }
                Ok(())
            }
        }
    };
}

kinds! {
    Systemd systemd "Units of systemd that should be active."
    Process process "Programs that should be running."
    Tcp tcp "Addresses that should accept a TCP connection."
    Http http "Pages that should answer."
    Tls tls "Servers whose certificates should be right, and not about to expire."
    Dns dns "Names that should be resolved."
    Icmp icmp "Hosts that should answer pings."
    File file "Files that should be there, fresh, and of a size."
    Timer timer "Timers of systemd that should have run."
    Command command "Nagios plugins, and other programs that tell by their exit status."
}

impl Kind {
    /// The kind with this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// All their words, as a person lists them.
    pub fn words() -> String {
        let words: Vec<_> = Self::ALL.iter().map(|kind| kind.word()).collect();
        words.join(", ")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
