//! A host, somebody inside and somebody outside, each with a network stack of its own, and the enforcer.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests alone use it, with words of their own"
)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::net::sockopt::{Timeout, set_socket_linger, set_socket_timeout};
use rustix::net::{AddressFamily, SocketType, bind, connect, listen, socket};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use watchward_enforcer::{
    Answer, Ban, Client, Gate, Gates, Holding, Mode, Ports, Protocol, Request,
};
use watchward_tests::programs;
use watchward_tests::run::run;
use watchward_tests::undo::{Folder, Undo};
use watchward_tests::wait::{SOON, until};

/// How long a connection may take to be made before it counts as shut. Longer makes tests slower,
/// and what is open is tried again.
const PATIENCE: Duration = Duration::from_millis(700);

/// Where somebody is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Host,
    Inside,
    Outside,
}

/// The host's addresses, towards the inside and the outside.
pub(crate) const HOST: [&str; 4] = [
    "10.99.1.1",
    "203.0.113.1",
    "2001:db8:1::1",
    "2001:db8:bad::1",
];

/// An address inside, and one outside.
pub(crate) const INSIDE: &str = "10.99.1.2";
pub(crate) const OUTSIDE: &str = "203.0.113.5";

/// The first of the host's gateways, which are inside.
pub(crate) const GATEWAY: &str = "10.99.1.254";

const BUILD: &str = include_str!("ground.sh");

/// All of it; ends with this value.
pub(crate) struct Ground {
    name: String,
    folder: Folder,
    agent: Option<&'static str>,
    enforcer: Mutex<Option<Child>>,
    _undo: Undo,
}

impl Ground {
    /// The networks, with the enforcer running on the host and this in its guard file.
    pub(crate) fn new(guard: &str) -> Result<Self> {
        Self::new_with(guard, None)
    }

    /// So that this user counts as the agent's.
    pub(crate) fn new_with(guard: &str, agent: Option<&'static str>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ww{}-{next}", std::process::id());
        let gone = format!("for it in host inside outside; do ip netns del {name}-$it; done");
        let undo = Undo::promise(gone)?;
        run(Command::new("bash").args(["-ec", BUILD]).env("N", &name))?;
        let ground = Self {
            name,
            folder: Folder::new("watchward-enforcer")?,
            agent,
            enforcer: Mutex::new(None),
            _undo: undo,
        };
        ground.guard(guard)?;
        ground.start()?;
        Ok(ground)
    }

    /// Writes the guard file anew.
    pub(crate) fn guard(&self, text: &str) -> Result<()> {
        let (new, file) = (self.path("guard.new"), self.path("guard.toml"));
        fs::write(&new, text)?;
        Ok(fs::rename(new, file)?)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the enforcer, and waits until it answers.
    pub(crate) fn start(&self) -> Result<()> {
        self.launch("")?;
        self.until_there()
    }

    /// Has the enforcer be about to start, until its process is told to go on.
    pub(crate) fn prepare(&self) -> Result<()> {
        self.launch("kill -STOP $$")?;
        let file = format!("/proc/{}/stat", self.process());
        until("it is halted", SOON, || {
            Ok(fs::read_to_string(&file)?.contains(") T ").then_some(()))
        })
    }

    /// Waits until the enforcer answers.
    pub(crate) fn until_there(&self) -> Result<()> {
        let asked = until("the enforcer answers", SOON, || Ok(self.client().ok()));
        asked.map(drop).with_context(|| self.log())
    }

    fn launch(&self, before: &str) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))?;
        let child = Command::new("bash")
            .args(["-ec", &format!("{before}\nexec \"$@\""), "enforcer"])
            .args(["ip", "netns", "exec", &self.space(Place::Host)])
            .arg(programs::path(programs::ENFORCER)?)
            .arg("run")
            .args(["--guard".as_ref(), self.path("guard.toml").as_os_str()])
            .args(["--state".as_ref(), self.folder.path().as_os_str()])
            .args(["--socket".as_ref(), self.path("socket").as_os_str()])
            .args(self.agent.iter().flat_map(|it| ["--peer", it]))
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()?;
        *self.enforcer.lock().unwrap() = Some(child);
        Ok(())
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.enforcer
            .lock()
            .unwrap()
            .as_ref()
            .expect("it runs")
            .id()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> Result<bool> {
        let mut enforcer = self.enforcer.lock().unwrap();
        Ok(enforcer
            .as_mut()
            .expect("it was started")
            .try_wait()?
            .is_some())
    }

    /// Ends it as nobody can prevent, and as systemd does: with the program that it may have started.
    pub(crate) fn kill(&self) -> Result<()> {
        if let Some(mut child) = self.enforcer.lock().unwrap().take() {
            match kill_process_group(Pid::from_child(&child), Signal::KILL) {
                // It has ended, and so has what it started.
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
            child.wait()?;
        }
        Ok(())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn client(&self) -> Result<Client> {
        let mut client = Client::connect(&self.path("socket"))?;
        client.ask(&Request::Hello)?;
        Ok(client)
    }

    pub(crate) fn ask(&self, request: Request) -> Result<Answer> {
        self.client()?.ask(&request).with_context(|| self.log())
    }

    /// Asks for something, and it is done.
    pub(crate) fn done(&self, request: Request) -> Result<()> {
        let answer = self.ask(request)?;
        ensure!(answer == Answer::Done, "{answer:?}: {}", self.log());
        Ok(())
    }

    pub(crate) fn holding(&self) -> Result<Holding> {
        let Answer::Holding(holding) = self.ask(Request::Hello)? else {
            bail!("it does not say what it holds");
        };
        Ok(holding)
    }

    /// Tries gates and confirms them.
    pub(crate) fn gates(&self, gates: Gates) -> Result<()> {
        let generation = gates.generation;
        self.done(Request::Try { gates, seconds: 60 })?;
        self.done(Request::Confirm { generation })
    }

    /// Runs a line of shell where somebody is.
    pub(crate) fn sh(&self, place: Place, script: &str) -> Result<String> {
        let space = self.space(place);
        run(Command::new("ip").args(["netns", "exec", &space, "bash", "-ec", script]))
    }

    fn space(&self, place: Place) -> String {
        let place = match place {
            Place::Host => "host",
            Place::Inside => "inside",
            Place::Outside => "outside",
        };
        format!("{}-{place}", self.name)
    }

    /// Does something on the network of somebody. A socket stays on the network it was made on.
    fn there<T: Send>(&self, place: Place, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let space = File::open(format!("/run/netns/{}", self.space(place)))?;
        let there = move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))?;
            act()
        };
        thread::scope(|scope| scope.spawn(there).join().expect("it does not panic"))
    }

    /// A server on the host that says back what it is told, until the test ends.
    pub(crate) fn serve(&self, port: u16) -> Result<()> {
        self.serve_at(Place::Host, port)
    }

    /// The same, of somebody else.
    pub(crate) fn serve_at(&self, place: Place, port: u16) -> Result<()> {
        let listener = self.there(place, || {
            let listener = TcpListener::bind(("::", port))?;
            // A queue that is full looks like a gate that is shut.
            listen(&listener, 4096)?;
            Ok(listener)
        })?;
        thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut byte = [0];
                    while matches!(connection.read(&mut byte), Ok(1)) {
                        if connection.write_all(&byte).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Ok(())
    }

    /// Connects from an address to an address.
    pub(crate) fn connect(
        &self,
        place: Place,
        from: &str,
        to: &str,
        port: u16,
    ) -> Result<Option<TcpStream>> {
        let (from, to): (IpAddr, IpAddr) = (from.parse()?, to.parse()?);
        self.there(place, move || {
            let family = match from {
                IpAddr::V4(_) => AddressFamily::INET,
                IpAddr::V6(_) => AddressFamily::INET6,
            };
            let socket = socket(family, SocketType::STREAM, None)?;
            bind(&socket, &SocketAddr::new(from, 0))?;
            // A prober would run out of ports, each of which waits for a minute otherwise.
            set_socket_linger(&socket, Some(Duration::ZERO))?;
            for way in [Timeout::Send, Timeout::Recv] {
                set_socket_timeout(&socket, way, Some(PATIENCE))?;
            }
            let connected = connect(&socket, &SocketAddr::new(to, port));
            Ok(connected.is_ok().then(|| TcpStream::from(socket)))
        })
    }

    /// Sends a packet of UDP from outside to everybody there.
    pub(crate) fn broadcast(&self, from: &str, port: u16) -> Result<()> {
        self.send(&[from.parse()?], "203.0.113.255", port)
    }

    /// Sends a datagram from each of these addresses outside.
    pub(crate) fn send(&self, from: &[IpAddr], to: &str, port: u16) -> Result<()> {
        self.there(Place::Outside, || {
            for from in from {
                let socket = UdpSocket::bind((*from, 0))?;
                socket.set_broadcast(true)?;
                socket.send_to(b"x", (to, port))?;
            }
            Ok(())
        })
    }

    /// Whether a connection can be made at the first try.
    pub(crate) fn open(&self, place: Place, from: &str, to: &str, port: u16) -> Result<bool> {
        Ok(self.connect(place, from, to, port)?.is_some())
    }

    /// Waits until a connection can be made, or cannot.
    pub(crate) fn until_open(&self, place: Place, from: &str, to: &str, open: bool) -> Result<()> {
        let what = format!("from {from} to {to} it is open: {open}");
        let look = || Ok((self.open(place, from, to, 22)? == open).then_some(()));
        until(&what, SOON, look).with_context(|| self.log())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.kill().expect("a child can be ended");
    }
}

/// Whether somebody reaches port 22 of the host by IPv4 at the first try.
pub(crate) fn is_open(ground: &Ground, from: &str) -> Result<bool> {
    match from.starts_with("203.0.113.") {
        true => ground.open(Place::Outside, from, HOST[1], 22),
        false => ground.open(Place::Inside, from, HOST[0], 22),
    }
}

/// Whether a connection still carries anything.
pub(crate) fn alive(connection: &mut TcpStream) -> bool {
    connection.write_all(b"x").is_ok() && matches!(connection.read(&mut [0]), Ok(1))
}

pub(crate) fn bans<'a>(nets: impl IntoIterator<Item = &'a str>, seconds: u32) -> Request {
    let ban = |net: &str| Ban {
        net: net.parse().unwrap(),
        seconds,
        own: false,
    };
    Request::Ban(nets.into_iter().map(ban).collect())
}

/// One gate, to port 22.
pub(crate) fn gates<'a>(
    generation: u64,
    mode: Mode,
    from: impl IntoIterator<Item = &'a str>,
) -> Gates {
    let port = Ports {
        protocol: Protocol::Tcp,
        first: 22,
        last: 22,
    };
    Gates {
        generation,
        put_back: true,
        gates: vec![Gate {
            name: "ssh".to_owned(),
            ports: vec![port],
            from: from.into_iter().map(|net| net.parse().unwrap()).collect(),
            exceptions: Vec::new(),
            mode,
        }],
    }
}
